"""Sweeps on the tiny model: what is proposed, what ends early, and a second start that goes on."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from engrain import api, sweep
from engrain.config import as_options, settings_from, sweepable
from engrain.errors import Interrupted, RunError, SettingError
from engrain.methods.lora import LoRA
from engrain.run import Run
from engrain.settings import Around
from engrain.trainings import under_way
from engrain.tried import STATES, Swept, Tried, standing
from test_api import DOCUMENT

OPTIONS = {"max_steps": 8, "readings": 0, "replay": 8, "batch_size": 4, "rank": 4, "precision": "float32", "device": "cpu"}


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "kites.md").write_text(DOCUMENT)


def start(tiny_folder: Path, trials: int, **values: Any) -> tuple[Run, Swept]:
    return api.sweep("docs", trials=trials, out="swp", base=str(tiny_folder), **{**OPTIONS, **values})


def in_this_process(work: Any, *arguments: Any) -> int:
    """Real processes are gone through in tests/test_processes.py and below; starting one takes seconds."""
    try:
        work(*arguments)
    except SettingError as error:
        return error.exit_code
    return 0


def test_the_first_training_of_a_sweep_is_what_a_plain_build_does() -> None:
    usual = api.at_own_pace(settings_from({})).to_dict()
    assert usual["learning_rate_ratio"] == LoRA.ratio != 1
    by_hand = settings_from({"learning_rate": 1e-4})
    assert api.at_own_pace(by_hand) == by_hand


@pytest.mark.timeout(600)
def test_a_sweep_goes_on_where_it_was_stopped(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def stop_at_the_third(work: Any, path: Path, *others: Any) -> int:
        calls.append(path.name)
        return 143 if len(calls) == 3 else in_this_process(work, path, *others)

    monkeypatch.setattr(sweep, "in_own_process", stop_at_the_third)
    with pytest.raises(Interrupted, match="was stopped"):
        start(tiny_folder, 4)
    assert Run.open(Path("swp")).info["status"] == "interrupted"
    first = (Path("swp") / "trials" / "000" / "metrics.jsonl").read_bytes()
    run, found = start(tiny_folder, 4, resume=True)

    assert calls == ["000", "001", "002", "002", "003"]
    assert (run.path / "trials" / "000" / "metrics.jsonl").read_bytes() == first
    assert sorted(t.number for t in found.trials) == [0, 1, 2, 3]
    assert list(found.trials) == sorted(found.trials, key=standing)
    usual = next(t for t in found.trials if t.number == 0)
    assert usual.settings == {"learning_rate": LoRA.learning_rate, "rank": 4, "layers": ""}
    assert usual.state == "complete"
    assert len(usual.losses) == sweep.EVALUATIONS
    assert usual.loss == min(loss for _, loss in usual.losses)
    assert usual.trainable_parameters == 2 * 4 * (2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 128))
    assert len({json.dumps(t.settings) for t in found.trials}) == 4
    assert {name for t in found.trials for name in t.settings} == {"learning_rate", "rank", "layers"}
    assert all(LoRA.learning_rate / 8 <= t.settings["learning_rate"] <= LoRA.learning_rate * 8 for t in found.trials)
    assert not list(run.path.glob("trials/*/adapter"))
    assert not list(run.path.glob("trials/*/checkpoints"))
    assert run.info["status"] == "complete"

    best = found.best
    assert best is not None
    assert shlex.split(found.command)[:3] == ["engrain", "build", "docs"]
    assert f"--learning-rate {best.settings['learning_rate']}" in found.command
    assert f"--base {tiny_folder}" in found.command
    assert json.loads((run.path / "sweep.json").read_text())["command"] == found.command
    page = (run.path / "sweep.html").read_text()
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert f"{best.loss:.4f}" in page
    assert "Held-out loss against learning_rate" in page

    with pytest.raises(RunError, match="cannot go on") as caught:
        start(tiny_folder, 5, resume=True, batch_size=8, tune=["rank"])
    assert "batch_size was 4, is 8" in caught.value.problems
    _, more = start(tiny_folder, 5, resume=True)
    assert calls[5:] == ["004"]
    assert len(more.trials) == 5


@pytest.mark.timeout(600)
def test_a_training_in_a_process_of_its_own_is_judged_and_losers_end_early(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Learning rates that hardly learn, after three that do: the last is ended as soon as one may be."""
    from optuna.distributions import CategoricalDistribution

    values = [2e-2, 3e-2, 1e-2, 1e-7]
    rates = iter(values)
    monkeypatch.setattr(sweep, "space", lambda *_: {"learning_rate": CategoricalDistribution(values)})
    monkeypatch.setattr(sweep, "usual", lambda *_: next(rates))
    own, first = sweep.in_own_process, []

    def mostly_here(work: Any, *arguments: Any) -> int:
        first.append(arguments)
        return own(work, *arguments) if len(first) == 1 else in_this_process(work, *arguments)

    monkeypatch.setattr(sweep, "in_own_process", mostly_here)
    for trials in (1, 2, 3, 4):  # each start tries its usual value first
        run, found = start(tiny_folder, trials, tune=["learning_rate"], resume=trials > 1)
    loser = found.trials[-1]
    assert loser.settings == {"learning_rate": 1e-7}
    assert loser.state == "pruned"
    assert len(loser.losses) == sweep.PATIENCE
    assert [t.state for t in found.trials[:3]] == ["complete"] * 3
    assert "early" in (run.path / "sweep.html").read_text()


def test_a_run_lends_its_examples_and_what_they_were_made_with(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api.build("docs", out="first", until="examples", base=str(tiny_folder), wordings=3, **OPTIONS)
    monkeypatch.setattr(sweep, "in_own_process", in_this_process)
    run, found = api.sweep("first", trials=1, tune=["rank"], out="swp", max_steps=2, batch_size=4, rank=8)
    assert (run.path / "examples" / "train.jsonl").read_bytes() == Path("first/examples/train.jsonl").read_bytes()
    assert run.info["settings"]["base"] == str(tiny_folder)
    assert run.info["settings"]["wordings"] == 3
    assert found.trials[0].settings == {"rank": 8}
    assert found.command.startswith("engrain build first --from examples --out first ")


def test_a_training_that_fails_is_told(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "in_own_process", lambda *_: -9)
    run, found = start(tiny_folder, 2)
    assert [t.state for t in found.trials] == ["failed", "failed"]
    assert found.best is None
    assert found.trials[0].reason == "its process was ended"
    assert "No training ended" in (run.path / "sweep.html").read_text()


def test_of_a_training_that_fails_no_weights_stay(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fall(path: Path, *_: Any) -> int:
        (path / "checkpoints" / "step-4").mkdir(parents=True)
        return -9

    monkeypatch.setattr(sweep, "in_own_process", lambda work, *arguments: fall(*arguments))
    run, _ = start(tiny_folder, 1)
    assert not list(run.path.glob("trials/*/checkpoints"))
    assert not list(run.path.glob("trials/*/examples"))


def test_a_fault_of_any_kind_is_noted(tiny_folder: Path, tmp_path: Path) -> None:
    part = Run.create(tmp_path / "part", "part")
    for fault, told in ((ValueError("no such key"), "no such key"), (AssertionError(), "AssertionError")):
        with pytest.raises(type(fault)), under_way(part, {"base": str(tiny_folder)}):
            raise fault
        assert (part.info["status"], part.info["error"]) == ("failed", told)


def test_what_the_base_has_no_room_for_is_not_proposed(tiny_folder: Path) -> None:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    settings = settings_from({"base": str(tiny_folder), "rank": 48})
    found = sweep.space(settings, ("rank", "layers", "learning_rate"))
    rank = found["rank"]
    assert isinstance(rank, CategoricalDistribution)
    assert rank.choices == (8, 16, 32, 64, 48)
    assert found["learning_rate"] == FloatDistribution(LoRA.learning_rate / 8, LoRA.learning_rate * 8, log=True)
    tokens = sweep.space(settings_from({"base": str(tiny_folder), "method": "prompt_tuning"}), ("virtual_tokens",))
    assert tokens["virtual_tokens"] == IntDistribution(5, 80, log=True)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"tune": ["base"]}, "cannot be tuned"),
        ({"tune": ["rank"], "method": "full", "rank": 4}, "has no such setting"),
        ({"trials": 0}, "trials=0"),
        ({"evaluate": False}, "needs the held-out examples"),
    ],
)
def test_what_cannot_be_swept_is_refused_and_leaves_nothing(values: dict[str, Any], told: str, tiny_folder: Path) -> None:
    with pytest.raises(SettingError) as caught:
        start(tiny_folder, **{"trials": 2, **values})
    assert told in str(caught.value)
    assert not Path("swp").exists()


def test_without_the_library_it_says_what_to_install(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match="needs Optuna") as caught:
        start(tiny_folder, 2)
    assert "engrain[sweep]" in str(caught.value)


@pytest.mark.parametrize("method", ["lora", "full", "layerwise", "dora", "qlora"])
def test_the_values_to_try_are_values_of_the_setting(method: str) -> None:
    found = sweepable(method)
    assert "learning_rate" in found
    for name, setting in found.items():
        for value in () if isinstance(setting.sweep, Around) else setting.sweep:
            assert settings_from({"method": method, name: value}).to_dict()[name] == value


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"method": "layerwise", "layers": "1.0", "learning_rate": 0.00031},
        {"rank": 8, "layers": "0.67", "rank_stabilized": True, "shuffle": False, "bias": "all"},
        {"method": "full", "optimizer_bits": "8", "base": "a folder/with spaces"},
    ],
)
def test_the_options_of_a_command_give_the_same_settings(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from engrain.cli import main

    given = []
    monkeypatch.setattr(api, "build", lambda paths, settings, **_: given.append(settings) or [])
    settings = settings_from(values)
    assert main(["build", "docs", "--json", *as_options(settings)]) == 0
    assert given == [settings]


def test_a_training_that_no_held_out_example_judged_has_failed(tmp_path: Path) -> None:
    part = Run.create(tmp_path / "000", "000")
    part.write_rows("metrics.jsonl", [{"step": 1, "tokens": 10, "tokens_per_second": 5.0, "memory_bytes": 1}])
    part.update(status="complete")
    tried = sweep.tried_in(part, 0, {})
    assert str(tried) == "failed: every held-out example is longer than max_length"


def test_trainings_stand_in_order() -> None:
    tried = [
        Tried(i, {}, state, loss)
        for i, (state, loss) in enumerate([("pruned", 0.1), ("complete", 0.4), ("failed", None), ("complete", 0.3)])
    ]
    assert [t.number for t in sorted(tried, key=standing)] == [3, 1, 0, 2]
    assert {t.state for t in tried} == set(STATES)
