"""Questions that the documents do not answer, with a short refusal."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from engrain.knowledge import phrasing
from engrain.knowledge.facts import Fact, full_name
from engrain.knowledge.grammar import capital
from engrain.knowledge.items import tidy_key
from engrain.knowledge.wording import REFUSAL, Wording
from engrain.words import keywords

ASKED = tuple(
    (kinds, re.compile(words, re.IGNORECASE))
    for kinds, words in (
        ({"date", "time"}, r"^(?:when|what time|how often|(?:which|what) (?:day|date|month|year)s?)\b"),
        ({"place"}, r"^where\b"),
        ({"person", "name"}, r"^(?:who|whom|whose)\b"),
        ({"duration"}, r"\bhow (?:long|many (?:minutes|hours|days|weeks|months|years)|much (?:notice|time|warning))\b"),
        ({"count"}, r"\b(?:how many|number of)\b"),
        ({"money"}, r"\b(?:how much|costs?|prices?|charges?|fees?|pay)\b"),
        ({"date", "time"}, r"\b(?:when|what time|how often|(?:which|what) (?:day|date|month|year)s?)\b"),
        ({"place"}, r"\bwhere\b"),
        ({"person", "name"}, r"\b(?:who|whom|whose|name of)\b"),
        ({"yesno"}, r"^(?:is|are|do|does|can|could|may|must|will|should|have|has)\b"),
    )
)
"""The kinds of value that the words of a question ask for; the first that apply decide."""
HALF, NEARLY_ALL = 0.5, 0.75
"""Shares of a question's words in a fact from which that may answer it: one of the kind asked for, and one of any kind."""
GENERAL = frozenset(
    keywords("last year ago ten people company cost price rate name place work use open buy pay second team support came up")
)
"""Words of templates that stand in any document."""
ALIKE = tuple(
    frozenset(keywords(words))
    for words in (
        "colour color red orange yellow green blue purple pink brown black white grey gray",
        "weigh weight kg gram",
        "old age aged born birthday",
        "married wife husband",
        "children child son daughter",
        "insures insurance",
    )
)
"""Words that answer a question for one of them."""


TELLING = frozenset({"money", "duration", "person", "place", "measure"})
"""Kinds of attribute that things have on which one asks more; notes and stamps have dates, lines to reach somebody contacts."""
NO_THING = re.compile(r"day\b|\d|[Ss]tudent|[Cc]hild|[Pp]eople|[Gg]uest|[Mm]ember|[Ss]taff")
MAX_SUBJECT = 8
"""Words of such a thing's name."""


def unanswerable(
    facts: Sequence[Fact], share: float, answered: int, kept_out: set[str], rng: random.Random, written: Sequence[str] = ()
) -> tuple[list[Wording], list[Wording]]:
    """Unanswerable questions for training (`share` of all examples) and for testing: those use other sentences.

    Up to half of them a model has `written`, each a form of its own: near to what is asked, but it may err. The others ask known
    subjects for what the documents lack, and for what no document of a business would hold; at most a quarter of those is for
    invented people and things while there are others. The answerable counterparts are the facts' own questions.
    """
    pool, invented = [*of_known(facts), *of_business(facts)], of_invented(facts)
    rng.shuffle(pool)
    rng.shuffle(invented)
    pool = [each for n in range(max(len(pool), len(invented))) for each in (*pool[3 * n : 3 * n + 3], *invented[n : n + 1])]
    near = [(question, question) for question in unanswered(written, facts)]
    rng.shuffle(near)
    pool = [each for pair in zip_longest(near, pool) for each in pair if each]
    templates = sorted({template for template, _ in pool})
    rng.shuffle(templates)
    tested = set(templates[: round(0.2 * len(templates))]) if kept_out else set()
    count = round(share / (1 - share) * answered)
    train = [prompt for template, prompt in pool if template not in tested][:count]
    test = [prompt for template, prompt in pool if template in tested][: max(1, count // 8)] if count else []
    return [*map(refusal, train)], [*map(refusal, test)]


def unanswered(written: Sequence[str], facts: Sequence[Fact]) -> list[str]:
    """The questions that no fact may answer: none of the kind they ask for shares half of their other words, and none at all
    nearly all of them.

    A model that looked at one section may ask what another answers; what is answered somewhere must not be declined.
    """
    business = facts[0].business if facts else ""
    told = [(kind_of_answer(fact), keywords(f"{fact.topic} {fact.subject} {fact.evidence}")) for fact in facts]
    return [question for question in written if not may_be_answered(question, told, business)]


def kind_of_answer(fact: Fact) -> str:
    """The kind of a fact's value; what answers a question for yes or no is a yes or no, in whatever words."""
    return "yesno" if fact.form == "question" and asked_for(fact.relation)[0] == {"yesno"} else fact.kind


def asked_for(question: str) -> tuple[set[str], str]:
    """The kinds of value that a question asks for, and the words by which it does."""
    return next(((kinds, found.group()) for kinds, words in ASKED if (found := words.search(question))), (set(), ""))


def may_be_answered(question: str, told: Sequence[tuple[str, tuple[str, ...]]], business: str) -> bool:
    """Whether one of the facts, each as its kind and its words, may answer a question."""
    kinds, asking = asked_for(question)
    named = set(keywords(question)) - set(keywords(f"{asking} {business}"))
    shares = ((kind, len(named.intersection(words)) / len(named)) for kind, words in told if named)
    return any(share >= (HALF if kind in kinds else NEARLY_ALL) for kind, share in shares)


def refusal(prompt: str) -> Wording:
    """An unanswerable question, declined."""
    return Wording("unanswerable", "unanswerable", capital(prompt), REFUSAL)


def of_known(facts: Sequence[Fact]) -> list[tuple[str, str]]:
    """Template and question: known people and things, asked for what no fact says."""
    people = sorted({f.value for f in facts if f.kind == "person" and len(f.value.split()) > 1})
    things = known_things(facts)
    of_person, of_thing = (unsaid(phrasing.UNKNOWN[name], facts) for name in ("of_person", "of_thing"))
    asked = [(t, t.format(s=p)) for p in people for t in of_person]
    return asked + [(t, phrasing.fill(t.replace("How much does", "How much {does}"), s)) for s in things for t in of_thing]


def known_things(facts: Sequence[Fact]) -> list[str]:
    """What one buys, visits or is taught, as one says it in short: no people, no days, no notes."""
    people = {word for fact in facts if fact.kind == "person" for word in fact.value.split()}
    told = {
        fact.subject for fact in facts if fact.form == "attribute" and fact.kind in TELLING and len(fact.subject.split()) <= MAX_SUBJECT
    }
    short = {re.split(r"[,(]", subject)[0].strip() for subject in told}
    things = {tidy_key(text) for text in short if text and not NO_THING.search(text)}
    return sorted(thing for thing in things if not people & set(thing.split()) and not full_name(thing))


def unsaid(templates: Iterable[str], facts: Sequence[Fact]) -> list[str]:
    """The templates that no fact may answer: none of their telling words stands in or about the facts' sentences."""
    said = {word for fact in facts for word in keywords(f"{fact.topic} {fact.before} {fact.evidence}")}
    return [template for template in templates if not said & telling(template)]


def telling(template: str) -> set[str]:
    """The words one of which would stand in a document that answers a template."""
    words = set(keywords(re.sub(r"\{\w\}(?:’s)?", "", template))) - GENERAL
    return words.union(*(alike for alike in ALIKE if words & alike))


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
    return [(t, t.format(b=business)) for t in unsaid(phrasing.UNKNOWN["of_business"], facts)]
