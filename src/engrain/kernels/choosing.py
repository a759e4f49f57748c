"""Which token comes next: the likeliest, or one drawn from the likeliest that hold `top_p` of the probability (nucleus sampling).

Nucleus sampling: arXiv 1904.09751, section 3.1. In C (`choosing.c`) on a processor: putting a vocabulary in order takes longer there
than a small model's step. Reference: `reference_choice`.

Shapes: B rows, V words of the vocabulary, C likeliest of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engrain.kernels import native

CANDIDATES = 1024
"""The likeliest words that are looked at first for one to draw."""


def choose(logits_BV: Tensor, temperature: float = 0.0, top_p: float = 1.0, draws: Sequence[float] = ()) -> tuple[Tensor, Tensor]:
    """The next token of each row (B), and its log-probability (B, fp32) whatever the temperature.

    The likeliest token where `temperature` is 0; else that at which the row's number of `draws` (0 to 1) falls.
    """
    if not native.can(logits_BV):
        return reference_choice(logits_BV, temperature, top_p, draws)
    rows, words = logits_BV.shape
    tokens_B, scores_B = torch.empty(rows, dtype=torch.long), torch.empty(rows, dtype=torch.float32)
    numbers_B = torch.tensor(draws, dtype=torch.float64)
    native.call("choose", logits_BV.dtype, logits_BV, numbers_B, tokens_B, scores_B, rows, words, float(temperature), float(top_p))
    return tokens_B, scores_B


def reference_choice(logits_BV: Tensor, temperature: float, top_p: float, draws: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The same in PyTorch."""
    tokens_B = _drawn(logits_BV.float(), temperature, top_p, draws) if temperature else logits_BV.argmax(1)
    return tokens_B, log_probabilities(logits_BV, tokens_B)


def log_probabilities(logits_BV: Tensor, tokens_B: Tensor) -> Tensor:
    """How likely each row finds its token: the log-probability (B, fp32)."""
    return logits_BV.gather(1, tokens_B[:, None])[:, 0].float() - logits_BV.float().logsumexp(1)


def _drawn(logits_BV: Tensor, temperature: float, top_p: float, draws: Sequence[float]) -> Tensor:
    shares_BV = (logits_BV / temperature).softmax(1)
    best_BC, order_BC = shares_BV.topk(min(CANDIDATES, shares_BV.shape[1]))
    if float(best_BC.sum(1).min()) < top_p:  # hardly ever: then all must be sorted, which takes longer than the model itself
        best_BC, order_BC = shares_BV.sort(1, descending=True)
    sums_BC = best_BC.cumsum(1)
    kept_B = (sums_BC - best_BC < top_p).sum(1)
    total_B = sums_BC.gather(1, kept_B[:, None] - 1)[:, 0]
    target_B = torch.tensor(draws, dtype=total_B.dtype, device=total_B.device) * total_B
    rank_B = torch.minimum((sums_BC <= target_B[:, None]).sum(1), kept_B - 1)
    return order_BC.gather(1, rank_B[:, None])[:, 0]
