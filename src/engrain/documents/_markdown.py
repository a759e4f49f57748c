"""Markdown as all later stages see it: cleaned once, its front matter taken off, cut at its headings."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import date, datetime

HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+?)[ \t]*$", re.MULTILINE)
FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
FRONT_MATTER = re.compile(r"\A\s*(---|\+\+\+)[ \t]*\n((?:[ \t]*\n|[ \t#-].*\n|[\w.-]+[ \t]*[:=].*\n)*?)(?:\1|\.\.\.)[ \t]*(?:\n|\Z)")
FIELD = re.compile(r"^(\w+)[ \t]*[:=][ \t]*(.+?)[ \t]*$", re.MULTILINE)
DATE_FORMATS = ("%d %B %Y", "%B %d, %Y", "%B %d %Y", "%d %b %Y", "%b %d, %Y", "%Y/%m/%d", "%Y%m%d")

NO_DATES = ("1970-01-01", "1980-01-01", "2000-01-01")
"""What programs write that know no date."""

SPACES = re.compile(r"[\t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
LINE_ENDS = re.compile(r"\r\n?|[\v\f\x85\u2028\u2029]")
INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffc\ufffe\uffff\ud800-\udfff]"
)
# Joiners carry meaning in Persian, Hindi and emoji, so they go only beside ASCII, where they never do.
JOINERS = re.compile(r"(?<=[\x00-\x7f])[\u200c\u200d]+|[\u200c\u200d]+(?=[\x00-\x7f])")
LIGATURES = {ord("ﬀ"): "ff", ord("ﬁ"): "fi", ord("ﬂ"): "fl", ord("ﬃ"): "ffi", ord("ﬄ"): "ffl", ord("ﬅ"): "st", ord("ﬆ"): "st"}


def tidy(text: str) -> str:
    """The text with one kind of space and line end, without invisible characters, in Unicode's composed form (NFC).

    Indentation stays (nested lists need it), other runs of spaces become one, and at most one line is left empty.
    """
    text = SPACES.sub(" ", LINE_ENDS.sub("\n", text))
    text = unicodedata.normalize("NFC", JOINERS.sub("", INVISIBLE.sub("", text).translate(LIGATURES)))
    text = re.sub(r"(?<=\S) {2,}", " ", text)
    text = re.sub(r" +$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def front_matter(title: object = "", date: object = "") -> str:
    """What a reader puts before its Markdown to hand on the title and the date that the file itself states."""
    fields = {"title": one_line(title), "date": one_line(date)}
    lines = [f"{key}: {value}" for key, value in fields.items() if value]
    return "\n".join(["---", *lines, "---", "", ""]) if lines else ""


def one_line(value: object) -> str:
    """The value as text on one line, "" for None."""
    return "" if value is None else " ".join(str(value).split())


def paragraph(text: str) -> str:
    """Text that is meant as it stands: a line that begins like a heading gets a backslash, so it becomes none."""
    return re.sub(r"^([ \t]*)(#{1,6}[ \t])", r"\1\\\2", text.strip(), flags=re.MULTILINE)


def take_front_matter(text: str) -> tuple[dict[str, str], str]:
    """The fields of the YAML or TOML front matter (keys in lower case) and the text behind it."""
    match = FRONT_MATTER.match(text)
    if not match or not FIELD.search(match[2]):
        return {}, text
    fields = {key.lower(): value.strip("'\"") for key, value in FIELD.findall(match[2])}
    return fields, text[match.end() :]


def iso_date(text: str) -> str:
    """The date that stands in the text as ISO (2026-03-01), or "" where there is none that reads only one way."""
    if match := re.search(r"\d{4}-\d{2}-\d{2}", text):
        text = match[0]
    for form in ("%Y-%m-%d", *DATE_FORMATS):
        try:
            day = date.isoformat(datetime.strptime(text.strip(), form))
        except ValueError:
            continue
        return "" if day in NO_DATES else day
    return ""


def headings(text: str) -> Iterator[tuple[int, int, int, str]]:
    """Start, end, level and words of every heading; lines inside a fenced block are none."""
    fence, position = "", 0
    for line in text.splitlines(keepends=True):
        mark = FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        elif not fence and (match := HEADING.match(line.rstrip("\n"))):
            words = re.sub(r"(^|[ \t])#+$", "", match[2]).strip()
            yield position, position + len(line), len(match[1]), words
        position += len(line)


def cut(text: str, path: list[tuple[int, str]]) -> Iterator[tuple[tuple[str, ...], str, int]]:
    """Heading path, text and offset of every stretch between two headings that has text.

    `path` holds the open headings as (level, words); it is changed in place, so that it carries over to the next part.
    """
    start = 0
    for begin, end, level, words in [*headings(text), (len(text), len(text), 0, "")]:
        stretch = text[start:begin]
        if body := stretch.strip():
            # An indented first line is the start of a list or of code: only whole empty lines go.
            lead = re.match(r"(?:[ ]*\n)*", stretch)
            offset = start + (lead.end() if lead else 0)
            yield tuple(words for _, words in path), text[offset : start + stretch.rindex(body[-1]) + 1], offset
        if words:
            path[:] = [*(entry for entry in path if entry[0] < level), (level, words)]
        start = end
