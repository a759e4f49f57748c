"""A whole comparison on the tiny model: identical examples, one table and page, and a second start that goes on."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from engrain import api, compare
from engrain.errors import Interrupted, SettingError
from engrain.run import Run
from test_api import DOCUMENT

OPTIONS = {"max_steps": 3, "readings": 0, "replay": 8, "batch_size": 4, "precision": "float32", "device": "cpu"}


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "kites.md").write_text(DOCUMENT)


def start(tiny_folder: Path, methods: list[str], **values: Any) -> Any:
    return api.compare("docs", methods, seeds=1, out="cmp", base=str(tiny_folder), **{**OPTIONS, **values})


@pytest.mark.timeout(600)
def test_a_comparison_goes_on_where_it_was_stopped(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    methods = ["lora:rank=4", "full"]
    whole = compare.in_own_process

    def stop_at_the_second(part: Run, *others: Any) -> None:
        if part.path.name.startswith("full"):
            raise Interrupted("stopped", signal_number=signal.SIGTERM)
        whole(part, *others)

    monkeypatch.setattr(compare, "in_own_process", stop_at_the_second)
    with pytest.raises(Interrupted):
        start(tiny_folder, methods)
    assert Run.open(Path("cmp")).info["status"] == "interrupted"
    first = Path("cmp/parts/lora-rank-4-0")
    before = (first / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns
    monkeypatch.setattr(compare, "in_own_process", whole)
    run, board = start(tiny_folder, methods, resume=True)

    assert (first / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns == before
    names = [score.name for score in board.scores]
    assert names == ["base", "base+retrieval", "base+agent", "lora:rank=4", "lora:rank=4+retrieval", "full", "full+retrieval"]
    assert not board.failed
    assert board.advice
    lora, full = board.scores[3], board.scores[5]
    assert lora.trainable_parameters == 2 * 4 * (2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 128))
    assert full.trainable_parameters is not None
    assert full.trainable_parameters > lora.trainable_parameters
    assert lora.memory_bytes
    assert lora.seconds
    assert lora.artifact_bytes
    assert {s.exact.count for s in board.scores} == {board.scores[0].exact.count}
    examples = [(run.path / "parts" / part / "examples" / "train.jsonl").read_bytes() for part in ("lora-rank-4-0", "full-0")]
    assert examples[0] == examples[1]
    page = (run.path / "comparison.html").read_text()
    assert "lora:rank=4" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert json.loads((run.path / "comparison.json").read_text())["advice"] == board.advice
    assert run.info["status"] == "complete"


def test_every_method_that_cannot_be_compared_is_named(tiny_folder: Path) -> None:
    with pytest.raises(SettingError, match="cannot be compared") as caught:
        start(tiny_folder, ["lorra", "prefix_tuning", "full:rank=3", "lora", "lora"])
    told = "\n".join(caught.value.problems)
    assert "lorra: " in told
    assert "did you mean 'lora'" in told
    assert "keys and values of every layer" in told
    assert "full:rank=3: " in told
    assert "lora: named twice" in told
    assert not Path("cmp").exists()


def test_no_seed_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(SettingError, match="seeds=0"):
        api.compare("docs", ["lora"], seeds=0, base=str(tiny_folder), **OPTIONS)


def test_a_training_that_fails_is_told_and_the_others_go_on(tiny_folder: Path) -> None:
    run = Run.create(Path("cmp"), "cmp")
    part = compare.prepared(run, compare.Entry("c3a", {}), 0)
    with pytest.raises(SystemExit):
        compare.carry_out(part.path, {"base": str(tiny_folder), "method": "c3a", **OPTIONS}, None)
    assert part.info["status"] == "failed"
    assert part.info["error"]
