"""In which chunks a prompt is read, which of them are kept for the next prompt, and attention of single tokens side by side."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engrain.serve.engine import Weights
from engrain.serve.slots import Prefixes, Rows, Slots, slot_attention
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


def decoded(
    lengths: list[int], active: list[bool], window: int | None, softcap: float | None, dtype: torch.dtype, sinks: Tensor | None = None
) -> Tensor:
    """What attention gives (S, 1, H, D) for the next token of slots that hold so many tokens; the same numbers every time."""
    store, heads, kv, width = Slots(len(lengths), 400), 6, 2, 16
    for slot, length in enumerate(lengths):
        key, value = (seeded(slot, name, (1, kv, length, width), dtype) for name in "kv")
        store.put(0, Rows((slot,), (0,), (length,)), key, value)
    query = torch.cat([seeded(slot, "q", (1, heads, 1, width), dtype) for slot in range(len(lengths))])
    new = torch.cat([seeded(slot, "n", (1, kv, 1, width), dtype) for slot in range(len(lengths))])
    rows = Rows(tuple(range(len(lengths))), tuple(lengths), tuple(int(one) for one in active))
    module = SimpleNamespace(layer_idx=0)
    options: dict[str, Any] = {"sliding_window": window, "softcap": softcap, "s_aux": sinks, "store": store, "rows": rows}
    return slot_attention(module, query, new, new, None, **options)[0]  # type: ignore[arg-type]


def seeded(slot: int, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(100 * slot + ord(name))).to(dtype)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(2, 390), min_size=2, max_size=12),
    st.sampled_from([None, 7, 130]),
    st.sampled_from([None, 20.0]),
    st.sampled_from([torch.float32, torch.bfloat16]),
    st.sampled_from([None, torch.linspace(-1, 3, 6)]),
    st.data(),
)
def test_an_answer_has_the_same_bits_alone_and_beside_others(
    lengths: list[int], window: int | None, softcap: float | None, dtype: torch.dtype, sinks: Tensor | None, data: st.DataObject
) -> None:
    active = data.draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths)).filter(any))
    together = decoded(lengths, active, window, softcap, dtype, sinks)
    assert not together[[not one for one in active]].any()
    for slot in (slot for slot, one in enumerate(active) if one):
        alone = decoded(lengths, [other == slot for other in range(len(lengths))], window, softcap, dtype, sinks)
        assert torch.equal(together[slot], alone[slot])
        assert together[slot].isfinite().all()


@pytest.mark.parametrize("window", [None, 7])
def test_the_next_token_sees_what_plain_attention_sees(window: int | None) -> None:
    lengths = [3, 140, 390]
    found = decoded(lengths, [True] * 3, window, None, torch.float32)
    for slot, length in enumerate(lengths):
        new = seeded(slot, "n", (1, 2, 1, 16), torch.float32)
        keys, values = (
            torch.cat([seeded(slot, name, (1, 2, length, 16), torch.float32), new], 2)[:, :, -(window or 999) :] for name in "kv"
        )
        query = seeded(slot, "q", (1, 6, 1, 16), torch.float32)
        shares = (query @ keys.repeat_interleave(3, 1).transpose(2, 3) / 4).softmax(-1)
        assert torch.allclose(found[slot], (shares @ values.repeat_interleave(3, 1))[0].transpose(0, 1), atol=1e-5)
