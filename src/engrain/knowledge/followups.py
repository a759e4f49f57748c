"""Questions that follow on one another: after the price of one thing, "And the other?", by rule from pairs of facts.

Two facts make a pair where they say the same of two subjects: the cells of one column, or the items of one list.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from engrain.examples import Example, Message
from engrain.knowledge.facts import Fact, full_name
from engrain.knowledge.wording import Wording

PATTERNS = ("And {}?", "What about {}?", "And what about {}?", "How about {}?")
HELD_OUT = PATTERNS[-1:]
"""The pattern that is tested and not trained."""
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "weekdays", "weekends", "public holidays")
LONGEST_SUBJECT = 6
"""Words of a subject that one asks for without saying more."""


def follow_ups(asked: Sequence[tuple[Fact, Wording]], rng: random.Random, patterns: Sequence[str] = PATTERNS) -> list[Example]:
    """A conversation of two questions for each fact that has a partner: the partner's question first, then this fact's subject alone.

    `asked` are facts with wordings that are trained; the first plain question of each is used. Both answers are learned.
    The second question is one of the `patterns`; HELD_OUT is kept for testing.
    """
    plain: dict[str, tuple[Fact, Wording]] = {}
    for fact, wording in asked:
        if wording.kind == "question" and "+" not in wording.form and fact.subject.lower() in wording.prompt.lower():
            plain.setdefault(fact.id, (fact, wording))
    made = []
    for group in partners(fact for fact, _ in plain.values()):
        for fact in group:
            first = plain[rng.choice([other for other in group if other.id != fact.id]).id][1]
            made.append(conversation(first, fact, plain[fact.id][1], rng.choice(patterns)))
    return made


def partners(facts: Iterable[Fact]) -> list[list[Fact]]:
    """The facts that say the same of different subjects in one section, two or more together."""
    groups: dict[tuple[str, str, str], dict[str, Fact]] = defaultdict(dict)
    for fact in facts:
        if fact.form == "attribute" and 0 < len(fact.subject.split()) <= LONGEST_SUBJECT:
            groups[fact.section, fact.relation, fact.kind].setdefault(fact.subject, fact)
    return [list(group.values()) for group in groups.values() if len(group) > 1]


def conversation(first: Wording, fact: Fact, second: Wording, pattern: str) -> Example:
    """A question with its answer, and the one that follows on it."""
    messages = (
        Message("user", first.prompt),
        Message("assistant", first.answer),
        Message("user", pattern.format(subject_of(fact))),
        Message("assistant", second.answer),
    )
    return Example(messages, "follow-up", f"follow-{PATTERNS.index(pattern)}", fact.id, fact.section.partition("#")[0])


def subject_of(fact: Fact) -> str:
    """The subject as it stands in a question: days get their "on", things their article, people none."""
    words = {word.removesuffix("s") for word in re.findall(r"[^\W\d_]+", fact.subject.lower())} - {"to", "and", "or"}
    if words and words <= {day.removesuffix("s") for day in DAYS}:
        return f"on {fact.subject}"
    has_article = fact.subject.lower().startswith(("the ", "a ", "an ", "our ", "your "))
    return fact.subject if has_article or fact.subject[:1].isdigit() or full_name(fact.subject) else f"the {fact.subject}"
