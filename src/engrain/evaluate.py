"""Evaluation: the same questions put to every way of answering (a column), and what the differences are worth.

Intervals are 95% bootstrap intervals. A share of right answers drawn again with replacement is binomial and a paired
difference multinomial, so both are drawn from those directly, with a fixed seed. Where all or none are right there is
nothing to draw, and the exact bound of Clopper and Pearson (1934) stands instead.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from engrain.errors import ExampleError, SettingError
from engrain.examples import Question
from engrain.progress import SILENT, Progress
from engrain.words import canonical, holds, refused

BASE, BASE_RETRIEVAL, TUNED, TUNED_RETRIEVAL = COLUMNS = ("base", "base+retrieval", "tuned", "tuned+retrieval")
PAIRS = ((TUNED, BASE), (TUNED_RETRIEVAL, BASE_RETRIEVAL))
UNANSWERABLE, GENERAL = "unanswerable", "general"
DRAWS, SEED, TAIL = 10_000, 0, 0.025

Ask = Callable[[Sequence[Question]], list[str]]


@dataclass(frozen=True)
class Outcome:
    """One reply to one question; `right` for an unanswerable question means that it was declined."""

    question: Question
    reply: str
    right: bool
    refused: bool


@dataclass(frozen=True)
class Share:
    """`right` of `count`, with the 95% interval of the share."""

    right: int
    count: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share; 0 of nothing is 0."""
        return self.right / self.count if self.count else 0.0


@dataclass(frozen=True)
class Comparison:
    """What `new` gets right and `old` does not (`won`, question ids), the other way round (`lost`), and what it is worth.

    `difference` is that of the shares of right answers, `p_value` that of McNemar's exact test.
    """

    new: str
    old: str
    won: tuple[str, ...]
    lost: tuple[str, ...]
    difference: float
    low: float
    high: float
    p_value: float

    @property
    def is_better(self) -> bool:
        """Whether `new` is better by more than chance explains."""
        return self.low > 0 and self.p_value < 2 * TAIL

    @property
    def is_worse(self) -> bool:
        """Whether `new` is worse by more than chance explains."""
        return self.high < 0 and self.p_value < 2 * TAIL


@dataclass(frozen=True)
class Evaluation:
    """The outcomes by column, and the `perplexity` of plain text by model (base, tuned); all scores follow from these."""

    outcomes: Mapping[str, tuple[Outcome, ...]]
    perplexity: Mapping[str, float] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns there are, in their usual order."""
        return tuple(name for name in COLUMNS if name in self.outcomes)

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        """Every question once."""
        return tuple({o.question.id: o.question for column in self.columns for o in self.outcomes[column]}.values())

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of questions whose answers the documents hold, in the order they come."""
        return tuple(dict.fromkeys(q.kind for q in self.questions if q.kind not in (UNANSWERABLE, GENERAL)))

    def accuracy(self, column: str, kind: str = "") -> Share:
        """The share of right answers to questions of a kind; without one, to all whose answers the documents hold."""
        kinds = (kind,) if kind else self.kinds
        return share([o.right for o in self.outcomes.get(column, ()) if o.question.kind in kinds])

    def falsely_declined(self, column: str) -> Share:
        """The share of questions that were declined although the documents hold the answer."""
        return share([o.refused and not o.right for o in self.outcomes.get(column, ()) if o.question.kind in self.kinds])

    def retention(self) -> Share:
        """Of the general questions that the base gets right, the share that the tuned model still gets right."""
        known = {o.question.id for o in self.outcomes.get(BASE, ()) if o.question.kind == GENERAL and o.right}
        return share([o.right for o in self.outcomes.get(TUNED, ()) if o.question.id in known])

    @property
    def perplexity_ratio(self) -> float | None:
        """The tuned model's perplexity on plain text as a multiple of the base's; None where it was not measured."""
        base, tuned = self.perplexity.get(BASE), self.perplexity.get(TUNED)
        return tuned / base if base and tuned else None

    def compare(self, new: str, old: str) -> Comparison:
        """What `new` wins and loses against `old` on the questions whose answers the documents hold."""
        before = {o.question.id: o.right for o in self.outcomes.get(old, ())}
        pairs = [
            (o.question.id, o.right, before[o.question.id])
            for o in self.outcomes.get(new, ())
            if o.question.kind in self.kinds and o.question.id in before
        ]
        won = tuple(key for key, now, then in pairs if now and not then)
        lost = tuple(key for key, now, then in pairs if then and not now)
        low, high = _difference_interval(len(won), len(lost), len(pairs))
        difference = (len(won) - len(lost)) / len(pairs) if pairs else 0.0
        return Comparison(new, old, won, lost, difference, low, high, mcnemar(len(won), len(lost)))

    def comparisons(self) -> tuple[Comparison, ...]:
        """Tuned against base, without and with retrieval, as far as both were asked."""
        return tuple(self.compare(new, old) for new, old in PAIRS if new in self.outcomes and old in self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """`evaluation.json`: scores and comparisons for readers, and per question the reply of every column."""
        replies = {column: {o.question.id: _reply(o) for o in self.outcomes[column]} for column in self.columns}
        rows = [
            {**asdict(q), "replies": {column: replies[column][q.id] for column in self.columns if q.id in replies[column]}}
            for q in self.questions
        ]
        return {
            "scores": {column: self._scores(column) for column in self.columns},
            "retention": _share_row(self.retention()),
            "perplexity": dict(self.perplexity),
            "perplexity_ratio": self.perplexity_ratio,
            "comparisons": [asdict(comparison) for comparison in self.comparisons()],
            "questions": rows,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Evaluation:
        """The evaluation that `to_dict` wrote; scores are computed anew from the replies."""
        outcomes: dict[str, list[Outcome]] = {}
        for row in value["questions"]:
            question = Question(row["id"], row["question"], tuple(row["answers"]), row["kind"], row["source"])
            for column, reply in row["replies"].items():
                outcomes.setdefault(column, []).append(Outcome(question, **reply))
        return cls({column: tuple(found) for column, found in outcomes.items()}, value.get("perplexity", {}))

    def _scores(self, column: str) -> dict[str, Any]:
        shares = {"all": self.accuracy(column), **{kind: self.accuracy(column, kind) for kind in (*self.kinds, UNANSWERABLE, GENERAL)}}
        shares["falsely_declined"] = self.falsely_declined(column)
        return {name: _share_row(found) for name, found in shares.items() if found.count}


def evaluate(
    columns: Mapping[str, Ask], questions: Sequence[Question], progress: Progress = SILENT, perplexity: Mapping[str, float] | None = None
) -> Evaluation:
    """Every question put to every column, and graded.

    General questions measure the model, not the documents, so columns with retrieval are not asked them. Raises
    ExampleError that lists the questions that cannot be graded, because they have no accepted answer.
    """
    unknown = sorted(set(columns) - set(COLUMNS))
    if unknown:
        raise SettingError(f"columns={', '.join(unknown)}: not known", f"Choose among {', '.join(COLUMNS)}.")
    ungradable = [f"{q.id}: {q.question}" for q in questions if not q.answers and q.kind != UNANSWERABLE]
    if ungradable:
        raise ExampleError("These questions have no accepted answer:", 'Add "answers", or "kind": "unanswerable".', ungradable)
    outcomes = {}
    with progress.stage("Comparing the ways to answer", len(columns), "ways") as stage:
        for column in sorted(columns, key=COLUMNS.index):
            asked = [q for q in questions if q.kind != GENERAL or column in (BASE, TUNED)]
            outcomes[column] = tuple(score(asked, columns[column](asked)))
            stage.advance(1)
    return Evaluation(outcomes, dict(perplexity or {}))


def score(questions: Sequence[Question], replies: Sequence[str]) -> list[Outcome]:
    """The graded replies, in the order of the questions."""
    assert len(questions) == len(replies), f"{len(replies)} replies to {len(questions)} questions"
    return [_outcome(question, reply) for question, reply in zip(questions, replies, strict=True)]


def matches(reply: str, answers: Iterable[str]) -> bool:
    """Whether a reply contains one of the accepted answers, whatever case and spelling, at word boundaries.

    '£85' is not in '£850', nor 'four' in 'twenty-four', nor '5' in '5.50'; 'three' is in 'It takes 3 days'.
    """
    said = canonical(reply)
    return any(holds(said, canonical(answer)) for answer in answers)


def share(right: Sequence[bool]) -> Share:
    """The share of true values with its interval; nothing known of an empty one (0 to 1)."""
    count, hits = len(right), sum(right)
    if count == 0:
        return Share(0, 0, 0.0, 1.0)
    if hits in (0, count):
        bound = TAIL ** (1 / count)
        return Share(hits, count, bound if hits else 0.0, 1.0 if hits else 1 - bound)
    drawn = np.random.default_rng(SEED).binomial(count, hits / count, DRAWS) / count
    low, high = np.quantile(drawn, (TAIL, 1 - TAIL))
    return Share(hits, count, float(low), float(high))


def mcnemar(won: int, lost: int) -> float:
    """The two-sided p-value of McNemar's exact test: how likely so uneven a split is if neither side is better."""
    changed = won + lost
    tail = sum(math.comb(changed, k) for k in range(min(won, lost) + 1))
    return min(1.0, float(2 * tail / 2**changed))


def read_questions(path: Path) -> list[Question]:
    """The questions of a JSONL file, or of a CSV file with columns question and answer (id, kind, source as well).

    Several accepted answers in one CSV cell are separated by |. Raises ExampleError that names every bad line.
    """
    if not path.is_file():
        raise SettingError(f"There is no file {path}.", "Give a JSONL or CSV file of questions.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExampleError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}).", "Save it as UTF-8.") from None
    rows = _csv_rows(text) if path.suffix.lower() == ".csv" else _jsonl_rows(text)
    questions, problems, seen = [], [], dict[str, int]()
    for number, row in rows:
        problem = row if isinstance(row, str) else _fault(row)
        if not problem:
            question = _question(row, number)
            problem = f"id {question.id!r} stands in line {seen[question.id]} already" if question.id in seen else ""
            seen.setdefault(question.id, number)
            questions.append(question)
        if problem:
            problems.append(f"{path}:{number}: {problem}")
    if problems:
        raise ExampleError(f"{path}: {len(problems)} lines cannot be used:", "Mend them and start again.", problems)
    if not questions:
        raise ExampleError(f"{path} holds no questions.", 'Write one a line: {"id": "1", "question": "…", "answers": ["…"]}')
    return questions


Rows = Iterable[tuple[int, Any]]


def _jsonl_rows(text: str) -> Rows:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                yield number, f"not valid JSON: {error.msg} at column {error.colno}"


def _csv_rows(text: str) -> Rows:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if "question" not in (reader.fieldnames or ()):
        yield 1, f"no column named question (columns: {', '.join(reader.fieldnames or ('none',))})"
        return
    try:
        for row in reader:
            cells = {
                name: value.strip() for name, value in row.items() if isinstance(name, str) and isinstance(value, str) and value.strip()
            }
            answers = cells.pop("answers", cells.pop("answer", ""))
            yield reader.line_num, cells | {"answers": [part.strip() for part in answers.split("|") if part.strip()]}
    except csv.Error as error:
        yield reader.line_num, f"not valid CSV: {error}"


def _fault(row: Any) -> str:
    """What is wrong with a row, or an empty string."""
    if not isinstance(row, dict):
        return f"a row must be an object, not {type(row).__name__}"
    if not isinstance(row.get("question"), str) or not row["question"].strip():
        return '"question" must be text'
    answers = row.get("answers", [])
    if not isinstance(answers, list) or not all(isinstance(answer, str) and answer.strip() for answer in answers):
        return '"answers" must be a list of texts'
    if not isinstance(row.get("id", ""), str | int):
        return '"id" must be text'
    return next((f'"{name}" must be text' for name in ("kind", "source") if not isinstance(row.get(name, ""), str)), "")


def _question(row: Mapping[str, Any], number: int) -> Question:
    kind = row.get("kind") or Question("", "", ()).kind
    return Question(str(row.get("id", number)), row["question"].strip(), tuple(row.get("answers", ())), kind, row.get("source", ""))


def _outcome(question: Question, reply: str) -> Outcome:
    declined = refused(reply)
    return Outcome(question, reply, declined if question.kind == UNANSWERABLE else matches(reply, question.answers), declined)


def _difference_interval(won: int, lost: int, count: int) -> tuple[float, float]:
    if count == 0:
        return -1.0, 1.0
    drawn = np.random.default_rng(SEED).multinomial(count, (won / count, lost / count, (count - won - lost) / count), DRAWS)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / count, (TAIL, 1 - TAIL))
    return float(low), float(high)


def _reply(outcome: Outcome) -> dict[str, Any]:
    return {"reply": outcome.reply, "right": outcome.right, "refused": outcome.refused}


def _share_row(found: Share) -> dict[str, Any]:
    return {"share": found.value, **asdict(found)}
