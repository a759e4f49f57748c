"""Dates: when what a document says was written or takes effect, as far as text, headings, file or front matter tell.

A date is the beginning of an ISO date: "2026", "2026-03" or "2026-03-01", as exact as its source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engrain.documents.base import Document, Section

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTH = (
    r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|"
    r"Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
YEAR = r"(?P<year>(?:19|20)\d\d)"
DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
FORMS = (
    rf"(?<!\d){YEAR}[-_.](?P<number>[01]\d)[-_.](?P<day>[0-3]\d)(?!\d)",
    rf"(?<!\d)(?P<day>\d{{1,2}})\.(?P<number>\d{{1,2}})\.{YEAR}(?!\d)",
    rf"(?<!\d){DAY} (?:of )?{MONTH},? {YEAR}(?!\d)",
    rf"\b{MONTH} {DAY},? {YEAR}(?!\d)",
    rf"(?<!\d){DAY} (?:of )?{MONTH}(?! \d)",
    rf"\b{MONTH}[ _-]{YEAR}(?!\d)",
    rf"(?<!\d){YEAR}[-_](?P<number>[01]\d)(?!\d)",
    rf"(?<![\d.,£$€/-]){YEAR}(?![\d.,]\d|\d)",
)
"""The most exact first; a day without a year takes the year that its document has."""
PATTERNS = tuple(re.compile(form, re.IGNORECASE) for form in FORMS)
EFFECT = re.compile(
    r"\b(?:(?:with effect |effective |valid |in force )?(?:from|as of|as from)|since|effective|starting|valid)(?: on)?:? (?:the )?"
    r"(?=\d{1,2}(?:st|nd|rd|th)? (?:of )?[A-Z]|[A-Z][a-z]{2,8}\.? (?:\d{1,2}(?:st|nd|rd|th)?,? )?\d{4}|\d{4}-\d\d|\d{1,2}\.\d{1,2}\.\d{4})",
    re.IGNORECASE,
)
UNTIL = re.compile(r"\s*(?:to|until|till|through|and|[-–])\s", re.IGNORECASE)
STAMP = re.compile(
    r"^\W*(?:date[d]?|last (?:updated|changed|revised)|updated|revised|issued|published|version|status)\b[: ]", re.IGNORECASE
)
STAMP_KEY = re.compile(
    r"(?:date )?(?:last )?(?:posted|published|updated|changed|modified|revised|reviewed|issued|created|edited|dated|generated)(?: on| at)?",
    re.IGNORECASE,
)
"""The key of an item that says when a text was written, not what it is about."""


@dataclass(frozen=True)
class Dated:
    """When something holds from: `day` as the beginning of an ISO date or "", `effect` whether the text says that it changes then."""

    day: str = ""
    effect: bool = False


@dataclass(frozen=True)
class Span:
    """A date that stands in a text from `start` up to `end`; `day` begins with ---- where its year is not said."""

    day: str
    start: int
    end: int


def find_date(text: str) -> Span | None:
    """The most exact date of a text, the first of several that are; None where there is none."""
    for pattern in PATTERNS:
        for match in pattern.finditer(text):
            day = iso(match.groupdict())
            if day:
                return Span(day, match.start(), match.end())
    return None


def iso(parts: dict[str, str | None]) -> str:
    """The parts of a date in one ISO text, as far as they go; "" where they make no date."""
    name = parts.get("month")
    month = 1 + MONTHS.index(name[:3].lower()) if name else int(parts.get("number") or 0)
    day = int(parts.get("day") or 0)
    if month > 12 or day > 31 or (day and not month):
        return ""
    year = parts.get("year") or "----"
    return year + (f"-{month:02}" if month else "") + (f"-{day:02}" if day else "")


def effective(text: str, year: str) -> tuple[Dated, int, int] | None:
    """From when a sentence says that it holds ("from 1 March …"), and the span of these words; a time with an end is none."""
    for match in EFFECT.finditer(text):
        found = find_date(text[match.end() : match.end() + 30])
        if found is None or found.start or UNTIL.match(text[match.end() + found.end :]):
            continue
        if day := with_year(found.day, year):
            return Dated(day, effect=True), match.start(), match.end() + found.end
    return None


def with_year(day: str, year: str) -> str:
    """A date in the year that it lacks; "" where neither says one."""
    return day if not day.startswith("----") else f"{year}{day[4:]}" if year else ""


def document_date(document: Document) -> Dated:
    """When a document was written or takes effect, by its title, a line that says so, its file's name or front matter."""
    for text in (document.title, *stamps(document.sections), document.file.rpartition("/")[2], document.date):
        if dated := said_in(text, ""):
            return dated
    return Dated()


def stamps(sections: Sequence[Section]) -> Iterator[str]:
    """The lines of the first section that say when it was written: "Date: 20 February 2026", "Last updated May 2025"."""
    for section in sections[:1]:
        yield from (line for line in section.text.splitlines() if STAMP.search(line) and len(line) < 80)


def said_in(text: str, year: str) -> Dated | None:
    """The date in a title, a heading or a name; None where it says none, or only a day without a year."""
    found = effective(text, year)
    if found:
        return found[0]
    plain = find_date(text)
    day = with_year(plain.day, year) if plain else ""
    return Dated(day) if day else None


def section_date(section: Section, document: Dated) -> Dated:
    """When a section's text holds from: by its nearest heading that says so, else when its document does."""
    for heading in reversed(section.headings):
        if dated := said_in(heading, document.day[:4]):
            return dated
    return document


def is_newer(one: str, other: str) -> bool:
    """Whether one date lies after another by as much as the less exact of them can tell."""
    length = min(len(one), len(other))
    return bool(length) and one[:length] > other[:length]


def without_dates(text: str) -> str:
    """A text without the dates in it, and without the words that say from when it holds."""
    found = effective(text, "0000")
    if found:
        text = f"{text[: found[1]]} {text[found[2] :]}"
    while (span := find_date(text)) is not None:
        text = f"{text[: span.start]} {text[span.end :]}"
    return " ".join(text.split())
