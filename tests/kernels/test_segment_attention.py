from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engrain.kernels import segment_attention as kernel
from engrain.kernels.matmul import ready
from engrain.kernels.packed_attention import pack, packed_attention, reference_attention
from engrain.kernels.segment_attention import busy, can, segment_attention, segments

pytestmark = pytest.mark.skipif(not ready(), reason="no unit that multiplies bf16")
ROOM = 5e-3
"""How far a result may lie from the reference in fp32, as a share of its size: bf16 has eight bits, and shares are rounded to it, too."""


@st.composite
def rows(draw: st.DrawFn) -> tuple[list[int], int, list[int]]:
    """Lengths, prefix, and which segment continues which."""
    lengths = draw(st.lists(st.sampled_from([1, 2, 15, 16, 17, 33, 70, 130]), min_size=1, max_size=6))
    after = list[int]()
    for i in range(len(lengths)):
        after.append(draw(st.sampled_from([-1, *(j for j in range(i) if after[j] < 0)])))
    return lengths, draw(st.sampled_from([0, 0, 1, 40])), after


def made(heads: int, groups: int, tokens: int, width: int) -> list[torch.Tensor]:
    torch.manual_seed(tokens)
    return [torch.randn(tokens, n, width).bfloat16() for n in (heads * groups, heads, heads)]


@settings(max_examples=60, deadline=None)
@given(
    row=rows(),
    heads=st.integers(1, 3),
    groups=st.sampled_from([1, 2, 3, 5, 48]),
    width=st.sampled_from([32, 64, 96]),
    window=st.sampled_from([None, 2, 17, 40, 1000]),
    spread=st.sampled_from([0.3, 3.0, 30.0]),  # of the scores: even, uneven, nearly all on one key
)
def test_equals_the_reference(
    row: tuple[list[int], int, list[int]], heads: int, groups: int, width: int, window: int | None, spread: float
) -> None:
    lengths, prefix, after = row
    tensors = made(heads, groups, prefix + sum(lengths), width)
    scale = spread / width**0.5
    direction = torch.randn(tensors[0].shape).bfloat16()
    narrow, wide = ([x.clone().to(kind).requires_grad_() for x in tensors] for kind in (torch.bfloat16, torch.float32))
    assert can(*narrow)
    found = segment_attention(*narrow, segments(lengths, prefix, after), window, scale)
    across = [x.transpose(0, 1)[None] for x in wide]
    wanted = reference_attention(*across, lengths, prefix, scale, window, after=after)[0]
    for out in (found, wanted):
        (out * direction.to(out.dtype)).sum().backward()
    assert found.dtype == torch.bfloat16
    least = spread * len(tensors[0]) ** 0.5  # where nearly all weight is on one key the scores' gradients cancel
    for one, other in zip((found, *(x.grad for x in narrow)), (wanted, *(x.grad for x in wide)), strict=True):
        assert (one.float() - other).norm() <= ROOM * (other.norm() + least)


@given(rows())
@settings(max_examples=30, deadline=None)
def test_every_key_of_a_segment_is_named_once_and_found_again(row: tuple[list[int], int, list[int]]) -> None:
    lengths, prefix, after = row
    found = segments(lengths, prefix, after)
    tokens = prefix + sum(lengths)
    queries = [token for first, count, _, _ in found.spans.tolist() for token in range(first, first + count)]
    assert sorted(queries) == list(range(tokens))
    for first, count, key, keys in found.spans.tolist():
        own = found.keys[key : key + keys].tolist()
        assert own[keys - count :] == list(range(first, first + count))
        assert len(set(own)) == keys <= found.longest
    for token in range(tokens):
        places = found.order[found.bounds[token] : found.bounds[token + 1]]
        assert places.tolist() == (found.keys == token).nonzero()[:, 0].tolist()


def test_result_is_the_same_with_any_number_of_threads() -> None:
    lengths, before = [70, 33, 5, 90], torch.get_num_threads()
    row, results = segments(lengths, 20, [-1, 0, -1, -1]), []
    direction = torch.randn(218, 6, 64).bfloat16()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            inputs = [x.requires_grad_() for x in made(2, 3, 218, 64)]
            out = segment_attention(*inputs, row, None, 0.2)
            results.append([out, *torch.autograd.grad((out * direction).sum(), inputs)])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(x, y) for x, y in zip(results[0], other, strict=True))


def test_inputs_may_be_parts_of_wider_rows_or_lie_head_by_head() -> None:
    q, k, v = made(2, 2, 30, 32)
    row = segments([10, 20], 0, [-1, -1])
    wanted = segment_attention(q, k, v, row, None, 0.2)
    joined = torch.cat([q.flatten(1), k.flatten(1), v.flatten(1)], 1)
    parts = (x.unflatten(1, (-1, 32)) for x in joined.split([128, 64, 64], 1))
    assert torch.equal(segment_attention(*parts, row, None, 0.2), wanted)
    by_heads = (x.transpose(0, 1).contiguous().transpose(0, 1) for x in (q, k, v))
    assert torch.equal(segment_attention(*by_heads, row, None, 0.2), wanted)


def test_others_compute_what_does_not_fit() -> None:
    q, k, v = made(2, 2, 5, 32)
    assert can(q, k, v)
    assert not can(q.float(), k.float(), v.float())
    assert not can(q, k, v[..., :16])
    assert not can(*(x[..., :24] for x in (q, k, v)))
    assert not can(torch.zeros(5, 98, 32).bfloat16(), k, v)


def test_a_long_segment_is_left_to_others_where_threads_would_be_idle() -> None:
    row, short = segments([kernel.LONG + 1], 0, [-1]), segments([kernel.LONG], 0, [-1])
    threads = torch.get_num_threads()
    assert busy(row, threads)
    assert not busy(row, threads - 1)
    assert busy(short, 1)


@pytest.mark.parametrize("softcap", [None, 5.0])
def test_packed_attention_computes_a_plain_row_here(softcap: float | None) -> None:
    q, k, v = (x.transpose(0, 1)[None] for x in made(2, 2, 30, 32))
    with mock.patch.object(kernel, "native", wraps=kernel.native) as native:
        found, _ = packed_attention(SimpleNamespace(training=True), q, k, v, None, softcap=softcap, packing=pack([10, 20], 0, "cpu"))
    assert native.call.called == (softcap is None)
    wanted = reference_attention(*(x.float() for x in (q, k, v)), [10, 20], 0, softcap=softcap)
    assert (found.float() - wanted).norm() <= 3 * ROOM * wanted.norm()
