"""Causal attention over few keys on a CPU: two products and a softmax in C (`elementwise.c`) that leaves out what no query sees.

PyTorch's fused attention goes back several times slower over few tokens, and its plain softmax makes, hides and reads every
score, half of which nobody sees. Reference: `packed_attention.with_scores`.

Shapes: S sequences, H heads, Hkv of keys and values, G = H / Hkv, M queries, T keys, D head width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engrain.kernels import native

MOST_KEYS = 4096
"""As in `elementwise.c`, which holds a row of scores beside the stack."""


class _ShortAttention(torch.autograd.Function):  # type: ignore[misc]
    """Queries (S·Hkv, G·M, D), the heads of a group as rows of one product, on keys and values (S·Hkv, T, D)."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, length: int, window: int, scale: float) -> Tensor:
        ctx.save_for_backward(q, k, v)
        ctx.how = length, window, scale
        return _shares(q, k, length, window, scale) @ v

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v = ctx.saved_tensors
        length, window, scale = ctx.how
        shares = _shares(q, k, length, window, scale)  # again: kept, they would grow with the square of a row
        dout, none = grads[0].contiguous(), q.new_empty(())
        slopes = dout @ v.transpose(1, 2)
        native.call("softmax_back", q.dtype, shares, slopes, len(slopes) * slopes.shape[1], length, slopes.shape[2], window)
        dq = torch.baddbmm(none, slopes, k, beta=0, alpha=scale)
        dk = torch.baddbmm(none, slopes.transpose(1, 2), q, beta=0, alpha=scale)
        return dq, dk, shares.transpose(1, 2) @ dout, None, None, None


def _shares(q: Tensor, k: Tensor, length: int, window: int, scale: float) -> Tensor:
    """How much each query takes of each key."""
    scores = torch.baddbmm(q.new_empty(()), q, k.transpose(1, 2), beta=0, alpha=scale)
    native.call("softmax", q.dtype, scores, len(scores) * scores.shape[1], length, scores.shape[2], window)
    return scores


def can(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether this attention is computed here."""
    same = q.device.type == "cpu" and q.dtype == k.dtype == v.dtype
    return same and k.shape[2] <= MOST_KEYS and native.usable(q.dtype)


def short_attention(q: Tensor, k: Tensor, v: Tensor, window: int | None, scale: float) -> Tensor:
    """Attention of q (S, H, M, D) on k, v (S, Hkv, T, D); the queries come last, and each sees the `window` keys up to its own."""
    length, keys = q.shape[2], k.shape[2]
    grouped = q.reshape(len(q) * k.shape[1], -1, q.shape[-1])
    flat = (x.reshape(-1, *x.shape[2:]) for x in (k, v))
    return _ShortAttention.apply(grouped, *flat, length, window or keys, scale).reshape(*q.shape[:-1], v.shape[-1])
