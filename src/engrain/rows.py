"""Rows of JSON Lines, JSON, CSV and Parquet files, each with the place it stands in.

They are read one after the other, so that a file may be larger than memory; only a .json file, which is one value, is read whole.
"""

from __future__ import annotations

import codecs
import csv
import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
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


def each_row(path: str | Path) -> Iterator[Row]:
    """The rows of a .jsonl, .json, .csv, .tsv or .parquet file; of a table, the columns' names in lower case.

    Raises ExampleError when the file cannot be read (where reading comes to that) or holds no row.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ExampleError(f"{path}: files that end in {path.suffix!r} hold no rows", f"Give one of {', '.join(READERS)}.")
    found = False
    try:
        for row in reader(path):
            found = True
            yield row
    except OSError as error:
        raise ExampleError(f"{path} cannot be read: {error.strerror or error}", "Check the path.") from error
    if not found:
        raise ExampleError(f"{path} holds no rows", "Add rows to it, or give another file.")


def each_parsed(path: str | Path, parse: Callable[[Row], T]) -> Iterator[T]:
    """What `parse` makes of every row of a file, one after the other; it raises ExampleError for a row that cannot be used.

    Raises, after the last row, ExampleError that lists every row that cannot be used, with file and line.
    """
    rows, problems, kinds = 0, list[str](), dict[str, int]()
    for row in each_row(path):
        rows += 1
        try:
            if row.fault:
                raise ExampleError(row.fault)
            parsed = parse(row)
        except ExampleError as error:
            kinds[error.message] = kinds.get(error.message, 0) + 1
            problems.append(f"{row.place}: {error.message}")
        else:
            yield parsed
    if problems:
        if len(problems) == rows > 1 and len(kinds) == 1:
            problems = [f"every row: {reason}" for reason in kinds]
        raise ExampleError(
            f"{path}: {sum(kinds.values())} of {rows} rows cannot be used:", "Mend or remove them and start again.", problems
        )


def parse_rows(path: str | Path, parse: Callable[[Row], T]) -> list[T]:
    """What `parse` makes of every row of a file. Raises ExampleError as `each_parsed` does."""
    return list(each_parsed(path, parse))


def _text(path: Path, newline: str) -> Iterator[str]:
    """The lines of a text file, with their ends: UTF-8, or UTF-16 that says so in its first bytes. `newline` is as for `open`."""
    with path.open("rb") as start:
        name, encoding = ("UTF-16", "utf-16") if start.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else ("UTF-8", "utf-8-sig")
    blank = True
    with path.open(encoding=encoding, newline=newline) as lines:
        try:
            for line in lines:
                blank = blank and not line.strip()
                yield line
        except UnicodeDecodeError as error:
            raise ExampleError(f"{path}:{_undecodable(path, encoding)}: not valid {name} text", "Save it as UTF-8.") from error
    if blank:
        raise ExampleError(f"{path} is empty", "Add rows to it, or give another file.")


def _undecodable(path: Path, encoding: str) -> int:
    """The number of the first line that is no text in this encoding."""
    decoder, whole = codecs.getincrementaldecoder(encoding)(), 0
    with path.open("rb") as lines:
        for line in lines:
            try:
                decoder.decode(line)
            except UnicodeDecodeError:
                break
            whole += line.endswith(b"\n")
    return whole + 1


def _json_lines(path: Path) -> Iterator[Row]:
    for number, line in enumerate(_text(path, "\n"), 1):
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
    text = "".join(_text(path, "\n"))
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("["):
            line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
            raise ExampleError(f"{path}{line}: not JSON: {error}", "Mend it and start again.") from error
        yield from _json_lines(path)
    else:
        rows = content if isinstance(content, list) else [content]
        yield from (_object(f"{path}, row {number}", value) for number, value in enumerate(rows, 1))


def _table(path: Path) -> Iterator[Row]:
    lines = _text(path, "")
    header = next(lines, "")
    reader = csv.reader(chain([header], lines), delimiter=max(",;\t|", key=header.count))
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
        with parquet.ParquetFile(path) as file:
            rows = (values for batch in file.iter_batches() for values in batch.to_pylist())
            yield from (Row(f"{path}, row {number}", values) for number, values in enumerate(rows, 1))
    except ValueError as error:
        raise ExampleError(f"{path}: not a Parquet file: {error}", "Give another file.") from error


READERS = {".jsonl": _json_lines, ".ndjson": _json_lines, ".json": _json, ".csv": _table, ".tsv": _table, ".parquet": _parquet}
