"""Cross-entropy at the supervised positions only, in chunks: the logits of a whole row never exist.

A target is one token, or a distribution over a few (what another model gives to the likeliest ones): then the loss is,
but for a constant, the Kullback-Leibler divergence from that distribution.

Shapes: K supervised positions, C candidates of a target, D model width, V vocabulary, R rows that train alone. Reference: `reference_loss`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 256
"""Positions a chunk: 256 × 49,152 logits in fp32 are 50 MB."""


class _SupervisedLoss(torch.autograd.Function):  # type: ignore[misc]
    """Sum of cross-entropies; the gradients of hidden states and head are made in the forward pass, chunk by chunk."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_KD: Tensor,
        weight_VD: Tensor,
        targets_KC: Tensor,
        shares_KC: Tensor,
        softcap: float | None,
        tokens: list[int] | None,
        apart_RD: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        needs_hidden, needs_weight, *_, needs_apart = ctx.needs_input_grad
        total = hidden_KD.new_zeros((), dtype=torch.float32)
        correct = torch.zeros((), dtype=torch.long, device=hidden_KD.device)
        d_hidden = torch.empty_like(hidden_KD) if needs_hidden else None
        d_weight = torch.zeros_like(weight_VD, dtype=torch.float32) if needs_weight else None
        d_apart = torch.zeros_like(apart_RD, dtype=torch.float32) if needs_apart else None
        for at in range(0, len(targets_KC), CHUNK):
            rows = slice(at, at + CHUNK)
            logits = F.linear(hidden_KD[rows], weight_VD).float()
            if softcap is not None:
                logits = torch.tanh(logits / softcap) * softcap
            targets, shares = targets_KC[rows], shares_KC[rows]
            weights = shares.sum(-1, keepdim=True)
            correct += (logits.argmax(-1) == targets[:, 0]).sum()
            slope = 1 - (logits / softcap) ** 2 if softcap is not None and (needs_hidden or needs_weight or needs_apart) else None
            largest, chosen = logits.amax(-1, keepdim=True), logits.gather(-1, targets)
            grad = logits.sub_(largest).exp_()
            summed = grad.sum(-1, keepdim=True)
            total += ((summed.log() + largest - chosen) * shares).sum()
            if not (needs_hidden or needs_weight or needs_apart):
                continue
            grad.mul_(weights / summed).scatter_add_(-1, targets, -shares)
            if slope is not None:
                grad *= slope
            grad = grad.to(weight_VD.dtype)
            if d_hidden is not None:
                d_hidden[rows] = grad @ weight_VD
            if d_weight is not None:
                d_weight += grad.t() @ hidden_KD[rows]
            if d_apart is not None:
                d_apart += grad[:, tokens].t() @ hidden_KD[rows]
        ctx.save_for_backward(d_hidden, d_weight, d_apart)
        ctx.weight_dtype = weight_VD.dtype
        ctx.mark_non_differentiable(correct)
        return total, correct

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        scale = grads[0]
        d_hidden, d_weight, d_apart = ctx.saved_tensors
        hidden = d_hidden * scale.to(d_hidden.dtype) if d_hidden is not None else None
        weight, apart = ((d * scale).to(ctx.weight_dtype) if d is not None else None for d in (d_weight, d_apart))
        return hidden, weight, None, None, None, None, apart


def supervised_loss(
    hidden_KD: Tensor,
    weight_VD: Tensor,
    targets: Tensor,
    softcap: float | None = None,
    shares_KC: Tensor | None = None,
    apart: tuple[list[int], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """The summed cross-entropy (fp32, with gradient) and how many positions the largest logit gets right.

    `targets` are tokens (K), or with `shares_KC` the candidates (K, C) of distributions, the likeliest first. `apart` are tokens and
    their rows (R, D) of a weight that is frozen: a tensor that has these values and gets their gradient.
    """
    targets_KC, shares_KC = _distributions(targets, shares_KC)
    return _SupervisedLoss.apply(hidden_KD, weight_VD, targets_KC, shares_KC, softcap, *(apart or (None, None)))  # type: ignore[no-any-return]


def reference_loss(
    hidden_KD: Tensor, weight_VD: Tensor, targets: Tensor, softcap: float | None = None, shares_KC: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The same the plain way, with all logits at once."""
    targets_KC, shares_KC = _distributions(targets, shares_KC)
    logits = F.linear(hidden_KD, weight_VD).float()
    if softcap is not None:
        logits = torch.tanh(logits / softcap) * softcap
    wanted_KV = torch.zeros_like(logits).scatter_add(-1, targets_KC, shares_KC)
    return -(wanted_KV * logits.log_softmax(-1)).sum(), (logits.argmax(-1) == targets_KC[:, 0]).sum()


def _distributions(targets: Tensor, shares_KC: Tensor | None) -> tuple[Tensor, Tensor]:
    """Candidates and their shares (K, C); a token alone has all of its distribution."""
    if shares_KC is None:
        return targets[:, None], torch.ones(len(targets), 1, device=targets.device)
    return targets, shares_KC
