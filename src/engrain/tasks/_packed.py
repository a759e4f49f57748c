"""What tasks on token rows share: rows computed without padding, and what all of a micro-batch begin with computed once.

Shapes: N tokens of a row (prefix and segments), K supervised positions, D model width.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from heapq import nsmallest
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
import torch
from torch.nn import functional as F

from engrain.cost import cost_of, tokens_fitting, tokens_kept
from engrain.errors import ModelError
from engrain.kernels.lean import lean
from engrain.kernels.made_again import making_again
from engrain.kernels.packed_attention import Packing, pack
from engrain.kernels.partial_model import upper
from engrain.kernels.recompute import LONG, recomputed
from engrain.processes import give_back
from engrain.progress import SILENT, Progress
from engrain.tasks._trunk import Trunk, depth
from engrain.tasks.base import Task
from engrain.tokens import Encoded, shared_prefix

if TYPE_CHECKING:
    from torch import Tensor, nn

ROUND = 64
"""Rows are made as long as the next multiple of this."""
SHORTEST_PREFIX = 8
"""Below this many shared tokens, computing them once saves nothing."""
GIVE_BACK_SECONDS = 4.0
"""How often freed memory is given back; it takes some hundredths of a second, and to have it again takes longer."""
TOLERANCE, TOLERANCE_16_BITS = 1e-3, 0.1
"""How far packed and plain logits may lie apart, as a share of their size; a model computed wrongly is far beyond."""


class PackedTask(Task):
    """A task whose examples are token rows of a language model."""

    train: Sequence[Encoded]
    heldout: Sequence[Encoded]

    def __init__(self, train: Sequence[Encoded], heldout: Sequence[Encoded], label_smoothing: float = 0.0) -> None:
        self.train, self.heldout, self.label_smoothing = train, heldout, label_smoothing
        self._checked: WeakSet[nn.Module] = WeakSet()
        self.most_kept = LONG
        self._gave_back = -math.inf
        self.trunk: Trunk | None = None

    def length(self, encoded: Encoded) -> int:
        """Tokens of the conversation."""
        return len(encoded.ids)

    def shared(self, rows: Sequence[Encoded]) -> int:
        """Leading tokens of every conversation."""
        shared = shared_prefix(rows)
        return shared if shared >= SHORTEST_PREFIX else 0

    def targets(self, encoded: Encoded) -> int:
        """Supervised tokens; the first token of a row has nothing before it to be predicted from."""
        return int(encoded.supervised[1:].sum())

    def content(self, encoded: Encoded) -> bytes:
        """Token ids and which of them are supervised."""
        return encoded.ids.tobytes() + encoded.supervised.tobytes()

    def fit(self, model: nn.Module, free: int) -> int:
        """Beyond as many tokens as fit, layers are computed a second time; only where that is not enough fewer are computed at once."""
        weight = model.get_input_embeddings().weight
        cost = cost_of(model, weight.dtype, False, weight.device.type)
        self.most_kept = tokens_kept(cost, free)
        return tokens_fitting(cost, free)

    def settle(self, model: nn.Module, progress: Progress = SILENT) -> None:
        """Compute once what the frozen layers below give for every example; not kept where it would be large or another model's."""
        if not depth(model):
            return
        with progress.stage("Computing what stays frozen"), suppress(MemoryError):
            trunk = Trunk(model, chain(self.train, self.heldout))
            self.trunk = trunk if self._agrees(model, trunk) else None

    def _agrees(self, model: nn.Module, trunk: Trunk) -> bool:
        """Whether the model computes from the trunk's states what it computes from tokens, on the shortest examples."""
        batch = nsmallest(2, self.train, key=self.length)
        with torch.no_grad():
            whole, _ = supervised_hidden(model, batch, 0)
            upon, _ = supervised_hidden(model, batch, 0, trunk)
        return float((whole.float() - upon.float()).norm()) <= tolerance(model) * float(whole.float().norm())

    def reached(self, model: nn.Module, batch: Sequence[Encoded], prefix: int) -> tuple[Tensor, Tensor]:
        """The `supervised_hidden` of a batch to learn from.

        Most is held here, and the head will hold more; what was freed on the way, between what is held, is given back now and then.
        """
        found = supervised_hidden(model, batch, prefix, self.trunk, self.most_kept)
        if time.monotonic() - self._gave_back > GIVE_BACK_SECONDS:
            give_back()
            self._gave_back = time.monotonic()
        return found

    def check(self, model: nn.Module) -> None:
        """Raise ModelError for a model that cannot be packed; looked at once."""
        if model not in self._checked:
            check_model(model)
            self._checked.add(model)


def supervised_hidden(
    model: nn.Module, batch: Sequence[Encoded], prefix: int, trunk: Trunk | None = None, most_kept: int = LONG, by_prompt: bool = False
) -> tuple[Tensor, Tensor]:
    """The hidden states (K, D) from which the batch's supervised tokens are predicted, and those tokens (K).

    What a `trunk` holds of the batch is not computed again, nor, `by_prompt`, a prompt for each of the rows side by side that have it.
    Of more than `most_kept` tokens layers are computed a second time.
    """
    device = next(model.parameters()).device
    held = trunk is not None and trunk.holds(batch)
    flat = flatten(batch, prefix, by_prompt and not held)  # a trunk lays out whole rows
    ids_N, positions_K, targets_K = (x.to(device) for x in (flat.ids, flat.positions, flat.targets))
    more = _to_round(flat.lengths, len(ids_N))
    packing = pack([*flat.lengths[:-1], flat.lengths[-1] + more], prefix, device, flat.after)
    if trunk is not None and held:
        with upper(model, trunk.depth):
            hidden_ND = packed_hidden(model, packing, most_kept, inputs_embeds=_lengthened(trunk.states(batch, prefix), more)[None])
    else:
        hidden_ND = packed_hidden(model, packing, most_kept, input_ids=_lengthened(ids_N, more)[None])
    return scaled(model, hidden_ND.index_select(0, positions_K)), targets_K


def _to_round(lengths: Sequence[int], tokens: int) -> int:
    """How many tokens, which nobody looks at, the last segment needs behind it for a row of round length.

    A processor's library makes code for each length it meets, which takes longer than computing some tokens more. No segment grows
    beyond the longest.
    """
    more = -tokens % ROUND
    return more if lengths[-1] + more <= max(lengths) else 0


def _lengthened(row: Tensor, more: int) -> Tensor:
    """A row (N, …) whose last entry comes so many times more."""
    return torch.cat([row, row[-1:].expand(more, *row.shape[1:])]) if more else row


def packed_hidden(model: nn.Module, packing: Packing, most_kept: int = LONG, **inputs: Tensor) -> Tensor:
    """The last hidden states (N, D) of a packed row, given as `input_ids` or `inputs_embeds`."""
    long = len(packing.positions) > most_kept and torch.is_grad_enabled()
    with lean(model), recomputed(model, partial(lean, model)) if long else making_again():
        out = model.base_model(**inputs, position_ids=packing.positions[None], use_cache=False, packing=packing)
    return out.last_hidden_state[0]


def head(model: nn.Module) -> tuple[Tensor, float | None]:
    """The output head's weight (V, D) and the softcap of its logits."""
    config = model.config.get_text_config()
    return model.get_output_embeddings().weight, getattr(config, "final_logit_softcapping", None)


def scaled(model: nn.Module, hidden: Tensor) -> Tensor:
    """Hidden states times what some models multiply logits by (Cohere), or divide them by (Granite): before the head it is the same."""
    config = model.config.get_text_config()
    scale = float(getattr(config, "logit_scale", None) or 1) / float(getattr(config, "logits_scaling", None) or 1)
    return hidden if scale == 1 else hidden * scale


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
    if not apart <= tolerance(model):
        raise ModelError(f"{name} computes packed rows wrongly (its logits are {apart:.0%} off)", other)


def tolerance(model: nn.Module) -> float:
    """How far apart two ways of computing the model may lie."""
    return TOLERANCE if next(model.parameters()).dtype == torch.float32 else TOLERANCE_16_BITS


def _packed_from_plain(model: nn.Module) -> float:
    """The distance of packed logits from plain ones, as a share of their size, on three short rows."""
    weight_VD, softcap = head(model)
    if model.get_output_embeddings().bias is not None:
        raise ValueError("its output head has a bias")
    ids_N = torch.arange(28, device=weight_VD.device) * 7 % len(weight_VD)
    shared, *own = ids_N.split([8, 9, 6, 5])
    plain = torch.cat([model(input_ids=torch.cat([shared, row])[None], use_cache=False).logits[0, 8:] for row in own])
    hidden_ND = packed_hidden(model, pack([len(row) for row in own], 8, ids_N.device), input_ids=ids_N[None])[8:]
    logits = F.linear(scaled(model, hidden_ND), weight_VD)
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
    shared = min(shared_prefix(batch), min(map(first_target, batch)) - 1)
    return shared if shared >= SHORTEST_PREFIX else 0


@dataclass(frozen=True)
class Flat:
    """Rows in one: the token `ids` (N), the `lengths` of the segments after the prefix and which one each continues (-1: none), the
    `positions` that predict a supervised token (K), and those tokens, the `targets` (K).
    """

    ids: Tensor
    lengths: tuple[int, ...]
    after: tuple[int, ...]
    positions: Tensor
    targets: Tensor


def flatten(batch: Sequence[Encoded], prefix: int, by_prompt: bool = False) -> Flat:
    """The rows in one, the prefix first; `by_prompt` rows side by side with the same prompt continue a segment that holds it."""
    parts, after, positions, targets = [batch[0].ids[:prefix]], list[int](), [], []
    start = prefix
    for rows in _of_one_prompt(batch) if by_prompt else [[encoded] for encoded in batch]:
        begin, prompt = prefix, -1
        if len(rows) > 1 and first_target(rows[0]) > prefix + 1:
            begin, prompt = first_target(rows[0]) - 1, len(after)  # each keeps the token that its first target is predicted from
            parts.append(rows[0].ids[prefix:begin])
            after.append(-1)
            start += begin - prefix
        for encoded in rows:
            own = torch.from_numpy(encoded.ids[begin:]).long()
            at = torch.from_numpy(encoded.supervised[begin + 1 :]).nonzero()[:, 0]
            parts.append(encoded.ids[begin:])
            after.append(prompt)
            positions.append(at + start)
            targets.append(own[at + 1])
            start += len(own)
    ids = torch.from_numpy(np.concatenate(parts)).long()
    return Flat(ids, tuple(map(len, parts[1:])), tuple(after), torch.cat(positions), torch.cat(targets))


def _of_one_prompt(batch: Sequence[Encoded]) -> list[list[Encoded]]:
    """The rows, those side by side that have the same prompt together."""
    return [list(rows) for _, rows in groupby(batch, key=lambda encoded: encoded.ids[: first_target(encoded)].tobytes())]


def first_target(encoded: Encoded) -> int:
    """The place of a row's first supervised token; behind its end where it has none."""
    return int(encoded.supervised.argmax()) if encoded.supervised.any() else len(encoded.ids)
