"""The tables of the uses: a second method begins with what the first has measured of the base."""

from __future__ import annotations

from pathlib import Path

from benchmarks.use_cases import share_base
from engrain.api import settings_of_task
from engrain.config import settings_from
from engrain.resuming import check_unchanged
from engrain.run import Run


def test_a_run_begun_with_what_another_measured_can_go_on(tmp_path: Path) -> None:
    options = {"task": "code", "language": "tcl", "method": "full"}
    assert share_base(tmp_path / "tcl-lora", options) == ""
    first = Run.create(tmp_path / "tcl-lora", "tcl-lora")
    first.write_json("before.json", {"perplexity": 3.0})
    assert share_base(tmp_path / "tcl-full", options) == "interrupted"
    begun = Run.open(tmp_path / "tcl-full")
    assert begun.read_json("before.json") == {"perplexity": 3.0}
    check_unchanged(begun, settings_of_task(settings_from(options)))
