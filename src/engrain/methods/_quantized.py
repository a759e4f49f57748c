"""A frozen linear layer in 4 bits with a low-rank update (QLoRA, arXiv 2305.14314).

W is kept as NormalFloat4 in blocks of 64, the blocks' sizes quantised once more. Each pass widens it, multiplies with it
as `lora_linear` does, and lets it go; the way back widens it again, so that only one layer is ever wide.

Shapes: N tokens, I input width, O output width, R rank.
"""

from __future__ import annotations

import math
from typing import Any

import bitsandbytes.functional as bits
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engrain.kernels.lora_linear import LoRALinear

BLOCK = 64


class _QuantizedProduct(torch.autograd.Function):  # type: ignore[misc]
    """x·Wᵀ + s·(x·Aᵀ)·Bᵀ in one product, W widened for it and not kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dropped: Tensor, layer: QuantizedLinear, bias: Tensor | None, a_RI: Tensor, b_OR: Tensor) -> Tensor:
        a, b = a_RI.to(x.dtype), b_OR.to(x.dtype)
        u = dropped @ a.t()
        ctx.save_for_backward(dropped, u, a, b)
        ctx.layer, ctx.same = layer, dropped is x
        return F.linear(torch.cat([x, u], -1), torch.cat([layer.weight.to(x.dtype), b * layer.scale], 1), bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        dy, layer = grads[0].contiguous(), ctx.layer
        dropped, u, a, b = ctx.saved_tensors
        v = dy @ b
        da, db = (v.t() @ dropped).float() * layer.scale, (dy.t() @ u).float() * layer.scale
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, da, db
        dx, update = dy @ layer.weight.to(dy.dtype), (v @ a) * layer.scale
        return (dx + update, None, None, None, da, db) if ctx.same else (dx, update, None, None, da, db)


def in_blocks(weight_OI: Tensor) -> Tensor:
    """The weight as rows of one block each, the last filled up with zeros.

    Given rows that are no multiple of a block, bitsandbytes 0.50 widens wrongly on a CPU (errors of 20 to 40%).
    """
    flat = weight_OI.reshape(-1)
    return F.pad(flat, (0, -len(flat) % BLOCK)).view(-1, BLOCK)


class QuantizedLinear(LoRALinear):
    """Stands in for a linear layer whose W it keeps in 4 bits; `lora_A` and `lora_B` train in fp32."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float, dropout: float) -> None:
        nn.Module.__init__(self)
        self.out_features, self.in_features = linear.weight.shape
        self.rank, self.scale, self.dropout = rank, alpha / rank, dropout
        self.dtype, device = linear.weight.dtype, linear.weight.device
        self.packed: Tensor
        self.state: Any = None
        if device.type == "meta":
            packed = torch.empty(self.out_features * self.in_features // 2, 1, dtype=torch.uint8, device=device)
            self.outlined = linear.weight  # an outline has no bits, and what it costs is told by its weights
        else:
            packed, self.state = bits.quantize_4bit(in_blocks(linear.weight.detach()), quant_type="nf4", compress_statistics=True)
        self.register_buffer("packed", packed)
        self.bias = linear.bias
        self.lora_A = nn.Parameter(torch.empty(rank, self.in_features, dtype=torch.float32, device=device))
        self.lora_B = nn.Parameter(torch.zeros(self.out_features, rank, dtype=torch.float32, device=device))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    @property
    def weight(self) -> Tensor:
        """W (O, I) as its 4 bits say, widened now."""
        if self.state is None:
            return self.outlined
        flat: Tensor = bits.dequantize_4bit(self.packed, self.state).view(-1)
        return flat[: self.out_features * self.in_features].view(self.out_features, self.in_features)

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """W·x + s·B·A·x and the frozen bias: x (…, I) → (…, O)."""
        flat = x.reshape(-1, self.in_features)
        dropped = F.dropout(flat, self.dropout) if self.training and self.dropout else flat
        y = _QuantizedProduct.apply(flat, dropped, self, bias, self.lora_A, self.lora_B)
        return y.reshape(*x.shape[:-1], self.out_features)

    @property
    def joined(self) -> Tensor:
        """W in the format that a merged layer has."""
        return self.weight.to(self.dtype)
