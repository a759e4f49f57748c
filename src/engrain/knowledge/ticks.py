"""Ticks: questions for what a table or a list says yes or no to, and back from there to what has it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache

from engrain.knowledge import phrasing
from engrain.knowledge.attributes import SAID_OF, Thing, first_column, is_noun, place_of, thing_of
from engrain.knowledge.backwards import compared
from engrain.knowledge.facts import Fact, columns
from engrain.knowledge.grammar import article, capital
from engrain.knowledge.items import header, with_the
from engrain.knowledge.parse import parse
from engrain.knowledge.values import verdict
from engrain.knowledge.wording import flipped
from engrain.knowledge.words import UNCOUNTED

QUALITY = re.compile(
    r"(?:.*[ -])?(?:\w{2,}(?:able|ible|proof)|\w{3,}ed|built|made|vegan|vegetarian|organic|halal|kosher|indoors?|outdoors?|"
    r"\w+-(?:free|friendly))(?: (?:by|for|in|on|to|with)\b.*)?"
)
"""A column that says what its rows are."""
DOING = re.compile(r"\w+ (?:an?|the|your|our|any|all|at|by|for|in|on|up|with)\b")
"""How a column begins that says what one can do: "bring a friend"."""
GENERAL = re.compile(
    r"(?:good to know|.*\b(?:facilit|amenit)(?:y|ies)|(?:general|practical|key|other|more)\b.*|info(?:rmation)?|(?:house )?rules|about\b.*|"
    r"details|overview|at a glance|services|features|what (?:we have|you get|to expect)|(?:our )?(?:place|premises|site|venue|building))",
    re.IGNORECASE,
)
"""A heading whose items are about the business."""


@dataclass(frozen=True)
class Told:
    """What is said of a thing: "is heated", "has a toilet", "takes cards", "dogs are allowed in" it, one can "bring a friend" with it."""

    be: str = ""
    has: str = ""
    does: str = ""
    noun: str = ""
    said: str = ""


@cache
def told_by(column: str) -> Told | None:
    """What yes says below a column of this name, in small letters; None where no sentence can be made of it."""
    if match := SAID_OF.fullmatch(column):
        return Told(noun=match["noun"], said=match["said"]) if is_noun(match["noun"]) else None
    if QUALITY.fullmatch(column):
        return Told(be=column)
    more = column.split()[1:]
    if more and DOING.match(column) and parse(f"You can {column}.")[2].tag_ == "VB":
        return Told(said=column)
    said = parse(f"It {column}.")
    if more and said[1].tag_ == "VBZ":
        return Told(does=" ".join([said[1].lemma_, *more]))
    if parse(f"It is {column}.")[2].tag_ in {"JJ", "VBN"} and not is_noun(column):
        return Told(be=column)
    return Told(has=column) if is_noun(column) else None


def counted(noun: str) -> str:
    """A noun phrase with "a" where it is one of several."""
    last = noun.split(" ")[-1]
    bare = (
        phrasing.is_plural(noun)
        or last in UNCOUNTED
        or noun.isupper()
        or re.match(r"(?:free|an?|the|own|your|any|some|no|all|\d+)\b", noun)
    )
    return noun if bare else f"{article(noun)} {noun}"


def tick_questions(fact: Fact, people: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Questions whether what a row or an item is about has, is or does what its column or key says; `people` are the names of persons."""
    thing, column, at_home = asked_about(fact, people)
    key, be, do, they = thing.key, thing.be, "do" if thing.many else "does", "they" if thing.many else "it"
    told, beside = told_by(column), "at" if at_home else "with"
    if told is None:
        yield "loose-colon", f"{thing.head}: {column}?"
        yield "loose-says", f"For {key}, what does it say under “{column}”?"
    elif told.noun:
        noun, verb = counted(told.noun), "are" if phrasing.is_plural(told.noun) else "is"
        place = place_of(told.said, "at" if at_home else "in")
        yield "polar", f"{capital(verb)} {noun} {told.said} {place} {key}?"
        yield from [("polar-you", f"{capital(verb)} {noun} {told.said}?")] if at_home else []
        yield "polar-know", f"Do you know whether {noun} {verb} {told.said} {place} {key}?"
        yield "polar-colon", f"{thing.head}: {verb} {noun} {told.said}?"
        yield "polar-tell", f"Tell me if {noun} {verb} {told.said} {place} {key}."
    elif told.be:
        yield "polar", f"{capital(be)} {key} {told.be}?"
        yield from [("polar-you", f"Are you {told.be}?")] if at_home else []
        yield "polar-know", f"Do you know whether {key} {be} {told.be}?"
        yield "polar-colon", f"{thing.head}: {be} {they} {told.be}?"
        yield "polar-tell", f"Tell me if {key} {be} {told.be}."
    elif told.does:
        yield "polar", f"{capital(do)} {key} {told.does}?"
        yield from [("polar-you", f"Do you {told.does}?")] if at_home else []
        yield "polar-know", f"Do you know whether {key} {told.does if thing.many else column}?"
        yield "polar-colon", f"{thing.head}: {do} {they} {told.does}?"
    elif told.has:
        what, is_there = counted(told.has), "Are there" if phrasing.is_plural(told.has) else "Is there"
        yield "polar", f"{capital(do)} {key} have {what}?"
        yield ("polar-you", f"Do you have {what}?") if at_home else ("polar-come", f"{capital(do)} {key} come with {what}?")
        yield "polar-there", f"{is_there} {what} {beside} {key}?"
        yield "polar-know", f"Do you know whether {key} {'have' if thing.many else 'has'} {what}?"
        yield "polar-colon", f"{thing.head}: {do} {they} have {what}?"
    else:
        yield "polar", f"Can I {told.said} {beside} {key}?"
        yield "polar-know", f"Do you know whether I can {told.said} {beside} {key}?"
        yield "polar-colon", f"{thing.head}: can I {told.said}?"


def tick_reversals(fact: Fact) -> Iterator[tuple[str, str]]:
    """Questions for what has, is or does what a table says yes to, where the table says what its rows are."""
    kind, column = header(first_column(fact)) or compared(fact), flipped(header(fact.relation))
    told = told_by(column)
    if verdict(fact.value) != "Yes" or told is None or not kind or len(kind.split()) > 3 or not (kind == "one" or is_noun(kind)):
        return
    if told.noun:
        verb = "are" if phrasing.is_plural(told.noun) else "is"
        yield "reverse-tick", f"{capital(place_of(told.said))} which {kind} {verb} {counted(told.noun)} {told.said}?"
    elif told.be:
        yield "reverse-tick", f"Which {kind} is {told.be}?"
    elif told.does:
        yield "reverse-tick", f"Which {kind} {column}?"
    elif told.has:
        yield "reverse-tick", f"Which {kind} has {counted(told.has)}?"
        yield "reverse-tick-with", f"Which {kind} comes with {counted(told.has)}?"
    elif told.said:
        yield "reverse-tick", f"With which {kind} can I {told.said}?"


def asked_about(fact: Fact, people: Collection[str]) -> tuple[Thing, str, bool]:
    """What yes is said of, what is said of it, and whether it is the business, as it is below a heading that names no things."""
    item = not columns(fact) and fact.relation in {*phrasing.KINDS, "details"}
    named, column = (fact.topic, fact.subject) if item else (fact.subject, fact.relation)
    column = flipped(header(column))
    if GENERAL.fullmatch(named) or (item and not (phrasing.is_plural(named) and is_noun(header(named)))):
        return Thing(fact.business or "the business", False, False), column, True
    return Thing(with_the(named), True, False) if item else thing_of(fact, people), column, False
