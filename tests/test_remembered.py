"""What is computed once."""

from __future__ import annotations

from collections.abc import Sequence

from engrain.remembered import Remembered


def test_each_key_is_computed_once_and_new_ones_together() -> None:
    computed: list[list[str]] = []

    def lengths(keys: Sequence[str]) -> list[int]:
        computed.append(list(keys))
        return [len(key) for key in keys]

    found = Remembered(lengths, most=3)
    assert found.of(["a", "bb", "a"]) == [1, 2, 1]
    assert found.of(["bb", "ccc"]) == [2, 3]
    assert computed == [["a", "bb"], ["ccc"]]
    assert found.of(["dddd"]) == [4]
    assert found.of(["bb", "a"]) == [2, 1]
    assert computed[2:] == [["dddd"], ["a"]], "the oldest is forgotten"
