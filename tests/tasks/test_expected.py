from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from engrain.progress import Progress, Stage
from engrain.tasks import _expected
from engrain.tasks._expected import expected
from engrain.tasks.chat import Chat
from engrain.tokens import Encoded, Likely
from training import examples, small_model


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path))
    return tmp_path


def rows(*lengths: int) -> list[Encoded]:
    return [Encoded(np.arange(n, dtype=np.int32), np.arange(n) > 1) for n in lengths]


def made(given: list[Encoded], start: float = 0.0) -> list[Likely]:
    return [Likely(np.full((len(e), 3), i, np.int32), np.full((len(e), 3), start + i, np.float32)) for i, e in enumerate(given)]


def nothing() -> list[Likely]:
    pytest.fail("computed again")


def test_what_was_computed_is_kept() -> None:
    model, given = small_model(), rows(4, 7, 2)
    first = expected(model, given, lambda: made(given))
    again = expected(model, given, nothing)
    for wanted, kept, other in zip(made(given), first, again, strict=True):
        for one in (kept, other):
            assert np.array_equal(one.tokens, wanted.tokens)
            assert np.array_equal(one.shares, wanted.shares)


def test_other_numbers_and_other_rows_are_computed() -> None:
    model, given = small_model(), rows(4, 7)
    expected(model, given, lambda: made(given))
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[3, 5] += 0.001
    assert expected(model, given, lambda: made(given, 5.0))[0].shares[0, 0] == 5.0
    assert expected(model.bfloat16(), given, lambda: made(given, 6.0))[0].shares[0, 0] == 6.0
    looked_at = [Encoded(e.ids, np.arange(len(e)) > 2) for e in given]
    assert expected(model, looked_at, lambda: made(given, 7.0))[0].shares[0, 0] == 7.0


def test_a_torn_file_is_computed_again(home: Path) -> None:
    model, given = small_model(), rows(4)
    expected(model, given, lambda: made(given))
    (file,) = (home / "expected").iterdir()
    file.write_bytes(file.read_bytes()[:20])
    assert expected(model, given, lambda: made(given, 2.0))[0].shares[0, 0] == 2.0
    assert expected(model, given, nothing)[0].shares[0, 0] == 2.0


def test_the_newest_files_stay(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_expected, "MOST_FILES", 2)
    model = small_model()
    for age, length in enumerate((4, 5, 6)):
        given = rows(length)
        expected(model, given, lambda given=given: made(given))
        for file in (home / "expected").iterdir():
            os.utime(file, ns=(file.stat().st_mtime_ns - 10**9 * (3 - age),) * 2)
    assert len(list((home / "expected").iterdir())) == 2
    expected(model, rows(6), nothing)


def test_no_rows_need_nothing(home: Path) -> None:
    assert expected(small_model(), [], nothing) == []
    assert not (home / "expected").exists()


def test_what_is_computed_is_told_and_what_was_kept_is_not() -> None:
    told = list[tuple[str, float | None]]()
    advanced = list[float]()

    class Heard(Progress, Stage):
        @contextmanager
        def stage(self, title: str, total: float | None = None, unit: str = "") -> Iterator[Stage]:
            told.append((title, total))
            yield self

        def advance(self, amount: float = 1, **figures: float) -> None:
            advanced.append(amount)

    for _ in range(2):
        Chat([], [], examples(4)).prepare(small_model(), Heard())
    assert told == [("Noting what the untouched model expects", 4)]
    assert sum(advanced) == 4
