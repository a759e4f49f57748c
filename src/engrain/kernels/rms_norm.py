"""RMS norm with half the passes over memory on the way back, keeping its input as it came instead of two fp32 copies.

y = w · x / √(mean(x²) + ε), arXiv 1910.07467; computed in fp32, rounded before the weight, as transformers' models do it.
Reference: the model's own module, with which the values of the plain code are equal bit for bit; the native code sums in another order.

Shapes: … tokens, D model width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from engrain.kernels import native
from engrain.kernels.made_again import made_by
from engrain.kernels.replacing import replaced


class _RMSNorm(torch.autograd.Function):  # type: ignore[misc]
    """The norm above; from x and the fp32 scale of each token the way back makes the rest again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_D: Tensor, epsilon: float) -> Tensor:
        y, scale = (_forward_native if native.can(x, weight_D) else forward_plain)(x, weight_D, epsilon)
        ctx.save_for_backward(x, weight_D, scale)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight_D, scale = ctx.saved_tensors
        d_weight = d_x = None
        if ctx.needs_input_grad[1]:
            d_weight = (_weight_native if native.can(grads[0], x, weight_D) else _weight_plain)(grads[0], x, scale)
        if ctx.needs_input_grad[0]:
            d_x = (_backward_native if native.can(grads[0], x, weight_D) else _backward_plain)(grads[0], x, weight_D, scale)
        return d_x, d_weight, None


def _forward_native(x: Tensor, weight_D: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    y, scale = torch.empty_like(x), x.new_empty((*x.shape[:-1], 1), dtype=torch.float32)
    native.call("norm", x.dtype, x, weight_D, y, scale, scale.numel(), x.shape[-1], epsilon)
    return y, scale


def forward_plain(x: Tensor, weight_D: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """The norm of x and the scale of each token, by passes over memory."""
    wide = x.to(torch.float32, copy=True)
    scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)
    return weight_D * wide.mul_(scale).to(x.dtype), scale


def _backward_native(dy: Tensor, x: Tensor, weight_D: Tensor, scale: Tensor) -> Tensor:
    d_x = torch.empty_like(x)
    native.call("norm_back", x.dtype, dy, x, weight_D, scale, d_x, scale.numel(), x.shape[-1])
    return d_x


def _weight_native(dy: Tensor, x: Tensor, scale: Tensor) -> Tensor:
    d_weight_D = x.new_empty(x.shape[-1])
    native.call("norm_weight_back", x.dtype, dy, x, scale, d_weight_D, scale.numel(), x.shape[-1])
    return d_weight_D


def _weight_plain(dy: Tensor, x: Tensor, scale: Tensor) -> Tensor:
    return (dy.float() * (x.float() * scale)).flatten(0, -2).sum(0).to(x.dtype)


def _backward_plain(dy: Tensor, x: Tensor, weight_D: Tensor, scale: Tensor) -> Tensor:
    normed, slope = x.to(torch.float32, copy=True).mul_(scale), (dy * weight_D).to(torch.float32)
    along = torch.linalg.vecdot(slope, normed)[..., None] / x.shape[-1]
    return slope.sub_(normed.mul_(along)).mul_(scale).to(x.dtype)


def rms_norm(x: Tensor, weight_D: Tensor, epsilon: float) -> Tensor:
    """x (…, D) → (…, D)."""
    y = _RMSNorm.apply(x, weight_D, epsilon)
    if torch.is_grad_enabled() and native.can(x, weight_D):
        made_by(y, lambda x, weight_D: _forward_native(x, weight_D, epsilon)[0], x, weight_D)
    return y


@contextmanager
def lean_norms(model: nn.Module) -> Iterator[None]:
    """Inside, the model's norms that compute exactly this are computed by `rms_norm`; others stay as they are."""
    with replaced(model, is_rms_norm, _forward):
        yield


def _forward(norm: nn.Module, hidden_states: Tensor) -> Tensor:
    return rms_norm(hidden_states, norm.weight, norm.variance_epsilon)


_known: dict[type, bool] = {}


def is_rms_norm(module: nn.Module) -> bool:
    """Whether a module is such a norm: by its parts, and by what its class makes of one row."""
    kind = type(module)
    if kind not in _known:
        parts = {name for name, _ in module.named_parameters(recurse=False)}
        shaped = kind.__name__.endswith("RMSNorm") and parts == {"weight"} and isinstance(getattr(module, "variance_epsilon", None), float)
        _known[kind] = shaped and _agrees(module)
    return _known[kind]


def _agrees(module: nn.Module) -> bool:
    weight: Any = module.weight
    row = torch.linspace(-3, 5, weight.shape[-1], dtype=weight.dtype, device=weight.device)[None]
    with torch.no_grad():
        return bool(torch.equal(module(row), forward_plain(row, weight, module.variance_epsilon)[0]))
