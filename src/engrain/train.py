"""The training loop: one for every task and method.

A step draws its examples by seed and position, sums their loss over micro-batches, clips, and updates fp32 values.
Everything a bit-exact resume needs is in a checkpoint; what a step does depends on nothing else.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import nn

from engrain.batches import Order, micro_batches, with_again
from engrain.cost import MARGIN, VALUE_BYTES
from engrain.errors import Interrupted, SettingError, TrainingError
from engrain.kernels.adamw import norm_of
from engrain.memory import free_on, held_on
from engrain.optimize import SCHEDULES, Masters, learning_rate_at, load_position, load_state, save_state
from engrain.processes import give_back
from engrain.progress import SILENT, Progress, Stage
from engrain.settings import Around, check, check_choices, setting
from engrain.train_state import Position, check_same, fingerprint

if TYPE_CHECKING:
    from engrain.methods.base import Method
    from engrain.run import Run
    from engrain.tasks.base import Task

T = TypeVar("T")
METRICS = "metrics.jsonl"
EPOCHS = 3.0
"""Passes over the examples where the settings do not say: after three more exposures taught hardly more (docs/experiments.md)."""
LEAST_MINUTES, MINUTES, BUILD_MINUTES = 4.0, 8.0, 15.0
"""The time budget for documents where the settings do not say: what the rest of a build leaves of its minutes, within these limits."""
MOST_EPOCHS, ENOUGH_SEEN = 25.0, 3000
"""Of examples of one's own each is all there is of what it says: few are passed over until so many were seen, at most so often."""
PATIENCE = 3
WARM_STEPS, PROBE_SHARES = 2, (0.05, 0.5, 0.8)
"""A time budget becomes a number of steps once these shares of it were measured, after the first, slower steps."""
REVIEWS = (0.5, 0.75)
"""Shares of all steps after which it is looked at what is not known by heart."""
FORWARD_SHARE = 1 / 3
"""A forward pass's share of a training step, for the time that evaluations will take."""
TINY = 1e-6
"""Added to the norm that a gradient is divided by, as PyTorch does it."""
SEEDS = 2**63
"""How many seeds the random numbers of torch can start from."""
OUT_OF_MEMORY = ("out of memory", "can't allocate memory")
"""What CUDA and MPS, and the CPU, say; only the first has an exception type of its own."""


@dataclass(frozen=True)
class TrainingSettings:
    """How long, how fast and in what order to train."""

    seed: int = setting(0, "Seed of everything random: order of examples, first adapter values, dropout, made-up names.")
    epochs: float | None = setting(
        None,
        "Passes over the examples. Default: 3, for documents no more than the time budget allows; up to 25 where examples of your own "
        "are fewer than 1,000.",
    )
    max_steps: int | None = setting(None, "Stop after this many steps, whatever the epochs say.")
    minutes: float | None = setting(
        None,
        "Time budget for training: the number of steps follows from the measured ones, at the start and again later. "
        "Default for documents where neither epochs nor max_steps is given: what all else leaves of a quarter of an hour, from 4 to 8.",
    )
    batch_size: int = setting(32, "Examples a step.", sweep=(16, 32, 64))
    micro_batch_tokens: int = setting(
        2048, "Tokens computed at once, fewer where memory is short; memory grows with it, the result does not depend on it."
    )
    learning_rate: float | None = setting(None, "Peak learning rate; default: the method's own, lowered for wide models.", sweep=Around(8))
    schedule: str = setting("cosine", "How the learning rate falls after the warm-up.", choices=SCHEDULES, sweep=SCHEDULES)
    warmup: float = setting(0.05, "Warm-up: a share of all steps (below 1) or a number of steps.", sweep=(0.02, 0.05, 0.1, 0.2))
    weight_decay: float = setting(0.0, "AdamW's decoupled weight decay.", sweep=(0.0, 0.01, 0.1))
    clip: float = setting(1.0, "Largest norm of the gradient; larger ones are scaled down.")
    label_smoothing: float = setting(
        0.0, "Share of each target that goes to all tokens (or classes) alike while training (0: none).", sweep=(0.0, 0.05, 0.1)
    )
    max_length: int = setting(1024, "Longest example in tokens.")
    review: float = setting(
        0.5,
        "Share of a step, from half of all steps on, that practises again what comes more than once in a pass and the model does not "
        "say word for word yet (0: none); the shortest examples give way.",
        sweep=(0.0, 0.25, 0.5),
    )
    shuffle: bool = setting(True, "Keep the examples in the order of the file.", flag="--no-shuffle")
    evaluate: bool = setting(True, "Skip the held-out evaluation and the verdict.", flag="--no-evaluate")
    evaluate_every: float = setting(0.5, "Epochs between evaluations on held-out wordings.")
    patience: int | None = setting(
        None,
        "Stop after this many evaluations without improvement (0: never), and keep the weights of the best. Default: 3 for code and "
        "pictures; documents and conversations are trained to the end, and the last weights stay.",
    )
    checkpoint_minutes: float = setting(5.0, "Longest time between checkpoints.")

    def __post_init__(self) -> None:
        check_choices(self)
        positive = ("batch_size", "micro_batch_tokens", "clip", "max_length", "evaluate_every", "checkpoint_minutes")
        optional = ("epochs", "max_steps", "minutes", "learning_rate")
        check(
            self,
            **{name: (getattr(self, name) > 0, "must be above 0") for name in positive},
            **{name: (getattr(self, name) is None or getattr(self, name) > 0, "must be above 0") for name in optional},
            **{name: (getattr(self, name) >= 0, "must not be negative") for name in ("seed", "weight_decay")},
            patience=((self.patience or 0) >= 0, "must not be negative"),
            review=(0 <= self.review <= 1, "must be from 0 to 1"),
            label_smoothing=(0 <= self.label_smoothing < 1, "must be at least 0 and below 1"),
            warmup=(
                self.warmup >= 0 and not 1 <= (self.max_steps or math.inf) <= self.warmup,
                "must not be negative, and below all steps",
            ),
        )

    @property
    def passes(self) -> float:
        """Passes over the examples, whatever else ends training."""
        return EPOCHS if self.epochs is None else self.epochs

    @property
    def is_open_ended(self) -> bool:
        """Whether nothing says how long to train."""
        return (self.epochs, self.max_steps, self.minutes) == (None, None, None)

    def within_budget(self, besides: float = 0.0) -> TrainingSettings:
        """These settings, with a time budget where nothing says how long: what a build leaves that takes so many seconds `besides`."""
        if not self.is_open_ended:
            return self
        return replace(self, minutes=max(LEAST_MINUTES, min(MINUTES, round(BUILD_MINUTES - besides / 60, 2))))

    def judged(self) -> TrainingSettings:
        """These settings, with the usual patience where nothing is said."""
        return self if self.patience is not None else replace(self, patience=PATIENCE)

    def for_own(self, count: int) -> TrainingSettings:
        """These settings as `count` examples of one's own are trained on: more passes over few of them, where nothing is said."""
        enough = max(EPOCHS, min(MOST_EPOCHS, round(ENOUGH_SEEN / max(1, count))))
        return self if self.epochs is not None else replace(self, epochs=enough)


@dataclass(frozen=True)
class Trained:
    """What training came to; `stopped` is complete or early (no improvement on held-out wordings).

    `best_step` is 0 where no evaluation decided. `seconds` were spent on steps and on what had to be made ready for them, those before
    a resume as well.
    """

    steps: int
    total_steps: int
    epochs: float
    tokens: int
    best_step: int
    seconds: float
    stopped: str


class Trainer:
    """One training run in progress. `position` and the optimizer's state are all there is to it."""

    def __init__(self, model: nn.Module, method: Method, task: Task, settings: TrainingSettings, run: Run, dtype: torch.dtype) -> None:
        if not len(task.train):
            raise TrainingError("There is no example to train on", "Add documents or examples.")
        self.model, self.method, self.task, self.settings, self.run = model, method, task, settings, run
        self.device = next(model.parameters()).device
        splits = method.splits(self.device.type, dtype)
        self.masters = Masters(model, dtype, method.keeps_float32, method.narrow(model), splits)
        self.order = Order(len(task.train), settings.batch_size, settings.seed, settings.shuffle)
        self.lengths = array("l", (task.length(e) for e in task.train))
        self.shared = task.shared(task.train)
        self.by_heart = task.by_heart() if settings.review else []
        self.peak = settings.learning_rate or method.learning_rate * method.pace(model)
        self.optimizer = self._optimizer()
        if 1 <= self.planned_steps() <= settings.warmup:
            raise SettingError(
                f"warmup={settings.warmup:g}: training has {self.planned_steps()} steps and would never reach its learning rate",
                "Lower it, or give a share of all steps (below 1).",
            )
        self.position = Position(total_steps=self.planned_steps(), micro_batch_tokens=settings.micro_batch_tokens)
        self.fingerprint = fingerprint(settings, method, task, dtype, self.device, run.info.get("base", {}).get("files"))

    def planned_steps(self) -> int:
        """Steps that the settings ask for, whatever time they take."""
        steps = max(1, round(self.settings.passes * self.order.steps_per_epoch))
        return min(steps, self.settings.max_steps or steps)

    def _optimizer(self) -> torch.optim.Optimizer:
        names = {id(p): name for name, p in self.model.named_parameters()}
        groups = self.method.parameter_groups(self.model, own_rate=self.settings.learning_rate is None)
        for group in groups:
            named = [names[id(p)] for p in group["params"]]
            group["params"] = [self.masters.values[name] for name in named]
            if self.masters.left:
                group["left"] = [self.masters.left[name] for name in named]
        return self.method.optimizer(groups, self.peak, self.settings.weight_decay)

    def learning_rate(self, step: int) -> float:
        """The learning rate of step `step` (from 0)."""
        return learning_rate_at(step, self.position.total_steps, self.peak, self.settings.schedule, self.settings.warmup)

    def step(self) -> dict[str, float]:
        """One optimizer step; returns its row of figures. Raises TrainingError before a bad update."""
        number, started = self.position.step, time.perf_counter()
        indices = self._indices(number)
        self._seed()
        self.method.before_step(self.model, number)
        self._forget_what_rests()
        loss, tokens = self._fitting([self.lengths[i] for i in indices], lambda: self._sum_gradients(indices))
        norm = self._clip()
        if not math.isfinite(loss) or not math.isfinite(norm):
            self.optimizer.zero_grad()
            raise TrainingError(
                f"Step {number + 1}: the loss ({loss}) or its gradient ({norm}) is no finite number; no weight was changed by it",
                f"Lower the learning rate ({self.peak:g}), or look for examples that are no sentences.",
            )
        rate = self.learning_rate(number)
        for group in self.optimizer.param_groups:
            group["lr"], group["done"] = rate * group.get("scale", 1.0), number / self.position.total_steps
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.masters.publish()
        self.position.step += 1
        self.position.tokens += tokens
        seconds = time.perf_counter() - started
        self.position.seconds += seconds
        return {
            "step": self.position.step,
            "epoch": round(self.position.step / self.order.steps_per_epoch, 4),
            "loss": loss,
            "learning_rate": rate,
            "gradient_norm": norm,
            "tokens": self.position.tokens,
            "tokens_per_second": round(tokens / seconds, 1),
            "memory_bytes": held_on(self.device),
        }

    def _clip(self) -> float:
        """The norm of the gradients, which are at most `clip` long from here on."""
        values, groups, most = self.masters.values.values(), self.optimizer.param_groups, self.settings.clip
        if "gradient_scale" not in self.optimizer.defaults:
            self.masters.widen()
            return float(torch.nn.utils.clip_grad_norm_(values, most))
        norm = norm_of(value.grad for value in values if value.grad is not None)
        for group in groups:
            group["gradient_scale"] = min(1.0, most / (norm + TINY))
        return norm

    def fit_memory(self) -> str:
        """Have as many tokens computed at once as there is memory for now, beside what the first step will hold of what trains.

        Returns what that changed, or "".
        """
        give_back()
        numbers, kept = self.method.at_once(self.model), 0 if self.optimizer.state else self.method.kept_bytes(self.device.type)
        free = free_on(self.device) - int(MARGIN * numbers * (VALUE_BYTES + kept))
        room, wanted = self.task.fit(self.model, free), self.position.micro_batch_tokens
        self.position.micro_batch_tokens = max(1, min(wanted, room))
        return f"Memory has room for {room:,} tokens at once, not {wanted:,}." if room < wanted else ""

    def _indices(self, number: int) -> list[int]:
        p = self.position
        return with_again(self.order.step(number), p.again, self.settings.review, number - p.reviewed_at, self.lengths)

    def review(self) -> str:
        """Look, where it is time to, at what is known by heart, and have the steps to come practise the rest; returns what was found."""
        p = self.position
        if not self.by_heart or p.reviews == len(REVIEWS) or p.step < REVIEWS[p.reviews] * p.total_steps:
            return ""
        started = time.perf_counter()
        self.model.eval()
        found = np.random.default_rng((self.settings.seed, p.step)).permutation(self.task.not_known(self.model))
        self.model.train()
        p.reviews, p.reviewed_at, p.again = p.reviews + 1, p.step, [int(i) for i in found]
        p.seconds += time.perf_counter() - started
        known = len(self.by_heart) - len(found)
        return f"After step {p.step} {known} of {len(self.by_heart)} answers are known by heart; the others are practised more often."

    def _forget_what_rests(self) -> None:
        """Let go of the optimizer's moments of what the method has put to rest."""
        parameters = dict(self.model.named_parameters())
        for name, value in self.masters.values.items():
            if not parameters[name].requires_grad:
                self.optimizer.state.pop(value, None)

    def _seed(self) -> None:
        torch.manual_seed((self.settings.seed * 1_000_003 + self.position.step) % SEEDS)

    def _fitting(self, lengths: Sequence[int], work: Callable[[], T]) -> T:
        """What `work` on examples of these lengths gives; it is done again with smaller micro-batches when memory runs out."""
        while True:
            try:
                return work()
            except RuntimeError as error:
                if not isinstance(error, torch.OutOfMemoryError) and not any(text in str(error) for text in OUT_OF_MEMORY):
                    raise
                self.model.zero_grad()
                self.optimizer.zero_grad()
                if self.position.micro_batch_tokens <= max(lengths):
                    raise TrainingError(
                        f"Not enough memory for an example of {max(lengths)} tokens",
                        "Lower --max-length, or choose a smaller base or method lora.",
                    ) from None
                self.position.micro_batch_tokens = max(*lengths, self.position.micro_batch_tokens // 2)

    def _sum_gradients(self, indices: Sequence[int]) -> tuple[float, int]:
        """Mean loss per target and tokens of a step; its gradients are left in the masters."""
        self._seed()  # again: a second try after a lack of memory starts like the first
        targets = max(1, sum(self.task.targets(self.task.train[i]) for i in indices))
        total = 0.0
        for group in micro_batches(indices, self.lengths, self.position.micro_batch_tokens, self.shared):
            loss = self.task.loss(self.model, [self.task.train[i] for i in group])
            (loss.total / targets).backward()
            total += float(loss.total.detach())
        penalty = self.method.penalty(self.model)
        if penalty is not None:
            penalty.backward()
        return total / targets, sum(self.lengths[i] for i in indices)

    def evaluate(self) -> dict[str, float]:
        """Mean loss per target and share of targets predicted right on the held-out examples."""
        lengths = [self.task.length(e) for e in self.task.heldout]
        self.model.eval()
        figures = self._fitting(lengths, lambda: self._heldout(lengths))
        self.model.train()
        return figures

    def _heldout(self, lengths: Sequence[int]) -> dict[str, float]:
        total, count, correct, shared = 0.0, 0, 0, self.task.shared(self.task.heldout)
        with torch.no_grad():
            for group in micro_batches(range(len(lengths)), lengths, self.position.micro_batch_tokens, shared):
                loss = self.task.loss(self.model, [self.task.heldout[i] for i in group])
                total, count, correct = total + float(loss.total), count + loss.count, correct + loss.correct
        return {"heldout_loss": total / max(1, count), "heldout_accuracy": correct / max(1, count)}

    def judge(self, figures: dict[str, float]) -> bool:
        """Note an evaluation's figures; True when they are the best so far. Without patience none is: they decide nothing.

        The loss decides: between two evaluations the accuracy moves by a few tokens more or less, and would keep weights from the
        middle of the schedule.
        """
        p = self.position
        if self.settings.patience is None:
            return False
        found, best = ((-figures["heldout_loss"], figures["heldout_accuracy"]), (-p.best_loss, p.best_accuracy))
        better = p.best_step == 0 or found > best
        p.stale = 0 if better else p.stale + 1
        if better:
            p.best_step, p.best_accuracy, p.best_loss = p.step, figures["heldout_accuracy"], figures["heldout_loss"]
        return better

    def save(self) -> None:
        """Write a checkpoint of this position."""
        position = {**asdict(self.position), "fingerprint": self.fingerprint}
        self.run.save_checkpoint(self.position.step, lambda folder: save_state(folder, position, self.masters.tensors, self.optimizer))

    def resume(self, folder: Path) -> str:
        """Go on from a checkpoint; returns why that will not be bit-exact, or "". RunError when settings or data have changed."""
        saved = load_position(folder)
        before = saved.pop("fingerprint")
        note = check_same(before, self.fingerprint)
        load_state(folder, self.masters.tensors, self.optimizer)
        self.masters.publish()
        self.position = Position(**saved)
        if before["machine"].get("micro_batch_tokens") != self.settings.micro_batch_tokens:  # else what memory had room for stays
            self.position.micro_batch_tokens = self.settings.micro_batch_tokens
        return note

    def keep_best(self) -> str:
        """Put the weights of the best evaluation back into the model; returns what was done, or "" where they are there."""
        best = self.position.best_step
        if best in (0, self.position.step):
            return ""
        checkpoint = self.run.best_checkpoint()
        if checkpoint is None or checkpoint[0] != best:
            return f"The checkpoint of step {best}, the best on held-out wordings, is damaged; the weights of the last step stay."
        load_state(checkpoint[1], self.masters.tensors, None)
        self.masters.publish()
        return f"Kept the weights of step {best}, the best on held-out wordings."


def train(
    model: nn.Module,
    method: Method,
    task: Task,
    settings: TrainingSettings,
    run: Run,
    dtype: torch.dtype,
    progress: Progress = SILENT,
    spent: float = 0.0,
) -> Trained:
    """Train `model` in place, from the run's newest checkpoint where it has one; with patience the best held-out weights stay in it.

    `model` has had `method.apply` and `method.prepare`, on which `spent` seconds went; what trains in it is fp32. Rows go to
    the run's `metrics.jsonl`. Raises Interrupted on Ctrl-C or SIGTERM after writing a checkpoint, TrainingError when a step
    cannot be made.
    """
    trainer = Trainer(model, method, task, settings, run, dtype)
    _resume(trainer, progress)
    p = trainer.position
    p.prepared += spent + _settle(trainer, progress)
    _note(trainer.fit_memory(), progress)
    model.train()
    try:
        with _postponed_signals() as caught, progress.stage("Training", p.total_steps, "steps") as stage:
            stage.advance(p.step)
            stopped = _loop(trainer, stage, progress, caught)
        _note(trainer.keep_best(), progress)
    finally:
        model.eval()
        trainer.masters.release()
    epochs = round(p.step / trainer.order.steps_per_epoch, 3)
    return Trained(p.step, p.total_steps, epochs, p.tokens, p.best_step, p.seconds + p.prepared, stopped)


def _resume(trainer: Trainer, progress: Progress) -> None:
    for fault in trainer.run.damaged_checkpoints():
        progress.note(f"Passed over: {fault}")
    newest = trainer.run.newest_checkpoint()
    if newest is None:
        trainer.run.truncate_rows(METRICS, lambda row: False)
        return
    step, folder = newest
    note = trainer.resume(folder)
    trainer.run.truncate_rows(METRICS, lambda row: row["step"] <= step)
    if trainer.position.best_step == step:
        trainer.run.mark_best(step)  # the kill may have come between the checkpoint and its mark
    progress.note(f"Resuming after step {step} of {trainer.position.total_steps}.")
    _note(note, progress)


def _settle(trainer: Trainer, progress: Progress) -> float:
    """Have computed once what no step changes, where there is more than one epoch to gain from it; the seconds that took."""
    started = time.monotonic()
    if trainer.planned_steps() > trainer.order.steps_per_epoch:
        trainer.model.eval()
        trainer.task.settle(trainer.model, progress)
    return time.monotonic() - started


def _note(text: str, progress: Progress) -> None:
    if text:
        progress.note(text)


def _loop(trainer: Trainer, stage: Stage, progress: Progress, caught: list[int]) -> str:
    """Steps until the planned end, early stopping or a signal; says which."""
    settings, p = trainer.settings, trainer.position
    every = max(1, round(settings.evaluate_every * trainer.order.steps_per_epoch))
    saved = time.perf_counter()
    while p.step < p.total_steps:
        if settings.patience and p.stale >= settings.patience:
            return "early"
        _note(trainer.review(), progress)
        row = trainer.step()
        if settings.minutes and _measured(p, settings.minutes):
            _fit_budget(trainer, every, progress)
            stage.expect(p.total_steps)
        at_end = p.step >= p.total_steps
        better, judged = False, False
        if settings.evaluate and len(trainer.task.heldout) and (p.step % every == 0 or at_end):
            figures = trainer.evaluate()
            better, judged = trainer.judge(figures), True
            row |= figures
        trainer.run.append_row(METRICS, row)
        due = judged or at_end or bool(caught) or time.perf_counter() - saved > 60 * settings.checkpoint_minutes
        if due:
            trainer.save()
            saved = time.perf_counter()
        if better:
            trainer.run.mark_best(p.step)
        stage.advance(1, **row)  # last: a listener may end training here, and what it was told is saved then
        if caught:
            if not due:  # it came since
                trainer.save()
            raise Interrupted(
                f"Stopped after step {p.step} of {p.total_steps}; a checkpoint was written", "Go on with --resume.", caught[0]
            )
    return "complete"


def _measured(p: Position, minutes: float) -> bool:
    """Whether enough steps were timed to tell, for the first time or better than before, how many the budget allows."""
    if p.step == WARM_STEPS:
        p.warm_seconds, p.warm_tokens = p.seconds, p.tokens
    share = PROBE_SHARES[p.fits] if p.fits < len(PROBE_SHARES) else math.inf
    return p.step > WARM_STEPS and p.seconds - p.warm_seconds >= share * 60 * minutes


def _fit_budget(trainer: Trainer, every: int, progress: Progress) -> None:
    """Fix the number of steps so that training, with an evaluation `every` so many steps, ends within `minutes`."""
    p, settings, task = trainer.position, trainer.settings, trainer.task
    heldout = sum(task.length(e) for e in task.heldout) if settings.evaluate else 0
    measured = p.seconds - p.warm_seconds
    seconds = measured / (p.step - WARM_STEPS) + FORWARD_SHARE * heldout * measured / (p.tokens - p.warm_tokens) / every
    planned = trainer.planned_steps()
    total = min(planned, max(p.step, int((60 * (settings.minutes or math.inf) - p.prepared) / seconds)))
    if total != p.total_steps:
        progress.note(f"{settings.minutes:g} minutes are enough for {total} of {planned} steps ({seconds:.2f} s each).")
    p.fits, p.total_steps = p.fits + 1, total


@contextmanager
def _postponed_signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM so that the step under way can end; a second one strikes at once."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def note(number: int, _: object) -> None:
        caught.append(number)
        signal.signal(number, before[number])

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
