"""AdamW that gives a budget of ranks to the layers that need them most (AdaLoRA, arXiv 2303.10512, algorithm 1).

Its state, with all that decides on ranks, is kept and resumed like the moments. Shapes: R rank, I input width, O output width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

WARM, SETTLED = 0.1, 0.5
"""The shares of all steps between which ranks are taken away."""
SMOOTHING = 0.85
"""How much of what was known before counts, in the sensitivity and in its uncertainty (the paper's β₁ and β₂)."""


class RankBudget(torch.optim.AdamW):  # type: ignore[misc]
    """After each step, of all ranks of all layers a share stays that falls to `share`; of the others e is set to zero.

    The first group names the factors (A, B, e) of each layer as `layers`, and says which share of all steps is `done`.
    """

    def __init__(self, groups: list[dict[str, Any]], share: float, **values: Any) -> None:
        super().__init__(groups, **values)
        self.share = share

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step of AdamW, then the ranks that may stay."""
        first = self.param_groups[0]
        weights: list[Tensor] = [e.detach() for _, _, e in first["layers"]]
        gone = torch.cat(weights)[:, 0] == 0
        loss: float | None = super().step(closure)
        with torch.no_grad():
            for layer in first["layers"]:
                for factor in layer:
                    self._note(factor)
            self._share_out(first["done"], first["layers"], weights, gone)
        return loss

    def _share_out(self, done: float, layers: list[tuple[Tensor, ...]], weights: list[Tensor], gone: Tensor) -> None:
        """Set e of all ranks beyond the budget to zero; `gone` are those that were before this step."""
        left = budget(done, len(gone), self.share)
        if left == len(gone):
            return
        if done < SETTLED or int((~gone).sum()) > left:
            gone = torch.ones_like(gone)
            gone[torch.cat([self._importance(*layer) for layer in layers]).topk(left).indices] = False
        for e, off in zip(weights, gone.split([len(e) for e in weights]), strict=True):
            e[off] = 0

    def _note(self, factor: Tensor) -> None:
        """Smooth the sensitivity |w · ∂w| of each number, and how much it varies (equations 9 and 10)."""
        assert factor.grad is not None, "every factor trains"
        state, now = self.state[factor], (factor * factor.grad).abs()
        if "sensitivity" not in state:
            state["sensitivity"], state["uncertainty"] = torch.zeros_like(factor), torch.zeros_like(factor)
        state["sensitivity"].lerp_(now, 1 - SMOOTHING)
        state["uncertainty"].lerp_((now - state["sensitivity"]).abs(), 1 - SMOOTHING)

    def _importance(self, a_RI: Tensor, b_OR: Tensor, e_R1: Tensor) -> Tensor:
        """How much each rank (R) matters: that of e, and the mean of its row of A and its column of B (equations 7 and 8)."""
        a, b, e = (self.state[factor]["sensitivity"] * self.state[factor]["uncertainty"] for factor in (a_RI, b_OR, e_R1))
        return e[:, 0] + a.mean(1) + b.mean(0)


def budget(done: float, ranks: int, share: float) -> int:
    """How many of all `ranks` may stay when this share of the steps is done: all, then fewer along a cubic curve, then `share`."""
    left = 1 - min(1.0, max(0.0, (done - WARM) / (SETTLED - WARM)))
    return max(1, round(ranks * (share + (1 - share) * left**3)))
