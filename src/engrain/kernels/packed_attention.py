"""Attention over a flat row of segments: no padding anywhere but inside the attention product itself, nor there in `segment_attention`.

A training step is one row of tokens: an optional prefix that all segments share, then the segments one after the
other. Each segment sees the prefix, the segment that it continues, if any, and itself, causally. Reference: `reference_attention`,
a dense block mask.

Shapes: N tokens in the row, P prefix tokens, S segments of a bucket, M longest of them, L tokens of what they continue, H heads,
D head width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface

from engrain.kernels import segment_attention as segmented
from engrain.kernels.segment_attention import Segments, segment_attention
from engrain.kernels.short_attention import can, short_attention

NAME = "engrain_packed"
SHORT = 256
"""Keys up to which scores are made whole on a CPU: there the fused attention goes back several times slower over few tokens."""
FEW = 1024
"""The same, where the softmax is computed natively."""
SINK_WIDTH = 8
"""By how much a sink makes heads wider: fused attention wants multiples of this."""
WASTE = 1.3
"""Segments share a padded bucket while its area stays below this multiple of their real length."""


@dataclass(frozen=True)
class Packing:
    """Where the segments of a row lie, and how the row is padded: the prefix first, then bucket after bucket.

    `positions` (N) restart for every segment behind what it sees before itself. `buckets` are the shapes (S, M). `gather` is the
    token of every padded place, `scatter` (N) the padded place of every token, `real` what is no padding. `continued` has for each
    bucket the tokens (S, L) of what its segments continue, None where that is nothing. `lengths` and `after` are what `pack` was given.
    """

    lengths: Sequence[int]
    after: Sequence[int]
    prefix: int
    positions: Tensor
    buckets: tuple[tuple[int, int], ...]
    gather: Tensor
    scatter: Tensor
    real: Tensor
    continued: tuple[Tensor | None, ...]

    @property
    def sizes(self) -> list[int]:
        """Padded places of the prefix and of every bucket."""
        return [self.prefix, *(count * longest for count, longest in self.buckets)]

    @cached_property
    def segments(self) -> Segments:
        """The row without padding."""
        return segmented.segments(self.lengths, self.prefix, self.after)


def pack(lengths: Sequence[int], prefix: int, device: torch.device | str, after: Sequence[int] = ()) -> Packing:
    """The Packing of segments of these lengths (without the prefix), laid out in the given order after the prefix.

    `after` gives for each segment the number of the one that it continues, -1 for none; without it none continues another.
    """
    starts, after = list(accumulate(lengths, initial=prefix)), after or [-1] * len(lengths)
    before = [lengths[i] if i >= 0 else 0 for i in after]
    groups = [group for length in sorted(set(before)) for group in _similar(lengths, [i for i, b in enumerate(before) if b == length])]
    order = [(i, torch.arange(lengths[group[0]])) for group in groups for i in group]
    gather = torch.cat([torch.arange(prefix), *(places.clamp(max=lengths[i] - 1) + starts[i] for i, places in order)])
    real = torch.cat([torch.ones(prefix, dtype=torch.bool), *(places < lengths[i] for i, places in order)])
    scatter = torch.empty(starts[-1], dtype=torch.long)
    scatter[gather[real]] = real.nonzero()[:, 0]
    positions = torch.cat([torch.arange(prefix), *(torch.arange(n) + prefix + b for n, b in zip(lengths, before, strict=True))])
    buckets = tuple((len(group), lengths[group[0]]) for group in groups)
    seen = ([torch.arange(before[i]) + starts[after[i]] for i in group if before[i]] for group in groups)
    continued = tuple(torch.stack(tokens).to(device) if tokens else None for tokens in seen)
    return Packing(lengths, after, prefix, positions.to(device), buckets, gather.to(device), scatter.to(device), real.to(device), continued)


def _similar(lengths: Sequence[int], numbers: Sequence[int]) -> list[list[int]]:
    """The numbers of segments, longest first, grouped so that padding a group wastes little."""
    groups: list[list[int]] = []
    real = 0
    for i in sorted(numbers, key=lambda i: -lengths[i]):
        real += lengths[i]
        if groups and lengths[groups[-1][0]] * (len(groups[-1]) + 1) <= WASTE * real:
            groups[-1].append(i)
        else:
            groups.append([i])
            real = lengths[i]
    return groups


class _Pad(torch.autograd.Function):  # type: ignore[misc]
    """Tokens (N, …) at their padded places. Padding has no gradient (see `_Unpad`), so none is summed."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, packing: Packing) -> Tensor:
        ctx.packing = packing
        return x.index_select(0, packing.gather)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0].index_select(0, ctx.packing.scatter), None


class _Unpad(torch.autograd.Function):  # type: ignore[misc]
    """The way back: padded places become tokens (N, H, D), and padding gets a gradient of zero."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, packing: Packing) -> Tensor:
        ctx.packing = packing
        return x.index_select(0, packing.scatter)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0].index_select(0, ctx.packing.gather).mul_(ctx.packing.real[:, None, None]), None


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
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Block-diagonal causal attention in the form that transformers' attention interface asks for.

    query (1, H, N, D), key and value (1, Hkv, N, D) → output (1, N, H, D). Keys and values that come before those of the
    row, out of a cache, are seen by all of it. `s_aux` are the sinks of the heads (H): what a further key without a value scores
    (gpt-oss, after arXiv 2309.17453).
    """
    assert packing is not None, "the packed attention runs inside `packed(model)` with packing=… only"
    options = Options(scaling, dropout if module.training else 0.0, sliding_window, softcap, query.shape[1] // key.shape[1], s_aux)
    before = key.shape[2] - query.shape[2]
    q_NHD, k_THD, v_THD = (x[0].transpose(0, 1) for x in (query, key, value))
    if options.plain and not before and segmented.can(q_NHD, k_THD, v_THD) and segmented.busy(packing.segments, key.shape[1]):
        return segment_attention(q_NHD, k_THD, v_THD, packing.segments, sliding_window, options.scale(query.shape[-1]))[None], None
    seen, rows = zip(*(x.tensor_split([before]) for x in (k_THD, v_THD)), strict=True)
    q, k, v = (_Pad.apply(x, packing).split(packing.sizes) for x in (q_NHD, *rows))
    shared_k, shared_v = (torch.cat([cached, x[0]]) if before else x[0] for cached, x in zip(seen, (k, v), strict=True))
    done = [_attend(q[0][None], shared_k[None], shared_v[None], before, options)[0]] if packing.prefix else []
    for shape, continued, *own in zip(packing.buckets, packing.continued, q[1:], k[1:], v[1:], strict=True):
        q_SMHD, k_SMHD, v_SMHD = (x.unflatten(0, shape) for x in own)
        if len(shared_k) or continued is not None:
            parts = ((shared_k, rows[0], k_SMHD), (shared_v, rows[1], v_SMHD))
            k_SMHD, v_SMHD = (_behind(shared, row, continued, x) for shared, row, x in parts)
        done.append(_attend(q_SMHD, k_SMHD, v_SMHD, k_SMHD.shape[1] - shape[1], options).flatten(0, 1))
    return _Unpad.apply(torch.cat(done), packing)[None], None


def _behind(shared: Tensor, row: Tensor, continued: Tensor | None, own: Tensor) -> Tensor:
    """Keys or values that segments see: the `shared` ones, those of the tokens of the row (N, Hkv, D) that they continue, their own."""
    before = [] if continued is None else [row.index_select(0, continued.flatten()).unflatten(0, continued.shape)]
    return torch.cat([shared.expand(len(own), *shared.shape), *before, own], 1)


@dataclass(frozen=True)
class Options:
    """How to attend: `groups` query heads share a head of keys and values; `sinks` (H) are what each head's sink scores."""

    scaling: float | None
    dropout: float
    sliding_window: int | None
    softcap: float | None
    groups: int
    sinks: Tensor | None = None

    @property
    def plain(self) -> bool:
        """Whether attention is a softmax of scores and nothing else."""
        return self.softcap is None and self.sinks is None and not self.dropout

    def scale(self, width: int) -> float:
        """What scores are multiplied by."""
        return width**-0.5 if self.scaling is None else self.scaling


def _attend(q: Tensor, k: Tensor, v: Tensor, offset: int, options: Options) -> Tensor:
    """Causal attention of q (S, M, H, D) at positions from `offset` on k, v (S, offset + M, Hkv, D)."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    if options.plain and k.shape[2] <= FEW and can(q, k, v):
        return short_attention(q, k, v, options.sliding_window, options.scale(q.shape[-1])).transpose(1, 2)
    mask = _mask(q.shape[2], offset, options.sliding_window, q.device)
    if options.softcap is not None or (q.device.type == "cpu" and k.shape[2] <= SHORT):
        return with_scores(q, k, v, mask, options).transpose(1, 2)
    if options.groups > 1:
        k, v = (x.repeat_interleave(options.groups, 1) for x in (k, v))
    if options.sinks is not None:
        return _with_sinks(q, k, v, mask, options, options.sinks).transpose(1, 2)
    causal = mask is None
    out = F.scaled_dot_product_attention(q, k, v, mask, options.dropout, is_causal=causal, scale=options.scaling)
    return out.transpose(1, 2)


def _with_sinks(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, options: Options, sinks: Tensor) -> Tensor:
    """Fused attention of q (S, H, M, D) on k, v (S, H, T, D): the sink is a key before all others, which alone has a further dimension."""
    width, scale = q.shape[-1], options.scale(q.shape[-1])
    told = (sinks / scale).to(q.dtype)[:, None, None].expand(*q.shape[:-1], 1)
    sink = F.pad(k.new_ones(*k.shape[:2], 1, 1), (width, SINK_WIDTH - 1))
    q, k = F.pad(torch.cat([q, told], -1), (0, SINK_WIDTH - 1)), torch.cat([sink, F.pad(k, (0, SINK_WIDTH))], 2)
    seen = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).tril() if mask is None else mask
    v, seen = F.pad(v, (0, SINK_WIDTH, 1, 0)), F.pad(seen, (1, 0), value=True)
    return F.scaled_dot_product_attention(q, k, v, seen, options.dropout, scale=scale)[..., : v.shape[-1] - SINK_WIDTH]


def with_scores(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, options: Options) -> Tensor:
    """Attention of q (S, H, M, D) on k, v (S, Hkv, T, D) by way of all scores; the heads of a group are rows of one product.

    The mask, true where a key is seen, is (M, T) or (S, 1, M, T); without one, attention is causal and the queries come last.
    """
    length, keys = q.shape[2], k.shape[2]
    grouped = q.reshape(len(q) * k.shape[1], options.groups * length, q.shape[-1])
    # The scale is applied inside the product and the softmax computes in fp32 inside: no pass over all scores for either.
    scores = torch.baddbmm(q.new_empty(()), grouped, k.flatten(0, 1).transpose(1, 2), beta=0, alpha=options.scale(q.shape[-1]))
    if options.softcap is not None:
        scores = torch.tanh(scores.float() / options.softcap) * options.softcap
    scores = scores.unflatten(0, (len(q), k.shape[1]))
    if mask is None and length > 1:
        mask = torch.ones(length, keys, dtype=torch.bool, device=q.device).tril(keys - length)
    if mask is not None:
        each_head = mask.repeat(*(1 for _ in mask.shape[:-2]), options.groups, 1)
        scores = scores.masked_fill(~each_head, torch.finfo(scores.dtype).min)  # finite: padding sees nothing, and must not be NaN
    return (F.dropout(shares(scores, options.sinks).to(v.dtype), options.dropout) @ v).reshape(*q.shape[:-1], v.shape[-1])


def shares(scores: Tensor, sinks: Tensor | None) -> Tensor:
    """The softmax of scores (S, Hkv, G M, T), where the heads of a group are rows; what the heads' `sinks` (H) take is left out."""
    if sinks is None:
        return scores.softmax(-1)
    rows, kv, queries, keys = scores.shape
    groups = len(sinks) // kv
    told = sinks.to(scores.dtype).view(1, kv, groups, 1).expand(rows, -1, -1, queries // groups).flatten(2)
    return torch.cat([scores, told[..., None]], -1).softmax(-1)[..., :keys]


def _mask(length: int, offset: int, window: int | None, device: torch.device) -> Tensor | None:
    """Who sees whom (length, offset + length), or None where plain causal attention says it all."""
    windowed = window is not None and window < offset + length
    if not offset and not windowed:
        return None
    mask = torch.ones(length, offset + length, dtype=torch.bool, device=device).tril(offset)
    return mask.triu(offset - (window or 0) + 1) if windowed else mask


def reference_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lengths: Sequence[int],
    prefix: int,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    sinks: Tensor | None = None,
    after: Sequence[int] = (),
) -> Tensor:
    """The same attention the plain way: one dense mask over all N × N scores. Shapes as `packed_attention`."""
    segments = torch.arange(len(lengths) + 1).repeat_interleave(torch.tensor([prefix, *lengths]))
    continued = torch.tensor([-1, *(after or [-1] * len(lengths))])[segments] + 1
    positions = pack(lengths, prefix, "cpu", after).positions
    visible = (segments[:, None] == segments) | (segments == 0) | (continued[:, None] == segments)
    visible &= positions[:, None] >= positions
    if sliding_window is not None:
        visible &= positions[:, None] - positions < sliding_window
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    scores = scores.float().masked_fill(~visible.to(scores.device), float("-inf"))
    if sinks is not None:
        scores = torch.cat([scores, sinks.float().view(1, -1, 1, 1).expand(len(scores), -1, scores.shape[2], 1)], -1)
    return (scores.softmax(-1)[..., : key.shape[2]].to(value.dtype) @ value).transpose(1, 2)


AttentionInterface.register(NAME, packed_attention)


@contextmanager
def packed(model: nn.Module) -> Iterator[None]:
    """Inside, the model's attention is `packed_attention`; afterwards what it was before."""
    with with_attention(model, NAME):
        yield


@contextmanager
def with_attention(model: nn.Module, name: str, instead_of: str = "") -> Iterator[None]:
    """Inside, the model computes with the attention of this name, if before it did so with `instead_of` (default: whatever it was)."""
    found: list[Any] = [getattr(module, "config", None) for module in model.modules()]
    configs = {id(config): config for config in found if hasattr(config, "_attn_implementation")}.values()
    before = [(config, config._attn_implementation) for config in configs if instead_of in ("", config._attn_implementation)]
    for config, _ in before:
        config._attn_implementation = name
    try:
        yield
    finally:
        for config, implementation in before:
            config._attn_implementation = implementation
