"""AdamW (arXiv 1711.05101, algorithm 2) whose moments are kept in bf16: half the memory, and a pass over it in C.

A moment moves by a tenth or a thousandth of what the gradient adds, which is less than a step between two numbers of bf16 and would be
lost by rounding to the nearest; rounded up or down at random it arrives on average (arXiv 2010.06192). What is drawn depends on step,
tensor and place alone, so that a resumed training draws the same. The update itself uses the moments before they are rounded.
Reference: `update_plain`.

A value that a model computes with in bf16 needs no second place in fp32: `split` cuts it into the bf16 number that the model has and
the 16 bits that are left, and the update joins the two, moves the value and cuts it again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engrain.kernels import native

BETAS, EPSILON = (0.9, 0.999), 1e-8
PART = 2**22
"""Numbers computed at once by the plain code, which holds several of 8 bytes for each."""
WORD = 0xFFFFFFFF
"""The bits of a whole number of four bytes."""


@dataclass(frozen=True)
class Update:
    """What a step does to every number: `seed` is drawn of step and tensor, `kept` what weight decay leaves of a value.

    `scale` is what gradients are multiplied by, `rate` the learning rate with the first moment's correction in it, `correction` that of
    the root of the second.
    """

    seed: int
    scale: float
    rate: float
    kept: float
    correction: float


def split(wide: Tensor) -> tuple[Tensor, Tensor]:
    """fp32 numbers as the nearest bf16 ones (of two, the one further from zero) and what is left, as int16: `joined` gives them back."""
    bits = wide.view(torch.int32)
    near = bits + 0x8000 >> 16
    return near.to(torch.int16).view(torch.bfloat16), (bits - (near << 16)).to(torch.int16)


def joined(near: Tensor, left: Tensor) -> Tensor:
    """The fp32 numbers that `split` cut, bit for bit."""
    return ((near.view(torch.int16).int() << 16) + left).view(torch.float32)


class NarrowAdamW(torch.optim.Optimizer):  # type: ignore[misc]
    """AdamW for fp32 values; keeps for each its step, and first and second moment in bf16.

    It takes gradients in fp32 or bf16, and multiplies them by their group's `gradient_scale` as it reads them. Where a group says what is
    `left` of its `params`, a tensor for each, these are bf16: the two together are the values (`split`).
    """

    def __init__(self, groups: Iterable[Any], lr: float, weight_decay: float) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "gradient_scale": 1.0})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Move every value that has a gradient."""
        values = ((group, *both) for group in self.param_groups for both in zip(group["params"], _left(group), strict=True))
        for number, (group, value, left) in enumerate(values):
            if value.grad is not None:
                self._move(number, value, left, group)

    def _move(self, number: int, value: Tensor, left: Tensor | None, group: dict[str, Any]) -> None:
        state = self.state[value]
        if not state:
            state["step"] = 0
            state["first"], state["second"] = (torch.zeros_like(value, dtype=torch.bfloat16) for _ in BETAS)
        state["step"] += 1
        first, second = (1 - beta ** state["step"] for beta in BETAS)
        seed, rate, kept = _seed(state["step"], number), group["lr"] / first, 1 - group["lr"] * group["weight_decay"]
        tensors = (value, value.grad, state["first"], state["second"])
        made = Update(seed, group["gradient_scale"], rate, kept, second**-0.5)
        (update_native if _can(*tensors) else update_plain)(*tensors, made, left)


def _left(group: dict[str, Any]) -> list[Tensor | None]:
    return group.get("left") or [None] * len(group["params"])


def _can(*tensors: Tensor) -> bool:
    return all(t.is_contiguous() and t.device.type == "cpu" and native.usable(t.dtype) for t in tensors)


def _seed(step: int, number: int) -> int:
    return int(_scattered(_scattered(step) ^ number))


def norm_of(tensors: Iterable[Tensor]) -> float:
    """The norm of all of them together, summed in fp32 or wider."""
    return math.sqrt(sum(map(_squares, tensors)))


def _squares(x: Tensor) -> float:
    if not _can(x):
        return float(torch.linalg.vector_norm(x, dtype=torch.float32)) ** 2
    summed = torch.empty(1, dtype=torch.float64)
    native.call("squares", x.dtype, x, summed, x.numel())
    return float(summed)


def update_native(value: Tensor, gradient: Tensor, first: Tensor, second: Tensor, made: Update, left: Tensor | None = None) -> None:
    """Move a value, cut in two if there is something `left` of it, and its moments by one step; all are contiguous."""
    numbers = (value.numel(), made.seed, made.scale, made.rate, made.kept, *BETAS, EPSILON, made.correction)
    if left is None:
        native.call("adamw", gradient.dtype, value, gradient, first, second, *numbers)
    else:
        native.call("adamw_split", gradient.dtype, value, left, gradient, first, second, *numbers)
    torch.autograd.graph.increment_version(value)  # what is made of weights and kept is made again once they change


def update_plain(value: Tensor, gradient: Tensor, first: Tensor, second: Tensor, made: Update, left: Tensor | None = None) -> None:
    """The same in PyTorch, with the same numbers drawn."""
    flat = (value.view(-1), gradient.reshape(-1), first.view(-1), second.view(-1))
    for at in range(0, value.numel(), PART):
        place = slice(at, at + PART)
        own, g, m, s = (t[place] for t in flat)
        v = own if left is None else joined(own, left.view(-1)[place])
        g = g.float() * made.scale
        mean, square = (moment.float().mul_(beta) for moment, beta in zip((m, s), BETAS, strict=True))
        mean.add_(g, alpha=1 - BETAS[0])
        square.addcmul_(g, g, value=1 - BETAS[1])
        v.mul_(made.kept).addcdiv_(mean, square.sqrt().mul_(made.correction).add_(EPSILON), value=-made.rate)
        if left is not None:
            for part, now in zip((own, left.view(-1)[place]), split(v), strict=True):
                part.copy_(now)
        drawn = _scattered(torch.arange(at, at + len(v), device=v.device) ^ made.seed)
        m.copy_(_rounded(mean, drawn & 0xFFFF))
        s.copy_(_rounded(square, drawn >> 16))


def _rounded(wide: Tensor, drawn: Tensor) -> Tensor:
    """fp32 numbers that are bf16 numbers: up or down, as 16 bits drawn for each say."""
    return (wide.view(torch.int32) + drawn.int() & ~0xFFFF).view(torch.float32)


def _scattered(x: Any) -> Any:
    """32 bits that look random, of a whole number or a tensor of such (Wellons 2018, "Prospecting for Hash Functions", lowbias32)."""
    x = (x ^ x >> 16) * 0x7FEB352D & WORD
    x = (x ^ x >> 15) * 0x846CA68B & WORD
    return x ^ x >> 16
