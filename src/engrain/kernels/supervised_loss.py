"""Cross-entropy at the supervised positions only, in chunks: the logits of a whole row never exist.

A target is one token, or a distribution over a few (what another model gives to the likeliest ones): then the loss is,
but for a constant, the Kullback-Leibler divergence from that distribution. A token's own share may be lowered, and the rest spread
over the whole vocabulary alike (label smoothing: arXiv 1512.00567, section 7).

Shapes: K supervised positions, C candidates of a target, D model width, V vocabulary, R rows that train alone. Reference: `reference_loss`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engrain.kernels import native

CHUNK = 256
"""Positions a chunk: 256 × 49,152 logits in fp32 are 50 MB."""
PART = 4096
"""Rows of a head at once."""


class _SupervisedLoss(torch.autograd.Function):  # type: ignore[misc]
    """Sum of cross-entropies; the gradients of hidden states and head are made in the forward pass, chunk by chunk."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_KD: Tensor,
        weight_VD: Tensor,
        targets_KC: Tensor,
        shares_KC: Tensor,
        spread_K: Tensor | None,
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
            logits = F.linear(hidden_KD[rows], weight_VD)
            compute = _native if softcap is None and native.can(logits) else partial(_plain, softcap=softcap)
            spread = None if spread_K is None else spread_K[rows]
            loss, right, grad = compute(logits, targets_KC[rows], shares_KC[rows], spread, needs_hidden or needs_weight or needs_apart)
            total += loss
            correct += right
            if d_hidden is not None:
                d_hidden[rows] = grad @ weight_VD
            if d_weight is not None:
                _add_product(d_weight, grad, hidden_KD[rows])
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
        weight, apart = (_times(d, scale, ctx.weight_dtype) if d is not None else None for d in (d_weight, d_apart))
        return hidden, weight, None, None, None, None, None, apart


def _add_product(wide_VD: Tensor, grad_KV: Tensor, hidden_KD: Tensor) -> None:
    """Add gradᵀ·hidden; by parts, since a whole product and a copy of it in fp32 would lie beside the sum."""
    for to, part in zip(wide_VD.split(PART), grad_KV.split(PART, 1), strict=True):
        to += part.t() @ hidden_KD


def _times(wide: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """wide · scale, rounded once; by parts, since a whole head in fp32 would be held twice."""
    narrow = torch.empty_like(wide, dtype=dtype)
    for to, part in zip(narrow.split(PART), wide.split(PART), strict=True):
        to.copy_(part * scale)
    return narrow


def _native(
    logits_KV: Tensor, targets_KC: Tensor, shares_KC: Tensor, spread_K: Tensor | None, wanted: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The summed loss of logits, how many get their first target right, and the gradient that was wanted, in the place of the logits."""
    targets, shares = targets_KC.contiguous(), shares_KC.float().contiguous()
    losses, right, slopes = torch.empty_like(shares[:, 0]), torch.empty_like(targets[:, 0]), torch.empty_like(shares)
    spread = torch.zeros_like(losses) if spread_K is None else spread_K.float().contiguous()
    sizes = (*logits_KV.shape, targets.shape[1])
    native.call("cross_entropy", logits_KV.dtype, logits_KV, targets, shares, spread, losses, right, slopes, *sizes, int(wanted))
    return losses.sum(), right.sum(), logits_KV


def _plain(
    logits_KV: Tensor, targets_KC: Tensor, shares_KC: Tensor, spread_K: Tensor | None, wanted: bool, softcap: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The same in PyTorch, with the cap that some models put on their logits."""
    logits = logits_KV.float()
    if softcap is not None:
        logits = torch.tanh(logits / softcap) * softcap
    slope = 1 - (logits / softcap) ** 2 if softcap is not None and wanted else None
    largest, chosen = logits.amax(-1, keepdim=True), logits.gather(-1, targets_KC)
    mean = None if spread_K is None else logits.mean(-1)
    grad = logits.sub_(largest).exp_()
    summed = grad.sum(-1, keepdim=True)
    logs = summed.log() + largest
    loss, held = ((logs - chosen) * shares_KC).sum(), shares_KC.sum(-1, keepdim=True)
    if spread_K is not None:
        loss, held = loss + (spread_K * (logs[:, 0] - mean)).sum(), held + spread_K[:, None]
    if wanted:
        grad.mul_(held / summed).scatter_add_(-1, targets_KC, -shares_KC)
        if spread_K is not None:
            grad -= spread_K[:, None] / grad.shape[-1]
        if slope is not None:
            grad *= slope
    return loss, (chosen[:, :1] >= largest).sum(), grad.to(logits_KV.dtype)


def supervised_loss(
    hidden_KD: Tensor,
    weight_VD: Tensor,
    targets: Tensor,
    softcap: float | None = None,
    shares_KC: Tensor | None = None,
    apart: tuple[list[int], Tensor] | None = None,
    smoothing: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """The summed cross-entropy (fp32, with gradient) and how many positions the largest logit gets right.

    `targets` are tokens (K), or with `shares_KC` the candidates (K, C) of distributions, the likeliest first. `apart` are tokens and
    their rows (R, D) of a weight that is frozen: a tensor that has these values and gets their gradient. Of a target that is one token
    the share `smoothing` goes to all tokens alike; distributions are soft already.
    """
    wanted = _distributions(targets, shares_KC, smoothing)
    return _SupervisedLoss.apply(hidden_KD, weight_VD, *wanted, softcap, *(apart or (None, None)))  # type: ignore[no-any-return]


def reference_loss(
    hidden_KD: Tensor,
    weight_VD: Tensor,
    targets: Tensor,
    softcap: float | None = None,
    shares_KC: Tensor | None = None,
    smoothing: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """The same the plain way, with all logits at once."""
    targets_KC, shares_KC, spread_K = _distributions(targets, shares_KC, smoothing)
    logits = F.linear(hidden_KD, weight_VD).float()
    if softcap is not None:
        logits = torch.tanh(logits / softcap) * softcap
    wanted_KV = torch.zeros_like(logits).scatter_add(-1, targets_KC, shares_KC)
    if spread_K is not None:
        wanted_KV = wanted_KV + spread_K[:, None] / logits.shape[-1]
    return -(wanted_KV * logits.log_softmax(-1)).sum(), (logits.gather(-1, targets_KC[:, :1]) >= logits.amax(-1, keepdim=True)).sum()


def _distributions(targets: Tensor, shares_KC: Tensor | None, smoothing: float) -> tuple[Tensor, Tensor, Tensor | None]:
    """Candidates, their shares (K, C), and what all tokens share beside these (K), None for nothing. A token alone has all but that."""
    if shares_KC is None:
        targets, shares_KC = targets[:, None], torch.ones(len(targets), 1, device=targets.device)
    if not smoothing:
        return targets, shares_KC, None
    spread_K = smoothing * (shares_KC[:, 0] == 1)
    return targets, shares_KC * (1 - spread_K[:, None]), spread_K
