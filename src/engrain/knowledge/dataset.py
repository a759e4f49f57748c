"""The data set: facts become training examples and held-out questions, split by wording pattern, never by row."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engrain.examples import Example, Message
from engrain.knowledge.chains import chains
from engrain.knowledge.combine import profiles, true_or_false, two_facts
from engrain.knowledge.facts import Fact
from engrain.knowledge.followups import HELD_OUT, PATTERNS, follow_ups
from engrain.knowledge.forms import IN_CONTEXT, wordings
from engrain.knowledge.unknown import unanswerable
from engrain.knowledge.wording import STUDIED, Wording, normal
from engrain.settings import check, setting

MIN_WORDINGS = 3
"""Wordings that a fact keeps that is practised little, unless fewer are asked for."""
NUM_PLAINEST = 3
"""Wordings by rules that come before those of a model."""
MAX_REVERSE, MAX_TWO, MAX_OTHERS = 4, 2, 1
"""Rows of a fact that ask backwards, that need another fact too, and others that are no questions: gaps, telling, right or wrong."""
LEAST_REPEATS = 2
"""How often the only wording of an answer is practised at least, unless it asks whether a value is right."""
OWN_WORDS = 0.85
"""Share of the wordings that ask in words of their own; the rest are the same questions with a greeting before them."""
RIGHT_OR_WRONG = frozenset({"check-right", "check-wrong"})
"""The forms that ask whether a value is right: one pattern, of a fact both or none, so that yes is no likelier than no."""
PLAINEST = {"wh-0", "polar", "faq", "attribute-what", "check", *IN_CONTEXT}
"""The patterns that are always trained: how a question is asked first, and yes beside no."""
STUDIED_HELDOUT = 0.2
"""Share of a model's wordings that are kept for testing: they tell more of how people's questions fare than those by rules do."""


@dataclass(frozen=True)
class KnowledgeSettings:
    """How facts are turned into examples."""

    wordings: int = setting(14, "How many wordings of each fact to train on.")
    plainest: float = setting(
        0.6, "The share of a fact's questions that ask in its plainest wording; from memory, the others are asked as it."
    )
    heldout_patterns: float = setting(0.12, "The share of wording patterns that are kept for testing and never trained.")
    unanswerable: float = setting(0.08, "The share of examples whose right answer is that the documents do not say.")
    reverse: bool = setting(True, "Do not ask from the value back to the subject.", flag="--no-reverse")
    statements: bool = setting(True, "Do not practise telling all that is known about a subject, nor filling gaps.", flag="--no-statements")
    true_or_false: bool = setting(True, "Do not ask whether a right or a wrong value is right.", flag="--no-true-or-false")
    two_facts: bool = setting(True, "Do not ask questions that need two facts.", flag="--no-two-facts")
    follow_ups: bool = setting(False, "Practise questions that follow on one another (And on Sunday?).")

    def __post_init__(self) -> None:
        check(
            self,
            wordings=(self.wordings >= 1, "use at least 1"),
            plainest=(0 <= self.plainest <= 1, "use a share from 0 to 1"),
            heldout_patterns=(0 <= self.heldout_patterns <= 0.5, "use a share from 0 to 0.5"),
            unanswerable=(0 <= self.unanswerable <= 0.5, "use a share from 0 to 0.5"),
        )


@dataclass(frozen=True)
class Split:
    """Examples to train on, and held-out ones in wordings that none of those uses."""

    train: list[Example]
    heldout: list[Example]


@dataclass(frozen=True)
class Dropped:
    """A text that a model wrote about a section and that its check did not pass, with the reason in words."""

    section: str
    reason: str
    text: str


@dataclass(frozen=True)
class Studied:
    """What a model wrote: wordings by fact id, by section id questions that the documents do not answer, and what was dropped."""

    wordings: Mapping[str, Sequence[Wording]] = field(default_factory=dict)
    absent: Mapping[str, Sequence[str]] = field(default_factory=dict)
    dropped: Sequence[Dropped] = ()


@dataclass(frozen=True)
class Row:
    """A wording with the fact it practises, so many times in a pass."""

    wording: Wording
    fact: Fact | None
    repeats: int = 1


def make_examples(facts: Sequence[Fact], settings: KnowledgeSettings | None = None, seed: int = 0, studied: Studied | None = None) -> Split:
    """The training and held-out examples of facts; the same for the same facts, settings and seed.

    What a model has `studied` is trained first of all.
    """
    settings, studied = settings or KnowledgeSettings(), studied or Studied()
    rng = random.Random(seed)
    written = [Row(wording, fact) for fact in facts for wording in studied.wordings.get(fact.id, ())]
    rows = unambiguous([*written, *all_rows(facts, settings, rng)])
    kept_out = heldout_patterns(rows, settings.heldout_patterns, rng)
    written_out = set(rng.sample(range(len(written)), round(STUDIED_HELDOUT * len(written)))) if settings.heldout_patterns else set()
    prompts_out = {written[i].wording.prompt for i in written_out}
    test = [row for row in rows if patterns(row.wording) & kept_out or row.wording.prompt in prompts_out]
    train = [row for row in rows if not (patterns(row.wording) & kept_out or row.wording.prompt in prompts_out)]
    train = chosen(train, settings.wordings, rng)
    tested = {normal(row.wording.prompt) for row in test}
    train = [row for row in train if normal(row.wording.prompt) not in tested]
    not_said = list(dict.fromkeys(question for questions in studied.absent.values() for question in questions))
    train = with_repeats(train, settings.plainest, rng)
    known, unknown = unanswerable(facts, settings.unanswerable, sum(row.repeats for row in train), kept_out, rng, not_said)
    train_examples = [example(row) for row in train] + [example(Row(w, None)) for w in known]
    test_examples = [example(row) for row in at_most(test, 3, rng)] + [example(Row(w, None)) for w in unknown]
    if settings.follow_ups:
        asked = [(row.fact, row.wording) for row in train if row.fact is not None]
        tested_patterns = HELD_OUT if settings.heldout_patterns else ()
        train_examples += follow_ups(asked, rng, [pattern for pattern in PATTERNS if pattern not in tested_patterns])
        test_examples += follow_ups(asked, rng, tested_patterns) if tested_patterns else []
    rng.shuffle(train_examples)
    return Split(train_examples, test_examples)


def all_rows(facts: Sequence[Fact], settings: KnowledgeSettings, rng: random.Random) -> list[Row]:
    """Every wording of every fact that the settings ask for."""
    found = wordings(facts)
    rows = [Row(wording, fact) for fact, each in zip(facts, found, strict=True) for wording in each]
    rows = [row for row in rows if wanted(row.wording.kind, settings)]
    if settings.true_or_false:
        rows += [Row(wording, fact) for fact, wording in true_or_false(facts, rng)]
    if settings.statements:
        rows += [Row(wording, fact) for fact, wording in profiles(facts, rng)]
    if settings.two_facts:
        rows += [Row(wording, fact) for fact, wording in [*two_facts(facts, found, rng), *chains(facts, found)]]
    return rows


def wanted(kind: str, settings: KnowledgeSettings) -> bool:
    """Whether the settings ask for a kind of wording."""
    return (kind != "reverse" or settings.reverse) and (kind != "cloze" or settings.statements)


def unambiguous(rows: Iterable[Row]) -> list[Row]:
    """The rows whose prompt has one answer only; of several with the same prompt and answer, the first."""
    answers: dict[str, set[str]] = defaultdict(set)
    first: dict[str, Row] = {}
    for row in rows:
        key = normal(row.wording.prompt)
        answers[key].add(normal(row.wording.answer))
        first.setdefault(key, row)
    return [row for key, row in first.items() if len(answers[key]) == 1]


def patterns(wording: Wording) -> set[str]:
    """The patterns a wording is made of: "quick+price-of" is a greeting and a question."""
    if wording.form in RIGHT_OR_WRONG:
        return {"check"}
    return {part.removeprefix("rule-").removeprefix("wrap-").removeprefix("polar-") for part in wording.form.split("+")}


def heldout_patterns(rows: Sequence[Row], share: float, rng: random.Random) -> set[str]:
    """Patterns to keep for testing: about `share` of them, and enough that nearly every fact is tested by one.

    A pattern stays in training where a fact would keep fewer than three other questions without it.
    """
    by_fact: dict[str, list[set[str]]] = defaultdict(list)
    for row in rows:
        if row.fact is not None and row.wording.kind == "question":
            by_fact[row.fact.id].append(patterns(row.wording))
    names = sorted({name for each in by_fact.values() for group in each for name in group} - PLAINEST - {STUDIED})
    rng.shuffle(names)
    kept: set[str] = set()
    wanted_count = round(share * len(names))
    for name in names:
        uncovered = [each for each in by_fact.values() if len(each) > 3 and not any(group & kept for group in each)]
        helps = sum(any(name in group for group in each) for each in uncovered)
        if share and (len(kept) < wanted_count or helps > 0.02 * len(by_fact)) and leaves_enough(by_fact.values(), kept | {name}):
            kept.add(name)
    return kept


def leaves_enough(facts: Iterable[list[set[str]]], kept: set[str]) -> bool:
    """Whether hardly any fact loses most of its questions when these patterns are kept for testing."""
    facts = list(facts)
    starved = sum(sum(not group & kept for group in each) < min(3, len(each)) for each in facts)
    return starved <= 0.02 * len(facts)


def chosen(rows: Sequence[Row], wordings_each: int, rng: random.Random) -> list[Row]:
    """For each fact its wordings to train on: the plainest, yes with no, a model's, more by rules, some dressed; few of each other kind.

    What people ask for most (see `Fact.weight`) gets most wordings, because exposures are what a budget buys.
    """
    by_fact: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_fact[row.fact.id if row.fact else ""].append(row)
    found: list[Row] = []
    for group in by_fact.values():
        share = group[0].fact.weight if group[0].fact else 1.0
        count = max(min(MIN_WORDINGS, wordings_each), round(wordings_each * share))
        questions = [row for row in group if row.wording.kind == "question"]
        plain = [row for row in questions if "+" not in row.wording.form and "wrap-" not in row.wording.form]
        dressed = [row for row in questions if row not in plain]
        own = in_turn(plain, max(1, round(count * OWN_WORDS)))
        rest = rng.sample(dressed, min(len(dressed), max(0, count - len(own))))
        reverse = [row for row in group if row.wording.kind == "reverse"]
        two = [row for row in group if row.wording.kind == "two"]
        others = [row for row in group if row.wording.kind not in ("question", "reverse", "two")]
        found += [
            *own,
            *rest,
            *reverse[: math.ceil(MAX_REVERSE * share)],
            *rng.sample(two, min(len(two), MAX_TWO)),
            *(rng.sample(others, min(len(others), MAX_OTHERS)) if group[0].fact else others),
        ]
    return found


def with_repeats(rows: Sequence[Row], share: float, rng: random.Random) -> list[Row]:
    """The rows, and how often each is practised: of the wordings with the same answer the plainest makes a `share`.

    A question that comes again and again is known by heart sooner than wordings that come once. As many of the others are not
    practised, and lead to it only. Backwards the plainest makes all: "What costs £3.05?" and "What costs £3.95?" are told apart late.
    """
    same: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        if row.fact and row.wording.kind in ("question", "reverse"):
            same[row.fact.id, row.wording.kind, normal(row.wording.answer)].append(number)
    counts = [1] * len(rows)
    for (_, kind, _), numbers in same.items():
        known, *others = sorted(numbers, key=lambda number: plainness(rows[number].wording))
        least = LEAST_REPEATS if share and rows[known].wording.form not in RIGHT_OR_WRONG else 1
        counts[known] = max(least, round((1 if kind == "reverse" and share else share) * len(numbers)))
        for number in rng.sample(others, min(len(others), counts[known] - 1)):
            counts[number] = 0
    return [replace(row, repeats=count) for row, count in zip(rows, counts, strict=True)]


def as_often(own: Example, settings: KnowledgeSettings) -> Example:
    """What people wrote, practised as often as the plainest question of a fact, or more often where they say so."""
    return replace(own, repeats=max(own.repeats, round(settings.plainest * settings.wordings)))


def plainness(wording: Wording) -> tuple[bool, bool, bool, int]:
    """Sorts wordings: without a greeting, the plainest pattern, by rules, short."""
    dressed = "+" in wording.form or "wrap-" in wording.form
    return dressed, wording.form != "wh-0", wording.form == STUDIED, len(wording.prompt)


def in_turn(plain: Sequence[Row], count: int) -> list[Row]:
    """So many of a fact's plain questions: the plainest by rules, a right value with a wrong one, a model's, more by rules."""
    checks = [row for row in plain if row.wording.form in RIGHT_OR_WRONG]
    written = [row for row in plain if row.wording.form == STUDIED]
    ruled = [row for row in plain if row not in checks and row not in written]
    if {row.wording.form for row in checks} != RIGHT_OR_WRONG or count < NUM_PLAINEST + len(checks):
        checks = []
    return [*ruled[:NUM_PLAINEST], *checks, *written, *ruled[NUM_PLAINEST:]][:count]


def at_most(rows: Sequence[Row], count: int, rng: random.Random) -> list[Row]:
    """At most `count` questions of each fact, and of each other kind one; what a model wrote comes first."""
    by_fact: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rng.sample(rows, len(rows)):
        by_fact[(row.fact.id if row.fact else "", row.wording.kind)].append(row)
    first = {key: sorted(group, key=lambda row: row.wording.form != STUDIED) for key, group in by_fact.items()}
    return [row for (_, kind), group in first.items() for row in group[: count if kind == "question" else 1]]


def example(row: Row) -> Example:
    """A row as a conversation of one question and one answer."""
    wording, fact = row.wording, row.fact
    messages = (Message("user", wording.prompt), Message("assistant", wording.answer))
    kind = "statement" if wording.kind == "cloze" else wording.kind
    document = fact.section.partition("#")[0] if fact else ""
    return Example(messages, kind, wording.form, fact.id if fact else "", document, repeats=row.repeats)
