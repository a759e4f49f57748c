"""Causal attention of the segments of a row as they lie, in C (`segment_attention.c`), in a processor's units that multiply bf16.

No segment is padded, none is copied together with what it sees, and of scores only a few queries' are held: these go over the keys
of their segment, and back again with the logarithm of what their shares were divided by (arXiv 2205.14135, section 3.1, but with all of
a query's scores at hand at once). Reference: `packed_attention.reference_attention`.

Shapes: N tokens in the row, S segments, K keys of all segments, H heads, Hkv of keys and values, D head width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engrain.kernels import native
from engrain.kernels.matmul import UNIT, ready

LONG = 1024
"""Keys beyond which a segment is left to others where threads would be idle, for one computes all queries of a head of keys."""
MOST_GROUPS = 48
"""As in `segment_attention.c`: heads that share one of keys and values."""


@dataclass(frozen=True)
class Segments:
    """What sees what: `spans` (S, 4) say each segment's first query, how many queries, its first key, and how many keys.

    `keys` (K) are the tokens that are keys, segment after segment; `order` (K) their places there, token by token, and `bounds` (N + 1)
    where in it those of each token begin. All are whole numbers of eight bytes.
    """

    spans: Tensor
    keys: Tensor
    order: Tensor
    bounds: Tensor
    longest: int


def segments(lengths: Sequence[int], prefix: int, after: Sequence[int]) -> Segments:
    """Those of a row: the prefix, which all see, then these lengths; `after` names what a segment continues, -1 for nothing."""
    starts = list(accumulate(lengths, initial=prefix))
    tokens = torch.arange(starts[-1])
    seen = [[tokens[:prefix], tokens[starts[a] : starts[a] + lengths[a]] if a >= 0 else tokens[:0]] for a in after]
    found = [torch.cat([*before, tokens[start : start + n]]) for before, start, n in zip(seen, starts, lengths, strict=False)]
    parts = [(prefix, 0, tokens[:prefix])] * (prefix > 0) + list(zip(lengths, starts, found, strict=False))
    parts.sort(key=lambda part: -part[0] * len(part[2]))  # the longest first, so that no thread waits long for the last one
    ends = list(accumulate(len(keys) for *_, keys in parts))
    spans = [(start, n, end - len(keys), len(keys)) for (n, start, keys), end in zip(parts, ends, strict=True)]
    keys = torch.cat([keys for *_, keys in parts])
    bounds = F.pad(torch.bincount(keys, minlength=starts[-1]).cumsum(0), (1, 0))
    return Segments(torch.tensor(spans), keys, keys.argsort(stable=True), bounds, max(count for *_, count in spans))


class _SegmentAttention(torch.autograd.Function):  # type: ignore[misc]
    """q (N, H, D) on k, v (N, Hkv, D), whose heads lie behind each other."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, row: Segments, window: int, scale: float) -> Tensor:
        y, logs = q.new_empty(q.shape), q.new_empty(q.shape[:2], dtype=torch.float32)
        sizes = (q.shape[1], k.shape[1], q.shape[2], window, scale)
        native.call("segments", q.dtype, *_laid(q, k, v), row.spans, len(row.spans), row.keys, *sizes, y, logs)
        ctx.save_for_backward(q, k, v, logs)
        ctx.row, ctx.sizes = row, sizes
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, logs = ctx.saved_tensors
        row, dy, made = ctx.row, grads[0].contiguous(), [x.new_empty(x.shape) for x in (q, k, v)]
        changes = k.new_empty((2, len(row.keys), *k.shape[1:]), dtype=torch.float32)
        told = (row.spans, len(row.spans), row.keys, row.order, row.bounds, len(q), *ctx.sizes)
        native.call("segments_back", q.dtype, dy, *_laid(q, k, v), logs, *told, changes, *made)
        return *made, None, None, None


def _laid(*tensors: Tensor) -> list[Tensor | int]:
    return [part for x in tensors for part in (x, x.stride(0))]


def can(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether attention of q (N, H, D) on k, v (N, Hkv, D) is computed here."""
    fits = q.shape[-1] == k.shape[-1] == v.shape[-1] and q.shape[-1] % UNIT == 0 and q.shape[1] <= MOST_GROUPS * k.shape[1]
    return fits and all(x.dtype == torch.bfloat16 and x.device.type == "cpu" for x in (q, k, v)) and ready()


def busy(row: Segments, kv_heads: int) -> bool:
    """Whether there is work for every thread, or little altogether."""
    return row.longest <= LONG or len(row.spans) * kv_heads >= torch.get_num_threads()


def segment_attention(q: Tensor, k: Tensor, v: Tensor, row: Segments, window: int | None, scale: float) -> Tensor:
    """Attention of q (N, H, D) on k, v (N, Hkv, D) → (N, H, D); each query sees the `window` keys of its segment up to its own."""
    whole = (x if x.stride()[1:] == (x.shape[2], 1) else x.contiguous() for x in (q, k, v))
    y: Tensor = _SegmentAttention.apply(*whole, row, window or row.longest, scale)
    return y
