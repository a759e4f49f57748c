from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from engrain.errors import ExampleError
from engrain.rows import Row, each_parsed, each_row, parse_rows

WRITERS: dict[str, Callable[[list[str]], str]] = {
    "jsonl": lambda texts: "".join(json.dumps({"text": text}) + "\n" for text in texts),
    "csv": lambda texts: "text,number\n" + "".join(f'"{text}",{i}\n' for i, text in enumerate(texts)),
}


def text_of(row: Row) -> str:
    return str(row.values["text"])


def most(path: Path) -> int:
    """The most memory that reading a file row by row takes."""
    tracemalloc.start()
    for row in each_row(path):
        assert text_of(row)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("ending", WRITERS)
def test_reading_takes_no_more_memory_for_a_longer_file(tmp_path: Path, ending: str) -> None:
    short, long = (tmp_path / f"{count}.{ending}" for count in (100, 2000))
    for path, count in ((short, 100), (long, 2000)):
        path.write_text(WRITERS[ending](["x" * 1000] * count))
    assert most(long) < most(short) + 50_000


def test_reading_parquet_takes_no_more_memory_for_a_longer_file(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.table({"text": [f"{i:01000}" for i in range(200_000)]}), path)
    rows = each_row(path)
    assert next(rows) == Row(f"{path}, row 1", {"text": f"{0:01000}"})
    assert most(path) < 150_000_000, "a batch of rows, not all 200 MB of them and as much again"


def test_rows_come_before_the_faults_are_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a"}\nno JSON\n{"text": "b"}\n[1]\n')
    rows = each_parsed(path, text_of)
    assert [next(rows), next(rows)] == ["a", "b"]
    with pytest.raises(ExampleError, match="2 of 4 rows") as caught:
        next(rows)
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [f"{path}:2", f"{path}:4"]


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv"])
def test_a_file_in_another_encoding_is_named_with_its_line(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows.{ending}"
    head = b"text" if ending == "csv" else b'{"text": "a"}'
    path.write_bytes(head + b'\n{"text": "a"}' * 4999 + b"\n" + '{"text": "café"}\n'.encode("latin-1"))
    with pytest.raises(ExampleError, match=rf"rows\.{ending}:5001: not valid UTF-8"):
        parse_rows(path, text_of)


def test_a_cut_off_file_of_two_bytes_a_letter(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes('{"text": "a"}\n{"text": "b"}'.encode("utf-16")[:-1])
    with pytest.raises(ExampleError, match=r"rows\.jsonl:2: not valid UTF-16"):
        parse_rows(path, text_of)


def test_tables_whose_lines_end_as_on_an_old_mac(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text;number\ra;1\rb;2\r")
    assert parse_rows(path, text_of) == ["a", "b"]
