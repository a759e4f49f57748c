from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engrain.kernels import packed_attention as kernel
from engrain.kernels.packed_attention import WASTE, pack, packed, packed_attention, reference_attention

shapes = st.fixed_dictionaries(
    {
        "lengths": st.lists(st.integers(1, 13), min_size=1, max_size=7),
        "prefix": st.sampled_from([0, 0, 1, 5, 11]),
        "groups": st.sampled_from([1, 2, 3]),
        "scaling": st.sampled_from([None, 0.3]),
        "sliding_window": st.sampled_from([None, 1, 3, 7, 100]),
        "softcap": st.sampled_from([None, None, 2.0]),
        "sinks": st.sampled_from([False, False, True]),
        # Values may be of another width than queries and keys.
        "value_width": st.sampled_from([8, 8, 12]),
        "seed": st.integers(0, 1000),
        # Keys up to which scores are made whole: all of these, some, or none, as in long rows.
        "short": st.sampled_from([kernel.SHORT, 8, 0]),
        # The same, where the softmax is computed natively.
        "few": st.sampled_from([kernel.FEW, 8, 0]),
    }
)


def both(shape: dict[str, Any], dtype: torch.dtype) -> list[list[torch.Tensor]]:
    """Output and gradients of q, k, v: packed in `dtype`, and of the reference in fp32 on the same rounded numbers."""
    torch.manual_seed(shape["seed"])
    lengths, prefix = shape["lengths"], shape["prefix"]
    tokens, heads, width = prefix + sum(lengths), 2 * shape["groups"], 8
    widths = ((heads, width), (2, width), (2, shape["value_width"]))
    made = [torch.randn(1, h, tokens, w).to(dtype) for h, w in widths] + [torch.randn(heads).to(dtype)]
    direction = torch.randn(1, tokens, heads, shape["value_width"])
    options = {name: shape[name] for name in ("scaling", "sliding_window", "softcap")}
    results = []
    for plain in (False, True):
        q, k, v, sinks = (x.float().requires_grad_() if plain else x.clone().requires_grad_() for x in made)
        told = sinks if shape["sinks"] else None
        if plain:
            out = reference_attention(q, k, v, lengths, prefix, sinks=told, **options)
        else:
            with mock.patch.multiple(kernel, SHORT=shape["short"], FEW=shape["few"]):
                packing = pack(lengths, prefix, "cpu")
                out, _ = packed_attention(SimpleNamespace(training=True), q, k, v, None, packing=packing, s_aux=told, **options)
            assert out.dtype == dtype
        (out.float() * direction).sum().backward()
        results.append([out, *(x.grad.float() for x in (q, k, v)), *([sinks.grad.float()] if shape["sinks"] else [])])
    return results


@settings(max_examples=50, deadline=None)
@given(shapes)
def test_equals_the_reference(shape: dict[str, Any]) -> None:
    for fast, plain in zip(*both(shape, torch.float32), strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(shapes)
def test_bfloat16_is_near_the_reference(shape: dict[str, Any]) -> None:
    for fast, plain in zip(*both(shape, torch.bfloat16), strict=True):
        assert (fast.float() - plain).norm() <= 0.03 * plain.norm() + 0.02


@pytest.mark.parametrize("prefix", [0, 3])
@pytest.mark.parametrize("sliding_window", [None, 6])
def test_keys_out_of_a_cache_are_seen_as_a_longer_prefix_is(prefix: int, sliding_window: int | None) -> None:
    torch.manual_seed(0)
    cached, lengths, groups = 5, [4, 7, 1], 2
    tokens = cached + prefix + sum(lengths)
    q, k, v = (torch.randn(1, heads, tokens, 8, requires_grad=True) for heads in (2 * groups, 2, 2))
    reference = reference_attention(q, k, v, lengths, cached + prefix, sliding_window=sliding_window)[:, cached:]
    found, _ = packed_attention(
        SimpleNamespace(training=False), q[:, :, cached:], k, v, None, sliding_window=sliding_window, packing=pack(lengths, prefix, "cpu")
    )
    torch.testing.assert_close(found, reference, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(*(torch.autograd.grad(out.square().sum(), (q, k, v)) for out in (found, reference)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.lists(st.integers(1, 6), max_size=4)), min_size=1, max_size=5),
    st.sampled_from([0, 3]),
    st.sampled_from([None, 6]),
    st.sampled_from([None, 5.0]),
)
def test_segments_that_continue_others_see_those_before_themselves(
    families: list[tuple[int, list[int]]], prefix: int, sliding_window: int | None, softcap: float | None
) -> None:
    torch.manual_seed(0)
    lengths, after = list[int](), list[int]()
    for length, following in families:
        after += [-1, *[len(lengths)] * len(following)]
        lengths += [length, *following]
    q, k, v = (torch.randn(1, heads, prefix + sum(lengths), 8, requires_grad=True) for heads in (4, 2, 2))
    options = {"sliding_window": sliding_window, "softcap": softcap}
    reference = reference_attention(q, k, v, lengths, prefix, after=after, **options)
    packing = pack(lengths, prefix, "cpu", after)
    assert packing.positions.tolist()[prefix : prefix + 1] == [prefix]
    found, _ = packed_attention(SimpleNamespace(training=False), q, k, v, None, packing=packing, **options)
    torch.testing.assert_close(found, reference, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(*(torch.autograd.grad(out.square().sum(), (q, k, v)) for out in (found, reference)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_segments_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    packing = pack([4, 6, 5], 3, "cpu")
    q, k, v = (torch.randn(1, 2, 18, 8) for _ in range(3))
    before, _ = packed_attention(SimpleNamespace(training=False), q, k, v, None, packing=packing)
    v[:, :, 7:13] += 1.0  # the second segment
    after, _ = packed_attention(SimpleNamespace(training=False), q, k, v, None, packing=packing)
    changed = (before != after).any(-1).any(-1)[0]
    assert changed.tolist() == [7 <= token < 13 for token in range(18)]


def test_dropout_only_while_training() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 2, 9, 8) for _ in range(3))
    for softcap in (None, 5.0):
        still, busy = (
            packed_attention(SimpleNamespace(training=on), q, k, v, None, dropout=0.5, softcap=softcap, packing=pack([9], 0, "cpu"))[0]
            for on in (False, True)
        )
        torch.testing.assert_close(still, reference_attention(q, k, v, [9], 0, softcap=softcap))
        assert not torch.allclose(still, busy)


@settings(deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.sampled_from([0, 17]))
def test_padding_stays_small_and_every_token_has_one_place(lengths: list[int], prefix: int) -> None:
    packing = pack(lengths, prefix, "cpu")
    tokens = prefix + sum(lengths)
    assert len(packing.gather) == sum(packing.sizes) <= prefix + WASTE * sum(lengths)
    assert packing.gather[packing.scatter].tolist() == list(range(tokens))
    assert int(packing.real.sum()) == tokens
    assert packing.positions.tolist() == [*range(prefix), *(prefix + i for n in lengths for i in range(n))]


def test_packed_restores_the_model(tiny_model: Any) -> None:
    before = tiny_model.config._attn_implementation
    with packed(tiny_model):
        assert tiny_model.config._attn_implementation == "engrain_packed"
    assert tiny_model.config._attn_implementation == before
    with pytest.raises(ZeroDivisionError), packed(tiny_model):
        1 / 0  # noqa: B018
    assert tiny_model.config._attn_implementation == before
