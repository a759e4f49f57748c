"""Chat: learn assistant turns of conversations, the loss on their tokens only.

Replayed rows are held against all that the untouched model thought likely, not only against what it said: each of
their tokens then tells how far the model has moved (a Kullback-Leibler penalty on its own answers, arXiv 2604.15574).

Shapes: N tokens of a row (prefix and segments), K supervised positions, C candidates, D model width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from engrain.batches import micro_batches
from engrain.files import short_hash
from engrain.kernels.supervised_loss import CHUNK, supervised_loss
from engrain.progress import SILENT, Progress
from engrain.tasks._expected import CANDIDATES, expected
from engrain.tasks._packed import PackedTask, common_prefix, head, supervised_hidden
from engrain.tasks.base import Loss
from engrain.token_rows import Joined
from engrain.tokens import Encoded, Likely, shared_prefix

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engrain.tasks._trunk import Trunk

PREPARED_TOKENS = 2048
"""Tokens of rows that are read at once, not trained on."""


class Chat(PackedTask):
    """Conversations as token rows, computed without padding; what all rows of a micro-batch begin with is computed once."""

    def __init__(
        self,
        train: Sequence[Encoded],
        heldout: Sequence[Encoded] = (),
        replay: Sequence[Encoded] = (),
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(Joined(train, replay), heldout, label_smoothing)
        self._own, self._replay = train, replay

    def prepare(self, model: nn.Module, progress: Progress = SILENT) -> None:
        """Note what the untouched model expects at each token of the replayed rows, those of the user's turn too."""
        shared = shared_prefix(self.train)
        whole = [replace(e, supervised=np.arange(len(e)) > shared) for e in self._replay]
        found = expected(model, whole, lambda: _all_likely(model, whole, progress))
        self.train = Joined(self._own, [replace(e, likely=each) for e, each in zip(whole, found, strict=True)])

    def loss(self, model: nn.Module, batch: Sequence[Encoded]) -> Loss:
        """The summed cross-entropy of the batch's supervised tokens. Raises ModelError for a model that cannot be packed."""
        self.check(model)
        prefix = common_prefix(batch)
        hidden_KD, targets_K = self.reached(model, batch, prefix)
        weight, softcap = head(model)
        wanted = [x.to(weight.device) for x in distributions(batch, prefix)] if any(e.likely for e in batch) else [targets_K, None]
        total, correct = supervised_loss(hidden_KD, weight, wanted[0], softcap, wanted[1], smoothing=self.smoothing(model))
        return Loss(total, len(targets_K), int(correct))

    def by_heart(self) -> list[int]:
        """The numbers of the examples that a pass practises more than once, of equal ones the first."""
        contents_N = np.fromiter((short_hash(self.content(encoded)) for encoded in self._own), np.uint64)
        _, first, times = np.unique(contents_N, return_index=True, return_counts=True)
        return sorted(first[times > 1].tolist())

    def not_known(self, model: nn.Module) -> list[int]:
        """Of those, the numbers of the ones whose answer the model would not say."""
        asked = self.by_heart()
        known = dict(word_for_word(model, [self.train[i] for i in asked], self.trunk))
        return [number for place, number in enumerate(asked) if not known[place]]


def _all_likely(model: nn.Module, rows: Sequence[Encoded], progress: Progress) -> list[Likely]:
    found: dict[int, Likely] = {}
    with progress.stage("Noting what the untouched model expects", len(rows), "texts") as stage:
        for group in micro_batches(range(len(rows)), [len(row) for row in rows], PREPARED_TOKENS):
            found |= zip(group, likely(model, [rows[i] for i in group]), strict=True)
            stage.advance(len(group))
    return [found[i] for i in range(len(rows))]


def likely(model: nn.Module, batch: Sequence[Encoded]) -> list[Likely]:
    """What the model expects at the supervised tokens of each conversation: the CANDIDATES likeliest, their shares summing to 1."""
    prefix = common_prefix(batch)
    places = [np.flatnonzero(e.supervised[prefix + 1 :]) + prefix + 1 for e in batch]
    with torch.no_grad():
        hidden_KD, _ = supervised_hidden(model, batch, prefix)
        found = [_likeliest(model, part) for part in hidden_KD.split(CHUNK)]
    tokens_KC, shares_KC = (np.concatenate(parts) for parts in zip(*found, strict=True))
    made, start = [], 0
    for encoded, at in zip(batch, places, strict=True):
        tokens, shares = (np.zeros((len(encoded), tokens_KC.shape[1]), dtype) for dtype in (np.int32, np.float32))
        tokens[at], shares[at] = tokens_KC[start : start + len(at)], shares_KC[start : start + len(at)]
        made.append(Likely(tokens, shares))
        start += len(at)
    return made


def _likeliest(model: nn.Module, hidden_KD: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest next tokens (K, C) of hidden states and their shares."""
    weight_VD, softcap = head(model)
    logits = F.linear(hidden_KD, weight_VD).float()
    if softcap is not None:
        logits = torch.tanh(logits / softcap) * softcap
    best_KC, tokens_KC = logits.topk(min(CANDIDATES, logits.shape[-1]))
    return tokens_KC.cpu().numpy().astype(np.int32), best_KC.softmax(-1).cpu().numpy()


@dataclass(frozen=True)
class Likelihood:
    """How likely a model finds a conversation's supervised tokens: `total` log-probability (nats) of `tokens` of them.

    `foremost` says that each but the last, which ends the turn, is the likeliest at its place: the model would say them.
    """

    total: float
    tokens: int
    foremost: bool


def log_likelihood(model: nn.Module, batch: Sequence[Encoded], trunk: Trunk | None = None, by_prompt: bool = False) -> list[Likelihood]:
    """The Likelihood of each conversation; what all begin with is computed once, and what a `trunk` holds is not computed.

    With `by_prompt` so is the prompt of those side by side that have the same one.
    """
    prefix = common_prefix(batch)
    with torch.no_grad():
        hidden_KD, targets_K = supervised_hidden(model, batch, prefix, trunk, by_prompt=by_prompt)
        weight_VD, softcap = head(model)
        logits = F.linear(hidden_KD, weight_VD).float()
        if softcap is not None:
            logits = torch.tanh(logits / softcap) * softcap
        chosen_K = logits.log_softmax(-1).gather(1, targets_K[:, None])[:, 0].double()
        first_K = logits.argmax(-1) == targets_K
    counts = [int(e.supervised[prefix + 1 :].sum()) for e in batch]
    parts = zip(chosen_K.split(counts), first_K.split(counts), strict=True)
    return [Likelihood(float(scores.sum()), len(scores), bool(first[:-1].all())) for scores, first in parts]


def word_for_word(model: nn.Module, rows: Sequence[Encoded], trunk: Trunk | None = None) -> Iterator[tuple[int, bool]]:
    """Place of each row → whether the model would say its answers as they stand; rows of about one length are read together."""
    for group in micro_batches(range(len(rows)), [len(row) for row in rows], PREPARED_TOKENS):
        found = log_likelihood(model, [rows[i] for i in group], trunk)
        yield from zip(group, (each.foremost for each in found), strict=True)


def distributions(batch: Sequence[Encoded], prefix: int) -> tuple[Tensor, Tensor]:
    """The candidates (K, C) of each supervised token and their shares; a token without `likely` is its own only candidate."""
    width = max(e.likely.tokens.shape[1] for e in batch if e.likely)
    tokens, shares = [], []
    for encoded in batch:
        at = np.flatnonzero(encoded.supervised[prefix + 1 :]) + prefix + 1
        kept = encoded.likely or Likely(encoded.ids[:, None], np.ones((len(encoded), 1), np.float32))
        room = ((0, 0), (0, width - kept.tokens.shape[1]))
        tokens.append(np.pad(kept.tokens[at], room))
        shares.append(np.pad(kept.shares[at], room))
    return torch.from_numpy(np.concatenate(tokens)).long(), torch.from_numpy(np.concatenate(shares))
