"""Joining what several runs learned: their LoRA adapters become one, and the result is a run like any other.

The PEFT library does the joining: `linear` adds the factors, `cat` puts them side by side (exact, the ranks add up), `svd`
approximates the weighted sum of the updates, TIES (arXiv 2306.01708) keeps each update's largest values and lets signs
vote, DARE (arXiv 2311.03099) drops values at random and scales up the rest.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from engrain import registry
from engrain.assistant import check_trained
from engrain.config import DEFAULT_TASK, TASK
from engrain.errors import RunError, SettingError
from engrain.examples import asked_with, example_from_row
from engrain.fetch import quiet
from engrain.files import clear_partials
from engrain.models import load_model, load_tokenizer, locate
from engrain.progress import SILENT, Progress
from engrain.run import Run
from engrain.settings import check, check_choices, setting

WAYS = ("linear", "cat", "svd", "ties", "dare_linear", "dare_ties")
PRUNING = ("ties", "dare_linear", "dare_ties")
ROWS = ("documents.jsonl", "facts.jsonl", "superseded.jsonl", "examples/train.jsonl", "examples/own.jsonl", "examples/heldout.jsonl")
"""What the joined run takes over from each of its parts."""
NAMES = ("file", "section", "document", "id", "fact")
"""What in these rows names a file, a section or a fact."""


@dataclass(frozen=True)
class MergeSettings:
    """How adapters are joined."""

    how: str = setting("cat", "How the updates are joined.", choices=WAYS)
    weights: tuple[float, ...] = setting((), "How much each run counts, separated by commas; default: 1 each.")
    density: float | None = setting(None, "Share of an update's values that TIES and DARE keep; default 0.5.")
    seed: int = setting(0, "Seed of what DARE drops.")

    def __post_init__(self) -> None:
        check_choices(self)
        check(
            self,
            density=(self.density is None or 0 < self.density <= 1, "must be above 0 and at most 1"),
            weights=(all(math.isfinite(w) and w > 0 for w in self.weights), "must all be above 0"),
        )
        if self.seed != MergeSettings.seed and not self.how.startswith("dare"):
            raise SettingError(f"seed={self.seed} cannot take effect with how={self.how!r}", "Use it with dare_linear, dare_ties.")
        if self.density is not None and self.how not in PRUNING:
            raise SettingError(f"density={self.density:g} cannot take effect with how={self.how!r}", f"Use it with {', '.join(PRUNING)}.")


def merge(runs: Sequence[Run], settings: MergeSettings, out: Path | None = None, progress: Progress = SILENT) -> Run:
    """A new run whose adapter joins those of `runs`, with their documents and facts.

    Files of one name with other texts get their run's name before theirs. Raises RunError for runs that were not trained or stand
    on different bases, SettingError for adapters that cannot be joined.
    """
    import torch

    weights = check_joinable(runs, settings)
    run = Run.create(out, "merged")
    try:
        with run.lock(), progress.stage("Joining adapters"), run.stage("adapter") as folder:
            base = locate(runs[0].info["settings"]["base"], progress)
            model = load_model(base, dtype=torch.float32, device="cpu")  # what is joined would be rounded to the model's format
            join([r.path / "adapter" for r in runs], weights, settings, model, folder)
            load_tokenizer(base).save_pretrained(folder)
    except BaseException:
        clear_partials(run.path)
        run.discard()
        raise
    describe(run, runs, weights, settings)
    return run


def check_joinable(runs: Sequence[Run], settings: MergeSettings) -> tuple[float, ...]:
    """The weights of the runs, once all of them can be joined; every problem is listed."""
    if len(runs) < 2:
        raise SettingError("There is nothing to join: only one run was named", "Name two runs or more.")
    weights = settings.weights or (1.0,) * len(runs)
    if len(weights) != len(runs):
        raise SettingError(f"weights: {len(weights)} for {len(runs)} runs", "Give one weight for each run.")
    for run in runs:
        check_trained(run.path, run.info)
    tasks = {run.path: run.info["settings"].get(TASK, DEFAULT_TASK) for run in runs}
    others = [f"{path}: its task is {task}" for path, task in tasks.items() if task != DEFAULT_TASK]
    if others:
        raise SettingError("These runs cannot be joined:", f"Join runs of the task {DEFAULT_TASK}.", others)
    bases = {json.dumps(run.info["base"]["files"], sort_keys=True) for run in runs}
    if len(bases) > 1:
        told = [f"{run.path}: {run.info['base']['name']} {run.info['base']['revision']}".rstrip() for run in runs]
        raise RunError("These runs stand on different base models:", "Join runs that were trained from the same base.", told)
    problems = [f"{run.path}: {problem}" for run in runs for problem in [_problem(run)] if problem]
    ranks = {_config(run)["r"] for run in runs if not _problem(run)}
    if len(ranks) > 1 and settings.how not in ("cat", "svd"):
        problems.append(f"their ranks differ ({', '.join(map(str, sorted(ranks)))}): how={settings.how!r} needs equal ones; use cat or svd")
    problems += [] if problems else _without_room(runs, settings.how)
    if problems:
        raise SettingError("These adapters cannot be joined:", "Join runs of the method lora, or train them alike.", problems)
    return weights


def join(folders: Sequence[Path], weights: Sequence[float], settings: MergeSettings, model: Any, out: Path) -> None:
    """Write the joined adapter of these folders into `out`; `model` is their base, and is changed."""
    import torch
    from peft import PeftModel

    names = [f"part{number}" for number in range(len(folders))]
    extra = {"density": settings.density or 0.5} if settings.how in PRUNING else {}
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(settings.seed)
        wrapper = PeftModel.from_pretrained(model, folders[0], adapter_name=names[0])
        for name, folder in zip(names[1:], folders[1:], strict=True):
            wrapper.load_adapter(folder, adapter_name=name)
        wrapper.add_weighted_adapter(names, list(weights), "joined", combination_type=settings.how, **extra)
        wrapper.peft_config["joined"].use_rslora = False  # taken over from the first part, but the joined factors hold every scale
        wrapper.save_pretrained(out, selected_adapters=["joined"])
    for file in (out / "joined").iterdir():
        file.replace(out / file.name)
    shutil.rmtree(out / "joined")


def describe(run: Run, runs: Sequence[Run], weights: Sequence[float], settings: MergeSettings) -> None:
    """Give the joined run its settings, and the documents, facts and examples of its parts."""
    config = json.loads((run.path / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    first, methods = runs[0].info, {run.info["settings"]["method"] for run in runs}
    own: Any = registry.find("methods", first["settings"]["method"])
    kept = {k: v for k, v in first["settings"].items() if k not in own.Settings.__dataclass_fields__}
    made = {
        "method": methods.pop() if methods == {"qlora"} else "lora",  # an update of rounded weights belongs beside these
        "rank": config["r"],
        "alpha": float(config["lora_alpha"]),
        "target_modules": ",".join(sorted(config["target_modules"])),
    }
    names = names_apart(runs)
    for name in ROWS:
        parts = [[renamed(row, new) for row in part.read_rows(name)] for part, new in zip(runs, names, strict=True)]
        run.write_rows(name, heldout_of(parts) if name == "examples/heldout.jsonl" else distinct(chain.from_iterable(parts)))
    merged = {"runs": [str(r.path) for r in runs], "weights": list(weights), "how": settings.how, "density": settings.density}
    run.update(status="complete", settings={**kept, **made}, base=first["base"], merged=merged)


def heldout_of(parts: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The held-out rows of all parts: every other one measures (see `measuring.testing`), and none that chose something in any part."""
    chose = distinct(row for rows in parts for row in rows[1::2])
    known = {asked_with(example_from_row(row)) for row in chose}
    measure = distinct(row for rows in parts for row in rows[::2] if asked_with(example_from_row(row)) not in known)
    return [*chain.from_iterable(zip(measure, chose, strict=False)), *measure[len(chose) :]]


def distinct(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each row once."""
    return list({json.dumps(row, sort_keys=True): row for row in rows}.values())


def names_apart(runs: Sequence[Run]) -> list[dict[str, str]]:
    """For each run: names of files, sections and facts → those they get because another run has the file with another text."""
    texts: dict[str, set[str]] = {}
    for row in (row for run in runs for row in run.read_rows("documents.jsonl")):
        texts.setdefault(f"{row['file']}#{row['number']}", set()).add(json.dumps(row, sort_keys=True))
    files = {_file_of(section) for section, found in texts.items() if len(found) > 1}
    labels = [run.path.resolve().name for run in runs]
    if len(set(labels)) < len(labels):
        labels = [f"{label}-{number}" for number, label in enumerate(labels, 1)]
    return [_names_in(run, files, label) for run, label in zip(runs, labels, strict=True)]


def renamed(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A row with the new names of what it names."""
    return {key: names.get(value, value) if key in NAMES else value for key, value in row.items()}


def _names_in(run: Run, files: Collection[str], label: str) -> dict[str, str]:
    facts = [row for name in ("facts.jsonl", "superseded.jsonl") for row in run.read_rows(name) if _file_of(row["section"]) in files]
    places = {*files, *(row["section"] for row in facts)}
    return {name: f"{label}/{name}" for name in places} | {row["id"]: f"{label}-{row['id']}" for row in facts}


def _file_of(section: str) -> str:
    return section.rpartition("#")[0]


def _problem(run: Run) -> str:
    """Why an adapter cannot be joined, or nothing."""
    if not (run.path / "adapter" / "adapter_config.json").is_file():
        return f"the method {run.info['settings']['method']} leaves a whole model, not an adapter"
    config = _config(run)
    if config["peft_type"] != "LORA":
        return f"the method {run.info['settings']['method']} leaves no LoRA adapter"
    kept = [name for name, there in (("DoRA", config.get("use_dora")), ("other ranks for some layers", config.get("rank_pattern")),
            ("whole modules", config.get("modules_to_save")), ("biases", config.get("bias", "none") != "none")) if there]  # fmt: skip
    return f"it has {' and '.join(kept)}, which cannot be joined" if kept else ""


def _without_room(runs: Sequence[Run], how: str) -> list[str]:
    """Why the joined update could not be loaded: `cat` adds the ranks up, and `svd` takes its own from every matrix."""
    from safetensors import safe_open

    ranks = [_config(run)["r"] for run in runs]
    rank = sum(ranks) if how == "cat" else max(ranks)
    sizes: dict[str, list[int]] = {}
    for run in runs:
        with safe_open(run.path / "adapter" / "adapter_model.safetensors", "pt") as file:
            for name in file.keys():  # noqa: SIM118 - the file is no dictionary
                layer, _, factor = name.rpartition(".lora_")
                sizes.setdefault(layer, []).append(file.get_slice(name).get_shape()[0 if factor.startswith("B") else 1])
    room = (min if how == "svd" else max)(min(widths) for widths in sizes.values())
    words = f"rank {rank} is more than {'the narrowest' if how == 'svd' else 'any'} matrix has room for ({room})"
    return [f"how={how!r} would give a {words}: " + ("use cat" if how == "svd" else "use svd")] if rank > room else []


def _config(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.path / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    return found
