"""The values of spreadsheet cells as their number format shows them."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Any

from engrain.documents._markdown import one_line


def shown(value: Any, form: str) -> str:
    """A cell's value as its number format shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime | date | time):
        return shown_time(value, form)
    if isinstance(value, timedelta):
        minutes = round(value.total_seconds() / 60)
        return f"{minutes // 60}:{minutes % 60:02}"
    return shown_number(value, form) if isinstance(value, int | float) else one_line(value)


def shown_number(value: float, form: str) -> str:
    """A number by its format: decimals, thousands, per cent, currency and other words around it."""
    sections = (form or "General").split(";")
    section = sections[1] if value < 0 and len(sections) > 1 and sections[1] else sections[0]
    section = re.sub(r"\[\$([^\]-]*)(?:-[^\]]*)?\]", r'"\1"', section)
    section = re.sub(r"\[[^\]]*\]|_.|\*.", "", section)
    match = re.search(r'[#0?][#0?,]*(?:\.[#0?]+)?(?=(?:[^"]*"[^"]*")*[^"]*$)', section)
    if not match or "E+" in section.upper() or "/" in section:
        return plain_number(value)
    digits = match[0]
    places = digits.partition(".")[2]
    amount = abs(value) if section is not sections[0] or value < 0 else value
    amount = amount * 100 if "%" in section else amount
    text = f"{amount:{',' if ',' in digits else ''}.{len(places)}f}"
    if optional := len(places) - len(places.rstrip("#?")):
        whole, _, decimals = text.partition(".")
        kept = decimals[: len(places) - optional] + decimals[len(places) - optional :].rstrip("0")
        text = f"{whole}.{kept}" if kept else whole
    before, after = (re.sub(r'"|\\(?=.)', "", words) for words in (section[: match.start()], section[match.end() :]))
    minus = "-" if value < 0 and len(sections) == 1 else ""
    return f"{minus}{before}{text}{after}".strip()


def plain_number(value: float) -> str:
    """A number as the general format shows it: no needless decimals, at most eleven digits."""
    return str(value) if isinstance(value, int) else f"{value:.11g}"


def shown_time(value: datetime | date | time, form: str) -> str:
    """A date or a time by its format; as ISO where the format is the one that changes with the reader's country."""
    form = re.sub(r"\[[^\]]*\]|;.*", "", form).lower()
    if form in ("mm-dd-yy", "general", "m/d/yy h:mm") and not isinstance(value, time):
        day = value.date() if isinstance(value, datetime) else value
        clock = f" {value:%H:%M}" if isinstance(value, datetime) and (value.hour or value.minute) else ""
        return f"{day.isoformat()}{clock}"
    if form == "general":
        return f"{value:%H:%M}"
    noon = "am/pm" in form or "a/p" in form
    tokens = re.findall(r'am/pm|a/p|y+|m+|d+|h+|s+(?:\.0+)?|"[^"]*"|\\.|.', form)
    return one_line("".join(shown_token(value, tokens, index, noon) for index in range(len(tokens))))


def shown_token(value: datetime | date | time, tokens: list[str], index: int, noon: bool) -> str:
    """One token of a date format; `m` means minutes behind hours and before seconds, else the month."""
    token = tokens[index]
    letters = [other[0] for other in tokens if other[0] in "ymdhs" and not other.startswith("am")]
    place = sum(1 for other in tokens[:index] if other[0] in "ymdhs" and not other.startswith("am"))
    if token[0] == "m" and ("h" in letters[max(0, place - 1) : place] or "s" in letters[place + 1 : place + 2]):
        return f"{value:%M}"
    hour = getattr(value, "hour", 0)
    names = {"yyyy": "%Y", "yy": "%y", "mmmm": "%B", "mmm": "%b", "mm": "%m", "dddd": "%A", "ddd": "%a", "dd": "%d", "ss": "%S", "s": "%S",
             "am/pm": "%p", "a/p": "%p"}  # fmt: skip
    numbers = {"m": getattr(value, "month", 0), "d": getattr(value, "day", 0), "h": (hour % 12 or 12) if noon else hour}
    if token in names:
        return value.strftime(names[token])
    if token == "hh":
        return f"{numbers['h']:02}"
    return str(numbers[token]) if token in numbers else token.strip('"').removeprefix("\\")
