"""Methods compared on the same documents: identical examples, questions and budget, one training a method and seed.

The comparison is a run of its own; its trainings are runs under `parts/`, each in a process of its own, so that memory
is that of one training and a killed comparison goes on where it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engrain import agent, measuring, pipeline, registry
from engrain.assistant import Assistant
from engrain.assistant import load as load_assistant
from engrain.config import METHOD, as_built, catalogue, settings_from, sweepable
from engrain.errors import Interrupted, RunError, SettingError
from engrain.evaluate import BASE, BASE_RETRIEVAL, GENERAL, TUNED, TUNED_RETRIEVAL, Evaluation, evaluate
from engrain.examples import Question
from engrain.files import delete
from engrain.processes import STOPPED, in_own_process
from engrain.progress import SILENT, Progress
from engrain.report.compare import write_comparison
from engrain.run import Run
from engrain.scoreboard import RETRIEVING, Costs, Score, Scoreboard, advice, score_of
from engrain.trainings import check_fits, part_of, trained_numbers, under_way

PASSAGES, AGENT, RESULT = "base+passages", "base+agent", "comparison.json"


@dataclass(frozen=True)
class Entry:
    """A method in the comparison: `name` as it was asked for, and the settings that differ from the common ones."""

    name: str
    values: Mapping[str, Any]


def entries(methods: Sequence[str], common: Mapping[str, Any]) -> list[Entry]:
    """The methods as they were asked for: `lora`, or `lora:rank=16:rank_stabilized=true`.

    Raises SettingError listing every method that there is not, is not supported, does not take its settings or does not fit the base.
    """
    found, problems = [], []
    for text in methods:
        name, *pairs = text.split(":")
        values = as_built(name) | {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
        try:
            chosen = settings_from({**common, **values, METHOD: name})
            shared = [key for key in values if key not in sweepable(name) and name not in catalogue()[key].owners]
            problems += [f"{text}: {key} holds for all methods; it is no setting of one" for key in shared]
            if not shared:
                check_fits(chosen)
        except SettingError as error:
            problems += [f"{text}: {line}" for line in (error.problems or [f"{error.message}. {error.next_step}"])]
        found.append(Entry(text, {METHOD: name, **values}))
    twice = sorted({e.name for e in found if [o.name for o in found].count(e.name) > 1})
    problems += [f"{name}: named twice" for name in twice]
    if problems or not found:
        raise SettingError("These methods cannot be compared:", "`engrain methods` lists those there are.", problems or ["none was named"])
    return found


def named(text: str) -> list[str]:
    """The methods of a list with commas between them; a comma in a value stays (`lora:target_modules=q_proj,v_proj,full`).

    What follows a value and is no method's name belongs to the value.
    """
    found: list[str] = []
    for part in filter(None, map(str.strip, text.split(","))):
        if found and "=" in found[-1] and part.partition(":")[0] not in registry.names("methods"):
            found[-1] += f",{part}"
        else:
            found.append(part)
    return found


def compare(
    run: Run, chosen: Sequence[Entry], seeds: int, common: Mapping[str, Any], questions: Path | None, progress: Progress
) -> Scoreboard:
    """The scoreboard of all methods; `run` holds documents and examples already. What was finished before stays as it is.

    A training that fails is told and does not end the comparison. Raises Interrupted after a signal, with every step saved, and
    RunError where every training failed.
    """
    test = measuring.questions_for(run, questions, progress)
    measuring.measure_base(run, test, progress)
    failed: dict[str, str] = {}
    parts = [(entry, seed) for seed in range(seeds) for entry in chosen]
    with progress.stage("Training and measuring", len(parts), "trainings") as stage:
        for entry, seed in parts:
            part = prepared(run, entry, seed)
            if part.info.get("status") != "complete":
                code = in_own_process(carry_out, part.path, {**common, **entry.values, "seed": seed}, questions)
                if code in STOPPED:
                    raise Interrupted("The comparison was stopped", "Go on with --resume.", code - 128)
            if part.info.get("status") != "complete":
                failed[part.path.name] = str(part.info.get("error") or "its process was ended")
                progress.note(f"{part.path.name} failed: {failed[part.path.name]}")
            stage.advance(1)
    if len(failed) == len(parts):
        told = [f"{name}: {reason}" for name, reason in failed.items()]
        raise RunError("Every training failed:", "Correct what is wrong and go on with --resume.", told)
    board = scored(run, chosen, seeds, test, failed, progress)
    run.write_json(RESULT, board)
    write_comparison(run, board)
    return board


def prepared(run: Run, entry: Entry, seed: int) -> Run:
    """The run of one training, with the shared examples in it."""
    plain = entry.name.replace("/", "of")  # layers=1/3
    return part_of(run, f"parts/{re.sub('[:=,]', '-', plain)}-{seed}")


def carry_out(path: Path, values: dict[str, Any], questions: Path | None) -> None:
    """Train and measure one method; how it ended is in its `run.json`. The work of a process."""
    part = Run.open(path)
    with under_way(part, values) as settings:
        pipeline.tune(part, settings, pipeline.encode(part, settings, SILENT), SILENT)
        part.update(trained_numbers=trained_numbers(part))
        measuring.measure(part, measuring.questions_for(part, questions), SILENT)
    delete(part.path / "checkpoints")  # of many trainings they would fill the disk, and nothing goes on from a complete one


def costs_of(part: Run) -> Costs:
    """What a finished training took."""
    info, rows = part.info, part.read_rows("metrics.jsonl")
    trained = info["trained"]
    folder = part.path / ("adapter" if (part.path / "adapter").is_dir() else "model")
    return Costs(
        trainable_parameters=info["trained_numbers"],
        memory_bytes=max(row["memory_bytes"] for row in rows),
        seconds=trained["seconds"],
        tokens_per_second=trained["tokens"] / trained["seconds"],
        artifact_bytes=sum(file.stat().st_size for file in folder.glob("*.safetensors")),
    )


def scored(
    run: Run, chosen: Sequence[Entry], seeds: int, test: Sequence[Question], failed: Mapping[str, str], progress: Progress
) -> Scoreboard:
    """The scores of all that ended, those without tuning first."""
    scores: list[Score] = []
    for entry in chosen:
        parts = [part for part in (prepared(run, entry, seed) for seed in range(seeds)) if part.info.get("status") == "complete"]
        found = [Evaluation.from_dict(part.read_json("evaluation.json")) for part in parts]
        if found:
            if not scores:
                scores += untuned(run, found[0], test, progress)
            costs = [costs_of(part) for part in parts]
            scores.append(score_of(entry.name, TUNED, found, costs))
            if TUNED_RETRIEVAL in found[0].outcomes:
                scores.append(score_of(entry.name + RETRIEVING, TUNED_RETRIEVAL, found, costs))
    return Scoreboard(tuple(scores), advice(scores), dict(failed))


def untuned(run: Run, known: Evaluation, test: Sequence[Question], progress: Progress) -> list[Score]:
    """Base and base with retrieval (mode both), and two ways that only read; what those said is kept in a file each."""
    scores = [score_of(column, column, [known]) for column in (BASE, BASE_RETRIEVAL) if column in known.outcomes]
    asked = [q for q in test if q.kind != GENERAL]
    missing = {name: ask for name, ask in READERS.items() if not (run.path / file_of(name)).is_file()}
    if missing:
        assistant = load_assistant(run, base_only=True, progress=progress)
        if assistant.retriever is None:
            return scores
        for name, ask in missing.items():
            run.write_json(file_of(name), ask(assistant, [q.whole for q in asked], progress))
    for name in READERS:
        said = measuring.recalled(asked, run.read_json(file_of(name)))
        scores.append(score_of(name, BASE_RETRIEVAL, [evaluate({BASE_RETRIEVAL: said}, asked)]))
    return scores


def from_passages(assistant: Assistant, questions: Sequence[str], progress: Progress) -> list[str]:
    """What the assistant answers with passages before it, and nothing else."""
    return assistant.replies(questions, "retrieval", progress, "Asking the base with passages")


def file_of(reader: str) -> str:
    """Where what a way that only reads said is kept."""
    return f"{reader.removeprefix('base+')}.json"


READERS: dict[str, Callable[[Assistant, Sequence[str], Progress], list[str]]] = {PASSAGES: from_passages, AGENT: agent.replies}
"""Ways that need no tuning and only read: passages as most people put them before a model, and the agent."""
