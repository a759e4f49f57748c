"""In which chunks a prompt is read, and which of them are kept for the next prompt."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from engrain.serve.engine import Weights
from engrain.serve.slots import Prefixes
from engrain.serve.tenant import FIRST, Tenant

SIZE = 48


class Reader(Tenant[Any]):
    """A prompt that shares its first tokens with others, or nothing that is known of."""

    def __init__(self, length: int, shared: int = 0) -> None:
        super().__init__(Weights("base"), lambda _: None, 1.0)
        self.prompt, self._shared = tuple(range(length)), shared

    def shared(self) -> int:
        return self._shared

    def places(self) -> list[int]:
        return [self._shared or len(self.prompt) - 1]

    def take(self, logits_KV: Tensor) -> None:
        """Nothing is done with them."""


def chunks(reader: Reader) -> list[tuple[int, int]]:
    ends = reader.chunk_ends(SIZE)
    return list(zip([0, *ends], ends, strict=False))


@given(st.integers(1, 400), st.data())
def test_every_token_is_read_once_in_chunks_that_are_not_too_long(length: int, data: st.DataObject) -> None:
    reader = Reader(length, data.draw(st.integers(0, length - 1)))
    read = chunks(reader)
    assert (read[0][0], read[-1][1]) == (0, length)
    assert all(0 < end - start <= SIZE for start, end in read)
    assert read[0][1] <= FIRST


@given(st.integers(2, 400), st.integers(2, 400), st.data())
def test_what_is_reused_was_read_in_the_chunks_in_which_it_would_be_read(one: int, other: int, data: st.DataObject) -> None:
    readers = [Reader(n, data.draw(st.integers(0, n - 1))) for n in (one, other)]
    for end in set(readers[0].reusable_ends(SIZE)) & set(readers[1].reusable_ends(SIZE)):
        first, second = ([chunk for chunk in chunks(reader) if chunk[1] <= end] for reader in readers)
        assert first == second


def block(tokens: int) -> list[tuple[Tensor, Tensor]]:
    return [(torch.zeros(2, tokens, 4), torch.zeros(2, tokens, 4))]


def test_kept_beginnings_have_no_more_tokens_than_they_may() -> None:
    prefixes, prompt = Prefixes(10), list(range(20))
    prefixes.keep("w", prompt[:4], block(4))
    prefixes.keep("w", prompt[:9], block(5))
    prefixes.keep("w", prompt[:9], block(5))  # kept anew, not twice
    assert [end for end, _ in prefixes.find("w", prompt, [4, 9, 14])] == [4, 9]
    assert prefixes.find("other", prompt, [4, 9]) == []
    prefixes.keep("w", prompt[:14], block(5))
    assert [end for end, _ in prefixes.find("w", prompt, [4, 9, 14])] == [4]  # the last of a beginning gives way first
    assert prefixes.held == 9
