from __future__ import annotations

import errno
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engrain.errors import RunError
from engrain.token_rows import Joined, TokenRows
from engrain.tokens import Encoded
from training import examples

lists = st.lists(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.booleans()), min_size=1, max_size=9).map(list), max_size=6)


@given(lists, st.data())
def test_what_was_appended_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[tuple[int, bool]]], data: st.DataObject
) -> None:
    kept, expected = TokenRows(tmp_path_factory.getbasetemp()), []
    for row in rows:
        ids, supervised = (np.array(column, dtype) for column, dtype in zip(zip(*row, strict=True), (np.int32, np.bool_), strict=True))
        repeats = data.draw(st.integers(0, 3))
        kept.append(Encoded(ids, supervised), repeats)
        expected += [(ids.tolist(), supervised.tolist())] * repeats
    assert len(kept) == len(expected)
    assert [(e.ids.tolist(), e.supervised.tolist()) for e in kept] == expected
    assert [e.ids.tolist() for e in kept[1:]] == [ids for ids, _ in expected[1:]]


def test_torch_takes_the_tokens_without_a_warning(tmp_path: Path) -> None:
    kept = TokenRows(tmp_path)
    kept.append(examples(1)[0])
    assert torch.from_numpy(kept[0].ids).dtype == torch.int32
    assert torch.from_numpy(kept[0].supervised).dtype == torch.bool


def test_nothing_is_left_in_the_folder_and_an_empty_one_can_be_asked(tmp_path: Path) -> None:
    kept = TokenRows(tmp_path)
    assert not kept
    assert list(kept) == []
    kept.append(examples(1)[0])
    assert len(kept[0]) > 0
    assert not list(tmp_path.iterdir())
    with pytest.raises(IndexError):
        kept[1]


def test_a_full_disk_is_said_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("engrain.token_rows.TemporaryFile", full)
    with pytest.raises(RunError, match="The disk is full"):
        TokenRows(tmp_path)


def test_memory_does_not_grow_with_the_tokens(tmp_path: Path) -> None:
    (row,) = examples(1)
    long = Encoded(np.resize(row.ids, 1000), np.resize(row.supervised, 1000))

    def most(count: int) -> int:
        tracemalloc.start()
        kept = TokenRows(tmp_path)
        for _ in range(count):
            kept.append(long)
        assert sum(map(len, kept)) == 1000 * count
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert most(4000) - most(1000) < 3000 * 100, "5,000 bytes of tokens each are on the disk"


@given(st.lists(st.lists(st.integers(), max_size=3), min_size=1, max_size=4))
def test_joined_sequences_are_one(parts: list[list[int]]) -> None:
    joined, whole = Joined(*parts), [number for part in parts for number in part]
    assert list(joined) == whole
    assert len(joined) == len(whole)
    assert [joined[i] for i in range(-len(whole), len(whole))] == [whole[i] for i in range(-len(whole), len(whole))]
    assert joined[1:] == whole[1:]
    with pytest.raises(IndexError):
        joined[len(whole)]
