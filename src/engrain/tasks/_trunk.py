"""The frozen trunk: what the layers below the lowest one that trains give for an example is computed once for all epochs.

It is exact: the same states that the whole model would compute. They are let go as soon as a weight below has changed.

Shapes: N tokens of a packed row, T tokens of an example, D model width.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch

from engrain.batches import micro_batches
from engrain.kernels.lean import lean
from engrain.kernels.packed_attention import pack
from engrain.kernels.partial_model import states_before
from engrain.models import decoder_layers, lowest_trained
from engrain.tokens import Encoded, shared_prefix

if TYPE_CHECKING:
    from torch import Tensor, nn

IN_MEMORY, ON_DISK = 2**30, 16 * 2**30
"""Bytes of states up to which they are held in memory, and up to which in a file that is mapped; beyond that none are kept."""
FILL_TOKENS = 2048


class Trunk:
    """The states (T, D) of examples before the lowest layer that trains, number `depth`."""

    def __init__(self, model: nn.Module, rows: Iterable[Encoded]) -> None:
        self.depth = depth(model)
        self._below = below(model, self.depth)
        self._versions = [p._version for p in self._below]
        self._starts, tokens, listed = dict[bytes, int](), 0, list[Encoded]()
        most = ON_DISK // state_size(model)
        for encoded in rows:
            name = encoded.ids.tobytes()
            if name not in self._starts:
                self._starts[name], tokens = tokens, tokens + len(encoded.ids)
                listed.append(encoded)
            if tokens > most:
                raise MemoryError
        self._states = room(tokens, model)
        # Always in this order, whatever is trained first: so that a run that goes on computes the same states again.
        for group in micro_batches(range(len(listed)), [len(e.ids) for e in listed], FILL_TOKENS):
            self._fill(model, [listed[i] for i in group])

    def _fill(self, model: nn.Module, batch: Sequence[Encoded]) -> None:
        prefix = min(shared_prefix(batch), *(len(e.ids) - 1 for e in batch)) if len(batch) > 1 else 0
        ids = [batch[0].ids[:prefix], *(e.ids[prefix:] for e in batch)]
        ids_N = torch.cat([torch.from_numpy(part).long() for part in ids]).to(self._states.device)
        packing = pack([len(part) for part in ids[1:]], prefix, ids_N.device)
        with torch.no_grad(), lean(model):
            inputs = {"input_ids": ids_N[None], "position_ids": packing.positions[None], "use_cache": False, "packing": packing}
            states_ND = states_before(model, self.depth, **inputs)[0]
        shared, *own = states_ND.split([len(part) for part in ids])
        for encoded, states in zip(batch, own, strict=True):
            self._of(encoded).copy_(torch.cat([shared, states]))

    def _of(self, encoded: Encoded) -> Tensor:
        start = self._starts[encoded.ids.tobytes()]
        return self._states[start : start + len(encoded.ids)]

    def holds(self, batch: Iterable[Encoded]) -> bool:
        """Whether it has the states of these examples, and nothing below has changed or trains."""
        still = all(p._version == version and not p.requires_grad for p, version in zip(self._below, self._versions, strict=True))
        return still and all(e.ids.tobytes() in self._starts for e in batch)

    def states(self, batch: Sequence[Encoded], prefix: int) -> Tensor:
        """The states (N, D) of a packed row: the prefix that all share, then what is each one's own."""
        return torch.cat([self._of(batch[0])[:prefix], *(self._of(e)[prefix:] for e in batch)])


def depth(model: nn.Module) -> int:
    """How many of the lowest decoder layers nothing trains in, nor in what comes before them; what comes after the layers may train."""
    lowest = lowest_trained(model)
    lowest = len(decoder_layers(model)) - 1 if lowest is None else lowest
    if lowest == 0:
        return 0
    first = torch.zeros(1, 1, dtype=torch.long, device=next(model.parameters()).device)
    with torch.enable_grad():
        before = states_before(model, lowest, input_ids=first, use_cache=False)
    return 0 if before.requires_grad else lowest


def below(model: nn.Module, layers: int) -> list[nn.Parameter]:
    """What the states before a layer come from: the embeddings and the layers below it."""
    lowest = decoder_layers(model)[:layers]
    return [*model.get_input_embeddings().parameters(), *(p for layer in lowest for p in layer.parameters())]


def state_size(model: nn.Module) -> int:
    """Bytes of the state of one token."""
    return int(model.config.get_text_config().hidden_size * model.get_input_embeddings().weight.element_size())


def room(tokens: int, model: nn.Module) -> Tensor:
    """Room for the states (tokens, D), in memory or in a file that is mapped and has no name.

    Raises MemoryError past the limits, and where the disk has no room: what is mapped is written later, and would end the process.
    """
    weight = model.get_input_embeddings().weight
    width, size = model.config.get_text_config().hidden_size, tokens * state_size(model)
    if size <= IN_MEMORY:
        return torch.empty(tokens, width, dtype=weight.dtype, device=weight.device)
    if size > min(ON_DISK, shutil.disk_usage(tempfile.gettempdir()).free) or weight.device.type != "cpu":
        raise MemoryError
    with tempfile.NamedTemporaryFile() as file:
        return torch.from_file(file.name, shared=True, size=tokens * width, dtype=weight.dtype).view(tokens, width)
