"""Fitting: whether a written question asks for a fact's value, as far as its words and the kind of the value tell."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from engrain.knowledge.facts import Fact
from engrain.knowledge.wording import answer
from engrain.suiting import suits
from engrain.words import keywords

FITTING = frozenset(("date", "time", "money", "percent", "measure", "duration", "count", "person", "place", "contact"))
"""Kinds of value that a question can ask for; what a text or name may answer only its words tell."""
_AT_ONCE = r"(?:^|[,:;.!] |\b(?:me|know|ask|say|see|learn|since|until|till|from|by) )"
"""What stands before a question word that asks for the value, not for what the value depends on."""
ASKED = tuple(
    (re.compile(words, re.IGNORECASE), frozenset(kinds))
    for words, kinds in (
        (
            r"\bhow (?:long|many (?:second|minute|hour|day|week|month|year)s)\b|\bhow much (?:notice|time|warning|earlier|later|longer)\b",
            {"duration", "measure"},
        ),
        (r"\bhow (?:many|old)\b", {"count", "measure"}),
        (r"\bhow (?:early|late)\b", {"time", "duration", "date"}),
        (r"\b(?:what|which) (?:days?|dates?|months?|years?)\b|[,:] (?:[\w-]+ )?(?:day|date)\?$", {"date"}),
        (r"\b(?:what|which) (?:time|hour)s?\b(?! of)", {"time"}),
        (rf"{_AT_ONCE}who(?:m|se|['’]s)?\b", {"person", "place", "contact"}),
        (rf"{_AT_ONCE}where\b|\bwhere\?$", {"place", "contact"}),
        (r"\bhow (?:much|expensive|cheap)\b", {"money", "percent", "measure"}),
        (rf"{_AT_ONCE}when(?:['’]s)?\b|\bwhen\?$", {"date", "time"}),
    )
)
"""How a question asks for kinds of value; the first that applies decides."""
POINT = re.compile(r"^(?:in|within|after|before|until|till|every)\b|\b(?:ahead|before|later|ago)\.$", re.IGNORECASE)
"""An answer with a duration that says when."""
STRETCH = re.compile(r"^(?:until|till|to|from|since)\b|\d ?[–-] ?\d+:", re.IGNORECASE)
"""An answer with a date or time that says how long."""
BOUNDS = tuple(
    (re.compile(asked, re.IGNORECASE), re.compile(said, re.IGNORECASE))
    for asked, said in (
        (
            r"(?:\b(?:the|your|my|our|its|her|his|their)|['’]s|[,:]) last\b|\b(?:final\w*|latest)\b",
            r"\b(?:last|final|late|end|until|till|clos|by (?:\d|noon|midnight|(?-i:[A-Z])))",
        ),
        (
            r"(?<!how long )\b(?:until|till|stop(?:s|ped)?|end(?:s|ed|ing)?|finish\w*)\b",
            r"\b(?:until|till|to|through|before|end|stop|finish|clos|leav|by (?:\d|noon|midnight|(?-i:[A-Z])))|–|\d ?- ?\d\d?:",
        ),
        (
            r"\b(?:max(?:imum)?|at most|highest|biggest|largest|longest|most|peak)\b",
            r"\b(?:max|most|up to|limit|only|more than|high|large|long|big|over|exceed|under|below|peak)",
        ),
        (
            r"\b(?:minimum|at least|lowest|smallest|shortest|cheapest|least)\b",
            r"\b(?:min|least|from|only|short|low|small|cheap|over|more|less)",
        ),
        (r"\b(?:first|initial|earliest)\b", r"\b(?:first|1st|initial|begin|earl|new|join|since)"),
        (r"\bnew\b", r"\b(?:new|renew|replac|lost|chang|join|begin|first)"),
    )
)
"""An end or an extreme that a question asks for, and the words one of which its source then has."""


def asks_for(fact: Fact, question: str) -> bool:
    """Whether the value can be what a question asks for: a time for "when", a number for "how many"."""
    reply = answer(fact)
    kinds = next((kinds for words, kinds in ASKED if words.search(question)), FITTING)
    if fact.kind in FITTING and fact.kind not in kinds:
        point, stretch = fact.kind == "duration" and kinds == {"date", "time"}, fact.kind in {"date", "time"} and "duration" in kinds
        return bool((point and POINT.search(reply)) or (stretch and STRETCH.search(reply)))
    return suits(question, reply)


def asks_beyond(question: str, source: str) -> bool:
    """Whether a question asks for an end or an extreme of which its source says nothing."""
    return any(asked.search(question) and not said.search(source) for asked, said in BOUNDS)


class Rivals:
    """The facts of the same kind as one is, to tell whether a question about it fits another as well."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self.facts: dict[str, list[tuple[Fact, frozenset[str]]]] = defaultdict(list)
        for fact in facts:
            if fact.form != "question":
                self.facts[fact.kind].append((fact, words_of(fact)))

    def fit(self, fact: Fact, question: str) -> bool:
        """Whether another row fits a question as well as the fact's own, or only what says something else shares words with it."""
        named, own = named_in(question, fact.business), words_of(fact)
        shared = len(named & own)
        others = [(other, len(named & words)) for other, words in self.facts[fact.kind] if other.value != fact.value]
        beside = any(score >= shared for other, score in others if beside_each_other(fact, other))
        elsewhere = fact.kind != "text" and any(score >= (shared + 2 if shared else 1) for _, score in others)
        return beside or elsewhere


def words_of(fact: Fact) -> frozenset[str]:
    """The words that tell what a fact is about."""
    return frozenset(keywords(f"{fact.topic} {fact.subject} {fact.before} {fact.evidence}"))


def named_in(question: str, business: str) -> set[str]:
    """The words of a question that tell what it is about: without the business's name, in full or short."""
    for name in (business, *business.split()[:1]):
        question = re.sub(rf"\b{re.escape(name)}\b", " ", question, flags=re.IGNORECASE) if name else question
    return set(keywords(question))


def beside_each_other(one: Fact, other: Fact) -> bool:
    """Whether two facts are the same cell of two rows."""
    same = (one.section, one.form, one.relation) == (other.section, other.form, other.relation)
    return same and one.form == "attribute" and one.subject != other.subject
