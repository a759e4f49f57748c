"""Rows of JSON Lines, JSON, CSV and Parquet files, each with the place it stands in."""

from __future__ import annotations

import csv
import importlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engrain.errors import ExampleError

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """A row of a file; `place` is file and line. `fault` says why it could not be read, if so."""

    place: str
    values: dict[str, Any]
    fault: str = ""


def read_rows(path: str | Path) -> list[Row]:
    """The rows of a .jsonl, .json, .csv, .tsv or .parquet file; of a table, the columns' names in lower case.

    Raises ExampleError when the file cannot be read or holds no row.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ExampleError(f"{path}: files that end in {path.suffix!r} hold no rows", f"Give one of {', '.join(READERS)}.")
    try:
        rows = list(reader(path))
    except OSError as error:
        raise ExampleError(f"{path} cannot be read: {error.strerror or error}", "Check the path.") from error
    if not rows:
        raise ExampleError(f"{path} holds no rows", "Add rows to it, or give another file.")
    return rows


def parse_rows(path: str | Path, parse: Callable[[Row], T]) -> list[T]:
    """What `parse` makes of every row of a file; it raises ExampleError for a row that cannot be used.

    Raises ExampleError that lists every row that cannot be used, with file and line.
    """
    rows, parsed, problems = read_rows(path), list[T](), dict[str, str]()
    for row in rows:
        try:
            if row.fault:
                raise ExampleError(row.fault)
            parsed.append(parse(row))
        except ExampleError as error:
            problems[row.place] = error.message
    if problems:
        reasons = [f"{place}: {reason}" for place, reason in problems.items()]
        if len(problems) == len(rows) > 1 and len(set(problems.values())) == 1:
            reasons = [f"every row: {problems[rows[0].place]}"]
        raise ExampleError(f"{path}: {len(problems)} of {len(rows)} rows cannot be used:", "Mend or remove them and start again.", reasons)
    return parsed


def _read_text(path: Path) -> str:
    """The file as text: UTF-8, or UTF-16 that says so in its first bytes."""
    data = path.read_bytes()
    name, encoding = ("UTF-16", "utf-16") if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("UTF-8", "utf-8-sig")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ExampleError(f"{path}:{line}: not valid {name} text", "Save it as UTF-8.") from error
    if not text.strip():
        raise ExampleError(f"{path} is empty", "Add rows to it, or give another file.")
    return text


def _json_lines(path: Path) -> Iterator[Row]:
    return _lines(path, _read_text(path))


def _lines(path: Path, text: str) -> Iterator[Row]:
    # Not splitlines(): a JSON text may hold U+2028, which ends a line there.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _json_row(f"{path}:{number}", line)


def _json_row(place: str, line: str) -> Row:
    try:
        return _object(place, json.loads(line))
    except (ValueError, RecursionError) as error:
        return Row(place, {}, f"not JSON: {error}")


def _object(place: str, value: Any) -> Row:
    return Row(place, value) if isinstance(value, dict) else Row(place, {}, f"a row must be an object, not {type(value).__name__}")


def _json(path: Path) -> Iterator[Row]:
    """One list of rows, one row, or rows line by line: all three go by the name .json."""
    text = _read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("["):
            line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
            raise ExampleError(f"{path}{line}: not JSON: {error}", "Mend it and start again.") from error
        yield from _lines(path, text)
    else:
        rows = content if isinstance(content, list) else [content]
        yield from (_object(f"{path}, row {number}", value) for number, value in enumerate(rows, 1))


def _table(path: Path) -> Iterator[Row]:
    text = _read_text(path)
    header = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t|", key=header.count))
    line = 1
    try:
        names = [name.strip().lower() for name in next(reader)]
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                fault = f"{len(cells)} columns where the header has {len(names)}" if len(cells) != len(names) else ""
                yield Row(f"{path}:{line}", dict(zip(names, cells, strict=False)), fault)
            line = reader.line_num + 1
    except csv.Error as error:
        raise ExampleError(f"{path}:{line}: not CSV: {error}", "Mend it and start again.") from error


def _parquet(path: Path) -> Iterator[Row]:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ExampleError(f"{path}: reading Parquet needs pyarrow", "pip install pyarrow") from error
    try:
        rows = parquet.read_table(path).to_pylist()
    except ValueError as error:
        raise ExampleError(f"{path}: not a Parquet file: {error}", "Give another file.") from error
    yield from (Row(f"{path}, row {number}", values) for number, values in enumerate(rows, 1))


READERS = {".jsonl": _json_lines, ".ndjson": _json_lines, ".json": _json, ".csv": _table, ".tsv": _table, ".parquet": _parquet}
