"""A linear layer with a low-rank update, in one product: y = [x | x Aᵀ] · [W | s·B]ᵀ with s = alpha / rank.

LoRA, arXiv 2106.09685, equation 3. The textbook adds s·B·A·x to the finished W·x; in bf16 that sum is rounded again
and a young adapter's small update is rounded away. Here both parts meet inside the product's fp32 accumulation, so
the result is rounded once. W is kept once, in a frozen parameter with room for s·B beside it.

Shapes: N tokens, I input width, O output width, R rank. Reference: `reference_lora`.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engrain.kernels.matmul import can, product


class _LoRAProduct(torch.autograd.Function):  # type: ignore[misc]
    """The product above. No gradient for W and the bias; x·Aᵀ is small and kept, everything else is x itself."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, dropped: Tensor, joined: Tensor, bias: Tensor | None, a_RI: Tensor, b_OR: Tensor, scale: float
    ) -> Tensor:
        width = x.shape[-1]
        a, scaled_b = a_RI.to(x.dtype), (b_OR * scale).to(x.dtype)
        u = dropped @ a.t()
        ctx.save_for_backward(dropped, u, a, scaled_b)
        # Not saved as a tensor that must stay as it is: a second forward pass writes its (equal) s·B before the first goes back.
        ctx.weight = joined[:, :width]
        ctx.scale, ctx.same = scale, dropped is x
        if can(x, len(joined)):
            return product(x, ctx.weight.t(), (u, scaled_b.t()), bias)
        with torch.no_grad():
            joined[:, width:] = scaled_b
        return F.linear(torch.cat([x, u], -1), joined, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        dy = grads[0].contiguous()
        dropped, u, a, scaled_b = ctx.saved_tensors
        v = dy @ scaled_b
        da = (v.t() @ dropped).float()
        db = (dy.t() @ u).float() * ctx.scale
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, da, db, None
        if ctx.same:
            return product(dy, ctx.weight, (v, a)), None, None, None, da, db, None
        return product(dy, ctx.weight), v @ a, None, None, da, db, None


class LoRALinear(nn.Module):  # type: ignore[misc]
    """Stands in for a linear layer; `lora_A` (R, I) and `lora_B` (O, R) train in fp32 and B starts at zero."""

    room: ClassVar[int] = 1
    """How many ranks' columns stand beside W."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        out_features, in_features = linear.weight.shape
        self.in_features, self.out_features, self.rank = in_features, out_features, rank
        self.scale, self.dropout = alpha / rank, dropout
        joined = linear.weight.new_zeros((out_features, in_features + self.room * rank))
        joined[:, :in_features] = linear.weight.detach()
        self.joined = nn.Parameter(joined, requires_grad=False)
        self.bias = linear.bias
        device = linear.weight.device
        self.lora_A = nn.Parameter(torch.empty(rank, in_features, dtype=torch.float32, device=device))
        self.lora_B = nn.Parameter(torch.zeros(out_features, rank, dtype=torch.float32, device=device))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    @property
    def weight(self) -> Tensor:
        """The frozen W (O, I), a view."""
        return self.joined[:, : self.in_features]

    def forward(self, x: Tensor) -> Tensor:
        """x (…, I) → (…, O)."""
        trained_bias = self.bias is not None and self.bias.requires_grad
        y = self.product(x, None if trained_bias else self.bias)
        return y + self.bias.to(y.dtype) if trained_bias else y

    def factors(self) -> tuple[Tensor, Tensor]:
        """A (R, I) and B (O, R) of the update, as the product takes them."""
        return self.lora_A, self.lora_B

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """W·x + s·B·A·x and the frozen bias: x (…, I) → (…, O)."""
        flat = x.reshape(-1, self.in_features)
        dropped = F.dropout(flat, self.dropout) if self.training and self.dropout else flat
        y = _LoRAProduct.apply(flat, dropped, self.joined, bias, *self.factors(), self.scale)
        return y.reshape(*x.shape[:-1], self.out_features)

    def merged_weight(self) -> Tensor:
        """W + s·B·A (O, I) in fp32."""
        a_RI, b_OR = self.factors()
        return self.weight.float() + self.scale * (b_OR @ a_RI)

    def merged(self) -> nn.Linear:
        """A plain linear layer with the merged weight, rounded once."""
        weight = self.merged_weight()
        linear = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        linear.weight = nn.Parameter(weight.detach().to(self.joined.dtype), requires_grad=False)
        if self.bias is not None:
            linear.bias = self.bias
        return linear


def reference_lora(x: Tensor, weight: Tensor, a_RI: Tensor, b_OR: Tensor, scale: float) -> Tensor:
    """The textbook: W·x + s·B·(A·x)."""
    return F.linear(x, weight) + scale * F.linear(F.linear(x, a_RI), b_OR)
