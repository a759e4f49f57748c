"""Attention over a flat row of segments: no padding anywhere but inside the attention product itself.

A training step is one row of tokens: an optional prefix that all segments share, then the segments one after the
other. Each segment sees the prefix and itself, causally. Reference: `reference_attention`, a dense block mask.

Shapes: N tokens in the row, P prefix tokens, S segments of a bucket, M longest of them, H heads, D head width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface

NAME = "engrain_packed"
WASTE = 1.3
"""Segments share a padded bucket while its area stays below this multiple of their real length."""


@dataclass(frozen=True)
class Bucket:
    """Segments of similar length: `gather` (S·M) token of each padded place, `scatter` padded place of each of `tokens`."""

    shape: tuple[int, int]
    gather: Tensor
    scatter: Tensor
    tokens: Tensor


@dataclass(frozen=True)
class Packing:
    """Where the segments of a row lie. `positions` (N) restart at the prefix length for every segment."""

    prefix: int
    positions: Tensor
    segments: Tensor
    buckets: tuple[Bucket, ...]


def pack(lengths: Sequence[int], prefix: int, device: torch.device | str) -> Packing:
    """The Packing of segments of these lengths (without the prefix), laid out in the given order after the prefix."""
    starts = [prefix]
    for length in lengths:
        starts.append(starts[-1] + length)
    positions = torch.cat([torch.arange(prefix), *(torch.arange(length) + prefix for length in lengths)])
    segments = torch.cat([torch.zeros(prefix, dtype=torch.long), *(torch.full((n,), i + 1) for i, n in enumerate(lengths))])
    buckets = tuple(_bucket([(starts[i], lengths[i]) for i in group], device) for group in _similar(lengths))
    return Packing(prefix, positions.to(device), segments.to(device), buckets)


def _similar(lengths: Sequence[int]) -> list[list[int]]:
    """The indices of the segments, longest first, grouped so that padding a group wastes little."""
    groups: list[list[int]] = []
    real = 0
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        real += lengths[i]
        if groups and lengths[groups[-1][0]] * (len(groups[-1]) + 1) <= WASTE * real:
            groups[-1].append(i)
        else:
            groups.append([i])
            real = lengths[i]
    return groups


def _bucket(spans: Sequence[tuple[int, int]], device: torch.device | str) -> Bucket:
    longest = max(length for _, length in spans)
    gather = torch.cat([torch.arange(start, start + longest).clamp_(max=start + length - 1) for start, length in spans])
    scatter = torch.cat([torch.arange(length) + row * longest for row, (_, length) in enumerate(spans)])
    tokens = torch.cat([torch.arange(start, start + length) for start, length in spans])
    return Bucket((len(spans), longest), gather.to(device), scatter.to(device), tokens.to(device))


class _Pad(torch.autograd.Function):
    """Rows of `x` at `gather`; the gradient comes back through the real places only, so no sum over duplicates."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bucket: Bucket) -> Tensor:
        ctx.bucket, ctx.size = bucket, x.shape[0]
        return x.index_select(0, bucket.gather)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        grad, bucket = grads[0], ctx.bucket
        full = grad.new_zeros((ctx.size, *grad.shape[1:]))
        return full.index_copy_(0, bucket.tokens, grad.index_select(0, bucket.scatter)), None


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    packing: Packing | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Block-diagonal causal attention in the form that transformers' attention interface asks for.

    query (1, H, N, D), key and value (1, Hkv, N, D) → output (1, N, H, D).
    """
    assert packing is not None, "the packed attention runs inside `packed(model)` with packing=… only"
    options = _Options(scaling, dropout if module.training else 0.0, sliding_window, softcap, query.shape[1] // key.shape[1])
    q_NHD, k_NHD, v_NHD = (x[0].transpose(0, 1) for x in (query, key, value))
    out_NHD = torch.zeros_like(q_NHD)
    prefix = packing.prefix
    if prefix:
        shared = _attend(q_NHD[None, :prefix], k_NHD[None, :prefix], v_NHD[None, :prefix], 0, options)[0]
        out_NHD = out_NHD.index_copy(0, torch.arange(prefix, device=out_NHD.device), shared)
    for bucket in packing.buckets:
        q, k, v = (_Pad.apply(x, bucket).unflatten(0, bucket.shape) for x in (q_NHD, k_NHD, v_NHD))
        if prefix:
            k, v = (torch.cat([x[None, :prefix].expand(len(own), -1, -1, -1), own], 1) for x, own in ((k_NHD, k), (v_NHD, v)))
        attended = _attend(q, k, v, prefix, options).flatten(0, 1)
        out_NHD = out_NHD.index_copy(0, bucket.tokens, attended.index_select(0, bucket.scatter))
    return out_NHD[None], None


@dataclass(frozen=True)
class _Options:
    scaling: float | None
    dropout: float
    sliding_window: int | None
    softcap: float | None
    groups: int


def _attend(q: Tensor, k: Tensor, v: Tensor, offset: int, options: _Options) -> Tensor:
    """Causal attention of q (S, M, H, D) at positions from `offset` on k, v (S, offset + M, Hkv, D)."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    if options.groups > 1:
        k, v = (x.repeat_interleave(options.groups, 1) for x in (k, v))
    mask = _mask(q.shape[2], offset, options.sliding_window, q.device)
    if options.softcap is None:
        causal = mask is None
        out = F.scaled_dot_product_attention(q, k, v, mask, options.dropout, is_causal=causal, scale=options.scaling)
        return out.transpose(1, 2)
    scale = q.shape[-1] ** -0.5 if options.scaling is None else options.scaling
    scores = torch.tanh(q @ k.transpose(-1, -2) * scale / options.softcap) * options.softcap
    if mask is None:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
    weights = scores.float().masked_fill(~mask, float("-inf")).softmax(-1).to(v.dtype)
    return (F.dropout(weights, options.dropout) @ v).transpose(1, 2)


def _mask(length: int, offset: int, window: int | None, device: torch.device) -> Tensor | None:
    """Who sees whom (length, offset + length), or None where plain causal attention says it all."""
    windowed = window is not None and window < offset + length
    if not offset and not windowed:
        return None
    mask = torch.ones(length, offset + length, dtype=torch.bool, device=device).tril(offset)
    return mask.triu(offset - (window or 0) + 1) if windowed else mask


def reference_attention(query: Tensor, key: Tensor, value: Tensor, packing: Packing, scaling: float | None = None) -> Tensor:
    """The same attention the plain way: one dense mask. Shapes as `packed_attention`."""
    n = query.shape[2]
    segments = packing.segments
    same = (segments[:, None] == segments[None, :]) | (segments[None, :] == 0)
    mask = same & torch.ones(n, n, dtype=torch.bool, device=query.device).tril()
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    return F.scaled_dot_product_attention(query, key, value, mask, scale=scaling).transpose(1, 2)


AttentionInterface.register(NAME, packed_attention)


@contextmanager
def packed(model: nn.Module) -> Iterator[None]:
    """Inside, the model's attention is `packed_attention`; afterwards what it was before."""
    configs = [module.config for module in model.modules() if hasattr(module, "config")]
    before = [config._attn_implementation for config in configs]
    for config in configs:
        config._attn_implementation = NAME
    try:
        yield
    finally:
        for config, implementation in zip(configs, before, strict=True):
            config._attn_implementation = implementation


def spans(lengths: Sequence[int], prefix: int) -> list[tuple[int, int]]:
    """(start, end) of every segment in the row."""
    edges = [prefix]
    for length in lengths:
        edges.append(edges[-1] + length)
    return list(pairwise(edges))
