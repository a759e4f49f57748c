"""What a plan says, against what a build of the same documents then does; and what it advises where it does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import engrain
from containers import Groups
from engrain import api, cost, plan
from engrain.config import settings_from
from engrain.duration import OTHERWISE, Work
from engrain.errors import DocumentError, ModelError, SettingError
from engrain.examples import Example, Message
from engrain.experience import remember
from engrain.plan import make_plan
from engrain.study.teacher_prompts import Expected
from test_api import DOCUMENT

GB = 2**30


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(plan, "matmul_rate", lambda device, dtype: 1e12)


def work(count: int = 640, answer: str = "It costs 41 pounds.") -> Work:
    rows = [Example((Message("user", f"What does kite {i} cost?"), Message("assistant", answer))) for i in range(count)]
    return Work(4, 60, rows, rows[:20], 100, 100, 120, 40, 300.0, 6000, 12.0)


def planned(folder: Path, made: Work | None = None, **options: Any) -> plan.Plan:
    settings = settings_from({"base": str(folder), "precision": "float32", "device": "cpu", **options})
    return make_plan(made or work(), settings)


def test_a_plan_is_what_the_build_then_does(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "kites.md").write_text(DOCUMENT)
    options = {"base": str(tiny_folder), "precision": "float32", "device": "cpu", "epochs": 0.2, "batch_size": 8, "rank": 4, "replay": 0}
    options["encoder"] = False  # a plan fetches none, and which passages questions share follows a little from what finds them
    found = api.plan("docs", **options)
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "home").exists()
    run = engrain.build("docs", **options, out="run", evaluate=False).run
    assert found.documents == 1
    assert found.facts == len(run.read_rows("facts.jsonl"))
    assert found.examples == sum(row.get("repeats", 1) for row in run.read_rows("examples/train.jsonl"))
    assert found.steps == run.info["trained"]["total_steps"]
    assert found.tokens_per_epoch == pytest.approx(run.info["trained"]["tokens"] / run.info["trained"]["epochs"], rel=0.2)
    written = sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    assert written < found.disk_bytes
    assert found.fits


def test_the_base_is_not_needed_for_a_plan(tmp_path: Path) -> None:
    found = planned(Path("smollm2-135m"))
    assert "estimated" in found.reasons[0]
    assert found.reasons[3] == "Learning: learning rate 0.001"
    assert "not fetched yet" in found.reasons[-1]
    assert found.disk_bytes > 134_515_008 * 4
    assert list(tmp_path.iterdir()) == []


def test_steps_follow_the_settings(tiny_folder: Path) -> None:
    assert planned(tiny_folder, epochs=2, batch_size=10).steps == 148, "740 examples, replay among them"
    assert planned(tiny_folder, max_steps=7).steps == 7
    whole = planned(tiny_folder)
    half = planned(tiny_folder, minutes=whole.training_minutes / 2)
    assert half.steps == pytest.approx(whole.steps / 2, abs=1)
    assert half.training_minutes == pytest.approx(whole.training_minutes / 2)


def test_earlier_trainings_on_this_machine_correct_the_estimate(tiny_folder: Path) -> None:
    first = planned(tiny_folder)
    assert any("as on other machines" in reason for reason in first.reasons)
    remember(50.0, 100.0, "cpu", torch.float32)
    then = planned(tiny_folder)
    assert then.training_minutes == pytest.approx(first.training_minutes / 2)
    assert any("as in earlier trainings here (1)" in reason for reason in then.reasons)


def test_where_a_model_studies_it_also_reads_what_questions_may_be_about(tiny_folder: Path) -> None:
    def measuring(**options: Any) -> float:
        made = replace(work(), studied=50)
        return planned(tiny_folder, made, **options).total_minutes - planned(tiny_folder, made, evaluate=False, **options).total_minutes

    def apart(**options: Any) -> float:
        return planned(tiny_folder, **options).total_minutes - planned(tiny_folder, evaluate=False, **options).total_minutes

    assert measuring() > apart()
    assert measuring(encoder=False) == pytest.approx(apart(encoder=False)), "without an encoder nothing is looked up by meaning"


def test_what_computes_more_takes_longer(tiny_folder: Path) -> None:
    assert planned(tiny_folder, rank=2).training_minutes < planned(tiny_folder, method="full").training_minutes
    assert planned(tiny_folder, evaluate=False).total_minutes < planned(tiny_folder).total_minutes
    assert planned(tiny_folder, encoder=False).total_minutes < planned(tiny_folder).total_minutes, "nothing is asked in other words"
    bare = planned(tiny_folder, replace(work(), replay=0, unanswered=0), evaluate=False)
    assert bare.total_minutes == pytest.approx(bare.training_minutes + 12 / 60), "nothing but reading and training"


def test_studying_takes_time_of_its_own(tiny_folder: Path) -> None:
    assert planned(tiny_folder, replace(work(), studied=50)).total_minutes > planned(tiny_folder).total_minutes


def test_studying_takes_no_longer_than_it_may(tiny_folder: Path) -> None:
    endless = replace(work(), studied=10**9)
    most = planned(tiny_folder, endless, study_minutes=2.0).total_minutes - planned(tiny_folder).total_minutes
    assert most == pytest.approx(2, abs=0.5)


def test_training_has_what_the_rest_of_a_build_leaves(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "matmul_rate", lambda device, dtype: 1e6)
    for seconds, minutes in ((12.0, 8), (9 * 60.0, 6), (3600.0, 4)):
        found = planned(tiny_folder, replace(work(), unanswered=0, seconds=seconds), evaluate=False)
        assert found.training_minutes == minutes
        assert any(f"as many as fit into minutes={minutes}" in reason for reason in found.reasons)


def test_starting_the_gate_and_the_report_are_counted_where_a_build_is_measured(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = planned(tiny_folder)
    assert any("starting, gate and report 0.5 min" in reason for reason in before.reasons)
    bare = planned(tiny_folder, evaluate=False)
    assert not any("starting" in reason for reason in bare.reasons)
    monkeypatch.setattr(plan, "matmul_rate", lambda device, dtype: 1e6)
    monkeypatch.setattr(plan, "asking_time", lambda *given: {"reading documents": 9 * 60.0, "starting, gate and report": OTHERWISE})
    assert planned(tiny_folder).training_minutes == 5.5, "training has what they leave, as in a build"


def test_what_a_teacher_is_asked_and_costs(tiny_folder: Path, tmp_path: Path) -> None:
    asked = Expected(40, 80_000, 20_000)
    found = planned(tiny_folder, replace(work(), teacher=asked), teacher_price_sent=2.5, teacher_price_received=10.0)
    (reason,) = (text for text in found.reasons if text.startswith("Teacher"))
    assert "40 requests, about 80,000 tokens to send and 20,000 to receive, which cost about 0.40 at 2.5 and 10" in reason
    assert found.teacher == asked
    (reason,) = (text for text in planned(tiny_folder, replace(work(), teacher=asked)).reasons if text.startswith("Teacher"))
    assert "--teacher-price-sent" in reason
    (tmp_path / "kites.md").write_text(DOCUMENT)
    made = api.plan(tmp_path / "kites.md", base=str(tiny_folder), teacher="http://127.0.0.1:9/v1#m")
    assert made.teacher is not None
    assert made.teacher.requests >= 4
    assert made.teacher.sent > 1000


def test_what_trains_decides_memory_and_disk(tiny_folder: Path) -> None:
    adapter, full = planned(tiny_folder, rank=2), planned(tiny_folder, method="full")
    assert adapter.disk_bytes < full.disk_bytes
    held = {batch: planned(tiny_folder, micro_batch_tokens=batch).memory_bytes for batch in (256, 1024)}
    assert held[256] < held[1024]


def test_too_little_memory_says_what_to_change(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "memory_of", lambda device: (GB, GB))
    found = planned(tiny_folder, method="full")
    assert not found.fits
    advice = next(reason for reason in found.reasons if reason.startswith("Memory"))
    assert "Not enough" in advice
    assert "--method lora" in advice
    assert "a smaller --base" in advice


def test_where_memory_is_short_less_is_kept_and_then_less_computed_at_once(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    for free in (1000, 12, 5):
        monkeypatch.setattr(plan, "memory_of", lambda device, free=free: (GB, GB + free * 2**20))
        found = planned(tiny_folder, method="full", batch_size=64, micro_batch_tokens=4096)
        assert found.fits
        assert found.memory_bytes <= found.memory_free_bytes
        reason = next(reason for reason in found.reasons if reason.startswith("Memory"))
        said.append((int(reason.partition("activations of ")[2].split()[0].replace(",", "")), "second time" in reason))
    assert [again for _, again in said] == [False, True, True]
    assert said[0][0] == said[1][0] > said[2][0]


def test_the_limit_of_a_container_is_what_there_is(tiny_folder: Path, groups: Groups) -> None:
    groups("0::/", memory_max=2**20)
    assert not planned(tiny_folder).fits


def test_too_little_disk_says_what_to_change(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "free_disk", lambda path: 2**20)
    found = planned(tiny_folder)
    assert (found.fits, found.disk_free_bytes) == (False, 2**20)
    assert "--out" in found.reasons[-1]


def test_examples_that_are_too_long_are_told(tiny_folder: Path) -> None:
    some = planned(tiny_folder, work(8, "x" * 900), max_length=500)
    assert some.fits
    assert "8 longer ones are left out (raise --max-length)" in some.reasons[1]
    short = planned(tiny_folder, work(8), max_length=500)
    assert (some.examples, some.steps) == (100, planned(tiny_folder, replace(work(0), heldout=[]), max_length=500).steps)
    assert some.tokens_per_epoch < short.tokens_per_epoch
    assert some.memory_bytes < planned(tiny_folder, work(8, "x" * 900)).memory_bytes
    alone = replace(work(8, "x" * 1500), replay=0)
    none = planned(tiny_folder, alone, max_length=4096)
    assert not none.fits
    assert "sees more at once" in none.reasons[1], "the base sees 1,024 tokens at once"


def test_what_cannot_be_built_cannot_be_planned(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DocumentError):
        api.plan(tmp_path)
    with pytest.raises(ModelError, match="no such model"):
        planned(Path("no-such-base"))
    with pytest.raises(SettingError, match="target_modules"):
        planned(tiny_folder, target_modules="nowhere")
    assert planned(tiny_folder, replace(work(), replay=0)).examples == 640


def test_layers_that_are_recomputed_take_less_memory_and_more_time(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = replace(work(), replay=0)
    kept = planned(tiny_folder, rows, evaluate=False)
    monkeypatch.setattr(cost, "LONG", 10)
    again = planned(tiny_folder, rows, evaluate=False)
    assert again.memory_bytes < kept.memory_bytes
    assert again.training_minutes > kept.training_minutes


def test_methods_that_hold_less_at_once_need_less(tiny_folder: Path) -> None:
    full = planned(tiny_folder, method="full")
    blocks = planned(tiny_folder, method="full", block_steps=20)
    assert blocks.memory_bytes < full.memory_bytes
    assert blocks.disk_bytes < full.disk_bytes
    adapter, counting = (planned(tiny_folder, method=name, rank=32) for name in ("lora", "adalora"))
    assert counting.disk_bytes - plan.TEXT_BYTES > 1.5 * (adapter.disk_bytes - plan.TEXT_BYTES)


def test_frozen_layers_are_computed_once(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"method": "layerwise", "layers": "1", "evaluate": False}
    one, three = (planned(tiny_folder, epochs=epochs, **options) for epochs in (1.0, 3.0))
    assert three.steps == 3 * one.steps
    assert three.training_minutes < 2.9 * one.training_minutes
    everything = [planned(tiny_folder, epochs=epochs, method="full", evaluate=False).training_minutes for epochs in (1.0, 3.0)]
    assert everything[1] == pytest.approx(3 * everything[0])
    monkeypatch.setattr(plan, "IN_MEMORY", 0)
    mapped = planned(tiny_folder, epochs=3.0, **options)
    assert mapped.disk_bytes > three.disk_bytes
    assert "what frozen layers give" in mapped.reasons[-1]
