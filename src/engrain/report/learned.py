"""What a run was taught and what it recalls, document by document: facts, questions about each, what was dropped, the mix."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engrain.by_heart import FILE as BY_HEART
from engrain.evaluate import TUNED, Evaluation, Outcome, Share, share
from engrain.run import Run
from engrain.words import canonical

NOT_ASKED, RECALLED, PARTLY, MISSED = "not asked", "recalled", "not always", "not recalled"
SAMPLES = 3
"""Questions shown of those practised, and of those dropped for each reason."""

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Recall:
    """A fact, how many questions practised it, and whether the tuned model gave its value when it was asked in other words.

    `by_heart` says whether it gave it in the words that were practised most; None where nothing asked for the fact.
    """

    about: str
    value: str
    questions: int
    state: str
    edited: bool
    by_heart: bool | None = None


@dataclass(frozen=True)
class Dropped:
    """How many questions about a document were dropped for a reason, and some of them."""

    reason: str
    count: int
    samples: tuple[str, ...]


@dataclass(frozen=True)
class Learned:
    """A document's facts with their recall, `practised` questions about them with samples, and what was dropped."""

    file: str
    facts: tuple[Recall, ...]
    practised: int
    samples: tuple[str, ...]
    dropped: tuple[Dropped, ...]

    @property
    def each(self) -> float:
        """Questions practised a fact."""
        return self.practised / len(self.facts) if self.facts else 0.0

    def count(self, state: str) -> int:
        """How many facts are in a state of recall."""
        return sum(fact.state == state for fact in self.facts)

    @property
    def by_heart(self) -> Share:
        """How many of the facts are known by heart."""
        return share([fact.by_heart for fact in self.facts if fact.by_heart is not None])

    @property
    def asked(self) -> int:
        """How many facts were asked for."""
        return len(self.facts) - self.count(NOT_ASKED)


@dataclass(frozen=True)
class Part:
    """A kind of example in the mix: how many, their tokens, and the `graded` ones, which loss is taken on, with their share."""

    kind: str
    examples: int
    tokens: int
    graded: int
    share: float


def learned(run: Run, evaluation: Evaluation | None) -> list[Learned]:
    """A row for each document with facts, in the order of the documents; none where a run has no facts."""
    facts = [row for row in run.read_rows("facts.jsonl") if "section" in row]
    trained = [row for row in run.each_row("examples/train.jsonl") if row.get("fact") and row.get("repeats", 1)] if facts else []
    practised, dropped = by(trained, "fact"), by(run.read_rows("dropped.jsonl"), "section", "#")
    outcomes = asked_by_fact(facts, run.read_rows("examples/heldout.jsonl"), evaluation)
    known = {row["fact"]: bool(row["known"]) for row in run.read_rows(BY_HEART)}
    found = []
    for file, own in by(facts, "section", "#").items():
        rows = [row for fact in own for row in practised.get(fact["id"], ())]
        recalls = tuple(recall(f, len(practised.get(f["id"], ())), outcomes.get(f["id"], ()), known.get(f["id"])) for f in own)
        found.append(Learned(file, recalls, len(rows), samples(rows), reasons(dropped.get(file, ()))))
    return found


def by(rows: Rows, key: str, cut: str = "") -> dict[str, list[Mapping[str, Any]]]:
    """The rows by the value of a key, or by what of it stands before `cut`."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        name = str(row.get(key, ""))
        groups[name.rpartition(cut)[0] if cut else name].append(row)
    return dict(groups)


def asked_by_fact(facts: Rows, heldout: Rows, evaluation: Evaluation | None) -> dict[str, list[Outcome]]:
    """Fact id → the tuned model's outcomes: by the held-out talk, else by the one fact that has the accepted value."""
    known = {asked(row): str(row.get("fact", "")) for row in heldout}
    values = Counter(canonical(fact["value"]) for fact in facts)
    unique = {canonical(fact["value"]): fact["id"] for fact in facts if values[canonical(fact["value"])] == 1}
    found: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in evaluation.outcomes.get(TUNED, ()) if evaluation else ():
        question = outcome.question
        talk = (*(earlier for earlier, _ in question.history), question.question)
        ids = [known.get(talk, ""), *(unique.get(canonical(answer), "") for answer in question.answers)]
        if fact := next(filter(None, ids), ""):
            found[fact].append(outcome)
    return found


def recall(fact: Mapping[str, Any], questions: int, outcomes: Sequence[Outcome], known: bool | None) -> Recall:
    """A fact's row: recalled where every question about it was answered right."""
    right = sum(outcome.right for outcome in outcomes)
    state = NOT_ASKED if not outcomes else RECALLED if right == len(outcomes) else PARTLY if right else MISSED
    relation, subject = str(fact["relation"]), str(fact.get("subject", ""))
    about = relation if "___" in relation or relation.endswith(("?", ".")) else f"{subject}: {relation}"
    return Recall(about, str(fact["value"]), questions, state, bool(fact.get("edited")), known)


def asked(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The questions of an example's row, one after the other."""
    return tuple(str(turn["content"]) for turn in row.get("messages", ()) if turn["role"] == "user")


def samples(rows: Rows) -> tuple[str, ...]:
    """Some questions of the rows, from beginning to end."""
    found = list(dict.fromkeys("".join(asked(row)[-1:]) for row in rows if row.get("kind") in ("question", "reverse", "two")))
    return tuple(found[:: max(1, len(found) // SAMPLES)][:SAMPLES])


def reasons(rows: Rows) -> tuple[Dropped, ...]:
    """What was dropped, by reason, the most frequent first."""
    groups = by(rows, "reason")
    found = [Dropped(reason, len(own), tuple(str(row["text"]) for row in own[:SAMPLES])) for reason, own in groups.items()]
    return tuple(sorted(found, key=lambda one: -one.count))


def mix(info: Mapping[str, Any]) -> list[Part]:
    """The kinds of examples that were practised, by the tokens that loss is taken on; empty where the run does not say."""
    kinds = info.get("mix", {})
    total = sum(row["graded"] for row in kinds.values())
    parts = [Part(kind, row["examples"], row["tokens"], row["graded"], row["graded"] / max(1, total)) for kind, row in kinds.items()]
    return sorted(parts, key=lambda part: -part.graded)
