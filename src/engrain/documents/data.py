"""Data files: .json .jsonl .yaml .yml, with their keys as headings and names of details."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from engrain.documents._markdown import front_matter, one_line
from engrain.documents._tables import table
from engrain.documents.base import Part, Reader, Unreadable, decode
from engrain.words import CODES

MAX_VALUES = 1_000_000
NAME_KEYS = ("title", "name", "question", "label", "heading", "subject", "id")
TEXT_KEYS = ("answer", "text", "body", "content", "description")
PLACE_KEYS = ("address", "location", "place")
SHARED_BY = re.compile(r"(fee|price|rate|cost|charge|tariff|places|seats|tickets)s?", re.IGNORECASE)
"""Keys that say what the numbers in their object are of."""
NAMED_ALONE = re.compile(
    r"fee|price|rate|cost|charge|deposit|discount|currency|unit|note|comment|remark|place|seat|ticket|valid|from$|until|since|per_",
    re.IGNORECASE,
)
"""Keys in it that need no more."""
WEEKDAY = re.compile(r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\b", re.IGNORECASE)
NUMBER = re.compile(r"\d+(?:\.\d+)?")
COUNTING = re.compile(r"\b(?:per|of|in|opening|working|business|number|no|count|total|available|free|closed)$", re.IGNORECASE)
"""What stands before a unit that is counted, and measures nothing."""
PERIODS = ("seconds", "minutes", "hours", "days", "nights", "weeks", "months", "years")
UNITS = ("percent", "kg", "km", "cm", "mm", "metres", "meters", "miles", "litres", "liters")
SHORT_UNITS = {
    "mins": "minutes", "secs": "seconds", "hrs": "hours", "ms": "ms", "px": "px", "kb": "KB", "mb": "MB", "gb": "GB", "pct": "percent",
}  # fmt: skip
SHORT_SPANS = {"min": "minutes", "sec": "seconds", "s": "seconds", "hr": "hours", "h": "hours"}
TIMED = re.compile(r"\b(?:time(?:out)?|interval|duration|valid|delay|lockout|wait|hold|grace|after|window|expiry|ttl)\b", re.IGNORECASE)
"""What says that a key is about a length of time and its last word a unit: "min" may mean the least as well."""
SHORT = 100
"""The longest text that stands as a pair or in a cell; a longer one is a paragraph under its key as heading."""


class Data(Reader):
    """Walks the nested values; every scalar stays as it is written in the file."""

    suffixes = (".json", ".jsonl", ".ndjson", ".yaml", ".yml")

    def read(self, path: Path) -> list[Part]:
        """The whole file as one part."""
        text = decode(path.read_bytes())
        load = {".json": load_json, ".jsonl": load_lines, ".ndjson": load_lines}.get(path.suffix.lower(), load_yaml)
        value = load(text)
        check_size(value)
        head, named = "", None
        if isinstance(value, dict):
            named = name_key(value, ("title", "name"))
            date = next((value[key] for key in ("date", "updated") if is_scalar(value.get(key))), "")
            head = front_matter(scalar(value.get(named)), date)
        return [Part(head + "\n\n".join(blocks(value, 2, named)))]


# Loading


def load_json(text: str) -> Any:
    """The value of a JSON text, numbers as they are written. Raises Unreadable with the line of a fault."""
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except json.JSONDecodeError as error:
        raise Unreadable(f"broken JSON: line {error.lineno}, column {error.colno}: {error.msg}", "mend that line") from error


def load_lines(text: str) -> Any:
    """The values of a text with one JSON value a line. Raises Unreadable with all lines that are broken."""
    values, broken = [], []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            values += [load_json(line)] if line.strip() else []
        except Unreadable:
            broken.append(str(number))
    if broken:
        raise Unreadable(f"broken JSON in line {', '.join(broken)}", "mend or remove these lines")
    return values


def load_yaml(text: str) -> Any:
    """The value of a YAML text, every scalar as it is written. Raises Unreadable with the line of a fault."""
    import yaml

    try:
        documents = [document for document in yaml.load_all(text, Loader=yaml_loader()) if document]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        raise Unreadable(f"broken YAML: {place}{one_line(getattr(error, 'problem', error))}", "mend that line") from error
    return documents[0] if len(documents) == 1 else documents


@cache
def yaml_loader() -> Any:
    """A safe loader that takes every scalar as text: else 9:30 would be 570, `no` False and 2.50 2.5."""
    import yaml

    class AsWritten(yaml.SafeLoader):
        yaml_implicit_resolvers = {"<": [("tag:yaml.org,2002:merge", re.compile(r"^<<$"))]}  # noqa: RUF012

    return AsWritten


def check_size(value: Any) -> None:
    """Raise Unreadable where written out the value would be huge: YAML aliases can stand for each other's multiples."""
    sizes: dict[int, int] = {}

    def size(part: Any) -> int:
        if not isinstance(part, dict | list):
            return 1
        if id(part) not in sizes:
            sizes[id(part)] = MAX_VALUES  # An alias that holds itself has no end.
            sizes[id(part)] = 1 + sum(map(size, part.values() if isinstance(part, dict) else part))
        return sizes[id(part)]

    if size(value) > MAX_VALUES:
        raise Unreadable(f"more than {MAX_VALUES:,} values when its aliases are written out", "save it without aliases, or split it")


# Writing


def blocks(value: Any, level: int, named: Any = None) -> Iterator[str]:
    """The value as Markdown blocks with its headings from `level` on; what stands under the key `named` already titles it."""
    if isinstance(value, dict):
        yield from mapping(value, level, named)
    elif isinstance(value, list):
        yield from sequence(value, level)
    elif text := scalar(value):
        yield demoted(text, level)


def mapping(value: dict[Any, Any], level: int, named: Any) -> Iterator[str]:
    """The pairs of an object but the one that titles it: short ones first as a list, then the others each under a heading."""
    pairs = {key: inner for key, inner in value.items() if inner not in (None, "", [], {}) and (named is None or key != named)}
    texts = [key for key, inner in pairs.items() if named is not None and str(key).lower() in TEXT_KEYS and is_scalar(inner)]
    short = [key for key, inner in pairs.items() if key not in texts and plain_value(inner)]
    yield from (demoted(scalar(pairs[key]), level) for key in texts)
    if short:
        yield "\n".join("- {}: {}".format(*measured(humanise(key), plain_value(pairs[key]))) for key in short)
    for key, inner in pairs.items():
        if key not in texts and key not in short:
            yield f"{'#' * min(level, 6)} {humanise(key)}"
            yield from blocks(inner, level + 1)


def opened(value: dict[Any, Any]) -> dict[Any, Any]:
    """An object with the pairs of its short inner objects in their place; what has an inner name twice is named by both.

    So are sums and numbers of places, which their inner name says nothing of: `fee: {adult: 9}` is an adult fee of 9.
    """
    inner = {key: part for key, part in value.items() if is_short(part)}
    counts = Counter(str(name).lower() for name in [*value, *(name for part in inner.values() for name in part)])
    result: dict[Any, Any] = {}
    for key, part in value.items():
        if key not in inner:
            result[key] = part
        elif str(key).lower() in PLACE_KEYS:
            result[key] = ", ".join(map(scalar, part.values()))
        else:
            result |= {within(key, name) if counts[str(name).lower()] == 1 else f"{key}_{name}": each for name, each in part.items()}
    return result


def within(outer: Any, inner: Any) -> Any:
    """What the value under an inner name is called."""
    if not (said := SHARED_BY.fullmatch(str(outer))) or NAMED_ALONE.search(str(inner)):
        return inner
    return said[1] if str(inner).lower() in ("amount", "value") else f"{inner}_{said[1]}"


def is_short(part: Any) -> bool:
    """Whether an inner object holds nothing but short texts, and no hours of days, which are a list of their own."""
    return isinstance(part, dict) and all(map(plain_value, part.values())) and not any(WEEKDAY.match(str(key)) for key in part)


def sequence(values: list[Any], level: int) -> Iterator[str]:
    """A list: a table where all its objects are alike and short, else a heading or an item for each value.

    What an object of the list holds in an object of its own is said of it too.
    """
    if is_table(values):
        keys = list(values[0])
        yield table([[humanise(key) for key in keys], *([scalar(value[key]) for key in keys] for value in values)], header=True)
        return
    for value in values:
        if isinstance(value, dict) and (named := name_key(value)) is not None:
            yield f"{'#' * min(level, 6)} {one_line(scalar(value[named]))}"
            yield from mapping(opened(value), level + 1, named)
        elif is_scalar(value):
            yield f"- {one_line(scalar(value))}"
        else:
            yield from blocks(value, level)


def is_table(values: list[Any]) -> bool:
    """Whether all values are flat objects with the same keys and short texts."""
    if len(values) < 2 or not all(isinstance(value, dict) and value and value.keys() == values[0].keys() for value in values):
        return False
    return len(values[0]) > 1 and all(is_scalar(cell) and len(scalar(cell)) <= SHORT for value in values for cell in value.values())


def name_key(value: dict[Any, Any], names: Sequence[str] = NAME_KEYS) -> Any:
    """The key under which an object's own name stands, None where it has none."""
    keys = {str(key).lower(): key for key in value}
    return next((keys[name] for name in names if name in keys and scalar(value[keys[name]])), None)


def is_scalar(value: Any) -> bool:
    """Whether a value holds no others."""
    return value is not None and not isinstance(value, dict | list)


def scalar(value: Any) -> str:
    """A scalar as text: true and false as yes and no, null and what is no scalar as ""."""
    if isinstance(value, dict | list) or value in (None, "null", "~"):
        return ""
    return {"true": "yes", "false": "no"}.get(str(value).lower(), str(value).strip())


def plain_value(value: Any) -> str:
    """A short scalar, or a list of short scalars with commas between, as text for a pair; "" for anything else."""
    if isinstance(value, list):
        texts = [scalar(inner) for inner in value]
        return ", ".join(texts) if all(text and len(text) <= 40 for text in texts) and len(", ".join(texts)) <= SHORT else ""
    text = scalar(value)
    return text if len(text) <= SHORT and "\n" not in text else ""


def measured(key: str, value: str) -> tuple[str, str]:
    """A number with the unit that its key ends in, and the key without that: `Notice days` 30 is a `Notice` of 30 days.

    So many minutes are how long something takes.
    """
    if key.lower() == "minutes" and NUMBER.fullmatch(value):
        return "Duration", f"{value} minutes"
    name, _, unit = key.rpartition(" ")
    if not name or not NUMBER.fullmatch(value) or COUNTING.search(name):
        return key, value
    if sign := CODES.get(unit.lower()):
        return name, f"{sign.upper()}{value}"
    unit = SHORT_UNITS.get(unit.lower()) or (SHORT_SPANS.get(unit.lower()) if TIMED.search(name) else "") or unit.lower()
    if unit in (*PERIODS, *UNITS, *SHORT_UNITS.values()):
        return name, f"{value} {unit.removesuffix('s') if value == '1' and unit in PERIODS else unit}"
    return key, value


def demoted(text: str, level: int) -> str:
    """Text that may hold Markdown, its headings moved below the heading it stands under."""
    return re.sub(r"^(#{1,6})(?=[ \t])", lambda match: "#" * min(6, len(match[1]) + level - 1), text, flags=re.MULTILINE)


def humanise(key: Any) -> str:
    """A key as words: `openingHours` and `opening_hours` become `Opening hours`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", str(key))
    words = " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in re.split(r"[\s_\-.]+", words) if word)
    # A key of several words is a name that somebody wrote for people: it keeps its capitals.
    words = one_line(key) if " " in str(key) else words
    return words[:1].upper() + words[1:]
