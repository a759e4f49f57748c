"""Turning a price round: where no statement leads back from it to what it buys, the questions that ask for the price name that."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engrain.knowledge import phrasing
from engrain.knowledge.backwards import has_price
from engrain.knowledge.facts import Fact, names_of
from engrain.knowledge.wording import Wording, said, spelled
from engrain.words import canonical, holds

PRICE_OF = re.compile(
    r"(?:(?:what|how much) (?:do|does|will|would) (.+?) cost|how much (?:is|are) (.+)|"
    r"what(?:['’]s| is| are) the (?:price|cost|charge)s? (?:of|for) (.+))",
    re.IGNORECASE,
)


def turned(fact: Fact, questions: Iterable[str]) -> list[Wording]:
    """Questions from a price back to what the first of the `questions` asks the price of whose source names that in the same words.

    None where the fact is no price, and where what has the price is a sum itself or pays it.
    """
    if fact.kind != "money":
        return []
    source = canonical(f"{fact.topic} {fact.before} {fact.evidence}")
    thing = next((thing for question in questions if is_named(thing := priced_in(question, fact), source)), "")
    asked = phrasing.asked("priced", said(fact.value, fact.relation)) if thing else ()
    return [Wording("reverse", form, text, spelled(thing)) for form, text in asked]


def priced_in(question: str, fact: Fact) -> str:
    """What a question asks the price of, without the business's name after it; "" where it asks for something else."""
    names = "|".join(map(re.escape, names_of([fact]))) or "(?!)"
    match = PRICE_OF.fullmatch(re.sub(rf" (?:at|in|from|with|of) (?:the )?(?:{names})$", "", question.rstrip("?. ")))
    return next(filter(None, match.groups()), "") if match else ""


def is_named(thing: str, source: str) -> bool:
    """Whether a canonical text names a thing, in whichever article's company, that can be bought."""
    return has_price(thing) and holds(source, canonical(re.sub(r"^(?:an?|the) ", "", thing.lower())))
