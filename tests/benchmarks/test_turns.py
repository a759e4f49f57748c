"""Two processes that take turns, with a child that writes when it worked instead of training."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.turns import Worker, alternate

ROOT = str(Path(__file__).parents[2])
CHILD = """
import sys
from benchmarks.turns import Turns
turns = Turns(waits=True)
print("what a library prints is no row")
for step in range(int(sys.argv[2])):
    turns.start()
    with open(sys.argv[3], "a") as file:
        file.write(sys.argv[1])
    turns.stop()
    turns.tell(loss=float(step))
sys.exit(int(sys.argv[4]))
"""


def worker(name: str, steps: int, folder: Path, code: int = 0) -> Worker:
    command = [sys.executable, "-c", CHILD, name, str(steps), str(folder / "order"), str(code)]
    return Worker(name, command, folder / f"{name}.log", {**os.environ, "PYTHONPATH": ROOT})


def test_they_take_turns(tmp_path: Path) -> None:
    rows = alternate([worker("a", 3, tmp_path), worker("b", 3, tmp_path)], 3)
    assert (tmp_path / "order").read_text() == "ababab"
    assert [[row["loss"] for row in own] for own in rows] == [[0, 1, 2]] * 2
    assert all(row["peak_bytes"] > 2**20 and row["seconds"] >= 0 for own in rows for row in own)
    assert "no row" in (tmp_path / "a.log").read_text()


def test_what_a_child_prints_is_there_though_it_is_not_waited_for(tmp_path: Path) -> None:
    alternate([worker("a", 100, tmp_path)], 1)
    assert "no row" in (tmp_path / "a.log").read_text()


def test_a_command_is_waited_for_before_each_step(tmp_path: Path) -> None:
    alternate([worker("a", 2, tmp_path)], 2, before=f"{sys.executable} -c \"open('{tmp_path / 'order'}', 'a').write('-')\"")
    assert (tmp_path / "order").read_text() == "-a-a"


def test_one_that_ends_earlier_has_fewer_rows(tmp_path: Path) -> None:
    assert [len(own) for own in alternate([worker("a", 1, tmp_path), worker("b", 3, tmp_path)], 3)] == [1, 3]


def test_one_that_fails_is_told_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)a ended with exit code 3.*no row"):
        alternate([worker("a", 0, tmp_path, code=3)], 1)


def test_none_is_left_behind(tmp_path: Path) -> None:
    workers = [worker("a", 100, tmp_path), worker("b", 0, tmp_path, code=1)]
    with pytest.raises(RuntimeError):
        alternate(workers, 2)
    assert all(one.process.poll() is not None for one in workers)
