"""What every command does before its own function is called."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from containers import Groups
from engrain.cli._options import command


def test_threads_are_counted_before_the_libraries_that_start_them_come(
    groups: Groups, many_cores: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "starts_threads.py").write_text("import os\n\nprint('threads', os.environ['OMP_NUM_THREADS'])\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "starts_threads", raising=False)
    groups("0::/", cpu_max="100000 100000")
    found = CliRunner().invoke(command("engrain try", uses="starts_threads")(lambda: None))
    assert found.output == "threads 1\n", found.exception
