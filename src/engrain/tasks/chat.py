"""Chat: learn assistant turns of conversations, the loss on their tokens only.

Shapes: N tokens of a row (prefix and segments), K supervised positions, D model width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from engrain.kernels.packed_attention import pack, packed
from engrain.kernels.supervised_loss import supervised_loss
from engrain.tasks.base import Loss, Task
from engrain.tokens import Encoded, shared_prefix

if TYPE_CHECKING:
    from torch import Tensor, nn

SHORTEST_PREFIX = 8
"""Below this many shared tokens, computing them once saves nothing."""


class Chat(Task):
    """Conversations as token rows, computed without padding; what all rows of a micro-batch begin with is computed once."""

    def __init__(self, train: Sequence[Encoded], heldout: Sequence[Encoded] = ()) -> None:
        self.train, self.heldout = train, heldout

    def length(self, encoded: Encoded) -> int:
        """Tokens of the conversation."""
        return len(encoded.ids)

    def targets(self, encoded: Encoded) -> int:
        """Supervised tokens; the first token of a row has nothing before it to be predicted from."""
        return int(encoded.supervised[1:].sum())

    def loss(self, model: nn.Module, batch: Sequence[Encoded]) -> Loss:
        """The summed cross-entropy of the batch's supervised tokens."""
        device = next(model.parameters()).device
        prefix = common_prefix(batch)
        ids_N, positions_K, targets_K = (x.to(device) for x in flatten(batch, prefix))
        packing = pack([len(e.ids) - prefix for e in batch], prefix, device)
        with packed(model):
            hidden_ND = model.base_model(  # type: ignore[operator]
                input_ids=ids_N[None], position_ids=packing.positions[None], use_cache=False, packing=packing
            ).last_hidden_state[0]
        softcap = getattr(model.config, "final_logit_softcapping", None)
        head = model.get_output_embeddings()  # type: ignore[operator]
        total, correct = supervised_loss(hidden_ND.index_select(0, positions_K), head.weight, targets_K, softcap)
        return Loss(total, len(targets_K), int(correct))


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
