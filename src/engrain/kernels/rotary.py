"""Rotary positions in one pass: y = x · cos + turned(x) · sin, where turned(x) is x's second half, negated, before its first.

RoFormer, arXiv 2104.09864, equation 34, with the halves as transformers' models lay them. The way back is the turn
the other way. Reference: the `apply_rotary_pos_emb` beside the model.

Shapes: H heads, N tokens, D head width.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from engrain.kernels import native

NAME = "apply_rotary_pos_emb"


class _Rotated(torch.autograd.Function):  # type: ignore[misc]
    """The turn of (1, H, N, D) by cos and sin (N, D), laid out token after token."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin, 1.0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turned(grads[0], cos, sin, -1.0), None, None


def _turned(x: Tensor, cos: Tensor, sin: Tensor, sign: float) -> Tensor:
    x = x if x.stride(-1) == 1 else x.contiguous()
    heads, tokens, width = x.shape[1:]
    y = x.new_empty(1, tokens, heads, width)
    native.call("rotated", x.dtype, x, cos, sin, y, tokens, heads, width, x.stride(2), x.stride(1), sign)
    return y.transpose(1, 2)


def rotated(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys (1, H, N, D) turned by cos and sin (1, N, D)."""
    return _Rotated.apply(q, cos[0], sin[0]), _Rotated.apply(k, cos[0], sin[0])


@contextmanager
def lean_rotary(model: nn.Module) -> Iterator[None]:
    """Inside, the model's attention turns queries and keys by `rotated`, where its own function does just that."""
    homes = {type(module).__module__ for module in model.modules()} if native.library() else set()
    found = {home: getattr(sys.modules[home], NAME, None) for home in homes}
    before = {home: own for home, own in found.items() if own is not None and not hasattr(own, "instead_of") and is_plain(own)}
    for home, own in before.items():
        setattr(sys.modules[home], NAME, _instead_of(own))
    try:
        yield
    finally:
        for home, own in before.items():
            setattr(sys.modules[home], NAME, own)


def _instead_of(own: Any) -> Any:
    def turn(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, *rest: Any, **others: Any) -> tuple[Tensor, Tensor]:
        same = q.dtype == k.dtype == cos.dtype and q.shape[0] == cos.shape[0] == 1 and q.shape[-1] == k.shape[-1] == cos.shape[-1]
        if rest or others or not same or q.device.type != "cpu" or not native.usable(q.dtype):
            return own(q, k, cos, sin, *rest, **others)  # type: ignore[no-any-return]
        return rotated(q, k, cos.contiguous(), sin.contiguous())

    turn.instead_of = own  # type: ignore[attr-defined]
    return turn


@cache
def is_plain(own: Any) -> bool:
    """Whether a model's function does just this, by what it makes of three tokens."""
    x = torch.linspace(-2, 3, 24).reshape(1, 2, 3, 4)
    angle = torch.linspace(0, 2, 6).reshape(1, 3, 2).repeat(1, 1, 2)
    try:
        wanted = own(x, 2 * x, angle.cos(), angle.sin())
    except (TypeError, RuntimeError):
        return False
    return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(wanted, rotated(x, 2 * x, angle.cos(), angle.sin()), strict=True))
