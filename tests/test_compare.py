"""A whole comparison on the tiny model: identical examples, one table and page, and a second start that goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from engrain import api, compare
from engrain.compare import entries
from engrain.config import settings_from
from engrain.errors import EngrainError, ExampleError, RunError, SettingError, TrainingError
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


def until(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for something that the process brings about."""
    while not holds():
        assert process.poll() is None, "the process ended before it came about"
        time.sleep(0.02)


def begun(tiny_folder: Path, methods: list[str], **values: Any) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """A comparison in a process of its own that trains its method `full` by now, and the process which does that."""
    options = {**OPTIONS, **values}
    typed = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = ["compare", "docs", "--methods", ",".join(methods), "--seeds", "1", "--out", "cmp", "--base", str(tiny_folder), *typed]
    process = subprocess.Popen([sys.executable, "-m", "engrain", *command])
    until(lambda: Path("cmp/parts/full-0/metrics.jsonl").is_file(), process)
    (worker,) = (child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline()))
    return process, worker


@pytest.mark.timeout(600)
def test_a_comparison_that_was_killed_goes_on_where_it_was(tiny_folder: Path) -> None:
    methods, options = ["lora:rank=4", "full"], {"max_steps": 20, "checkpoint_minutes": 1e-4}
    process, worker = begun(tiny_folder, methods, **options)
    killed = Run.open(Path("cmp/parts/full-0"))
    until(lambda: killed.newest_checkpoint() is not None, process)
    process.kill()
    worker.kill()
    assert process.wait() == -signal.SIGKILL
    worker.wait()
    newest = killed.newest_checkpoint()
    assert newest is not None
    assert (Run.open(Path("cmp")).info["status"], killed.info["status"]) == ("running", "running")
    before = killed.read_rows("metrics.jsonl")[: newest[0]]
    first = Path("cmp/parts/lora-rank-4-0/adapter/adapter_model.safetensors").stat().st_mtime_ns
    _, board = start(tiny_folder, methods, resume=True, **options)
    rows = killed.read_rows("metrics.jsonl")
    assert rows[: newest[0]] == before, "steps before the checkpoint were made a second time"
    assert [row["step"] for row in rows] == list(range(1, 21))
    assert Path("cmp/parts/lora-rank-4-0/adapter/adapter_model.safetensors").stat().st_mtime_ns == first
    assert [score.name for score in board.scores if score.tuned and "+" not in score.name] == methods
    assert not board.failed


@pytest.mark.timeout(600)
def test_a_comparison_that_a_signal_stopped_goes_on(tiny_folder: Path) -> None:
    methods = ["lora:rank=4", "full"]
    process, worker = begun(tiny_folder, methods, max_steps=60)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert not worker.is_running()
    assert Run.open(Path("cmp")).info["status"] == "interrupted"
    stopped = Run.open(Path("cmp/parts/full-0"))
    assert stopped.info["status"] == "interrupted"
    newest = stopped.newest_checkpoint()
    assert newest is not None
    assert newest[0] == len(stopped.read_rows("metrics.jsonl"))
    first = Path("cmp/parts/lora-rank-4-0")
    assert not (first / "checkpoints").exists()
    before = (first / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns
    run, board = start(tiny_folder, methods, resume=True, max_steps=60)

    assert [row["step"] for row in stopped.read_rows("metrics.jsonl")] == list(range(1, 61))
    assert (first / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns == before
    names = [score.name for score in board.scores]
    assert names == [
        "base",
        "base+retrieval",
        "base+passages",
        "base+agent",
        "lora:rank=4",
        "lora:rank=4+retrieval",
        "full",
        "full+retrieval",
    ]
    assert not board.failed
    assert board.advice
    lora, full = board.scores[4], board.scores[6]
    assert lora.trainable_parameters == 4 * (2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 128))  # one of two layers: the top half
    assert full.trainable_parameters is not None
    assert full.trainable_parameters > lora.trainable_parameters
    assert lora.memory_bytes
    assert lora.seconds
    assert lora.artifact_bytes
    assert (stopped.path / "gate.safetensors").is_file(), "asked as any run is"
    assert lora.alone is not None
    assert lora.retention is not None
    assert lora.alone.count == lora.retention.count
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
        start(tiny_folder, ["lorra", "poly", "full:rank=3", "lora", "lora"])
    told = "\n".join(caught.value.problems)
    assert "lorra: " in told
    assert "did you mean 'lora'" in told
    assert "poly: " in told
    assert "is not supported, because" in told
    assert "full:rank=3: " in told
    assert "lora: named twice" in told
    assert not Path("cmp").exists()


def test_what_a_method_cannot_have_or_the_base_has_no_room_for_is_told_before_anything_is_made(tiny_folder: Path) -> None:
    shared = ["lora:method=full", "lora:base=x", "lora:minutes=60", "lora:gate=true", "lora:seed=5"]
    with pytest.raises(SettingError, match="cannot be compared") as caught:
        start(tiny_folder, [*shared, "lora:target_modules=nope", "layerwise:layers=40", "lora:learning_rate=1e-3"])
    told = "\n".join(caught.value.problems)
    assert all(f"{name}: {name.split(':')[1].split('=')[0]} holds for all methods" in told for name in shared)
    assert "lora:target_modules=nope: target_modules: LoRA cannot adapt nope. This model has: " in told
    assert "layerwise:layers=40: " in told
    assert "lora:learning_rate" not in told
    assert not Path("cmp").exists()


def test_lora_is_compared_as_documents_are_built_with_it() -> None:
    base = {"base": "smollm2-135m"}
    found = {entry.name: entry.values for entry in entries(["lora", "lora:rank=2", "lora:layers=1.0", "full"], base)}
    assert found["lora"] == {"method": "lora", "layers": "0.5"}
    assert found["lora:rank=2"] == {"method": "lora", "layers": "0.5", "rank": "2"}
    assert found["lora:layers=1.0"] == {"method": "lora", "layers": "1.0"}
    assert found["full"] == {"method": "full"}


def test_a_comma_in_a_value_is_none_between_methods() -> None:
    text = "lora:target_modules=q_proj,v_proj, full,layerwise:layers=3,7,lorra"
    assert compare.named(text) == ["lora:target_modules=q_proj,v_proj", "full", "layerwise:layers=3,7,lorra"]
    assert compare.named("lora,lorra,") == ["lora", "lorra"]


def test_the_folder_of_a_training_is_one_folder(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "cmp", "cmp")
    names = {compare.prepared(run, compare.Entry(f"layerwise:layers={layers}", {}), 0).path for layers in ("1/3", "1-3", "1,3")}
    assert {path.parent for path in names} == {run.path / "parts"}
    assert "layerwise-layers-1of3-0" in {path.name for path in names}


def test_a_comparison_in_which_every_training_fails_says_so(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "in_own_process", lambda *_: TrainingError.exit_code)
    with pytest.raises(RunError, match="Every training failed") as caught:
        start(tiny_folder, ["lora:rank=4", "full"])
    assert caught.value.problems == ("lora-rank-4-0: its process was ended", "full-0: its process was ended")
    assert Run.open(Path("cmp")).info["status"] == "failed"


def test_questions_that_cannot_be_read_are_told_before_anything_is_made(tiny_folder: Path) -> None:
    Path("questions.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(ExampleError, match=r"questions\.jsonl"):
        start(tiny_folder, ["lora"], questions="questions.jsonl")
    assert not Path("cmp").exists()


def test_no_seed_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(SettingError, match="seeds=0"):
        api.compare("docs", ["lora"], seeds=0, base=str(tiny_folder), **OPTIONS)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"rank": 8}, "rank=8"),
        ({"seed": 5}, "seed=5"),
        ({"method": "full"}, "method=full"),
        ({"useful_accuracy": 0.3}, "useful_accuracy=0.3"),
    ],
)
def test_what_cannot_hold_for_all_is_refused(given: dict[str, Any], told: str, tiny_folder: Path) -> None:
    with pytest.raises(SettingError, match=told):
        start(tiny_folder, ["lora"], **given)
    assert not Path("cmp").exists()
    chosen = settings_from({"base": str(tiny_folder), **OPTIONS, **given})
    with pytest.raises(SettingError, match=told):
        api.compare("docs", ["lora"], seeds=1, out="cmp", settings=chosen)


def test_a_training_that_fails_is_told_and_the_others_go_on(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_the_first(work: Any, path: Path, *others: Any) -> int:
        if path.name.startswith("dora"):
            Run.open(path).update(status="failed", error="no memory is left")
            return TrainingError.exit_code
        if path.name.startswith("full"):
            return -9
        work(path, *others)
        return 0

    monkeypatch.setattr(compare, "in_own_process", fail_the_first)
    run, board = start(tiny_folder, ["dora:rank=4", "full", "lora:rank=4"])
    assert board.failed == {"dora-rank-4-0": "no memory is left", "full-0": "its process was ended"}
    assert [s.name for s in board.scores if s.tuned] == ["lora:rank=4", "lora:rank=4+retrieval"]
    assert "no memory is left" in (run.path / "comparison.html").read_text()

    def carry_out(work: Any, path: Path, *others: Any) -> int:
        work(path, *others)
        return 0

    monkeypatch.setattr(compare, "in_own_process", carry_out)
    kept = (run.path / "parts" / "lora-rank-4-0" / "evaluation.json").stat().st_mtime_ns
    _, whole = start(tiny_folder, ["dora:rank=4", "lora:rank=4"], resume=True)
    assert not whole.failed
    assert [s.name for s in whole.scores if s.tuned and "+" not in s.name] == ["dora:rank=4", "lora:rank=4"]
    assert (run.path / "parts" / "lora-rank-4-0" / "evaluation.json").stat().st_mtime_ns == kept


def test_a_method_that_cannot_train_this_base_says_so(tiny_folder: Path) -> None:
    run = Run.create(Path("cmp"), "cmp")
    part = compare.prepared(run, compare.Entry("c3a", {}), 0)
    with pytest.raises(EngrainError) as caught:
        compare.carry_out(part.path, {"base": str(tiny_folder), "method": "c3a", **OPTIONS}, None)
    assert part.info["status"] == "failed"
    assert part.info["error"] == str(caught.value)
