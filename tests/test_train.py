from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engrain import train as module
from engrain.cost import MARGIN, VALUE_BYTES, cost_of
from engrain.errors import Interrupted, RunError, SettingError, TrainingError
from engrain.progress import Progress, Stage
from engrain.run import Run
from engrain.tasks.base import Loss
from engrain.tasks.chat import Chat
from engrain.train import METRICS, WARM_STEPS, Trainer, TrainingSettings, train
from training import UNUSUAL, examples, method, sha256_of_weights, small_model, train_in_child, train_run

FIELDS = ["step", "epoch", "loss", "learning_rate", "gradient_norm", "tokens", "tokens_per_second", "memory_bytes"]
HELDOUT = ["heldout_loss", "heldout_accuracy"]
EVERY_STEP = 1e-9
"""Minutes between checkpoints that make every step write one."""


class Notes(Progress):
    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)


class Training:
    """One small model under training: its model, task, run and what was said."""

    def __init__(self, path: Path, name: str = "full", task: Any = None, method_values: Any = None, **settings: Any) -> None:
        torch.manual_seed(0)
        self.run = Run.open(path) if path.exists() else Run.create(path, "test")
        self.model, self.method, self.notes = small_model(), method(name, **(method_values or {})), Notes()
        self.method.apply(self.model)
        self.task = task or Chat(examples(12), examples(4, seed=1))
        self.settings = TrainingSettings(**{"batch_size": 4, "epochs": 2, "evaluate": False, **settings})

    def __call__(self) -> Any:
        return train(self.model, self.method, self.task, self.settings, self.run, torch.float32, self.notes)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.run.read_rows(METRICS)

    @property
    def losses(self) -> list[float]:
        return [row["loss"] for row in self.rows]


# --- what a run leaves


def test_the_loss_falls_and_every_step_has_its_row(tmp_path: Path) -> None:
    training = Training(tmp_path / "run", epochs=6, evaluate=True, evaluate_every=1.0, learning_rate=3e-3, patience=0)
    trained = training()
    rows = training.rows
    assert rows[-1]["loss"] < 0.6 * rows[0]["loss"]
    assert (trained.steps, trained.total_steps, trained.epochs, trained.stopped) == (18, 18, 6.0, "complete")
    assert [row["step"] for row in rows] == list(range(1, 19))
    assert [list(row) for row in rows] == [FIELDS + HELDOUT if step % 3 == 0 else FIELDS for step in range(1, 19)]
    assert rows[3]["epoch"] == pytest.approx(4 / 3, abs=1e-3)
    assert rows[2]["tokens"] == sum(map(len, training.task.train))
    assert rows[-1]["tokens"] == trained.tokens == 6 * rows[2]["tokens"]
    assert all(math.isfinite(value) and value > 0 for row in rows for name, value in row.items() if name != "heldout_accuracy")
    assert not training.model.training


def test_learning_rates_are_the_schedule(tmp_path: Path) -> None:
    training = Training(tmp_path / "run", epochs=4, warmup=3, schedule="linear", learning_rate=1e-3)
    training()
    assert [row["learning_rate"] for row in training.rows] == pytest.approx(
        [0.25e-3, 0.5e-3, 0.75e-3, *(1e-3 * (0.1 + 0.9 * (1 - i / 9)) for i in range(9))]
    )


def test_the_method_gives_the_default_learning_rate(tmp_path: Path) -> None:
    training = Training(tmp_path / "run", "lora", warmup=0.0, max_steps=1)
    training()
    assert training.rows[0]["learning_rate"] == training.method.learning_rate


@pytest.mark.parametrize(
    ("settings", "steps"), [({"epochs": 0.5}, 2), ({"max_steps": 2}, 2), ({"epochs": 1, "max_steps": 99}, 3), ({"epochs": 0.01}, 1)]
)
def test_how_long(settings: dict[str, Any], steps: int, tmp_path: Path) -> None:
    training = Training(tmp_path / "run", **settings)
    assert training().steps == steps == len(training.rows)


@pytest.mark.parametrize("name", ["full", "lora"])
def test_the_result_does_not_depend_on_the_micro_batch(name: str, tmp_path: Path) -> None:
    outcomes = []
    for tokens in (1, 45, 4096):
        training = Training(tmp_path / str(tokens), name, micro_batch_tokens=tokens)
        training()
        outcomes.append((training.losses, training.model.state_dict()))
    for losses, state in outcomes[1:]:
        assert losses == pytest.approx(outcomes[0][0], rel=1e-4)
        for key, tensor in state.items():
            torch.testing.assert_close(tensor, outcomes[0][1][key], rtol=1e-3, atol=2e-4)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tmp_path: Path) -> None:
    runs = [Training(tmp_path / str(i), "lora", seed=seed, method_values={"dropout": 0.1}) for i, seed in enumerate((1, 1, 2))]
    for training in runs:
        training()
    assert runs[0].losses == runs[1].losses != runs[2].losses
    assert sha256_of_weights(runs[0].model) == sha256_of_weights(runs[1].model) != sha256_of_weights(runs[2].model)


def test_the_loss_of_a_step_is_the_mean_over_all_its_targets(tmp_path: Path) -> None:
    training = Training(tmp_path / "run", shuffle=False, max_steps=1, micro_batch_tokens=1)
    loss = Chat([]).loss(small_model(), training.task.train[:4])
    training()
    assert training.losses[0] == pytest.approx(loss.total.item() / loss.count, rel=1e-5)


# --- evaluation


def fake_figures(monkeypatch: pytest.MonkeyPatch, accuracies: list[float], losses: list[float] | None = None) -> None:
    pairs = zip(accuracies, losses or [1 - value for value in accuracies], strict=True)
    figures = iter([{"heldout_loss": loss, "heldout_accuracy": accuracy} for accuracy, loss in pairs])
    monkeypatch.setattr(Trainer, "evaluate", lambda self: next(figures))


def test_early_stopping_and_the_best_weights_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_figures(monkeypatch, [0.1, 0.5, 0.4, 0.5, 0.3])
    training = Training(tmp_path / "run", epochs=10, evaluate=True, evaluate_every=1 / 3, patience=3)
    trained = training()
    assert (trained.stopped, trained.steps, trained.best_step) == ("early", 5, 2)
    assert "Kept the weights of step 2, the best on held-out wordings." in training.notes.told
    monkeypatch.undo()
    shorter = Training(tmp_path / "short", epochs=10, evaluate=True, evaluate_every=1 / 3)
    trainer = Trainer(shorter.model, shorter.method, shorter.task, shorter.settings, shorter.run, torch.float32)
    trainer.step(), trainer.step()
    assert sha256_of_weights(shorter.model) == sha256_of_weights(training.model)


def test_the_loss_decides_and_not_the_accuracy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_figures(monkeypatch, [0.2, 0.9, 0.3, 0.1], [0.8, 0.7, 0.4, 0.5])
    trained = Training(tmp_path / "run", max_steps=4, evaluate=True, evaluate_every=1 / 3, patience=3)()
    assert trained.best_step == 3


def test_without_patience_training_goes_to_its_end_and_the_last_weights_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_figures(monkeypatch, [0.9, 0.1, 0.1, 0.1, 0.1, 0.1])
    training = Training(tmp_path / "run", evaluate=True, evaluate_every=1 / 3)
    trained = training()
    assert (trained.stopped, trained.steps, trained.best_step) == ("complete", 6, 0)
    assert [row["heldout_accuracy"] for row in training.rows] == [0.9, 0.1, 0.1, 0.1, 0.1, 0.1]
    unjudged = Training(tmp_path / "unjudged")
    unjudged()
    assert sha256_of_weights(unjudged.model) == sha256_of_weights(training.model)


def test_a_run_that_stopped_early_stays_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_figures(monkeypatch, [0.5, 0.4, 0.3])
    options = {"epochs": 10, "evaluate": True, "evaluate_every": 1 / 3, "patience": 2}
    first = Training(tmp_path / "run", **options)
    assert first().steps == 3
    again = Training(tmp_path / "run", **options)
    assert again().steps == 3
    assert len(again.rows) == 3
    assert sha256_of_weights(again.model) == sha256_of_weights(first.model)


def test_a_kill_between_checkpoint_and_mark_loses_no_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_figures(monkeypatch, [0.9, 0.1, 0.1, 0.1, 0.1, 0.1])
    options = {"evaluate": True, "evaluate_every": 1 / 3, "patience": 0}
    killed = Training(tmp_path / "run", **options)
    monkeypatch.setattr(Run, "mark_best", lambda self, step: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        killed()
    monkeypatch.undo()
    fake_figures(monkeypatch, [0.1] * 5)
    again = Training(tmp_path / "run", **options)
    assert again().best_step == 1
    assert again.run.best_checkpoint()[0] == 1
    assert again.notes.told[-1].startswith("Kept the weights of step 1")


def test_a_damaged_best_checkpoint_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_figures(monkeypatch, [0.9, 0.1, 0.1])
    training = Training(tmp_path / "run", evaluate=True, evaluate_every=1 / 3, max_steps=3, patience=3)
    monkeypatch.setattr(Run, "best_checkpoint", lambda self: None)
    training()
    assert training.notes.told == [
        "The checkpoint of step 1, the best on held-out wordings, is damaged; the weights of the last step stay."
    ]


def test_a_damaged_checkpoint_is_passed_over_and_told(tmp_path: Path) -> None:
    first = Training(tmp_path / "run", max_steps=2, checkpoint_minutes=EVERY_STEP)
    first()
    (tmp_path / "run" / "checkpoints" / "step-2" / "values.safetensors").write_bytes(b"torn")
    again = Training(tmp_path / "run", max_steps=2, checkpoint_minutes=EVERY_STEP)
    again()
    assert again.notes.told[0].startswith("Passed over: ")
    assert "step-2" in again.notes.told[0]
    assert again.notes.told[1] == "Resuming after step 1 of 2."


class Ending(Notes):
    """A listener that ends training at the first evaluation it hears of."""

    @contextmanager
    def stage(self, title: str, total: float | None = None, unit: str = "") -> Iterator[Stage]:
        stage = Stage()
        stage.advance = lambda amount=1, **figures: 1 / 0 if "heldout_loss" in figures else None  # type: ignore[method-assign]
        yield stage


def test_an_evaluation_is_saved_before_it_is_told(tmp_path: Path) -> None:
    training = Training(tmp_path / "run", evaluate=True, evaluate_every=1.0, patience=3)
    training.notes = Ending()
    with pytest.raises(ZeroDivisionError):
        training()
    for found in (training.run.newest_checkpoint(), training.run.best_checkpoint()):
        assert found is not None
        assert found[0] == 3


class Signalling(Notes):
    """A listener in whose time, after a step was saved or not, Ctrl-C comes."""

    @contextmanager
    def stage(self, title: str, total: float | None = None, unit: str = "") -> Iterator[Stage]:
        stage = Stage()
        stage.advance = lambda amount=1, **figures: os.kill(os.getpid(), signal.SIGINT) if figures else None  # type: ignore[method-assign]
        yield stage


def test_a_signal_after_a_step_leaves_its_checkpoint_too(tmp_path: Path) -> None:
    training = Training(tmp_path / "run")
    training.notes = Signalling()
    with pytest.raises(Interrupted, match="a checkpoint was written"):
        training()
    newest = training.run.newest_checkpoint()
    assert newest is not None
    assert newest[0] == training.rows[-1]["step"]


def test_evaluation_uses_no_dropout_and_no_gradient(tmp_path: Path) -> None:
    training = Training(tmp_path / "run", "lora", method_values={"dropout": 0.5})
    training()
    trainer = Trainer(training.model, training.method, training.task, training.settings, training.run, torch.float32)
    assert trainer.evaluate() == trainer.evaluate()
    assert training.model.training
    expected = Chat([]).loss(training.model.eval(), training.task.heldout)
    assert trainer.evaluate()["heldout_loss"] == pytest.approx(expected.total.item() / expected.count, rel=1e-5)
    assert trainer.evaluate()["heldout_accuracy"] == expected.correct / expected.count


# --- limits


def steps_take(monkeypatch: pytest.MonkeyPatch, clock: Iterator[float]) -> None:
    """The clock of the steps says what comes next each time it is read; making ready for them takes no time.

    The module's own `time` alone is another: servers of other tests read the real one meanwhile.
    """
    monkeypatch.setattr("engrain.train.time", SimpleNamespace(perf_counter=lambda: float(next(clock)), monotonic=lambda: 0.0))


def test_a_time_budget_shortens_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    steps_take(monkeypatch, clock)  # a step takes one second
    training = Training(tmp_path / "run", epochs=10, minutes=8 / 60)
    assert training().steps == 8
    assert training.notes.told == ["0.133333 minutes are enough for 8 of 30 steps (1.00 s each)."]
    late = Training(tmp_path / "late", epochs=10, minutes=0.001)
    assert late().steps == WARM_STEPS + 1


def test_what_is_made_ready_counts_as_time_and_is_part_of_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    steps_take(monkeypatch, clock)
    made = Training(tmp_path / "run", epochs=10, minutes=8 / 60)
    trained = train(made.model, made.method, made.task, made.settings, made.run, torch.float32, spent=3.5)
    assert trained.steps == 4
    assert trained.seconds == 7.5


@pytest.mark.parametrize("values", [{"warmup": 6.0}, {"warmup": 9.0}])
def test_a_warm_up_that_never_ends_is_refused(values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="training has 6 steps and would never reach"):
        Training(tmp_path / "run", **values)()
    with pytest.raises(SettingError, match="below all steps"):
        TrainingSettings(max_steps=6, **values)
    assert TrainingSettings(max_steps=10, **values)


def test_steps_that_become_faster_lengthen_the_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.accumulate(itertools.chain([0.0], itertools.repeat(2.0, 14), itertools.repeat(1.0)))
    steps_take(monkeypatch, clock)
    training = Training(tmp_path / "run", epochs=10, minutes=20 / 60)
    first = 10
    assert first < training().steps < 30
    assert len(training.notes.told) == 2
    assert f"enough for {first} of 30 steps" in training.notes.told[0]


def test_slow_first_steps_do_not_shrink_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made ready in the first steps is not paid again."""
    clock = itertools.chain([9.0, 9.0, 18.0], itertools.count(18.0))
    steps_take(monkeypatch, clock)
    training = Training(tmp_path / "run", epochs=10, minutes=14 / 60)
    assert training().steps == 14


def test_a_time_budget_counts_evaluations_and_survives_a_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    steps_take(monkeypatch, clock)
    options = {"epochs": 10, "minutes": 20 / 60, "evaluate": True, "evaluate_every": 1 / 3, "patience": 0}
    whole = Training(tmp_path / "whole", **options)
    assert WARM_STEPS < whole().steps < 20
    cut = Training(tmp_path / "cut", **options)
    step, cut_at = Trainer.step, WARM_STEPS
    monkeypatch.setattr(Trainer, "step", lambda self: step(self) if self.position.step < cut_at else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cut()
    monkeypatch.setattr(Trainer, "step", step)
    again = Training(tmp_path / "cut", **options)
    assert again().steps == whole.rows[-1]["step"]


class Learning(Chat):
    """Of twelve examples the last four come twice in a pass; notes what each step practises, and says what is not known yet."""

    def __init__(self, unknown: list[int]) -> None:
        rows = examples(12)
        super().__init__([*rows, *rows[8:]])
        self.unknown, self.practised = unknown, list[Counter[int]]()

    def not_known(self, model: Any) -> list[int]:
        return self.unknown

    def loss(self, model: Any, batch: Any) -> Loss:
        names = [self.content(e) for e in self.train]
        self.practised.append(Counter(names.index(self.content(e)) for e in batch))
        return super().loss(model, batch)


def test_from_half_of_the_steps_on_half_of_each_is_for_what_is_not_known(tmp_path: Path) -> None:
    task = Learning([8, 9])
    training = Training(tmp_path / "run", task=task, epochs=4, batch_size=4)
    assert training().steps == len(task.practised) == 16
    assert sum(task.practised[:8], Counter[int]()) == dict.fromkeys(range(8), 2) | dict.fromkeys(range(8, 12), 4)
    assert all(step[8] >= 1 and step[9] >= 1 for step in task.practised[8:])
    told = "2 of 4 answers are known by heart; the others are practised more often."
    assert training.notes.told == [f"After step {n} {told}" for n in (8, 12)]


def test_the_order_stays_where_all_is_known_or_nobody_looks(tmp_path: Path) -> None:
    known, never = Learning([]), Learning([8, 9])
    told = [Training(tmp_path / "known", task=known), Training(tmp_path / "never", task=never, review=0.0)]
    assert [training().steps for training in told] == [8, 8]
    assert known.practised == never.practised
    assert [bool(training.notes.told) for training in told] == [True, False]


def test_a_review_goes_on_in_a_resumed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = examples(12)
    options = {"epochs": 4, "checkpoint_minutes": EVERY_STEP}

    def training(name: str) -> Training:
        return Training(tmp_path / name, task=Chat([*rows, *rows[8:]]), **options)

    whole = training("whole")
    whole()
    plain = Training(tmp_path / "plain", task=Chat([*rows, *rows[8:]]), epochs=4, review=0.0)
    plain()
    assert plain.losses[:8] == whole.losses[:8]
    assert plain.losses[8:] != whole.losses[8:]
    step = Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self: step(self) if self.position.step < 10 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        training("cut")()
    monkeypatch.setattr(Trainer, "step", step)
    again = training("cut")
    again()
    assert again.losses == whole.losses
    assert sha256_of_weights(again.model) == sha256_of_weights(whole.model)


def test_a_review_is_part_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps_take(monkeypatch, itertools.count())
    assert Training(tmp_path / "run", task=Learning([8, 9]))().seconds == 8 + 2


class Faulty(Chat):
    """Goes wrong in a chosen way in the loss call of a chosen number, counted over all batches."""

    def __init__(self, fault: Any, at: set[int]) -> None:
        super().__init__(examples(12), examples(4, seed=1))
        self.fault, self.at, self.calls = fault, at, 0
        self.sizes: list[int] = []

    def loss(self, model: Any, batch: Any) -> Loss:
        self.calls += 1
        self.sizes.append(sum(map(len, batch)) - self.shared(self.train) * (len(batch) - 1))
        found = super().loss(model, batch)
        if self.calls not in self.at:
            return found
        if isinstance(self.fault, Exception):
            found.total.backward()  # some gradients are there already, as when memory runs out in the middle
            raise self.fault
        return Loss(found.total * self.fault, found.count, found.correct)


@pytest.mark.parametrize("fault", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_before_the_update(fault: float, tmp_path: Path) -> None:
    training = Training(tmp_path / "run", task=Faulty(fault, {3}), shuffle=False)
    before = Training(tmp_path / "short", task=Faulty(fault, {3}), shuffle=False, max_steps=2, schedule="constant", warmup=0.0)
    before()
    training.settings = TrainingSettings(batch_size=4, epochs=2, evaluate=False, shuffle=False, schedule="constant", warmup=0.0)
    with pytest.raises(TrainingError, match=r"Step 3: the loss .* no weight was changed by it") as caught:
        training()
    assert "rows" not in str(caught.value), "numbers of examples here are lines of no file"
    assert "Lower the learning rate" in str(caught.value)
    assert sha256_of_weights(training.model) == sha256_of_weights(before.model)
    assert len(training.rows) == 2


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA"), RuntimeError("MPS backend out of memory"), RuntimeError("can't allocate memory")]
)
@pytest.mark.parametrize("name", ["full", "lora"])
def test_out_of_memory_halves_the_micro_batch_and_loses_no_step(error: Exception, name: str, tmp_path: Path) -> None:
    task = Faulty(error, {2})
    training = Training(tmp_path / "run", name, task=task, micro_batch_tokens=60, checkpoint_minutes=EVERY_STEP)
    training()
    assert [row["step"] for row in training.rows] == [1, 2, 3, 4, 5, 6]
    assert max(task.sizes[:2]) > 30 >= max(task.sizes[2:])
    calm = Training(tmp_path / "calm", name, micro_batch_tokens=60)
    calm()
    assert training.losses == pytest.approx(calm.losses, rel=1e-4)
    again = Training(tmp_path / "run", name, micro_batch_tokens=60)
    trainer = Trainer(again.model, again.method, again.task, again.settings, again.run, torch.float32)
    trainer.resume(again.run.newest_checkpoint()[1])
    assert trainer.position.micro_batch_tokens == 30


def test_little_memory_has_layers_computed_again_and_very_little_has_fewer_tokens_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = Training(tmp_path / "calm", micro_batch_tokens=60)
    calm()
    weights = sha256_of_weights(calm.model)
    cost = cost_of(calm.model, torch.float32, in_place=True)
    taken = int(MARGIN * (VALUE_BYTES + calm.method.kept_bytes("cpu")) * cost.trained)
    for tokens in (60, 30):
        free = taken + int(MARGIN * (cost.logits + tokens * cost.recomputed)) + 10
        monkeypatch.setattr(module, "free_on", lambda device, free=free: free)
        training = Training(tmp_path / str(tokens), micro_batch_tokens=60)
        training()
        assert training.task.most_kept < 60
        assert training.losses == pytest.approx(calm.losses, rel=1e-4)
        assert (sha256_of_weights(training.model) == weights) == (tokens == 60), "computing layers again changes no bit"
        assert training.notes.told == [f"Memory has room for {n} tokens at once, not 60." for n in (30,) if tokens == 30]


@pytest.mark.parametrize("tokens", [20, 240])
def test_another_micro_batch_holds_when_a_run_goes_on(tokens: int, tmp_path: Path) -> None:
    first = Training(tmp_path / "run", task=Faulty(torch.OutOfMemoryError("CUDA"), {2}), micro_batch_tokens=60, max_steps=2)
    first()
    again = Training(tmp_path / "run", micro_batch_tokens=tokens, max_steps=2)
    trainer = Trainer(again.model, again.method, again.task, again.settings, again.run, torch.float32)
    note = trainer.resume(again.run.newest_checkpoint()[1])
    assert f"micro_batch_tokens was 60, is {tokens}" in note
    assert trainer.position.micro_batch_tokens == tokens


def test_out_of_memory_for_a_single_example_is_told(tmp_path: Path) -> None:
    training = Training(tmp_path / "run", task=Faulty(torch.OutOfMemoryError("CUDA"), set(range(99))))
    with pytest.raises(TrainingError, match=r"Not enough memory for an example of \d\d tokens"):
        training()


def test_other_faults_are_not_taken_for_a_lack_of_memory(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        Training(tmp_path / "run", task=Faulty(RuntimeError("shapes do not match"), {1}))()


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no example"):
        Training(tmp_path / "run", task=Chat([]))()


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": -1.0},
        {"schedule": "steep"},
        {"warmup": -0.1},
        {"minutes": 0},
        {"review": -0.1},
        {"review": 1.1},
    ],
)
def test_settings_that_make_no_sense(values: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(values))):
        TrainingSettings(**values)


# --- resuming


def test_a_resume_with_other_settings_or_data_is_refused(tmp_path: Path) -> None:
    Training(tmp_path / "run", max_steps=2)()
    for change in ({"learning_rate": 0.1}, {"seed": 7}, {"task": Chat(examples(12, seed=3))}, {"name": "lora"}):
        with pytest.raises(RunError, match="cannot go on with what has changed"):
            Training(tmp_path / "run", **{"max_steps": 2, **change})()


def test_a_resume_on_another_machine_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Training(tmp_path / "run")()
    again = Training(tmp_path / "run")
    monkeypatch.setattr("engrain.train_state.torch.get_num_threads", lambda: 77)
    again()
    assert again.notes.told[0] == "Resuming after step 6 of 6."
    assert again.notes.told[1].startswith("Not bit-exact from here on: threads was")


def test_the_time_of_a_resumed_training_is_that_of_all_its_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    steps_take(monkeypatch, clock)  # a step takes one second
    step = Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self: step(self) if self.position.step < 2 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Training(tmp_path / "run", checkpoint_minutes=EVERY_STEP)()
    monkeypatch.setattr(Trainer, "step", step)
    assert Training(tmp_path / "run")().seconds == 6


def test_a_large_seed_is_a_seed(tmp_path: Path) -> None:
    assert Training(tmp_path / "run", seed=10**15, max_steps=1)().steps == 1


def test_an_interrupt_writes_a_checkpoint(tmp_path: Path) -> None:
    task = Faulty(1.0, set())
    task.loss = lambda model, batch: (os.kill(os.getpid(), signal.SIGINT), Chat.loss(task, model, batch))[1]  # type: ignore[method-assign]
    before = signal.getsignal(signal.SIGINT)
    training = Training(tmp_path / "run", task=task, micro_batch_tokens=4096)
    with pytest.raises(Interrupted, match="Stopped after step 1 of 6") as caught:
        training()
    assert caught.value.exit_code == 130
    assert training.run.newest_checkpoint()[0] == 1
    assert signal.getsignal(signal.SIGINT) is before


# --- real processes


@pytest.fixture(scope="module")
def processes() -> Any:
    """Processes that start fast: a server that has imported everything forks them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "transformers.models.llama.modeling_llama", "training", "engrain.train", "engrain.tasks.chat"])
    return context


@contextmanager
def child(processes: Any, path: Path, *arguments: Any) -> Iterator[Any]:
    process = processes.Process(target=train_in_child, args=(path, *arguments))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


def wait_for_rows(path: Path, count: int, process: Any) -> None:
    """Until the run has that many rows, or the process is done."""
    limit = time.monotonic() + 60
    while process.is_alive() and time.monotonic() < limit:
        if (path / METRICS).exists() and (path / METRICS).read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.002)


SCENES = {
    "lora": ("lora", {"dropout": 0.2, "rank": 4}, {"evaluate": False, "epochs": 6}),
    "layerwise": ("layerwise", {"layers": "1"}, {"evaluate": False, "epochs": 4, "micro_batch_tokens": 40}),
    "full": ("full", {}, {"evaluate": True, "evaluate_every": 0.34, "epochs": 6, "patience": 0, "learning_rate": 3e-3}),
}


@pytest.mark.parametrize("scene", SCENES)
def test_killed_at_random_moments_it_ends_with_the_same_bits(scene: str, tmp_path: Path, processes: Any) -> None:
    name, values, settings = SCENES[scene]
    arguments = (name, values, {"batch_size": 4, "checkpoint_minutes": EVERY_STEP, **settings})
    with child(processes, tmp_path / "whole", *arguments) as process:
        process.join()
        assert process.exitcode == 0
    whole = Run.open(tmp_path / "whole").read_rows(METRICS)
    moments, killed = random.Random(), 0
    for part in range(1, 5):
        with child(processes, tmp_path / "cut", *arguments) as process:
            wait_for_rows(tmp_path / "cut", part * len(whole) // 5, process)
            time.sleep(moments.uniform(0, 0.03))
            killed += process.is_alive()
            process.kill()
    assert killed >= 2
    with child(processes, tmp_path / "cut", *arguments) as process:
        process.join()
        assert process.exitcode == 0
    cut = Run.open(tmp_path / "cut").read_rows(METRICS)
    figures = ["step", "epoch", "loss", "learning_rate", "gradient_norm", "tokens", *HELDOUT]
    assert [[row.get(f) for f in figures] for row in cut] == [[row.get(f) for f in figures] for row in whole]
    assert (tmp_path / "cut" / "weights.txt").read_text() == (tmp_path / "whole" / "weights.txt").read_text()


def test_sigterm_ends_with_a_checkpoint_and_exit_code_143(tmp_path: Path, processes: Any) -> None:
    arguments = ("full", {}, {"batch_size": 4, "epochs": 500, "evaluate": False})
    with child(processes, tmp_path / "run", *arguments) as process:
        wait_for_rows(tmp_path / "run", 3, process)
        process.terminate()
        process.join(60)
        assert process.exitcode == 143
    rows, newest = Run.open(tmp_path / "run").read_rows(METRICS), Run.open(tmp_path / "run").newest_checkpoint()
    assert newest is not None
    assert newest[0] == rows[-1]["step"] < 3000


def test_a_finished_run_started_again_changes_nothing(tmp_path: Path) -> None:
    arguments = ("lora", {"rank": 4}, {"batch_size": 8, "epochs": 1})
    first = train_run(tmp_path / "run", *arguments)
    weights = (tmp_path / "run" / "weights.txt").read_text()
    again = train_run(tmp_path / "run", *arguments)
    assert (again.steps, again.tokens, again.best_step) == (first.steps, first.tokens, first.best_step)
    assert (tmp_path / "run" / "weights.txt").read_text() == weights


def test_without_a_word_on_how_long_documents_get_the_usual_budget() -> None:
    assert TrainingSettings().within_budget().minutes == 8
    for given in ({"epochs": 2.0}, {"max_steps": 5}, {"minutes": 1.0}):
        assert TrainingSettings(**given).within_budget() == TrainingSettings(**given)
    assert (TrainingSettings().passes, TrainingSettings(epochs=2.0).passes) == (3.0, 2.0)


@pytest.mark.parametrize(("besides", "minutes"), [(0, 8), (7 * 60, 8), (9 * 60, 6), (10.5 * 60, 4.5), (12 * 60, 4), (3600, 4)])
def test_what_else_a_build_takes_leaves_less_for_training(besides: float, minutes: float) -> None:
    assert TrainingSettings().within_budget(besides).minutes == minutes
    assert TrainingSettings(minutes=7.0).within_budget(besides).minutes == 7, "what is said holds"


@pytest.mark.parametrize(("count", "epochs"), [(1, 25), (100, 25), (300, 10), (1000, 3), (100_000, 3)])
def test_few_examples_of_ones_own_are_passed_over_more_often(count: int, epochs: float) -> None:
    assert TrainingSettings().for_own(count).epochs == epochs
    assert TrainingSettings(epochs=2.0).for_own(count).epochs == 2.0
    assert TrainingSettings().for_own(count).patience is None


def test_evaluations_decide_with_the_usual_patience_or_the_given_one() -> None:
    assert TrainingSettings().judged().patience == 3
    assert TrainingSettings(patience=0).judged().patience == 0


@pytest.mark.parametrize("name", ["lora", "full"])
@pytest.mark.parametrize("kind", UNUSUAL)
def test_models_with_sinks_scaled_logits_or_other_widths_train(tmp_path: Path, kind: str, name: str) -> None:
    model, chosen, task = small_model(kind, **UNUSUAL[kind]), method(name), Chat(examples(12))
    chosen.apply(model)
    settings = TrainingSettings(batch_size=4, epochs=6, learning_rate=3e-3, evaluate=False)
    run = Run.create(tmp_path / "run", "test")
    train(model, chosen, task, settings, run, torch.float32)
    losses = [row["loss"] for row in run.read_rows(METRICS)]
    assert losses[-1] < losses[0]
