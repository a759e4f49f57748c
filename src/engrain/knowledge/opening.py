"""Opening hours: questions for the days and times of something, for each day of a list or a range, and whether it is open then."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engrain.knowledge import phrasing
from engrain.knowledge.facts import Fact, columns
from engrain.knowledge.grammar import capital
from engrain.knowledge.items import DAYS, header, tidy_key
from engrain.knowledge.wording import Wording
from engrain.knowledge.words import PLACES

WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SHORT_DAYS = tuple(day[:3].lower() for day in WEEK)
WEEKDAY = re.compile(r"(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:days?)?\.?", re.IGNORECASE)
SEVERAL_DAYS = {"weekdays": WEEK[:5], "weekends": WEEK[5:], "weekend": WEEK[5:], "daily": WEEK, "every day": WEEK}
HOURS_CELL = re.compile(r": (?:\d{1,2}[:.]?\d* ?(?:[ap]m)? ?(?:[–-]|to)|closed|by appointment)", re.IGNORECASE)
"""A cell, with its column's name, that says when something is open."""


def hours_questions(key: str) -> Iterator[tuple[str, str]]:
    """Questions for the days and hours of something: a place is open, anything else is."""
    opens = " open" if PLACES & set(key.lower().split()) else ""
    be = "are" if phrasing.is_plural(key) else "is"
    yield "hours-is", f"When {be} {key}{opens}?"
    yield "hours-days", f"On which days and at what time {be} {key}{opens}?"
    yield "hours-say", f"Tell me when {key} {be}{opens}."
    yield from phrasing.asked("hours", key)


def weekdays(text: str) -> list[str]:
    """The days that a text names and nothing else, each of a list or a range; none where it says more."""
    found: list[str] = []
    for part in re.split(r", (?:and )?| and | ?[&/] ?", text):
        ends = [WEEKDAY.fullmatch(end.strip()) for end in re.split(r" (?:to|until|through|till) | ?[–-] ?", part)]
        if part.lower() in SEVERAL_DAYS:
            found += SEVERAL_DAYS[part.lower()]
        elif not all(ends) or len(ends) > 2:
            return []
        else:
            first, last = (SHORT_DAYS.index(end.group()[:3].lower()) for end in (ends[0], ends[-1]) if end)
            found += [WEEK[(first + n) % 7] for n in range((last - first) % 7 + 1)]
    return list(dict.fromkeys(found))


def is_hours(fact: Fact) -> bool:
    """Whether an attribute says when one is open on the days that its row or item names."""
    if not DAYS.match(fact.subject) or fact.kind not in {"time", "text", "date"}:
        return False
    opens = HOURS_CELL.match(f": {fact.value}") and PLACES & set(fact.relation.lower().split())
    return bool(opens or re.search(r"open|hour|time", f"{fact.topic} {fact.relation}", re.IGNORECASE))


def opener(fact: Fact) -> str:
    """What is open: the place that a column is called after where its row has others, else ""; "?" where the column is no place."""
    others = [cell for cell in fact.evidence.split("; ")[1:] if HOURS_CELL.search(cell)] if columns(fact) else []
    name = header(fact.relation)
    place = PLACES & {word.removesuffix("s") for word in name.split()[-1:]}
    return "" if len(others) < 2 else f"the {name}" if place else "?"


def day_questions(fact: Fact) -> Iterator[tuple[str, str]]:
    """Questions for the hours of the days that a row or an item names, of all together and of each."""
    key, place = tidy_key(fact.subject), opener(fact)
    whole = f"from {key}" if re.search(r"\b(?:to|until)\b|[–-]", key) else "at weekends" if "eekend" in key else f"on {key}"
    days = weekdays(fact.subject)
    when = [whole, *(f"on {day}" for day in days if len(days) > 1)]
    asked = [list(hours_of(place, each, re.sub(r"\s*\(.*?\)", "", fact.relation))) for each in when]
    yield from (each[0] for each in asked)
    yield from (asked[n % len(asked)][n] for n in range(1, len(asked[0])))


def hours_of(place: str, when: str, column: str) -> Iterator[tuple[str, str]]:
    """Questions for the hours on some days: of a place, of the business, or of it as a column says ("?")."""
    if place not in ("", "?"):
        be = "are" if phrasing.is_plural(place) else "is"
        yield "hours-when", f"When {be} {place} open {when}?"
        yield "hours-what", f"What are the opening hours of {place} {when}?"
        yield "hours-time", f"At what time {'do' if be == 'are' else 'does'} {place} open {when}?"
        yield "hours-tell", f"Tell me when {place} {be} open {when}."
        yield "hours-keyword", f"{capital(place.removeprefix('the '))} hours {when}"
        return
    for form, text in phrasing.asked("day_hours", when):
        yield form, f"{capital(column)}: {text[:1].lower()}{text[1:]}" if place else text


def open_wordings(fact: Fact) -> Iterator[Wording]:
    """Whether one is open on each of the days that a row or an item names, answered with its hours or with no."""
    closed, place = re.match(r"closed\b", fact.value, re.IGNORECASE), opener(fact)
    said = place or re.search(r"\b(?:open|opens|opening|hours)\b", f"{fact.topic} {fact.relation}", re.IGNORECASE)
    if not is_hours(fact) or place == "?" or not (closed or (said and fact.kind == "time")):
        return
    reply = f"{'No' if closed else 'Yes'}, {fact.value[:1].lower()}{fact.value[1:].rstrip('.')}."
    subject = "are you" if not place else f"{'are' if phrasing.is_plural(place) else 'is'} {place}"
    for day in weekdays(fact.subject):
        yield Wording("question", "polar-open", f"{capital(subject)} open on {day}?", reply)
