"""What a lane's model computes in one turn: chunks of prompts, and the next token of answers.

`ByDecoder` computes all of a turn in one call of C, where the model is of a kind that `kernels/decoder.py` knows; `ByModules` lets any
model compute one part after the other. With both an answer's numbers follow from its own tokens and weights, whoever is beside it.

Shapes: K places of a part whose logits are wanted, V words of the vocabulary, B rows, T tokens, I and O widths of a linear layer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, groupby
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from engrain.errors import ModelError
from engrain.kernels.decoder import Decoder, Group, Update, decoder
from engrain.kernels.plain_attention import MOST_KEYS
from engrain.serve.adapters import Adapter
from engrain.serve.engine import Weights
from engrain.serve.slots import Rows, Slots, use_slots

A = TypeVar("A")

SHORTEST = 16
"""A chunk that modules read is filled up to a power of two, and at least to this: few shapes, each computed fast."""
TOLERANCE = 0.05
"""How far logits in slots may be from plain ones, as a share of their spread: rounding is far below, a forgotten state far above."""


@dataclass(frozen=True)
class Part:
    """Tokens that follow the first `start` of a slot; the logits at `places` among them, counted from 0, are wanted."""

    weights: Weights
    slot: int
    start: int
    tokens: tuple[int, ...]
    places: tuple[int, ...]


class Passes(ABC, Generic[A]):
    """A model that computes parts in slots; A is how it takes an adapter."""

    @abstractmethod
    def prepared(self, adapter: Adapter) -> A:
        """An adapter as `logits` takes it."""

    @abstractmethod
    def logits(self, chunks: Sequence[Part], steps: Sequence[Part], adapters: Mapping[Weights, A]) -> list[Tensor]:
        """The logits (K, V) of each chunk and then of each step, which has one token; every part is of another slot."""


def passes(model: PreTrainedModel, store: Slots, chunk: int) -> Passes[Any]:
    """How this model computes; a chunk has `chunk` tokens at most. Raises ModelError for one that would say something else in slots."""
    found = decoder(model) if store.context <= MOST_KEYS else None
    return ByDecoder(model, store, found) if found is not None else ByModules(model, store, chunk)


class ByDecoder(Passes[Update]):
    """All tokens of a turn side by side, those of one adapter beside each other."""

    def __init__(self, model: PreTrainedModel, store: Slots, own: Decoder) -> None:
        self.model, self.store, self.own = model, store, own
        store.open(len(own.layers), own.kv_heads, own.width, own.norm)
        self._seen = torch.ones(1, store.context, dtype=torch.uint8)

    def prepared(self, adapter: Adapter) -> Update:
        """Its factors, packed."""
        return self.own.update(adapter)

    def logits(self, chunks: Sequence[Part], steps: Sequence[Part], adapters: Mapping[Weights, Update]) -> list[Tensor]:
        """In one pass, and the head at the wanted places only."""
        parts = sorted([*chunks, *steps], key=lambda part: repr(part.weights))
        lengths, counts = [len(part.tokens) for part in parts], [len(part.places) for part in parts]
        ids_N = torch.tensor([token for part in parts for token in part.tokens])
        places_N = torch.cat([torch.arange(part.start, part.start + len(part.tokens)) for part in parts])
        slots_N = torch.tensor([part.slot for part in parts]).repeat_interleave(torch.tensor(lengths))
        groups = _groups(parts, lengths, adapters)
        x_ND = self.own.states(self.model, ids_N, places_N, slots_N, places_N, self._seen, self.store.pairs(), groups)
        begins = accumulate(lengths, initial=0)
        wanted = [begin + place for begin, part in zip(begins, parts, strict=False) for place in part.places]
        logits = self.own.logits(x_ND[torch.tensor(wanted, dtype=torch.long)], _groups(parts, counts, adapters)).split(counts)
        found = dict(zip((part.slot for part in parts), logits, strict=True))
        return [found[part.slot] for part in (*chunks, *steps)]


def _groups(parts: Sequence[Part], lengths: Sequence[int], adapters: Mapping[Weights, Update]) -> list[Group]:
    """The tokens of each adapter, where each part has so many; those of the base have none."""
    found, first = [], 0
    for weights, members in groupby(zip(parts, lengths, strict=True), key=lambda pair: pair[0].weights):
        last = first + sum(length for _, length in members)
        if weights.adapter:
            found.append(Group(first, last, adapters[weights]))
        first = last
    return found


class ByModules(Passes[Adapter]):
    """One chunk after the other, then a token of every slot; shapes depend on a chunk alone, and are the same for every step.

    An adapter's product is computed for all rows of a pass and counts on its own rows only: so its shape, and with it every bit of a
    row, does not depend on which other rows have the same adapter.
    """

    def __init__(self, model: PreTrainedModel, store: Slots, chunk: int) -> None:
        self.model, self.store, self.chunk = model, store, chunk
        self._active: list[tuple[Adapter, Tensor | None]] = []
        self._check()
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear):
                module.register_forward_hook(partial(self._add, name))

    def prepared(self, adapter: Adapter) -> Adapter:
        """As it is."""
        return adapter

    def logits(self, chunks: Sequence[Part], steps: Sequence[Part], adapters: Mapping[Weights, Adapter]) -> list[Tensor]:
        """One pass for each chunk, and one for all steps."""
        try:
            return [*(self._read(chunk, adapters) for chunk in chunks), *(self._write(steps, adapters) if steps else [])]
        finally:
            self._active = []

    def _read(self, part: Part, adapters: Mapping[Weights, Adapter]) -> Tensor:
        """The logits (K, V) of a chunk, computed in a shape that its length alone decides."""
        count = len(part.tokens)
        length = min(self.chunk, max(SHORTEST, 1 << (count - 1).bit_length()))
        self._choose([part.weights], adapters)
        rows = Rows((part.slot,), (part.start,), (count,))
        return self._pass([[*part.tokens, *[0] * (length - count)]], [list(range(part.start, part.start + length))], rows, part.places)[0]

    def _write(self, steps: Sequence[Part], adapters: Mapping[Weights, Adapter]) -> list[Tensor]:
        """The logits (1, V) of each step; the slots that have none are idle rows."""
        found = {part.slot: part for part in steps}
        rows = [found.get(slot) for slot in range(self.store.count)]
        starts = [part.start if part else 0 for part in rows]
        self._choose([part.weights if part else None for part in rows], adapters)
        chosen = Rows(tuple(range(len(rows))), tuple(starts), tuple(int(part is not None) for part in rows))
        logits_B1V = self._pass([[part.tokens[0] if part else 0] for part in rows], [[start] for start in starts], chosen, [0])
        return [logits_B1V[part.slot] for part in steps]

    def _pass(self, ids: list[list[int]], positions: list[list[int]], rows: Rows, places: Sequence[int]) -> Tensor:
        """The logits (B, K, V) at these places of every row."""
        device = self.model.device
        output = self.model(
            input_ids=torch.tensor(ids, device=device),
            position_ids=torch.tensor(positions, device=device).clamp_(max=self.store.context - 1),
            use_cache=False,
            logits_to_keep=torch.tensor(places, dtype=torch.long, device=device),
            store=self.store,
            rows=rows,
        )
        return output.logits

    def _choose(self, rows: Sequence[Weights | None], adapters: Mapping[Weights, Adapter]) -> None:
        """Use these weights in the next pass, one for each row (None: an idle row)."""
        chosen = dict.fromkeys(row for row in rows if row is not None and row.adapter)
        self._active = [(adapters[weights], _mask(rows, weights, adapters[weights])) for weights in chosen]

    def _add(self, name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """A linear layer's output (B, T, O) with the updates of the adapters that are in use."""
        for adapter, mask in self._active:
            if (pair := adapter.get(name)) is not None:
                update = F.linear(F.linear(inputs[0], pair[0]), pair[1])
                output = output + (update if mask is None else update * mask)
        return output

    def _check(self) -> None:
        """Raise ModelError for a model that keeps a state beside keys and values: in slots it would say something else."""
        count = min(self.chunk, self.store.context - 1)
        tokens = tuple((7 * i + 3) % self.model.config.get_text_config().vocab_size for i in range(count + 1))
        wanted = self.model(input_ids=torch.tensor([tokens], device=self.model.device), use_cache=False).logits[0, -1].float()
        use_slots(self.model)
        self._read(Part(Weights(""), 0, 0, tokens[:count], ()), {})
        found = self._read(Part(Weights(""), 0, count, tokens[count:], (0,)), {})[0].float()
        if not float((found - wanted).abs().max()) <= TOLERANCE * float(wanted.max() - wanted.min()):
            raise ModelError(
                f"{type(self.model).__name__} keeps a state that the local engine does not know", "Serve it with --engine vllm."
            )


def _mask(rows: Sequence[Weights | None], weights: Weights, adapter: Adapter) -> Tensor | None:
    """Which rows use the adapter, (B, 1, 1) of 0 and 1; None where all do."""
    if all(row == weights for row in rows):
        return None
    weight = next(iter(adapter.values()))[0]
    return torch.tensor([row == weights for row in rows], device=weight.device)[:, None, None].to(weight)
