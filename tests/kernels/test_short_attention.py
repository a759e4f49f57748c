from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engrain.kernels import native
from engrain.kernels.packed_attention import Options, with_scores
from engrain.kernels.short_attention import MOST_KEYS, can, short_attention

pytestmark = pytest.mark.skipif(native.library() is None, reason="no C compiler")
ROOM = {torch.float32: 1e-4, torch.bfloat16: 3e-2}
"""How far a result may lie from the reference, as a share of its size."""


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 3),
    heads=st.integers(1, 2),
    groups=st.integers(1, 3),
    length=st.integers(1, 150),
    before=st.integers(0, 40),
    width=st.sampled_from([3, 8, 64]),
    window=st.sampled_from([None, 1, 17, 1000]),
    spread=st.sampled_from([0.3, 3.0, 100.0]),  # of the scores: even, uneven, all on one key
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_equals_attention_by_way_of_all_scores(
    count: int,
    heads: int,
    groups: int,
    length: int,
    before: int,
    width: int,
    window: int | None,
    spread: float,
    dtype: torch.dtype,
) -> None:
    torch.manual_seed(length)
    keys, scale = before + length, spread / width**0.5
    q, k, v = (
        torch.randn(count, n, h, width).to(dtype).transpose(1, 2).requires_grad_()
        for n, h in ((length, heads * groups), (keys, heads), (keys, heads))
    )
    seen = torch.ones(length, keys, dtype=torch.bool).tril(before).triu(before - (window or keys) + 1)
    # In the same type: bf16 rounds scores of 100 to whole ones.
    wanted = with_scores(q, k, v, seen, Options(scale, 0.0, None, None, groups))
    assert can(q, k, v)
    found = short_attention(q, k, v, window, scale)
    assert found.dtype == dtype
    slope = torch.randn_like(wanted)
    gradients = [torch.autograd.grad((out * slope).sum(), (q, k, v)) for out in (found, wanted)]
    least = max(1.0, scale)  # where all weight is on one key the scores' gradients cancel, and rounding times the scale is left
    for one, other in zip((found, *gradients[0]), (wanted, *gradients[1]), strict=True):
        assert (one.float() - other.float()).norm() <= ROOM[dtype] * (other.float().norm() + least)


@pytest.mark.parametrize("keys", [MOST_KEYS, MOST_KEYS + 1])
def test_more_keys_than_it_holds_are_left_to_others(keys: int) -> None:
    q, k = torch.randn(1, 1, 2, 4), torch.randn(1, 1, keys, 4)
    assert can(q, k, k) == (keys <= MOST_KEYS)
    if can(q, k, k):
        seen = torch.ones(2, keys, dtype=torch.bool).tril(keys - 2)
        torch.testing.assert_close(short_attention(q, k, k, None, 0.5), with_scores(q, k, k, seen, Options(0.5, 0.0, None, None, 1)))


def test_other_types_are_left_to_others() -> None:
    q = torch.randn(1, 1, 2, 4, dtype=torch.float64)
    assert not can(q, q, q)
    assert not can(q.float(), q.bfloat16(), q.bfloat16())
