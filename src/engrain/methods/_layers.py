"""Layers of LoRA's relatives, on the same fast product. Shapes: I input width, O output width, R rank."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engrain.kernels.lora_linear import LoRALinear

if TYPE_CHECKING:
    from collections.abc import Callable


class DifferenceLinear(LoRALinear):
    """W·x + s·(B·A − B₀·A₀)·x: `first_A` (R, I) and `first_B` (O, R) are where `lora_A` and `lora_B` began.

    The papers take s·B₀·A₀ out of W. Here W stays as it is and the constant stands beside the update: in exact numbers
    the same, W is not rounded a second time, and what is saved is a plain LoRA of twice the rank for the unchanged base.
    """

    room: ClassVar[int] = 2

    def __init__(self, linear: nn.Linear, rank: int, alpha: float, dropout: float) -> None:
        super().__init__(linear, rank, alpha, dropout)
        self.first_A: Tensor
        self.first_B: Tensor
        self.register_buffer("first_A", self.lora_A.detach().clone())
        self.register_buffer("first_B", self.lora_B.detach().clone())

    def begin(self, a_RI: Tensor, b_OR: Tensor) -> None:
        """Begin with s·B·A = `b_OR`·`a_RI`."""
        with torch.no_grad():
            for values, places in ((a_RI, (self.lora_A, self.first_A)), (b_OR, (self.lora_B, self.first_B))):
                for place in places:
                    place[: values.shape[0], : values.shape[1]] = values * self.scale**-0.5

    def factors(self) -> tuple[Tensor, Tensor]:
        """A over A₀ (2R, I), and B beside −B₀ (O, 2R)."""
        return torch.cat([self.lora_A, self.first_A]), torch.cat([self.lora_B, -self.first_B], 1)


class DoRALinear(LoRALinear):
    """m · (W + s·B·A) / ‖W + s·B·A‖ with the norm of each row; m (O) trains too and starts as the norms of W.

    As in the paper (section 4.3), no gradient goes through the norm.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float, dropout: float) -> None:
        super().__init__(linear, rank, alpha, dropout)
        self.lora_magnitude_vector = nn.Parameter(linear.weight.detach().float().norm(dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """x (…, I) → (…, O)."""
        y = self.product(x, None)
        y = y * (self.lora_magnitude_vector / self.norms()).to(y.dtype)
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def norms(self) -> Tensor:
        """‖W + s·B·A‖ of each row (O), without making the sum: ‖w‖² + 2s·w·Δ + s²·‖Δ‖²."""
        with torch.no_grad():
            weight = self.weight
            crossed_OR = (weight @ self.lora_A.to(weight.dtype).t()).float()
            delta = ((self.lora_B @ (self.lora_A @ self.lora_A.t())) * self.lora_B).sum(1)
            own = torch.linalg.vector_norm(weight, dim=1, dtype=torch.float32).square()
            return (own + 2 * self.scale * (crossed_OR * self.lora_B).sum(1) + self.scale**2 * delta).clamp(min=1e-12).sqrt()

    def merged_weight(self) -> Tensor:
        """m · (W + s·B·A) / ‖W + s·B·A‖ (O, I) in fp32."""
        weight = super().merged_weight()
        return weight * (self.lora_magnitude_vector / weight.norm(dim=1))[:, None]


class LoRAConv2d(nn.Module):  # type: ignore[misc]
    """Stands in for a convolution with a kernel of K by L pixels: W * x + s · B * A * x, which is LoRA on every patch.

    `lora_A` (R, I, K, L) is a convolution of the same kind to R channels and `lora_B` (O, R, 1, 1) one of one pixel, zero at the
    start; both train in fp32.
    """

    def __init__(self, conv: nn.Conv2d, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        self.rank, self.scale, self.dropout = rank, alpha / rank, dropout
        self.weight, self.bias = nn.Parameter(conv.weight.detach(), requires_grad=False), conv.bias
        self.geometry = {name: getattr(conv, name) for name in ("stride", "padding")}
        out_channels, *patch = conv.weight.shape
        device = conv.weight.device
        self.lora_A = nn.Parameter(torch.empty(rank, *patch, dtype=torch.float32, device=device))
        self.lora_B = nn.Parameter(torch.zeros(out_channels, rank, 1, 1, dtype=torch.float32, device=device))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, I, H, W) → (B, O, H', W')."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        dropped = F.dropout(x, self.dropout) if self.training and self.dropout else x
        u = F.conv2d(dropped, self.lora_A.to(x.dtype), **self.geometry)
        return F.conv2d(x, self.weight, bias, **self.geometry) + self.scale * F.conv2d(u, self.lora_B.to(x.dtype))

    def merged(self) -> nn.Conv2d:
        """A plain convolution with W + s·B·A, added in fp32 and rounded once."""
        weight = self.weight.float() + self.scale * torch.einsum("orxy,rikl->oikl", self.lora_B, self.lora_A)
        outside, inside, *kernel = weight.shape
        conv = nn.Conv2d(inside, outside, tuple(kernel), **self.geometry, bias=self.bias is not None, device="meta")
        conv.weight = nn.Parameter(weight.detach().to(self.weight.dtype), requires_grad=False)
        if self.bias is not None:
            conv.bias = self.bias
        return conv


class SVDLinear(LoRALinear):
    """W·x + s·B·diag(e)·A·x: `lora_E` (R, 1) holds e, zero at the start; A's rows and B's columns are orthonormal there."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float, dropout: float) -> None:
        super().__init__(linear, rank, alpha, dropout)
        self.lora_E = nn.Parameter(torch.zeros(rank, 1, dtype=torch.float32, device=linear.weight.device))
        nn.init.orthogonal_(self.lora_A)
        nn.init.orthogonal_(self.lora_B)

    def factors(self) -> tuple[Tensor, Tensor]:
        """A (R, I) and B·diag(e) (O, R)."""
        return self.lora_A, self.lora_B * self.lora_E.t()

    def skewness(self) -> Tensor:
        """‖A·Aᵀ − 1‖² + ‖Bᵀ·B − 1‖²: how far the two are from orthonormal."""
        one_RR = torch.eye(self.rank, device=self.lora_A.device)
        return (self.lora_A @ self.lora_A.t() - one_RR).square().sum() + (self.lora_B.t() @ self.lora_B - one_RR).square().sum()


class Directions:
    """The main directions of what comes into some layers, gathered pass by pass (incremental SVD).

    Layers that the same input reaches one after the other (query, key and value) share the work.
    """

    def __init__(self, layers: dict[str, LoRALinear]) -> None:
        self.found: dict[str, Tensor] = {}
        self._last: tuple[Tensor, Tensor | None, Tensor] | None = None
        self._hooks = [layer.register_forward_pre_hook(self._looking(name, layer.rank)) for name, layer in layers.items()]

    def _looking(self, name: str, rank: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def look(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x, known = inputs[0], self.found.get(name)
            if self._last is not None and self._last[0] is x and len(self._last[2]) >= rank:
                self.found[name] = self._last[2][:rank]
                return
            rows = x.detach().reshape(-1, x.shape[-1]).float()
            _, s, v = torch.linalg.svd(rows if known is None else torch.cat([known, rows]), full_matrices=False)
            self.found[name] = s[:rank, None] * v[:rank]
            self._last = (x, known, self.found[name])

        return look

    def release(self) -> None:
        """Look no longer."""
        for hook in self._hooks:
            hook.remove()
        self._last = None
