"""A linear layer whose products run in the processor's matrix unit where `matmul` can do them. Reference: `F.linear`.

Shapes: … tokens, I input width, O output width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engrain.kernels.matmul import can, product, ready
from engrain.kernels.replacing import replaced


class _Linear(torch.autograd.Function):  # type: ignore[misc]
    """x·Wᵀ + bias of x (N, I)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight.t(), bias_O=bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        dy, (needs_x, needs_weight, needs_bias) = grads[0].contiguous(), ctx.needs_input_grad
        return product(dy, weight) if needs_x else None, dy.t() @ x if needs_weight else None, dy.sum(0) if needs_bias else None


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (…, I), weight (O, I) and bias (O) → (…, O)."""
    flat = x.reshape(-1, x.shape[-1])
    if not can(flat, len(weight)) or weight.dtype != x.dtype or weight.stride(1) != 1:
        return F.linear(x, weight, bias)
    y: Tensor = _Linear.apply(flat, weight, bias)
    return y.reshape(*x.shape[:-1], len(weight))


@contextmanager
def lean_linears(model: nn.Module) -> Iterator[None]:
    """Inside, the model's plain linear layers compute by `linear`; without a matrix unit they stay as they are."""
    with replaced(model, lambda module: type(module) is nn.Linear and ready(), _forward):
        yield


def _forward(layer: Any, x: Tensor) -> Tensor:
    return linear(x, layer.weight, layer.bias)
