"""Chat: learn assistant turns of conversations, the loss on their tokens only.

Replayed rows are held against all that the untouched model thought likely, not only against what it said: each of
their tokens then tells how far the model has moved (a Kullback-Leibler penalty on its own answers, arXiv 2604.15574).

Shapes: N tokens of a row (prefix and segments), K supervised positions, C candidates, D model width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
import torch
from torch.nn import functional as F

from engrain.batches import micro_batches
from engrain.errors import ModelError
from engrain.kernels.packed_attention import Packing, pack, packed
from engrain.kernels.supervised_loss import CHUNK, supervised_loss
from engrain.tasks.base import Loss, Task
from engrain.tokens import Encoded, Likely, shared_prefix

if TYPE_CHECKING:
    from torch import Tensor, nn

PREPARED_TOKENS = 2048
"""Tokens of replayed rows that the untouched model reads at once."""
CANDIDATES = 64
"""Tokens kept of what the untouched model expects at a place; the rest of the vocabulary shares some hundredths."""
SHORTEST_PREFIX = 8
"""Below this many shared tokens, computing them once saves nothing."""
TOLERANCE, TOLERANCE_16_BITS = 1e-3, 0.1
"""How far packed and plain logits may lie apart, as a share of their size; a model computed wrongly is far beyond."""


class Chat(Task):
    """Conversations as token rows, computed without padding; what all rows of a micro-batch begin with is computed once."""

    def __init__(self, train: Sequence[Encoded], heldout: Sequence[Encoded] = (), replay: Sequence[Encoded] = ()) -> None:
        self.train, self.heldout = [*train, *replay], heldout
        self._replayed = len(replay)
        self._checked: WeakSet[nn.Module] = WeakSet()

    def prepare(self, model: nn.Module) -> None:
        """Note what the untouched model expects at each token of the replayed rows, those of the user's turn too."""
        own, replay = self.train[: len(self.train) - self._replayed], self.train[len(self.train) - self._replayed :]
        shared = shared_prefix(self.train)
        whole = [replace(e, supervised=np.arange(len(e)) > shared) for e in replay]
        expected: dict[int, Likely] = {}
        for group in micro_batches(range(len(whole)), [len(e) for e in whole], PREPARED_TOKENS):
            expected |= zip(group, likely(model, [whole[i] for i in group]), strict=True)
        self.train = [*own, *(replace(e, likely=expected[i]) for i, e in enumerate(whole))]

    def length(self, encoded: Encoded) -> int:
        """Tokens of the conversation."""
        return len(encoded.ids)

    def targets(self, encoded: Encoded) -> int:
        """Supervised tokens; the first token of a row has nothing before it to be predicted from."""
        return int(encoded.supervised[1:].sum())

    def content(self, encoded: Encoded) -> bytes:
        """Token ids and which of them are supervised."""
        return encoded.ids.tobytes() + encoded.supervised.tobytes()

    def loss(self, model: nn.Module, batch: Sequence[Encoded]) -> Loss:
        """The summed cross-entropy of the batch's supervised tokens. Raises ModelError for a model that cannot be packed."""
        if model not in self._checked:
            check_model(model)
            self._checked.add(model)
        prefix = common_prefix(batch)
        hidden_KD, targets_K = supervised_hidden(model, batch, prefix)
        weight, softcap = head(model)
        wanted = [x.to(weight.device) for x in distributions(batch, prefix)] if any(e.likely for e in batch) else [targets_K, None]
        total, correct = supervised_loss(hidden_KD, weight, wanted[0], softcap, wanted[1])
        return Loss(total, len(targets_K), int(correct))


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


def log_likelihood(model: nn.Module, batch: Sequence[Encoded]) -> list[Likelihood]:
    """The Likelihood of each conversation; what all begin with is computed once."""
    prefix = common_prefix(batch)
    with torch.no_grad():
        hidden_KD, targets_K = supervised_hidden(model, batch, prefix)
        weight_VD, softcap = head(model)
        logits = F.linear(hidden_KD, weight_VD).float()
        if softcap is not None:
            logits = torch.tanh(logits / softcap) * softcap
        chosen_K = logits.log_softmax(-1).gather(1, targets_K[:, None])[:, 0].double()
        first_K = logits.argmax(-1) == targets_K
    counts = [int(e.supervised[prefix + 1 :].sum()) for e in batch]
    parts = zip(chosen_K.split(counts), first_K.split(counts), strict=True)
    return [Likelihood(float(scores.sum()), len(scores), bool(first[:-1].all())) for scores, first in parts]


def supervised_hidden(model: nn.Module, batch: Sequence[Encoded], prefix: int) -> tuple[Tensor, Tensor]:
    """The hidden states (K, D) from which the batch's supervised tokens are predicted, and those tokens (K)."""
    device = next(model.parameters()).device
    ids_N, positions_K, targets_K = (x.to(device) for x in flatten(batch, prefix))
    hidden_ND = packed_hidden(model, ids_N, pack([len(e.ids) - prefix for e in batch], prefix, device))
    return hidden_ND.index_select(0, positions_K), targets_K


def packed_hidden(model: nn.Module, ids_N: Tensor, packing: Packing) -> Tensor:
    """The last hidden states (N, D) of a packed row."""
    with packed(model):
        out = model.base_model(input_ids=ids_N[None], position_ids=packing.positions[None], use_cache=False, packing=packing)
    return out.last_hidden_state[0]


def head(model: nn.Module) -> tuple[Tensor, float | None]:
    """The output head's weight (V, D) and the softcap of its logits."""
    config = model.config.get_text_config()
    return model.get_output_embeddings().weight, getattr(config, "final_logit_softcapping", None)


def check_model(model: nn.Module) -> None:
    """Raises ModelError unless packed rows give the logits that the model itself gives to each row alone.

    So a model whose attention, positions or head work in a way unknown here is refused and not trained wrongly.
    """
    name, other = type(model).__name__, "Choose another base model."
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), _short_windows(model):
            apart = _packed_from_plain(model)
    except Exception as error:
        raise ModelError(f"{name} cannot compute packed rows: {type(error).__name__}: {error}", other) from error
    finally:
        model.train(training)
    if not apart <= (TOLERANCE if next(model.parameters()).dtype == torch.float32 else TOLERANCE_16_BITS):
        raise ModelError(f"{name} computes packed rows wrongly (its logits are {apart:.0%} off)", other)


def _packed_from_plain(model: nn.Module) -> float:
    """The distance of packed logits from plain ones, as a share of their size, on three short rows."""
    weight_VD, softcap = head(model)
    if model.get_output_embeddings().bias is not None:
        raise ValueError("its output head has a bias")
    ids_N = torch.arange(28, device=weight_VD.device) * 7 % len(weight_VD)
    shared, *own = ids_N.split([8, 9, 6, 5])
    plain = torch.cat([model(input_ids=torch.cat([shared, row])[None], use_cache=False).logits[0, 8:] for row in own])
    logits = F.linear(packed_hidden(model, ids_N, pack([len(row) for row in own], 8, ids_N.device))[8:], weight_VD)
    if softcap is not None:
        logits = torch.tanh(logits / softcap) * softcap
    return float((logits.float() - plain.float()).norm() / plain.float().norm())


@contextmanager
def _short_windows(model: nn.Module) -> Iterator[None]:
    """Inside, sliding windows are shorter than the rows of the check, so that it sees them."""
    things: list[Any] = [thing for module in model.modules() for thing in (module, getattr(module, "config", None))]
    owners = {id(thing): thing for thing in things if isinstance(getattr(thing, "sliding_window", None), int)}
    before = [owner.sliding_window for owner in owners.values()]
    for owner in owners.values():
        owner.sliding_window = 6
    try:
        yield
    finally:
        for owner, window in zip(owners.values(), before, strict=True):
            owner.sliding_window = window


def common_prefix(batch: Sequence[Encoded]) -> int:
    """How many leading tokens the rows can share: each keeps the token its first target is predicted from."""
    if len(batch) < 2:
        return 0
    first_target = min(int(e.supervised.argmax()) if e.supervised.any() else len(e.ids) for e in batch)
    shared = min(shared_prefix(batch), first_target - 1)
    return shared if shared >= SHORTEST_PREFIX else 0


def flatten(batch: Sequence[Encoded], prefix: int) -> tuple[Tensor, Tensor, Tensor]:
    """The row's token ids (N), the positions that predict a supervised token (K), and those tokens (K)."""
    ids = [torch.from_numpy(batch[0].ids[:prefix])]
    positions, targets = [], []
    start = prefix
    for encoded in batch:
        own = torch.from_numpy(encoded.ids[prefix:])
        at = torch.from_numpy(encoded.supervised[prefix + 1 :]).nonzero()[:, 0]
        ids.append(own)
        positions.append(at + start)
        targets.append(own[at + 1])
        start += len(own)
    return torch.cat(ids).long(), torch.cat(positions), torch.cat(targets).long()


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
