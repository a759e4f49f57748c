"""The values of spreadsheet cells as their number format shows them."""

from __future__ import annotations

import operator
import re
from datetime import date, datetime, time, timedelta
from typing import Any

from engrain.documents._markdown import one_line

CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)(-?\d+(?:\.\d+)?)\]")
COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "<>": operator.ne}
TEXT = re.compile(r'"[^"]*"|\\.')
"""What stands in a number format as it is shown."""
PLACE = re.compile(r"[#0?]")


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
    """A number by its format: decimals, thousands, per cent, currency, leading zeros and what stands around and between the digits."""
    section, signed = section_of(value, (form or "General").split(";"))
    section = re.sub(r"\[\$([^\]-]*)(?:-[^\]]*)?\]", r'"\1"', section)
    section = re.sub(r"\[[^\]]*\]|_.|\*.", "", section)
    match = re.search(r'[#0?][#0?,]*(?:\.[#0?]+)?(?=(?:[^"]*"[^"]*")*[^"]*$)', section)
    if not match or "E+" in section.upper() or "/" in section:
        return plain_number(value)
    amount = abs(value) * 100 if "%" in section else abs(value)
    minus = "-" if value < 0 and signed else ""
    if PLACE.search(TEXT.sub("", section[match.end() :])):
        return f"{minus}{filled(amount, section)}".strip()
    before, after = (re.sub(r'"|\\(?=.)', "", words) for words in (section[: match.start()], section[match.end() :]))
    return f"{minus}{before}{digits_of(amount, match[0])}{after}".strip()


def section_of(value: float, sections: list[str]) -> tuple[str, bool]:
    """The section of a number format that shows a value, and whether a minus has to be put before it.

    That is the first whose condition holds; where none states one, the second is for what is negative.
    """
    conditions = [CONDITION.search(section) for section in sections]
    if any(conditions):
        holding = (section for section, found in zip(sections, conditions, strict=True) if not found or holds(value, found))
        return next(holding, sections[-1]), True
    negative = value < 0 and len(sections) > 1 and sections[1]
    return (sections[1], False) if negative else (sections[0], len(sections) == 1)


def holds(value: float, condition: re.Match[str]) -> bool:
    """Whether a value meets a condition such as `[<=9999999]`."""
    return bool(COMPARISONS[condition[1]](value, float(condition[2])))


def digits_of(amount: float, form: str) -> str:
    """The digits of an amount as the placeholders of a format ask for them: `#,##0.0#`, `00000`."""
    whole_form, _, places = form.partition(".")
    whole, _, decimals = f"{amount:{',' if ',' in form else ''}.{len(places)}f}".partition(".")
    whole = whole if "," in form else whole.zfill(whole_form.count("0"))
    optional = len(places) - len(places.rstrip("#?"))
    kept = len(places) - optional
    decimals = decimals[:kept] + decimals[kept:].rstrip("0")
    return f"{whole}.{decimals}" if decimals else whole


def filled(amount: float, section: str) -> str:
    """An amount's digits put into all placeholders from the right, as in phone numbers; what is left over goes to the first."""
    tokens = re.findall(r'"[^"]*"|\\.|.', section)
    point = tokens.index(".") if "." in tokens else len(tokens)
    digits = list(f"{amount:.{sum(token in '#0?' for token in tokens[point:])}f}".replace(".", ""))
    left = sum(token in "#0?" for token in tokens)
    written: list[str] = []
    for token in reversed(tokens):
        if token not in "#0?":
            written.append(token.strip('"').removeprefix("\\"))
            continue
        left -= 1
        written.append("".join(digits) if not left and digits else digits.pop() if digits else "0" if token == "0" else "")
    return "".join(reversed(written))


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
    if isinstance(value, time) and not value.second:
        form = re.sub(r":ss(?:\.0+)?", "", form)
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
