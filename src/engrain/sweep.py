"""Settings tuned by trying them out: Optuna proposes them, a short training of each is judged, and losers end early.

A training is judged by its loss on the held-out examples and by nothing else. The sweep is a run of its own; its trainings
are runs under `trials/`, each in a process of its own. What was tried stands in `study.db`; a sweep that was stopped goes
on where it was, in the middle of a training too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engrain import pipeline, registry
from engrain.config import Setting, Settings, settings_from, sweepable
from engrain.errors import Interrupted, SettingError
from engrain.files import delete
from engrain.measuring import each_example
from engrain.models import outline
from engrain.pace import own_pace
from engrain.processes import STOPPED, in_own_process
from engrain.progress import SILENT, Progress, Stage
from engrain.run import Run
from engrain.settings import Around
from engrain.train import METRICS, TrainingSettings
from engrain.trainings import SHARED, part_of, trained_numbers, under_way
from engrain.tried import Swept, Tried, standing, told

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

STUDY, RESULT = "study.db", "sweep.json"
USUAL = ("learning_rate", "rank", "layers", "virtual_tokens")
"""What is tuned where nothing is named, as far as the method has it."""
MINUTES = 2.0
"""How long each training takes where the settings do not say."""
EVALUATIONS, EVALUATE_EVERY = 8, 0.1
"""How often a training is judged, and after how many epochs each time where a time budget leaves their number open."""
STARTERS, PATIENCE = 3, 2
"""Trainings that end before any is ended early, and the first judgement at which one may be."""
DIGITS = 3
"""Digits of a proposed number that count."""


class Pruned(Exception):
    """A training was clearly worse than others and was ended."""


def tuned_names(method: str, asked: Sequence[str]) -> tuple[str, ...]:
    """The settings to tune. Raises SettingError listing every one that cannot be, with those that can."""
    known = sweepable(method)
    unknown = [f"{name}: it is no setting that a sweep of the method {method!r} can tune" for name in asked if name not in known]
    if unknown:
        raise SettingError("These settings cannot be tuned:", f"Choose among: {', '.join(known)}.", unknown)
    return tuple(dict.fromkeys(asked)) or tuple(name for name in USUAL if name in known)


def short(settings: Settings, examples: int) -> Settings:
    """The settings of a trial: a short budget where none is given, judged often; it ends early by comparison alone."""
    chosen = settings.training
    if not chosen.evaluate:
        raise SettingError("evaluate=False: a sweep needs the held-out examples to judge by", "Leave out --no-evaluate.")
    if (chosen.epochs, chosen.max_steps, chosen.minutes) == (None, None, None):
        chosen = replace(chosen, minutes=MINUTES)
    if chosen.evaluate_every == TrainingSettings.evaluate_every:
        steps = max(1, examples // chosen.batch_size)
        passes = min(chosen.passes, (chosen.max_steps or math.inf) / steps)
        chosen = replace(chosen, evaluate_every=EVALUATE_EVERY if chosen.minutes else passes / EVALUATIONS)
    return replace(settings, training=replace(chosen, patience=0))


def space(settings: Settings, names: Sequence[str], progress: Progress = SILENT) -> dict[str, BaseDistribution]:
    """Name → the values to propose. The current one is always among them; what the base has no room for is left out with a note."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    known = sweepable(settings.method)
    found: dict[str, BaseDistribution] = {}
    for name in names:
        declared, now = known[name], usual(settings, known[name])
        if isinstance(declared.sweep, Around):
            low, high = now / declared.sweep.factor, now * declared.sweep.factor
            whole = declared.kind is int
            found[name] = IntDistribution(max(1, round(low)), round(high), log=True) if whole else FloatDistribution(low, high, log=True)
        else:
            values = [v for v in dict.fromkeys((*declared.sweep, now)) if v == now or fits(settings, {name: v}, progress)]
            found[name] = CategoricalDistribution(values)
    return found


def usual(settings: Settings, declared: Setting) -> Any:
    """The value that a setting has now; where it is open, that of the method, and its learning rate for this base."""
    value = settings.to_dict()[declared.name]
    if value is not None:
        return value
    own: Any = getattr(registry.find("methods", settings.method), declared.name, None)
    return own * own_pace(settings) if declared.name == "learning_rate" else own


def fits(settings: Settings, values: Mapping[str, Any], progress: Progress) -> bool:
    """Whether the base can be trained with these values, which is tried on its outline."""
    try:
        chosen = settings_from({**settings.to_dict(), **values})
        method: Any = registry.find("methods", chosen.method)(chosen.method_settings)
        method.apply(outline(chosen.model.base))
    except SettingError as error:
        progress.note(f"Not tried: {told(values)}: {error.message}.")
        return False
    return True


def sweep(run: Run, settings: Settings, names: Sequence[str], trials: int, progress: Progress) -> Swept:
    """All that was tried with these `names` in up to `trials` trainings; `run` holds the examples already.

    A training that fails is told and does not end the sweep. Raises Interrupted after a signal, with every step saved.
    """
    if not run.count_rows("examples/heldout.jsonl"):
        raise SettingError("Nothing is held out, so there is nothing to judge by", "Add documents or examples.")
    seed = settings.training.seed
    chosen = short(settings, sum(example.repeats for example in each_example(run, "train")))
    known, proposed = sweepable(settings.method), space(chosen, names, progress)
    with opened(run.path / STUDY, seed) as study, progress.stage("Trying settings", trials, "trainings") as stage:
        study.enqueue_trial({name: usual(chosen, known[name]) for name in names}, skip_if_exists=True)
        stage.advance(len(ended(study)))
        while len(ended(study)) < trials:
            trial = next(begun(study), None) or study.ask(proposed)
            part, values = part_of(run, folder(trial.number)), values_of(trial)
            carry_through(part, {**chosen.to_dict(), **values}, run.path / STUDY, trial)
            tidy(part)
            study.tell(trial.number, **outcome(part))
            progress.note(f"{told(values)}: {tried_in(part, trial.number, values)}.")
            stage.advance(1)
        found = [tried_in(Run.open(run.path / folder(t.number)), t.number, values_of(t)) for t in ended(study)]
    return Swept(tuple(names), tuple(sorted(found, key=standing)))


def carry_through(part: Run, values: dict[str, Any], file: Path, trial: Trial) -> None:
    """Have a training carried out, or gone on with, in a process of its own. Raises Interrupted where a signal ended it."""
    if part.info.get("status") == "complete":
        return
    code = in_own_process(carry_out, part.path, values, file, trial.number)
    if code in STOPPED:
        raise Interrupted("The sweep was stopped", "Go on with --resume.", code - 128)


def carry_out(path: Path, values: dict[str, Any], file: Path, number: int) -> None:
    """Train with some settings until the end, or until others are clearly better. The work of a process."""
    part = Run.open(path)
    with opened(file, 0) as study, under_way(part, values) as settings:
        trial = next(t for t in begun(study) if t.number == number)
        judge = Judge(trial, settings.training.evaluate_every)
        try:
            pipeline.tune(part, settings, pipeline.encode(part, settings, SILENT), judge)
        except Pruned:
            part.update(pruned=True)
        part.update(trained_numbers=trained_numbers(part))


class Judge(Progress):
    """Listens to a training and tells the study each held-out loss; raises Pruned where others were clearly better by then."""

    def __init__(self, trial: Trial, evaluate_every: float) -> None:
        self.trial, self.evaluate_every = trial, evaluate_every
        self.known = set(trial.study.trials[trial.number].intermediate_values)

    @contextmanager
    def stage(self, title: str, total: float | None = None, unit: str = "") -> Iterator[Stage]:
        """A stage whose figures are looked at."""
        yield _Judged(self.judge)

    def judge(self, epoch: float, loss: float) -> None:
        """Note a loss at the number of its evaluation, so that trainings of any batch size are compared after as many examples."""
        number = round(epoch / self.evaluate_every)
        if number in self.known:  # a training that goes on evaluates once more where it was stopped
            return
        self.known.add(number)
        self.trial.report(loss, number)
        if self.trial.should_prune():
            raise Pruned


class _Judged(Stage):
    def __init__(self, judge: Callable[[float, float], None]) -> None:
        self.judge = judge

    def advance(self, amount: float = 1, **figures: float) -> None:
        if "heldout_loss" in figures:
            self.judge(figures["epoch"], figures["heldout_loss"])


def check_installed() -> None:
    """Raise SettingError where Optuna is not installed."""
    if find_spec("optuna") is None:
        raise SettingError("engrain sweep needs Optuna, which is not installed", "pip install 'engrain[sweep]'")


@contextmanager
def opened(file: Path, seed: int) -> Iterator[Study]:
    """The study in a file, made where there is none."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{file.resolve()}")
    try:
        pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTERS, n_warmup_steps=PATIENCE)
        study = optuna.create_study(storage=storage, study_name="sweep", pruner=pruner, load_if_exists=True)
        study.sampler = optuna.samplers.TPESampler(n_startup_trials=STARTERS, seed=seed + len(study.trials))  # else it would propose again
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def begun(study: Study) -> Iterator[Trial]:
    """Trainings that were begun and have not ended; only one process at a time has the study."""
    from optuna.trial import Trial, TrialState

    return (Trial(study, found._trial_id) for found in study.get_trials(states=(TrialState.RUNNING,)))


def ended(study: Study) -> list[FrozenTrial]:
    """Trainings that have ended, in whatever way."""
    return [trial for trial in study.trials if trial.state.is_finished()]


def folder(number: int) -> str:
    """Where in the sweep's run a training has its own."""
    return f"trials/{number:03}"


def outcome(part: Run) -> dict[str, Any]:
    """What the study is told of a training."""
    from optuna.trial import TrialState

    tried = tried_in(part, 0, {})
    states = {"pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    return {"state": states[tried.state]} if tried.state in states else {"values": tried.loss}


def tidy(part: Run) -> None:
    """Leave of a training that has ended what it says; its weights are not needed, and those of many would fill the disk."""
    for name in (*SHARED, "checkpoints", "adapter", "model"):
        delete(part.path / name)


def tried_in(part: Run, number: int, values: Mapping[str, Any]) -> Tried:
    """What a training's run says of it."""
    info, rows = part.info, part.read_rows(METRICS)
    losses = tuple((row["step"], row["heldout_loss"]) for row in rows if "heldout_loss" in row)
    is_whole = info.get("status") == "complete"
    state = "failed" if not is_whole or not losses else "pruned" if info.get("pruned") else "complete"
    why = "every held-out example is longer than max_length" if is_whole else "its process was ended"
    return Tried(
        number=number,
        settings=dict(values),
        state=state,
        loss=min((loss for _, loss in losses), default=None),
        losses=losses,
        seconds=seconds_of(rows),
        trainable_parameters=info.get("trained_numbers"),
        memory_bytes=max((row["memory_bytes"] for row in rows), default=None),
        reason=str(info.get("error") or why) if state == "failed" else "",
    )


def seconds_of(rows: Sequence[Mapping[str, Any]]) -> float:
    """How long the steps of a training took, also of one that was stopped on the way."""
    before = (0, *(row["tokens"] for row in rows))
    return float(sum((row["tokens"] - start) / row["tokens_per_second"] for row, start in zip(rows, before, strict=False)))


def rounded(value: Any) -> Any:
    """A proposed value with as many digits as say something."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def values_of(trial: FrozenTrial | Trial) -> dict[str, Any]:
    """The settings that a training was proposed."""
    return {name: rounded(value) for name, value in trial.params.items()}
