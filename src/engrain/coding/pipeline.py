"""The stages of a code completer's build: read a code base, hold files out, fine-tune, complete gaps in the held-out files."""

from __future__ import annotations

import hashlib
import importlib
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from engrain.batches import micro_batches
from engrain.coding.completion import Completer, Gap, load_completer
from engrain.coding.repository import CodeFile, language_of, read_repository, split_files
from engrain.comparison import FEWEST_GROUPS, Comparison, Line, mean_of, resampled, with_interval
from engrain.config import Settings
from engrain.errors import ExampleError, SettingError
from engrain.files import to_json, write_text
from engrain.measuring import guiding, spread, testing
from engrain.methods.base import method_of
from engrain.models import context_length, load_model, load_tokenizer, locate, outline
from engrain.pipeline import tune
from engrain.progress import Progress
from engrain.report.completion import write_completion_report
from engrain.report.task_card import task_card
from engrain.run import Run
from engrain.tasks._fim import find_sentinels, make_room
from engrain.tasks.code import Code, rows_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NEXT_LINE, MIDDLE = "next line", "middle"
MOST_LINES = 3
"""Lines of a middle that is asked for."""
EARLIEST = 3
"""Lines that stand before a gap at least."""
NEW_TOKENS = 96
HELDOUT_ROWS = 64
"""Held-out rows whose loss is followed while training, and read for the perplexity."""
ONE_FILE = "Only one file is held out: it chose the weights that are kept, too. A higher --heldout-files holds out more."
FEW_FILES = f"Fewer than {FEWEST_GROUPS} files measure, too few for intervals. A higher --heldout-files holds out more."


@dataclass(frozen=True)
class Spot:
    """A gap in a held-out file, and what really stands there."""

    kind: str
    file: str
    line: int
    before: str
    after: str
    wanted: str


def check(settings: Settings) -> None:
    """Raise SettingError for what is missing to measure completions."""
    try:
        importlib.import_module("rapidfuzz")
    except ImportError as error:
        raise SettingError("measuring completions needs rapidfuzz", "pip install 'engrain[code]'") from error


def outlined(settings: Settings) -> PreTrainedModel:
    """The model that a method is applied to, without its weights."""
    return outline(settings.model.base)


def build(run: Run, settings: Settings, paths: Sequence[Path], progress: Progress) -> Comparison:
    """Make a code completer of a code base; everything goes to the run folder."""
    seed, chosen = settings.training.seed, settings.code
    repository = read_repository(paths, chosen, progress)
    train_files, heldout_files = split_files(repository.files, chosen.heldout_files, seed)
    guides, measures = divided(heldout_files)
    parts = {"train": train_files, "guiding": guides if guides != measures else [], "heldout": measures}
    run.write_rows("files.jsonl", [_row(file, part) for part, files in parts.items() for file in files])
    run.write_rows("skipped.jsonl", repository.skipped)
    run.update(licences=list(repository.licences))
    told(repository.files, len(repository.skipped), repository.licences, parts, progress)
    spots = [*draw_spots(measures, NEXT_LINE, chosen.completions, seed), *draw_spots(measures, MIDDLE, chosen.completions, seed)]
    run.write_rows("spots.jsonl", spots)
    task, plain = encoded(settings, train_files, guides, measures)
    before = measure_base(run, settings, spots, plain, progress)
    tune(run, settings, task, progress)
    completer = load_completer(run, progress=progress)
    completer.tokenizer.save_pretrained(run.path / method_of(settings.to_dict()).artifact)  # with the sentinels that were added
    after = measured(completer, spots, plain, progress)
    made = compared(spots, plain, before, after, completer.sentinels.added)
    notes = [] if parts["guiding"] else [ONE_FILE]
    notes += [FEW_FILES] if len(measures) < FEWEST_GROUPS else []
    made = replace(made, notes=(*made.notes, *notes))
    run.write_json("scores.json", {"before": before, "after": after, "comparison": made})
    return made


def divided(heldout_files: Sequence[CodeFile]) -> tuple[list[CodeFile], list[CodeFile]]:
    """The held-out files that choose the weights, and those that measure: long and short ones in either; a single file does both."""
    ordered = sorted(heldout_files, key=lambda file: len(file.text), reverse=True)
    return guiding(ordered), testing(ordered)


def encoded(
    settings: Settings, train_files: Sequence[CodeFile], guides: Sequence[CodeFile], measures: Sequence[CodeFile]
) -> tuple[Code, list[tuple[str, Any]]]:
    """The task, and some rows of the measuring files from left to right, each with its file, for the perplexity."""
    tokenizer = load_tokenizer(locate(settings.model.base))
    sentinels = find_sentinels(tokenizer)
    limit, seed = min(settings.training.max_length, context_length(outline(settings.model.base))), settings.training.seed
    rows, heldout = (rows_of(tokenizer, sentinels, files, limit, settings.code.fim_rate, seed) for files in (train_files, guides))
    plain = [(f.path, row) for f in measures for row in rows_of(tokenizer, sentinels, [f], limit, 0.0, seed)]
    if not rows or not plain:
        raise ExampleError("There is too little code to learn from and to measure with", "Name a larger code base.")
    prepare = partial(make_room, tokenizer=tokenizer, sentinels=sentinels)
    new = sentinels.marks if sentinels.added and settings.code.fim_rate else ()
    task = Code(rows, spread(heldout, HELDOUT_ROWS), prepare, new, settings.training.label_smoothing)
    return task, spread(plain, HELDOUT_ROWS)


def measure_base(
    run: Run, settings: Settings, spots: Sequence[Spot], plain: Sequence[tuple[str, Any]], progress: Progress
) -> dict[str, Any]:
    """What the untouched base makes of the gaps and rows: what `before.json` says where it is about these very ones, or else anew."""
    rows = [[path, row.ids.tolist()] for path, row in plain]
    asked = hashlib.sha256(to_json([list(spots), rows]).encode()).hexdigest()
    known: dict[str, Any] = run.read_json("before.json") if (run.path / "before.json").is_file() else {}
    if known.get("asked") != asked:
        known = {"asked": asked, **measured(base_completer(settings, progress), spots, plain, progress)}
        run.write_json("before.json", known)
    return known


def base_completer(settings: Settings, progress: Progress) -> Completer:
    """The untouched base."""
    base = locate(settings.model.base, progress)
    device, dtype = settings.model.resolve()
    tokenizer = load_tokenizer(base)
    sentinels = find_sentinels(tokenizer)
    return Completer(load_model(base, dtype=dtype, device=device), tokenizer, sentinels, knows_gaps=not sentinels.added)


def draw_spots(files: Sequence[CodeFile], kind: str, count: int, seed: int) -> list[Spot]:
    """At most `count` gaps of a kind, the files in turn."""
    found = list[Spot]()
    draws = random.Random(f"{seed} {kind}")
    places = {file.path: draws.sample(ok, len(ok)) for file in files if (ok := _places(file.text.split("\n")))}
    by_path = {file.path: file for file in files}
    while len(found) < count and any(places.values()):
        for path in [path for path, left in places.items() if left][: count - len(found)]:
            found.append(_spot(by_path[path], places[path].pop(), kind, draws))
    return found


def _places(lines: Sequence[str]) -> list[int]:
    """The numbers (from 0) of lines that say something."""
    return [i for i, line in enumerate(lines) if i >= EARLIEST and sum(c.isalnum() for c in line) >= 4]


def _spot(file: CodeFile, first: int, kind: str, draws: random.Random) -> Spot:
    lines = file.text.split("\n")
    last = first + (1 if kind == NEXT_LINE else draws.randint(1, MOST_LINES))
    before = "".join(f"{line}\n" for line in lines[:first])
    after = "" if kind == NEXT_LINE else "\n" + "\n".join(lines[last:])
    return Spot(kind, file.path, first + 1, before, after, "\n".join(lines[first:last]))


def measured(completer: Completer, spots: Sequence[Spot], plain: Sequence[tuple[str, Any]], progress: Progress) -> dict[str, Any]:
    """What a model writes into each gap, cut to as many lines as are missing, and its loss on held-out rows by file."""
    replies = []
    for kind, stop in ((NEXT_LINE, ("\n",)), (MIDDLE, ())):
        here = [s for s in spots if s.kind == kind]
        gaps = [Gap(s.before, s.after, s.file) for s in here]
        made = completer.complete_many(gaps, max_new_tokens=NEW_TOKENS, stop=stop, progress=progress)
        replies += ["\n".join(c.text.split("\n")[: s.wanted.count("\n") + 1]) for c, s in zip(made, here, strict=True)]
    with progress.stage("Reading held-out files"):
        losses = row_losses(completer, [row for _, row in plain])
    return {"replies": replies, "losses": losses}


def row_losses(completer: Completer, rows: Sequence[Any]) -> list[tuple[float, int]]:
    """Summed loss and number of tokens of each row."""
    task = Code(rows, (), lambda model: None)
    found: dict[int, tuple[float, int]] = {}
    with torch.no_grad():
        for group in micro_batches(range(len(rows)), [len(row) for row in rows], 1):  # one row at a time: each has its own figure
            loss = task.loss(completer.model, [rows[i] for i in group])
            found[group[0]] = (float(loss.total), loss.count)
    return [found[i] for i in range(len(rows))]


def compared(spots: Sequence[Spot], plain: Sequence[tuple[str, Any]], before: Any, after: Any, added: bool) -> Comparison:
    """All scores side by side; intervals are over files."""
    lines = []
    for kind in (NEXT_LINE, MIDDLE):
        numbers = [i for i, s in enumerate(spots) if s.kind == kind]
        here, columns = [spots[i] for i in numbers], [[each["replies"][i] for i in numbers] for each in (before, after)]
        for title, score in (("exact match", exact), ("edit similarity", similar)):
            lines.append(_line(f"{kind}: {title}", score, here, columns))
        lines.append(_line(f"{kind}: no new syntax error", syntax_valid, here, columns))
    files = [path for path, _ in plain]
    lines.append(perplexities([each["losses"] for each in (before, after)], files))
    notes = ["Completions are cut to as many lines as are missing; intervals are drawn over files."]
    if added:
        notes.append("The untouched model has no sentinels for gaps, so of a middle it sees only what stands before.")
    if all(line.base.value is None for line in lines if "syntax" in line.score):
        notes.append("Syntax was not checked: no grammar of this language is installed (pip install tree-sitter-LANGUAGE).")
    kept = tuple(line for line in lines if line.base.value is not None)
    return Comparison(f"{len(spots)} gaps in {len({s.file for s in spots})} held-out files", "untouched", "fine-tuned", kept, tuple(notes))


def _line(title: str, score: Callable[[Spot, str], float | None], spots: Sequence[Spot], columns: Sequence[Sequence[str]]) -> Line:
    files = [s.file for s in spots]
    base, tuned = ([score(s, reply) for s, reply in zip(spots, replies, strict=True)] for replies in columns)
    known = [i for i in range(len(spots)) if base[i] is not None and tuned[i] is not None]
    values = np.array([[base[i], tuned[i]] for i in known], float).reshape(-1, 2)
    asked = [files[i] for i in known]
    difference = mean_of(values[:, 1] - values[:, 0], asked, is_difference=True)
    return Line(title, mean_of(values[:, 0], asked), mean_of(values[:, 1], asked), difference)


def exact(spot: Spot, reply: str) -> float:
    """Whether it is what stands there, but for white space around lines."""
    return float([line.strip() for line in reply.strip().split("\n")] == [line.strip() for line in spot.wanted.strip().split("\n")])


def similar(spot: Spot, reply: str) -> float:
    """One minus the edit distance as a share of the longer text."""
    from rapidfuzz.distance import Levenshtein

    return float(Levenshtein.normalized_similarity(reply.strip(), spot.wanted.strip()))


def syntax_valid(spot: Spot, reply: str) -> float | None:
    """Whether the file with the reply in the gap has no more syntax errors than as it was; None without a grammar.

    Where a next line was asked for, the file ends with it.
    """
    names = language_of(Path(spot.file).name)
    whole, now = (syntax_errors(spot.before + text + spot.after, names[0]) for text in (spot.wanted, reply))
    return None if whole is None or now is None else float(now <= whole)


def syntax_errors(text: str, language: str) -> int | None:
    """How many errors a tree-sitter parser finds; None where none that fits is installed for the language."""
    parser = parser_of(language.replace("-", "_"))
    if parser is None:
        return None
    nodes, errors = [parser.parse(text.encode()).root_node], 0
    while nodes:
        node = nodes.pop()
        errors += node.is_error or node.is_missing
        nodes += node.children if node.has_error else []
    return errors


def parser_of(language: str) -> Any | None:
    """A tree-sitter parser for a language; None where its grammar is not installed, or is one for another tree-sitter."""
    try:
        from tree_sitter import Language, Parser

        grammar = importlib.import_module(f"tree_sitter_{language}")
        # Packages with several grammars, such as TypeScript's and PHP's, name each.
        found = getattr(grammar, "language", None) or getattr(grammar, f"language_{language}", None)
        return Parser(Language(found())) if found else None
    except (ImportError, ValueError):
        return None


def perplexities(columns: Sequence[Sequence[Sequence[float]]], files: Sequence[str]) -> Line:
    """The perplexity of base and tuned model over all tokens, intervals over files; `columns` hold loss and tokens of each row."""

    def both(rows: Any) -> tuple[float, float, float]:
        base, tuned = (float(np.exp(losses[rows, 0].sum() / losses[rows, 1].sum())) for losses in tables)
        return base, tuned, tuned - base

    tables = [np.array(losses, float) for losses in columns]
    drawn = np.array([both(rows) for rows in resampled(files)]).reshape(-1, 3)
    return Line("perplexity of held-out files", *map(with_interval, both(slice(None)), drawn.T))


def told(files: Sequence[CodeFile], skipped: int, licences: Sequence[str], parts: dict[str, list[CodeFile]], progress: Progress) -> None:
    """Note what is learned from, and under which licences."""
    languages = Counter(file.language for file in files)
    progress.note(f"{len(files)} source files: " + ", ".join(f"{name} {count}" for name, count in languages.most_common()) + ".")
    if skipped:
        progress.note(f"{skipped} files are left out (skipped.jsonl says why).")
    held = [file.path for part in ("heldout", "guiding") for file in parts[part]]
    progress.note(f"{len(held)} files are held out: {', '.join(held[:5])}{' …' if len(held) > 5 else ''}.")
    progress.note(f"{len(parts['heldout'])} of them measure, the others choose the weights." if parts["guiding"] else ONE_FILE)
    if licences:
        progress.note(f"Licence files: {', '.join(licences)}. What a model writes may repeat code under these licences.")


def write_pages(run: Run) -> None:
    """The report of the run, one self-contained page, and its model card."""
    write_completion_report(run)
    write_text(run.path / "README.md", task_card(run, "text-generation"))


def _row(file: CodeFile, part: str) -> dict[str, Any]:
    row = asdict(file)
    return {"part": part, "characters": len(row.pop("text")), **row}
