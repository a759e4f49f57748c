"""Evaluation: the same questions put to every way of answering (a column), and what the differences are worth.

Intervals are 95% intervals in closed form, good also where nearly all or none are right: Wilson's (1927) for a share, and
that of Agresti and Min (Statistics in Medicine 24, 2005) for the difference of two shares on the same questions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from engrain.comparison import Z, wilson
from engrain.errors import ExampleError, SettingError
from engrain.examples import Question, messages_of, talk
from engrain.progress import SILENT, Progress
from engrain.rows import Row, parse_rows
from engrain.words import canonical, holds, refused

BASE, BASE_RETRIEVAL, TUNED, TUNED_RETRIEVAL = COLUMNS = ("base", "base+retrieval", "tuned", "tuned+retrieval")
PAIRS = ((TUNED, BASE), (TUNED_RETRIEVAL, BASE_RETRIEVAL))
UNANSWERABLE, GENERAL, FOLLOW_UP = "unanswerable", "general", "follow-up"
ANSWERABLE, HANDLED = "all answerable", "right or rightly declined"
"""Rows of a table of scores: all that the documents answer, and with them what is right to decline."""
ALONE = "tuned, alone"
"""The tuned model by itself, as it is when it is exported: no gate hands everyday questions to the base, nothing rewrites others."""
SIGNIFICANT = 0.05
"""A p-value below which a difference counts as one."""

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

    `difference` is that of the shares of right answers, `p_value` that of McNemar's exact test. The test is the stricter one: where it
    finds a difference the interval from `low` to `high` leaves out 0, and fewer than six questions won or lost never make one.
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
        return self.low > 0 and self.p_value < SIGNIFICANT

    @property
    def is_worse(self) -> bool:
        """Whether `new` is worse by more than chance explains."""
        return self.high < 0 and self.p_value < SIGNIFICANT


@dataclass(frozen=True)
class Evaluation:
    """The outcomes by column, and the `perplexity` of plain text by column (base, tuned); all scores follow from these.

    `alone` holds what the tuned model replies by itself (ALONE), where it is not asked by itself otherwise.
    """

    outcomes: Mapping[str, tuple[Outcome, ...]]
    perplexity: Mapping[str, float] = field(default_factory=dict)
    alone: tuple[Outcome, ...] = ()

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
        return share([o.right for o in self._of(column) if o.question.kind in kinds])

    def handled(self, column: str) -> Share:
        """The share of all questions to the documents that got the reply they should: a right answer, or none where there is none."""
        return share([o.right for o in self._of(column) if o.question.kind in (*self.kinds, UNANSWERABLE)])

    def table(self) -> dict[str, dict[str, Share]]:
        """Rows by name, each with a Share by column: all answerable questions, each kind of them, unanswerable, both together, general.

        A row that says what another one says is left out, and so is one of nothing; a column that was not asked has an empty Share.
        """
        rows = {kind: {c: self.accuracy(c, kind) for c in self.columns} for kind in (*self.kinds, UNANSWERABLE)}
        rows = {kind: shares for kind, shares in rows.items() if any(share.count for share in shares.values())}
        answerable = {ANSWERABLE: {c: self.accuracy(c) for c in self.columns}} if len(self.kinds) > 1 else {}
        handled = {HANDLED: {c: self.handled(c) for c in self.columns}} if self.kinds and UNANSWERABLE in rows else {}
        general = {GENERAL: {c: self.accuracy(c, GENERAL) for c in self.columns}}
        asked = any(share.count for share in general[GENERAL].values())
        return {**answerable, **rows, **handled, **(general if asked else {})}

    def falsely_declined(self, column: str) -> Share:
        """The share of questions that were declined although the documents hold the answer."""
        return share([o.refused and not o.right for o in self._of(column) if o.question.kind in self.kinds])

    def known_before(self, column: str = TUNED) -> list[Outcome]:
        """What becomes of the general questions that the base gets right."""
        known = {o.question.id for o in self.outcomes.get(BASE, ()) if o.question.kind == GENERAL and o.right}
        return [o for o in self._of(column) if o.question.id in known]

    def retention(self, column: str = TUNED) -> Share:
        """Of the general questions that the base gets right, the share that the tuned model still gets right."""
        return share([o.right for o in self.known_before(column)])

    def perplexity_ratio(self, column: str = TUNED) -> float | None:
        """The tuned model's perplexity on plain text as a multiple of the base's; None where it was not measured."""
        by_itself = self.perplexity.get(TUNED) if column == ALONE else None  # where there is no gate
        base, tuned = self.perplexity.get(BASE), self.perplexity.get(column, by_itself)
        return tuned / base if base and tuned else None

    def compare(self, new: str, old: str, declining: bool = False) -> Comparison:
        """What `new` wins and loses against `old` on the questions whose answers the documents hold; with `declining` on the others too."""
        kinds = (*self.kinds, UNANSWERABLE) if declining else self.kinds
        before, after = ({o.question.id: o.right for o in self.outcomes.get(name, ()) if o.question.kind in kinds} for name in (old, new))
        return compared(new, old, after, before)

    def comparisons(self) -> tuple[Comparison, ...]:
        """Tuned against base, without and with retrieval, as far as both were asked."""
        return tuple(self.compare(new, old) for new, old in PAIRS if new in self.outcomes and old in self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """`evaluation.json`: scores and comparisons for readers, and per question the reply of every column."""
        replies = {column: {o.question.id: _reply(o) for o in self.outcomes[column]} for column in self.columns}
        rows = [
            {**_question_row(q), "replies": {column: replies[column][q.id] for column in self.columns if q.id in replies[column]}}
            for q in self.questions
        ]
        return {
            "scores": {column: self._scores(column) for column in self.columns},
            "retention": _share_row(self.retention()),
            "perplexity": dict(self.perplexity),
            "perplexity_ratio": self.perplexity_ratio(),
            **({"alone": self._alone()} if self.alone else {}),
            "comparisons": [asdict(comparison) for comparison in self.comparisons()],
            "questions": rows,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Evaluation:
        """The evaluation that `to_dict` wrote; scores are computed anew from the replies."""
        outcomes: dict[str, list[Outcome]] = {}
        for row in value["questions"]:
            history = tuple((asked, said) for asked, said in row.get("history", ()))
            question = Question(
                row["id"], row["question"], tuple(row["answers"]), row["kind"], row["source"], history, row.get("system", "")
            )
            for column, reply in row["replies"].items():
                outcomes.setdefault(column, []).append(Outcome(question, **reply))
        questions = {o.question.id: o.question for found in outcomes.values() for o in found}
        replies = value.get("alone", {}).get("replies", {})
        alone = tuple(Outcome(questions[name], **reply) for name, reply in replies.items())
        return cls({column: tuple(found) for column, found in outcomes.items()}, value.get("perplexity", {}), alone)

    def _of(self, column: str) -> tuple[Outcome, ...]:
        return self.alone if column == ALONE else self.outcomes.get(column, ())

    def _alone(self) -> dict[str, Any]:
        return {
            "scores": self._scores(ALONE),
            "retention": _share_row(self.retention(ALONE)),
            "perplexity_ratio": self.perplexity_ratio(ALONE),
            "replies": {o.question.id: _reply(o) for o in self.alone},
        }

    def _scores(self, column: str) -> dict[str, Any]:
        shares = {"all": self.accuracy(column), **{kind: self.accuracy(column, kind) for kind in (*self.kinds, UNANSWERABLE, GENERAL)}}
        shares |= {"handled": self.handled(column), "falsely_declined": self.falsely_declined(column)}
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
    check_gradable(questions)
    outcomes = {}
    with progress.stage("Comparing the ways to answer", len(columns), "ways") as stage:
        for column in sorted(columns, key=COLUMNS.index):
            asked = [q for q in questions if q.kind != GENERAL or column in (BASE, TUNED)]
            outcomes[column] = tuple(score(asked, columns[column](asked)))
            stage.advance(1)
    return Evaluation(outcomes, dict(perplexity or {}))


def check_gradable(questions: Sequence[Question]) -> None:
    """Raise ExampleError that lists the questions which no reply could be held against."""
    ungradable = [f"{q.id}: {q.question}" for q in questions if not q.answers and q.kind != UNANSWERABLE]
    if ungradable:
        raise ExampleError("These questions have no accepted answer:", 'Add "answers", or "kind": "unanswerable".', ungradable)


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
    return Share(sum(right), len(right), *wilson(sum(right), len(right)))


def compared(new: str, old: str, after: Mapping[str, bool], before: Mapping[str, bool]) -> Comparison:
    """What `new` wins and loses against `old` on the questions that both were asked: id → whether the reply is right."""
    both = [key for key in after if key in before]
    won = tuple(key for key in both if after[key] and not before[key])
    lost = tuple(key for key in both if before[key] and not after[key])
    low, high = _difference_interval(len(won), len(lost), len(both))
    difference = (len(won) - len(lost)) / len(both) if both else 0.0
    return Comparison(new, old, won, lost, difference, low, high, mcnemar(len(won), len(lost)))


def mcnemar(won: int, lost: int) -> float:
    """The two-sided p-value of McNemar's exact test: how likely so uneven a split is if neither side is better."""
    changed = won + lost
    tail = sum(math.comb(changed, k) for k in range(min(won, lost) + 1))
    return min(1.0, float(2 * tail / 2**changed))


def read_questions(path: Path) -> list[Question]:
    """The questions of a JSONL file, or of a CSV file with columns question and answer (id, kind, source as well).

    A question that follows on others has `messages` in place of `question`: the talk, the question last. A question without
    an id gets its number. Several accepted answers in one cell are separated by |. Raises ExampleError that names every bad line.
    """
    if not path.is_file():
        raise SettingError(f"There is no file {path}.", "Give a JSONL or CSV file of questions.")
    seen: set[str] = set()

    def parse(row: Row) -> Question:
        question = _question(row.values, str(len(seen) + 1))
        if question.id in seen:
            raise ExampleError(f"the id {question.id!r} stands further up already")
        seen.add(question.id)
        return question

    return parse_rows(path, parse)


def _question(row: Mapping[str, Any], number: str) -> Question:
    """The question that a row holds; ExampleError says what is wrong with it."""
    given = {key: value for key, value in row.items() if value not in (None, "")}
    system, history, question = talk(messages_of(given)) if "messages" in given else ("", (), given.get("question"))
    if not isinstance(question, str) or not question.strip():
        raise ExampleError(f"it has no text under question (its columns are {', '.join(row) or 'none'})")
    answers = given.get("answers", given.get("answer", []))
    answers = [part.strip() for part in answers.split("|") if part.strip()] if isinstance(answers, str) else answers
    if not isinstance(answers, list) or not all(isinstance(answer, str) and answer.strip() for answer in answers):
        raise ExampleError("its answers must be texts, none of them empty")
    wrong = [name for name, kind in (("id", str | int), ("kind", str), ("source", str)) if not isinstance(given.get(name, ""), kind)]
    if wrong:
        raise ExampleError(f"its {wrong[0]} must be text")
    kind = given.get("kind", FOLLOW_UP if history else Question("", "", ()).kind)
    return Question(str(given.get("id", number)), question.strip(), tuple(answers), kind, given.get("source", ""), history, system)


def _question_row(question: Question) -> dict[str, Any]:
    return {name: value for name, value in asdict(question).items() if value or name not in ("history", "system")}


def _outcome(question: Question, reply: str) -> Outcome:
    declined = refused(reply)
    return Outcome(question, reply, declined if question.kind == UNANSWERABLE else matches(reply, question.answers), declined)


def _difference_interval(won: int, lost: int, count: int) -> tuple[float, float]:
    """The 95% interval of the difference of two shares, on the same `count` questions.

    Agresti and Min (2005): half a question is added to each of the four ways in which two answers can be right or wrong.
    """
    total, change = count + 2, won - lost
    width = Z * math.sqrt(won + lost + 1 - change**2 / total)
    return max(-1.0, (change - width) / total), min(1.0, (change + width) / total)


def _reply(outcome: Outcome) -> dict[str, Any]:
    return {"reply": outcome.reply, "right": outcome.right, "refused": outcome.refused}


def _share_row(found: Share) -> dict[str, Any]:
    return {"share": found.value, **asdict(found)}
