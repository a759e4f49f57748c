"""The gate of an MLP, silu(gate) * up, in one pass, keeping only its two inputs for the way back.

SwiGLU, arXiv 2002.05202, equation 5. Reference: the model's own activation and product.

Shapes: … tokens, F width of the MLP.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engrain.kernels import native
from engrain.kernels.made_again import made_by
from engrain.kernels.replacing import replaced


class _Gated(torch.autograd.Function):  # type: ignore[misc]
    """The product above."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return _forward_native(gate, up)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        d_gate, d_up = torch.empty_like(gate), torch.empty_like(up)
        native.call("gated_back", gate.dtype, grads[0].contiguous(), gate, up, d_gate, d_up, gate.numel())
        return d_gate, d_up


def _forward_native(gate: Tensor, up: Tensor) -> Tensor:
    y = torch.empty_like(gate)
    native.call("gated", gate.dtype, gate, up, y, y.numel())
    return y


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) * up: (…, F) and (…, F) → (…, F)."""
    return made_by(_Gated.apply(gate, up), _forward_native, gate, up) if native.can(gate, up) else F.silu(gate) * up


@contextmanager
def lean_gates(model: nn.Module) -> Iterator[None]:
    """Inside, the model's MLPs that compute exactly this do so by `gated`; others, and all without native code, stay as they are."""
    with replaced(model, lambda module: native.library() is not None and is_gated(module), _mlp):
        yield


def _mlp(mlp: Any, x: Tensor) -> Tensor:
    return mlp.down_proj(gated(mlp.gate_proj(x), mlp.up_proj(x)))


def is_gated(module: nn.Module) -> bool:
    """Whether a module is such an MLP: by its parts, and by what its class and its activation make of a few numbers."""
    parts = {name for name, _ in module.named_children()}
    kinds: tuple[Any, Any] = type(module), type(getattr(module, "act_fn", None))
    return parts == {"gate_proj", "up_proj", "down_proj", "act_fn"} and _agrees(*kinds)


@cache
def _agrees(kind: Any, activation: Any) -> bool:
    """Whether a class computes this of parts that stand in for its own: none of these runs, for dropout would draw numbers."""
    x = torch.linspace(-3, 3, 7)
    mlp = SimpleNamespace(gate_proj=lambda x: 2 * x, up_proj=lambda x: x + 1, down_proj=lambda x: 3 * x)
    try:
        mlp.act_fn = activation()
        return bool(torch.allclose(kind.forward(mlp, x), 3 * F.silu(2 * x) * (x + 1)))
    except (TypeError, AttributeError):
        return False
