"""What engrain does, from Python: `build`, `update`, `tune`, `load`, `evaluate`, `examples`, `plan`, `runs` … The only wiring.

Every stage leaves what it made in the run folder; the next one goes on from there, and so does a second start.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from engrain import measuring, pipeline, registry
from engrain.assistant import Answer, Assistant, check_trained
from engrain.assistant import load as load_assistant
from engrain.coding import pipeline as code_pipeline
from engrain.coding.completion import Completed, load_completer
from engrain.compare import compare as compare_methods
from engrain.compare import entries
from engrain.comparison import Comparison
from engrain.config import DEFAULT_METHOD, DEFAULT_TASK, METHOD, PARTS, TASK, Settings, as_options, catalogue, compared_names, settings_from
from engrain.documents.base import Reading, Section, Unread, check_paths, read_documents
from engrain.duration import OTHERWISE, Work
from engrain.errors import RunError, SettingError
from engrain.evaluate import GENERAL, TUNED, Evaluation, check_gradable, read_questions
from engrain.examples import Example, Question, each_example, example_to_row, held_out, practised, read_examples, usual_system, which
from engrain.export import Offer, offers
from engrain.export import export as export_run
from engrain.export.base import Exported
from engrain.fetch import cache_folder
from engrain.files import delete, sha256_of, write_text
from engrain.imaging import pipeline as image_pipeline
from engrain.imaging.classifier import Prediction, load_classifier
from engrain.knowledge.coverage import Coverage, coverage
from engrain.knowledge.dataset import Split, as_often, make_examples
from engrain.knowledge.facts import Fact, find_facts
from engrain.knowledge.superseded import Superseded, supersede
from engrain.measuring import Changed
from engrain.merging import MergeSettings
from engrain.merging import merge as merge_runs
from engrain.methods._listing import Listed, listed
from engrain.models import BaseSettings, load_model, locate, on_disk
from engrain.plan import Plan, make_plan
from engrain.privacy import Private, screened
from engrain.progress import SILENT, Progress
from engrain.report import model_card, write_report
from engrain.report.sweep import write_sweep
from engrain.resuming import (
    COMPLETE,
    MADE_AFTER_EXAMPLES,
    READY,
    check_unchanged,
    removed_if_empty,
    settings_of_examples,
    status_of,
    stopped,
    stopped_update,
)
from engrain.retrieval import Retriever
from engrain.run import Run
from engrain.scoreboard import Scoreboard
from engrain.study.adapter import study_adapter
from engrain.study.details import worth_asking
from engrain.study.prepare import SETTINGS, install, study_examples
from engrain.study.replay import known_answers, replay_prompts
from engrain.study.teacher_prompts import expected
from engrain.sweep import RESULT, check_installed, tuned_names
from engrain.sweep import sweep as sweep_settings
from engrain.tasks._packed import check_model
from engrain.trainings import check_fits, share
from engrain.tried import Swept
from engrain.verdict import Verdict, decide

__all__ = [
    "Answer", "Assistant", "Changed", "Completed", "Exported", "Listed", "Offer", "Plan", "Prediction", "Preview", "Result", "Scoreboard",
    "Swept", "Update",
    "build", "classify", "compare", "complete", "evaluate", "examples", "export", "exports", "load", "merge", "methods",
    "plan", "prepare", "runs", "sweep", "tune", "update",
]  # fmt: skip

Paths = str | Path | Sequence[str | Path]
STAGES = ("documents", "facts", "examples")
ENDS = ("examples", "verdict")
COMPARISONS, SWEEPS, STUDIES = Path("comparisons"), Path("sweeps"), Path("studies")
"""Where comparisons, sweeps and bases that learn to study go: apart from the runs, of which the newest is asked."""
PIPELINES: dict[str, Any] = {"code": code_pipeline, "image-classification": image_pipeline}
"""Tasks that have a pipeline of their own."""
HELDOUT_SHARE = 0.05
"""Share of a user's own examples that is held out."""
MEASURED_AGAIN = 1.25
"""How long measuring takes after training, as a multiple of what it took before."""


@dataclass(frozen=True)
class Result:
    """What a build or a tuning left: its run, and what its measurement says (None with `evaluate` off).

    Tasks with a pipeline of their own have a `comparison` instead of verdict and evaluation.
    """

    run: Run
    verdict: Verdict | None = None
    evaluation: Evaluation | None = None
    comparison: Comparison | None = None


@dataclass(frozen=True)
class Preview:
    """What a build would learn from: facts, coverage per document, training and held-out examples, files not read, private data.

    `superseded` are the facts that newer documents state otherwise.
    """

    facts: tuple[Fact, ...]
    coverage: tuple[Coverage, ...]
    train: tuple[Example, ...]
    heldout: tuple[Example, ...]
    unread: tuple[Unread, ...]
    private: tuple[Private, ...]
    superseded: tuple[Superseded, ...] = ()


def build(
    paths: Paths,
    *,
    out: str | Path | None = None,
    questions: str | Path | None = None,
    own: str | Path | None = None,
    start_from: str = "documents",
    until: str = "verdict",
    earlier: str | Path | Run | None = None,
    resume: bool = False,
    progress: Progress = SILENT,
    settings: Settings | None = None,
    **options: Any,
) -> Result:
    """The run that comes of documents: read, find facts, write examples, fine-tune, measure, decide.

    `options` are settings by name (`rank=16`, `minutes=10`). With `start_from` facts or examples, the run at `out`
    goes on from those files, edited by hand perhaps; with `until` examples it ends there, ready to be edited. What an
    `earlier` run holds of unchanged sections is taken over; a file of your `own` examples is learned as well. Raises
    the errors of the stages; a run that was stopped goes on with `resume` (default: the newest that is not complete).
    With another `task` than chat, the paths hold what that task learns from.
    """
    chosen, began = settings or settings_from(options), time.monotonic()
    files = as_paths(paths)
    if chosen.task.task != DEFAULT_TASK:
        check_alone(chosen.task.task, questions=questions, own=own, earlier=earlier, start_from=start_from, until=until)
        return build_task(chosen, files, as_path(out), resume, progress)
    chosen = chosen.for_documents()
    check_start(start_from, out)
    check_until(until)
    check_paths(files)
    check_usable(chosen)
    check_questions(as_path(questions))
    name = files[0].resolve().stem
    run = stopped(as_path(out), name) if resume else Run.open(as_path(out)) if start_from != STAGES[0] else None
    mine = [as_often(e, chosen.knowledge) for e in read_examples(own)] if own is not None else None
    before = as_run(earlier) if earlier is not None else None
    if resume and run is not None and pipeline.has_examples(run):
        check_unchanged(run, settings_of_examples(chosen))
    run, is_new = run or Run.create(as_path(out), name), run is None

    def work() -> Result:
        if mine is not None:
            run.write_rows("examples/own.jsonl", map(example_to_row, mine))
        make_ready(run, chosen, files, STAGES.index(start_from), resume, progress, before)
        return Result(run) if until == STAGES[-1] else finish(run, chosen, as_path(questions), progress, began)

    return carried_out(run, chosen, work, progress, is_new, READY if until == STAGES[-1] else COMPLETE)


def build_task(settings: Settings, files: Sequence[Path], out: Path | None, resume: bool, progress: Progress) -> Result:
    """The run of a task with a pipeline of its own."""
    settings = replace(settings, training=settings.training.judged())
    own = PIPELINES[settings.task.task]
    own.check(settings)
    check_fits(settings, own.outlined(settings))
    settings.model.resolve()
    name = files[0].resolve().stem
    run = stopped(out, name) if resume else Run.create(out, name)
    if resume:
        check_unchanged(run, settings_of_task(settings))

    def work() -> Result:
        return Result(run, comparison=own.build(run, settings, files, progress))

    return carried_out(run, settings, work, progress, is_new=not resume, pages=own.write_pages)


def settings_of_task(settings: Settings) -> dict[str, Any]:
    """The settings that decide what a task with a pipeline of its own learns from and is measured on."""
    owners = {name: set(found.owners) for name, found in catalogue().items()}
    return {name: value for name, value in settings.to_dict().items() if name in ("base", "seed") or owners[name] & {"code", "images"}}


def check_alone(task: str, **given: object) -> None:
    """Raise SettingError for arguments that only documents have."""
    told = [f"{name}={value}" for name, value in given.items() if value not in (None, STAGES[0], "verdict")]
    if told:
        raise SettingError(f"{', '.join(told)}: the task {task!r} has no such thing", "Leave it out.")


@dataclass(frozen=True)
class Update:
    """What an update left: the new result (None where no document had changed), the files added, changed and removed since.

    `answers` are the test questions that the new model answers otherwise than the one before it.
    """

    result: Result | None
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    answers: tuple[Changed, ...] = ()


def update(
    run: str | Path | Run | Result | None,
    paths: Paths,
    *,
    questions: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: Progress = SILENT,
    **options: Any,
) -> Update:
    """A new run from the documents as they are now, made with the settings of `run` (which stays as it is).

    Only sections that are new or changed are studied again; the model is trained anew from its original base on everything, because
    knowledge written on top of knowledge is lost (arXiv 2607.11020). `options` win over the settings of `run`. What was edited by hand
    stays where the documents still say it. Measured are held-out wordings, or your own `questions`. What was stopped goes on by `resume`.
    """
    earlier, files, began = as_run(run), as_paths(paths), time.monotonic()
    check_paths(files)
    check_questions(as_path(questions))
    check_trained(earlier.path, earlier.info)
    if "documents" not in earlier.info:
        raise SettingError(
            f"{earlier.path} was not made from documents: there is nothing to update", "Name a run that `engrain build` made."
        )
    chosen = settings_from({**earlier.info["settings"], **options})
    check_usable(chosen)
    reading = read_documents(files, progress)
    now = {d.file: d.sha256 for d in reading.documents}
    added, changed, removed = differences(earlier.info["documents"], now)
    if not (added or changed or removed):
        progress.note("No document has changed; nothing to do.")
        return Update(None, added, changed, removed)
    new = stopped_update(earlier, as_path(out)) if resume else Run.create(as_path(out), files[0].resolve().stem)
    is_same = resume and new.info.get("documents") == now
    if is_same and pipeline.has_examples(new):
        check_unchanged(new, settings_of_examples(chosen))
    answers: list[Changed] = []

    def work() -> Result:
        new.update(updates=str(earlier.path))
        if own := earlier.read_rows("examples/own.jsonl"):
            new.write_rows("examples/own.jsonl", own)
        make_ready(new, chosen, reading, 0, is_same, progress, earlier)
        result = finish(new, chosen, as_path(questions), progress, began)
        answers.extend(measuring.changed_answers(earlier, new, progress))
        new.write_json("changes.json", {"added": added, "changed": changed, "removed": removed, "answers": [asdict(a) for a in answers]})
        return result

    result = carried_out(new, chosen, work, progress, is_new=not resume)
    return Update(result, added, changed, removed, tuple(answers))


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The files that were added, changed and removed, told by their hashes."""
    changed = (name for name in now.keys() & before.keys() if now[name] != before[name])
    return tuple(sorted(now.keys() - before.keys())), tuple(sorted(changed)), tuple(sorted(before.keys() - now.keys()))


def check_start(start_from: str, out: str | Path | None) -> None:
    """Raise SettingError for a stage that there is not, or one that goes on from a run that is not named."""
    if start_from not in STAGES:
        raise SettingError(f"start_from={start_from!r}: there is no such stage", f"Choose one of: {', '.join(STAGES)}.")
    if start_from != STAGES[0] and out is None:
        raise SettingError(f"start_from={start_from!r} goes on from what a run holds, and none is named", "Name it with --out.")


def check_until(until: str) -> None:
    """Raise SettingError for an end that a build does not have."""
    if until not in ENDS:
        raise SettingError(f"until={until!r}: a build does not end there", f"Choose one of: {', '.join(ENDS)}.")


def check_questions(file: Path | None) -> None:
    """Raise ExampleError that names every row of a file of questions that cannot be asked or graded, before anything is made."""
    if file is not None:
        check_gradable(read_questions(file))


def fingerprint(file: Path | None) -> str | None:
    """What `run.json` says of the user's own questions; None where held-out ones are asked."""
    return None if file is None else sha256_of(file)


def check_usable(settings: Settings) -> None:
    """Raise what would stop the work later, before it begins.

    That is a base with a file missing or of an unknown kind, a device that is not there, a method that does not fit the base.
    """
    check_fits(settings)
    check_loads(settings)


def check_loads(settings: Settings) -> None:
    """Raise where the device is not there, or the base cannot be read from this disk."""
    device, dtype = settings.model.resolve()
    base = on_disk(settings.model.base)
    if base is not None:
        check_model(load_model(base, dtype=dtype, device=device))


def make_ready(
    run: Run,
    settings: Settings,
    documents: Sequence[Path] | Reading,
    first: int,
    resume: bool,
    progress: Progress,
    earlier: Run | None = None,
) -> None:
    """Make what training needs: documents, facts and examples, from stage number `first` on; what `resume` finds stays.

    What an `earlier` run holds of unchanged sections is taken over.
    """
    if resume and pipeline.has_examples(run) and not run.info.get("rewriting"):
        return
    edited = pipeline.take_edited(run, first == 2, progress) if first else None
    run.update(rewriting=True, verdict=None, heldout_accuracy=None, trained=None, error=None)
    for name in MADE_AFTER_EXAMPLES:
        delete(run.path / name)
    if edited is None:
        reading = documents if isinstance(documents, Reading) else read_documents(documents, progress)
        facts = pipeline.find(run, settings, pipeline.keep_documents(run, settings, reading, progress), progress, earlier)
    else:
        facts = edited
    if first < 2:
        pipeline.write_examples(run, settings, facts, progress, earlier or (run if first else None))
    else:
        pipeline.write_replay(run, settings, progress)
    run.update(rewriting=False)


def tune(
    examples: str | Path,
    *,
    heldout: str | Path | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: Progress = SILENT,
    settings: Settings | None = None,
    **options: Any,
) -> Result:
    """The run that comes of a file of one's own examples; those in `heldout` are measured, or else one in twenty.

    Raises ExampleError listing every row that cannot be used.
    """
    chosen, began = settings or settings_from(options), time.monotonic()
    file = Path(examples)
    check_usable(chosen)
    own = read_examples(heldout) if heldout else None
    with progress.stage("Reading examples"):
        out_of = held_out(each_example(file), HELDOUT_SHARE if chosen.training.evaluate and own is None else 0, chosen.training.seed)
    chosen = replace(chosen, training=chosen.training.for_own(int((~out_of).sum())))
    run = stopped(as_path(out), file.stem) if resume else Run.create(as_path(out), file.stem)
    if resume and pipeline.has_examples(run):
        check_unchanged(run, settings_of_examples(chosen))

    def work() -> Result:
        if not (resume and pipeline.has_examples(run)):
            others = own or list(which(each_example(file), out_of))
            pipeline.save_examples(run, which(each_example(file), ~out_of), others)
            pipeline.write_replay(run, chosen, progress)
        return finish(run, chosen, None, progress, began)

    return carried_out(run, chosen, work, progress, is_new=not resume)


def prepare(
    base: str = BaseSettings.base, *, out: str | Path | None = None, resume: bool = False, progress: Progress = SILENT, **options: Any
) -> Result:
    """The run that teaches a base to study; its adapter is put where every build on this base finds it.

    `options` are settings by name and win over `study.prepare.SETTINGS`.
    """
    chosen = settings_from({**SETTINGS, "base": base, **options})
    folder = as_path(out) or STUDIES / Path(base).resolve().name
    run = stopped(folder, folder.name) if resume else Run.create(folder, folder.name)

    def work() -> Result:
        if not (resume and pipeline.has_examples(run)):
            pipeline.save_examples(run, study_examples(chosen.training.seed), [])
            run.write_rows("examples/replay.jsonl", [])
        pipeline.tune(run, chosen, pipeline.encode(run, chosen, progress), progress)
        install(run.path / "adapter", cache_folder() / "study" / locate(base, progress).key)
        return Result(run)

    return carried_out(run, chosen, work, progress, is_new=not resume)


def finish(run: Run, settings: Settings, questions: Path | None, progress: Progress, began: float) -> Result:
    """Fine-tune, measure the base and the tuned model, and decide; the work `began` at this moment.

    The base is measured first where training has what measuring leaves of a build's minutes; else the first step waits for nothing.
    """
    task = pipeline.encode(run, settings, progress)
    begun = time.monotonic()
    test = begin_measuring(run, settings, questions, progress)
    if test and settings.training.is_open_ended:
        measuring.measure_base(run, test, progress)
    now = time.monotonic()
    chosen = budgeted(run, settings, now - began + MEASURED_AGAIN * (now - begun) + OTHERWISE)
    pipeline.tune(run, chosen, task, progress)
    return measured(run, chosen, test, progress)


def budgeted(run: Run, settings: Settings, besides: float) -> Settings:
    """The settings with a time budget where nothing says how long: what so many seconds `besides` leave, or that of a stopped training."""
    if not settings.training.is_open_ended:
        return settings
    before = run.info.get("training_minutes") if run.newest_checkpoint() else None
    chosen = replace(settings, training=replace(settings.training, minutes=before)) if before else settings.within_budget(besides)
    run.update(training_minutes=chosen.training.minutes)
    return chosen


def begin_measuring(run: Run, settings: Settings, questions: Path | None, progress: Progress) -> list[Question]:
    """The test questions; none where nothing is to be measured, or nothing was held out."""
    test = measuring.questions_for(run, questions, progress) if settings.training.evaluate else []
    asked = any(question.kind != GENERAL for question in test)
    if settings.training.evaluate and not asked:
        progress.note("Nothing was held out, so nothing is measured and there is no verdict: add examples, or questions of your own.")
    if not asked:
        return []
    run.update(questions=fingerprint(questions))
    return test


def measured(run: Run, settings: Settings, test: Sequence[Question], progress: Progress) -> Result:
    """What the tuned model makes of the test questions beside the base, and what that means."""
    if not test:
        return Result(run)
    measuring.measure_base(run, test, progress)
    evaluation = measuring.measure(run, test, progress)
    verdict = decide(evaluation, settings.verdict, own=bool(run.info.get("questions")) or not pipeline.facts_of(run))
    run.update(verdict=asdict(verdict), heldout_accuracy=evaluation.accuracy(TUNED).value)
    return Result(run, verdict, evaluation)


def write_pages(run: Run) -> None:
    """Report and model card of a run that answers questions."""
    write_report(run)
    write_text(run.path / "README.md", model_card(run))


def carried_out(
    run: Run,
    settings: Settings,
    work: Callable[[], Result],
    progress: Progress,
    is_new: bool,
    status: str = COMPLETE,
    pages: Callable[[Run], None] = write_pages,
) -> Result:
    """The result of `work` on a locked run whose status says how it ended; report and model card of a complete one come last.

    A new run that fails before it has measured or trained anything is removed: there is nothing to go on from.
    """
    started = time.time()
    with removed_if_empty(run, is_new), run.lock(), status_of(run, progress):
        run.update(status="running", settings=settings.to_dict())
        result = work()
        run.update(status=status, seconds=round(time.time() - started, 1))
        if status == COMPLETE:
            pages(run)
    progress.note(f"Run: {run.path}")
    return result


def load(
    run: str | Path | Run | Result | None = None,
    *,
    base_only: bool = False,
    base: str | None = None,
    mode: str = "closed-book",
    gate: bool = True,
    rewrite: bool = True,
    progress: Progress = SILENT,
) -> Assistant:
    """The assistant of a run (default: the newest), or of the untouched base (`base_only`; `base` alone needs no run).

    `gate=False` asks the tuned model also what does not concern the documents, and `rewrite=False` asks it from memory in the user's own
    words, not in those of the nearest question that it was trained on. The system's turn with which most of the run's examples
    begin stands before every question, as it did in training; `Assistant.told` puts another one there.
    """
    if base_only and base is not None and run is None:
        return load_assistant(None, base_only=True, base=base, mode=mode, progress=progress)
    found = run_for(DEFAULT_TASK, run)
    assistant = load_assistant(found, base_only=base_only, base=base, mode=mode, gate=gate, rewrite=rewrite, progress=progress)
    system = found.info.get("system")
    return assistant.told(usual_system(measuring.each_taught(found)) if system is None else system)


def complete(
    run: str | Path | Run | Result | None,
    before: str,
    after: str = "",
    *,
    path: str = "",
    max_new_tokens: int = 64,
    stop: Sequence[str] = (),
    base_only: bool = False,
    progress: Progress = SILENT,
) -> Completed:
    """The code that belongs between `before` and `after` in the file at `path`, by a run for code (default: the newest)."""
    completer = load_completer(run_for("code", run), base_only=base_only, progress=progress)
    return completer.complete(before, after, path=path, max_new_tokens=max_new_tokens, stop=stop)


def classify(run: str | Path | Run | Result | None, images: Paths, *, progress: Progress = SILENT) -> list[Prediction]:
    """What each image file shows, by the classifier of a run (default: the newest). Raises ExampleError for a file that is no image."""
    return load_classifier(run_for("image-classification", run), progress).classify(as_paths(images), progress)


def export(
    run: str | Path | Run | Result | None,
    to: str,
    *,
    out: str | Path | None = None,
    type: str = "",
    check: bool = True,
    progress: Progress = SILENT,
) -> Exported:
    """A run's model (default: the newest) in the form that another program reads: `to` is adapter, merged, gguf, ollama, vllm ….

    `type` is a number format (f32, f16, bf16, q8_0); without `check`, what was written is not read back and compared.
    """
    return export_run(as_run(run), to, out=as_path(out), type=type, check=check, progress=progress)


def exports(run: str | Path | Run | Result | None = None) -> list[Offer]:
    """The forms in which a run's model can be taken away, and for the others why not."""
    return offers(as_run(run))


def methods(base: str = BaseSettings.base, *, progress: Progress = SILENT) -> list[Listed]:
    """Every method of fine-tuning: whether it can be used here, why not, and how much it trains on `base`."""
    return listed(base, progress)


def merge(
    runs: Sequence[str | Path | Run],
    *,
    out: str | Path | None = None,
    questions: str | Path | None = None,
    evaluate: bool = True,
    progress: Progress = SILENT,
    **options: Any,
) -> Result:
    """A new run that joins the LoRA adapters of `runs`, measured like any other: on what its parts held out, or on your `questions`.

    `options` are those of `merging.MergeSettings` (`how="ties"`).
    """
    check_questions(as_path(questions))
    run = merge_runs([as_run(run) for run in runs], MergeSettings(**options), as_path(out), progress)
    settings = settings_from({**run.info["settings"], "evaluate": evaluate})
    try:
        with run.lock():
            pipeline.gate_of_base(run, settings, progress)
            result = measured(run, settings, begin_measuring(run, settings, as_path(questions), progress), progress)
            write_pages(run)
            run.update(status=COMPLETE)
    except BaseException:  # joined again in seconds: what is not measured is no run to go on with
        run.discard()
        raise
    return result


def compare(
    paths: Paths,
    methods: Sequence[str],
    *,
    seeds: int = 3,
    out: str | Path | None = None,
    questions: str | Path | None = None,
    resume: bool = False,
    progress: Progress = SILENT,
    settings: Settings | None = None,
    **options: Any,
) -> tuple[Run, Scoreboard]:
    """The run of a comparison and its scoreboard: each method trained `seeds` times on the same examples of these documents.

    `methods` are names, with settings of their own if need be (`lora:rank=16`); `settings` and `options` hold for all.
    With `resume` a comparison goes on, also a complete one: what failed is tried again, and more seeds or methods are added. Raises
    SettingError listing every method that cannot be used, and settings that cannot hold for all.
    """
    chosen, files = settings or settings_from(options), as_paths(paths)
    chosen = chosen.within_budget()
    common = common_settings(chosen, options)
    asked = entries(methods, common)
    if seeds < 1:
        raise SettingError(f"seeds={seeds}: must be at least 1", "Change it and start again.")
    check_questions(as_path(questions))
    check_paths(files)
    check_loads(chosen)
    folder = as_path(out) or COMPARISONS / files[0].resolve().stem
    run = Run.open(folder) if resume else Run.create(folder, folder.name)
    same = settings_from(common)
    told = {"questions": fingerprint(as_path(questions))}
    with removed_if_empty(run, is_new=not resume), run.lock(), status_of(run, progress):
        if resume:
            check_unchanged(run, same.to_dict() | told, run.info.get("settings", {}) | {"questions": run.info.get("questions")})
        run.update(status="running", settings=same.to_dict(), methods=list(methods), seeds=seeds, **told)
        make_ready(run, same, files, 0, resume, progress)
        board = compare_methods(run, asked, seeds, common, as_path(questions), progress)
        run.update(status="complete")
    return run, board


def common_settings(settings: Settings, options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that hold for every method compared. Raises SettingError for others that are given, as `options` or not."""
    common = {name: value for name, value in settings.to_dict().items() if name in (TASK, *compared_names())}
    given = {**{name: value for name, value in unusual(settings).items() if (name, value) != (METHOD, DEFAULT_METHOD)}, **options}
    refused = [f"{name}={value}" for name, value in given.items() if name not in common]
    if refused:
        step = "A method has its own settings after colons (lora:rank=8), seeds=3 means 0, 1 and 2, and there is no verdict."
        raise SettingError(f"{', '.join(refused)}: this cannot hold for every method compared", step)
    return common


def sweep(
    paths: Paths,
    *,
    trials: int = 16,
    tune: Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    progress: Progress = SILENT,
    settings: Settings | None = None,
    **options: Any,
) -> tuple[Run, Swept]:
    """The run of a sweep and what it tried: up to `trials` short trainings with other values of the settings in `tune`.

    `paths` are documents, or a run whose examples are used, with the settings that these were made with. All trainings have
    the same examples and the same budget. With `resume` a sweep goes on, also a complete one with more trials. Raises
    SettingError for settings that cannot be tuned, and where Optuna is not installed.
    """
    check_installed()
    chosen, files = settings or settings_from(options), as_paths(paths)
    if trials < 1:
        raise SettingError(f"trials={trials}: must be at least 1", "Change it and start again.")
    check_paths(files)
    source = Run.open(files[0]) if (files[0] / "run.json").is_file() else None
    chosen = settings_from({**made_with(source), **unusual(chosen)}) if source else chosen
    names = tuned_names(chosen.method, tune)
    chosen = at_own_pace(chosen) if "learning_rate" in names else chosen
    check_usable(chosen)
    folder = as_path(out) or SWEEPS / files[0].resolve().stem
    run = Run.open(folder) if resume else Run.create(folder, folder.name)
    same = settings_from({**chosen.to_dict(), "gate": False})
    with removed_if_empty(run, is_new=not resume), run.lock(), status_of(run, progress):
        if resume:
            check_unchanged(run, same.to_dict() | {"tune": names}, run.info.get("settings", {}) | {"tune": run.info.get("tuned")})
        run.update(status="running", settings=same.to_dict(), tuned=names)
        if source:
            share(source, run)
        else:
            make_ready(run, same, files, 0, resume, progress)
        found = sweep_settings(run, same, names, trials, progress)
        best = settings_from({**chosen.to_dict(), **found.best.settings}) if found.best else chosen
        found = replace(found, command=shlex.join([*command_for(files, source), *as_options(best)]))
        run.write_json(RESULT, found)
        write_sweep(run, found)
        run.update(status=COMPLETE)
    return run, found


def at_own_pace(settings: Settings) -> Settings:
    """The settings with what goes with the method's own learning rate told, which else goes where a rate is set by hand."""
    values = settings.to_dict()
    method: Any = registry.find("methods", settings.method)
    told = {name: value for name, value in method.paced(1.0).items() if name != "learning_rate" and values[name] is None}
    return settings_from({**values, **told}) if values["learning_rate"] is None else settings


def made_with(run: Run) -> dict[str, Any]:
    """The settings of a run that are neither those of training nor those of its method: what its examples were made with."""
    owners = {name: set(found.owners) & set(PARTS) - {"training"} for name, found in catalogue().items()}
    return {name: value for name, value in run.info.get("settings", {}).items() if owners.get(name)}


def unusual(settings: Settings) -> dict[str, Any]:
    """Those settings that do not have their default value, and the method."""
    usual = settings_from({METHOD: settings.method}).to_dict()
    return {name: value for name, value in settings.to_dict().items() if name == METHOD or value != usual[name]}


def command_for(files: Sequence[Path], source: Run | None) -> list[str]:
    """The command that trains on what a sweep was made with."""
    if source is None:
        return ["engrain", "build", *map(str, files)]
    if (source.path / "documents.jsonl").is_file():
        return ["engrain", "build", str(source.path), "--from", "examples", "--out", str(source.path)]
    rows = source.path / "examples"
    return ["engrain", "tune", str(rows / "train.jsonl"), "--heldout", str(rows / "heldout.jsonl")]


def evaluate(run: str | Path | Run | Result | None, questions: str | Path, *, progress: Progress = SILENT) -> Evaluation:
    """How base, base + retrieval, tuned and tuned + retrieval answer a file of questions.

    Raises ExampleError listing every bad row of the file.
    """
    return measuring.compare(run_for(DEFAULT_TASK, run), read_questions(Path(questions)), progress)


def examples(paths: Paths, *, progress: Progress = SILENT, settings: Settings | None = None, **options: Any) -> Preview:
    """What a build of these documents would learn from, without training."""
    chosen = settings or settings_from(options)
    reading = read_documents(as_paths(paths), progress)
    documents, private = screened(reading.documents, chosen.privacy)
    with progress.stage("Finding facts"):
        found = find_facts(documents)
        facts, old = supersede(found, documents)
    made = make_examples(facts, chosen.knowledge, chosen.training.seed)
    covered = coverage(documents, found)
    return Preview(tuple(facts), tuple(covered), tuple(made.train), tuple(made.heldout), reading.unread, tuple(private), tuple(old))


def plan(
    paths: Paths, *, ready: str | Path | Run | None = None, progress: Progress = SILENT, settings: Settings | None = None, **options: Any
) -> Plan:
    """What a build of these documents would take, and whether this machine can do it; nothing is trained, fetched or written.

    With a `ready` run, what it takes to go on with that: its facts and examples are there. Raises the errors that a build would
    raise before training.
    """
    chosen, started = settings or settings_from(options), time.perf_counter()
    chosen = chosen.for_documents()
    run = as_run(ready) if ready is not None else None
    facts, sections, made = pipeline.made_in(run) if run else found_in(paths, chosen, progress)
    passages = Retriever(sections).passages
    base = on_disk(chosen.model.base)
    known = known_answers(base.key, cache_folder() / "replay") if base else {}
    replayed = replay_prompts(chosen.study.replayed(len(made.train)), chosen.training.seed)
    studies = run is None and chosen.study.study and not chosen.study.teacher and base is not None and study_adapter(base)
    work = Work(
        documents=len({section.file for section in sections}),
        facts=len(facts),
        train=practised(made.train),
        heldout=measuring.spread(measuring.guiding(made.heldout), pipeline.HELDOUT_EXAMPLES),
        replay=len(replayed),
        unanswered=sum(prompt not in known for prompt in replayed),
        questions=len(measuring.telling(measuring.testing(made.heldout))),
        general=len(read_questions(measuring.EVERYDAY / "questions.jsonl")),
        passage_characters=sum(len(p.text) for p in passages) / max(1, len(passages)),
        text_tokens=measuring.PERPLEXITY_TOKENS,
        seconds=time.perf_counter() - started,
        studied=sum(map(worth_asking, facts)) if studies else 0,
        teacher=expected(facts, {section.id: section for section in sections}) if chosen.study.teacher and run is None else None,
    )
    return make_plan(work, chosen)


def found_in(paths: Paths, settings: Settings, progress: Progress) -> tuple[list[Fact], list[Section], Split]:
    """The facts and sections of documents, and the examples that rules make of them."""
    documents, _ = screened(read_documents(as_paths(paths), progress).documents, settings.privacy)
    with progress.stage("Finding facts"):
        facts, _ = supersede(find_facts(documents), documents)
    sections = [section for document in documents for section in document.sections]
    return facts, sections, pipeline.practice(facts, sections, settings, progress)


def runs(root: str | Path = "runs") -> list[Run]:
    """The runs in a folder, newest first."""
    return Run.list(Path(root))


def as_run(run: str | Path | Run | Result | None) -> Run:
    """The run that is meant: itself, a result's, the one in a folder, or the newest complete one.

    Raises RunError when there is none.
    """
    if run is None:
        return next((found for found in runs() if found.info.get("status") == "complete"), None) or Run.open()
    if isinstance(run, Result):
        return run.run
    return run if isinstance(run, Run) else Run.open(Path(run))


def run_for(task: str, run: str | Path | Run | Result | None) -> Run:
    """The run that is meant, or the newest complete one of that task. Raises RunError for a run of another task."""
    newest = (found for found in runs() if found.info.get("status") == "complete" and task_of(found) == task)
    found = as_run(run) if run is not None else next(newest, None) or Run.open()
    if task_of(found) != task:
        raise RunError(f"{found.path} was made for the task {task_of(found)!r}, not {task!r}", "Name another run with --run.")
    return found


def task_of(run: Run) -> str:
    """The task that a run was made for."""
    return str(run.info.get("settings", {}).get("task", DEFAULT_TASK))


def as_paths(paths: Paths) -> list[Path]:
    """One path or several as a list of paths; SettingError when there is none."""
    found = [Path(paths)] if isinstance(paths, str | Path) else [Path(p) for p in paths]
    if not found:
        raise SettingError("no path was given", "Name a folder or files with documents.")
    return found


def as_path(path: str | Path | None) -> Path | None:
    """The path, or None."""
    return None if path is None else Path(path)
