"""A linear layer whose products are computed by `matmul` where it can. Reference: `F.linear`.

Shapes: … tokens, I input width, O output width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engrain.kernels.matmul import UNIT, can, packed, packed_product, product, ready
from engrain.kernels.replacing import replaced

MOST_KEPT = 2**29
"""Bytes of a model's linear layers up to which packed copies are kept beside them."""


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


def kept_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """The same with the weight packed once for all calls until it changes: few rows take less time than packing. No gradient."""
    if x.dtype != torch.bfloat16 or torch.is_grad_enabled() or not packable(layer):
        return linear(x, layer.weight, layer.bias)
    weight = layer.weight
    state = (weight.data_ptr(), 0 if weight.is_inference() else weight._version)
    if _kept.get(layer, (None, None))[0] != state:
        _kept[layer] = (state, packed(weight.detach()))
    flat = x.reshape(-1, x.shape[-1])
    return packed_product(flat, _kept[layer][1], layer.bias).reshape(*x.shape[:-1], len(weight))


_kept: WeakKeyDictionary[nn.Linear, Any] = WeakKeyDictionary()


def packable(layer: nn.Linear) -> bool:
    """Whether a layer's weight can be packed: bf16 on the processor, in full units."""
    weight = layer.weight
    return (
        weight.dtype == torch.bfloat16 and weight.device.type == "cpu" and weight.stride(1) == 1 and not any(n % UNIT for n in weight.shape)
    )


@contextmanager
def lean_linears(model: nn.Module, *, kept: bool = False) -> Iterator[None]:
    """Inside, the model's plain linear layers compute by `linear`, or `kept_linear` where wanted and the copies are not large.

    Where `matmul` has no product for this processor they stay as they are.
    """
    small = kept and sum(module.weight.nbytes for module in model.modules() if _is_plain(module)) <= MOST_KEPT
    with replaced(model, lambda module: ready() and _is_plain(module), kept_linear if small else _forward):
        yield


def _is_plain(module: nn.Module) -> bool:
    return type(module) is nn.Linear


def _forward(layer: Any, x: Tensor) -> Tensor:
    return linear(x, layer.weight, layer.bias)
