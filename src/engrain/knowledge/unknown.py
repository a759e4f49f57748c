"""Questions that the documents do not answer, with a short refusal."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from engrain.knowledge import phrasing
from engrain.knowledge.facts import Fact, full_name
from engrain.knowledge.grammar import capital
from engrain.knowledge.items import tidy_key
from engrain.knowledge.wording import REFUSAL, Wording
from engrain.words import keywords

ASKED = (
    ({"money"}, re.compile(r"\b(?:how much|costs?|prices?|charges?|fees?|pay)\b", re.IGNORECASE)),
    ({"count"}, re.compile(r"\b(?:how many|number of)\b", re.IGNORECASE)),
    ({"duration"}, re.compile(r"\bhow (?:long|many minutes|many hours)\b", re.IGNORECASE)),
    ({"date", "time"}, re.compile(r"\b(?:when|what time|how often|(?:which|what) (?:day|date|month|year)s?)\b", re.IGNORECASE)),
    ({"place"}, re.compile(r"\bwhere\b", re.IGNORECASE)),
    ({"person", "name"}, re.compile(r"\b(?:who|whom|whose|name of)\b", re.IGNORECASE)),
)
"""The kinds of value that the words of a question ask for."""


def unanswerable(
    facts: Sequence[Fact], share: float, answered: int, kept_out: set[str], rng: random.Random, written: Sequence[str] = ()
) -> tuple[list[Wording], list[Wording]]:
    """Unanswerable questions for training (`share` of all examples) and for testing: those use other sentences.

    Those that a model has `written` come first, each a form of its own. The others ask known subjects for what the
    documents lack, for invented people and things, and for what no document of a business would hold. The answerable
    counterparts are the facts' own questions.
    """
    pool = [*of_known(facts), *of_invented(facts), *of_business(facts)]
    rng.shuffle(pool)
    pool = [*((question, question) for question in unanswered(written, facts)), *pool]
    templates = sorted({template for template, _ in pool})
    rng.shuffle(templates)
    tested = set(templates[: round(0.2 * len(templates))]) if kept_out else set()
    count = round(share / (1 - share) * answered)
    train = [prompt for template, prompt in pool if template not in tested][:count]
    test = [prompt for template, prompt in pool if template in tested][: max(1, count // 8)] if count else []
    return [*map(refusal, train)], [*map(refusal, test)]


def unanswered(written: Sequence[str], facts: Sequence[Fact]) -> list[str]:
    """The questions that no fact may answer: none of the kind they ask for shares half of their other words.

    A model that looked at one section may ask what another answers; what is answered somewhere must not be declined.
    """
    business = facts[0].business if facts else ""
    told = [(fact.kind, keywords(f"{fact.topic} {fact.subject} {fact.evidence}")) for fact in facts]
    return [question for question in written if not may_be_answered(question, told, business)]


def may_be_answered(question: str, told: Sequence[tuple[str, tuple[str, ...]]], business: str) -> bool:
    """Whether one of the facts, each as its kind and its words, may answer a question."""
    kinds, asking = next(((kinds, found.group()) for kinds, words in ASKED if (found := words.search(question))), (set(), ""))
    named = set(keywords(question)) - set(keywords(f"{asking} {business}"))
    return bool(named) and any(kind in kinds and 2 * len(named.intersection(words)) >= len(named) for kind, words in told)


def refusal(prompt: str) -> Wording:
    """An unanswerable question, declined."""
    return Wording("unanswerable", "unanswerable", capital(prompt), REFUSAL)


def of_known(facts: Sequence[Fact]) -> list[tuple[str, str]]:
    """Template and question: known people and things, asked for what no fact says."""
    people = sorted({f.value for f in facts if f.kind == "person" and len(f.value.split()) > 1})
    things = sorted(
        {
            tidy_key(f.subject)
            for f in facts
            if f.form == "attribute"
            and 0 < len(f.subject.split()) <= 5
            and not re.search(r"day\b|\d|[Ss]tudent|[Cc]hild|[Pp]eople|[Gg]uest|[Mm]ember|[Ss]taff", f.subject)
        }
    )
    names = {word for person in people for word in person.split()}
    things = [thing for thing in things if not names & set(thing.split()) and not full_name(thing)]
    text = " ".join(f.evidence for f in facts).lower()
    asked = [(t, t.format(s=p)) for p in people for t in phrasing.UNKNOWN["of_person"] if telling(t) not in text]
    return asked + [
        (t, phrasing.fill(t.replace("How much does", "How much {does}"), s))
        for s in things
        for t in phrasing.UNKNOWN["of_thing"]
        if telling(t) not in text
    ]


def telling(template: str) -> str:
    """The word of a template that would stand in a document that answers it."""
    return max(
        (
            w
            for w in re.findall(r"[a-z]{4,}", template)
            if w not in {"what", "does", "which", "there", "people", "last", "year", "would", "many"}
        ),
        key=len,
        default="\0",
    )


def of_invented(facts: Sequence[Fact]) -> list[tuple[str, str]]:
    """Template and question: people and things that the documents do not know."""
    text = " ".join(f.evidence for f in facts)
    business = next((f.business for f in facts if f.business), "")
    people = [p for p in phrasing.UNKNOWN["invented_people"] if p not in text]
    things = [t for t in phrasing.UNKNOWN["invented_things"] if t.split()[-1] not in text.lower()]
    place = f" at {business}?" if business else "?"
    found = [(t, t.format(s=p)) for p in people for t in phrasing.UNKNOWN["about_invented"]]
    return found + [(t, t.format(s=s)[:-1] + place) for s in things for t in phrasing.UNKNOWN["about_things"]]


def of_business(facts: Sequence[Fact]) -> list[tuple[str, str]]:
    """Template and question: what a business's documents do not hold."""
    business = next((f.business for f in facts if f.business), "the business")
    text = " ".join(f.evidence for f in facts).lower()
    return [(t, t.format(b=business)) for t in phrasing.UNKNOWN["of_business"] if telling(t) not in text]
