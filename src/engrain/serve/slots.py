"""Keys and values of several answers side by side, and attention in which each answer sees only its own.

An answer's attention is computed by itself, over exactly its own tokens. So its numbers are the same whoever is
written beside it, and nothing is computed over padding. Everything else in a model works on single tokens.

Shapes: B rows of one pass, T tokens of a row, S slots, C tokens of context, H heads, K key-value heads, D head width.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, PreTrainedModel

NAME = "engrain_slots"


@dataclass(frozen=True)
class Rows:
    """What a pass computes: row b holds `counts[b]` tokens for slot `slots[b]`, which has `starts[b]` already; 0 means an idle row."""

    slots: tuple[int, ...]
    starts: tuple[int, ...]
    counts: tuple[int, ...]

    @cached_property
    def single(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of a pass of one token a row: the rows that are not idle, their slots, and where in them the token goes."""
        found = [
            (row, slot, start) for row, (slot, start, count) in enumerate(zip(self.slots, self.starts, self.counts, strict=True)) if count
        ]
        at, slots, starts = torch.tensor(found, dtype=torch.long).reshape(-1, 3).unbind(1)
        return at, slots, starts


@dataclass
class Slots:
    """The keys and values (S, K, C, D) of every layer; memory is taken when a layer first computes."""

    count: int
    context: int
    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)

    def put(self, layer: int, rows: Rows, key: Tensor, value: Tensor) -> None:
        """Add the tokens of every row (B, K, T, D) to its slot."""
        if layer not in self.keys:
            shape = (self.count, key.shape[1], self.context)
            self.keys[layer], self.values[layer] = key.new_empty(*shape, key.shape[3]), value.new_empty(*shape, value.shape[3])
        if key.shape[2] == 1:
            at, slots, starts = rows.single
            self.keys[layer][slots, :, starts], self.values[layer][slots, :, starts] = key[at, :, 0], value[at, :, 0]
            return
        for row, (slot, start, count) in enumerate(zip(rows.slots, rows.starts, rows.counts, strict=True)):
            self._write(layer, slot, start, key[row, :, :count], value[row, :, :count])

    def of(self, layer: int, slot: int, end: int) -> tuple[Tensor, Tensor]:
        """The keys and values (K, L, D) of a slot's first tokens."""
        return self.keys[layer][slot, :, :end], self.values[layer][slot, :, :end]

    def _write(self, layer: int, slot: int, start: int, key: Tensor, value: Tensor) -> None:
        end = start + key.shape[1]
        self.keys[layer][slot, :, start:end], self.values[layer][slot, :, start:end] = key, value

    def copy_out(self, slot: int, start: int, end: int) -> list[tuple[Tensor, Tensor]]:
        """Copies of a stretch of a slot, one pair for each layer."""
        return [(self.keys[i][slot, :, start:end].clone(), self.values[i][slot, :, start:end].clone()) for i in sorted(self.keys)]

    def copy_in(self, slot: int, start: int, block: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Put such copies into a slot."""
        for layer, (key, value) in zip(sorted(self.keys), block, strict=True):
            self._write(layer, slot, start, key, value)


class Prefixes:
    """Keys and values of prompt beginnings, at most `tokens` of them, chunk by chunk; the least recently used gives way.

    A block belongs to its weights and to all tokens before its end. It was computed by the very passes that would compute
    it again, so that what is reused is equal bit by bit.
    """

    def __init__(self, tokens: int) -> None:
        self.most, self.held = tokens, 0
        self.blocks: OrderedDict[Hashable, list[tuple[Tensor, Tensor]]] = OrderedDict()

    def find(self, weights: Hashable, prompt: Sequence[int], ends: Iterable[int]) -> list[tuple[int, list[tuple[Tensor, Tensor]]]]:
        """The blocks with which the prompt begins, each with the place where it ends, as far as its chunks' `ends` go."""
        found = []
        for end in ends:
            name = (weights, tuple(prompt[:end]))
            if name not in self.blocks:
                break
            found.append((end, name))
        for _, name in reversed(found):  # the first block of a prompt is of use to more prompts than its last
            self.blocks.move_to_end(name)
        return [(end, self.blocks[name]) for end, name in found]

    def keep(self, weights: Hashable, prompt: Sequence[int], block: list[tuple[Tensor, Tensor]]) -> None:
        """Keep the last block of the beginning `prompt`."""
        name = (weights, tuple(prompt))
        self.held += _length(block) - _length(self.blocks.pop(name, []))
        self.blocks[name] = block
        while self.held > self.most:
            self.held -= _length(self.blocks.popitem(last=False)[1])


def _length(block: Sequence[tuple[Tensor, Tensor]]) -> int:
    """The tokens of a block."""
    return block[0][0].shape[1] if block else 0


def slot_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    store: Slots | None = None,
    rows: Rows | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention in the form that transformers' interface asks for: query (B, H, T, D), key and value (B, K, T, D) → (B, T, H, D).

    Places of idle rows, and beyond a row's count, come out as zeros.
    """
    assert store is not None, "this attention runs inside a lane only"
    assert rows is not None
    out = query.new_zeros(query.shape[0], query.shape[2], query.shape[1], value.shape[3])
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    store.put(module.layer_idx, rows, key, value)
    for row, (slot, start, count) in enumerate(zip(rows.slots, rows.starts, rows.counts, strict=True)):
        if count:
            keys, values = store.of(module.layer_idx, slot, start + count)
            out[row, :count] = _attend(query[row, :, :count], keys, values, scale, sliding_window, softcap)
    return out, None


def _attend(query: Tensor, keys: Tensor, values: Tensor, scale: float, window: int | None, softcap: float | None) -> Tensor:
    """Causal attention of the last tokens of one answer: query (H, T, D), keys and values (K, L, D) → (T, H, D)."""
    heads, count, width = query.shape
    if window is not None and keys.shape[1] > window + count - 1:
        keys, values = keys[:, -(window + count - 1) :], values[:, -(window + count - 1) :]
    grouped = query.reshape(keys.shape[0], -1, width)  # the heads of a group are rows of one product
    hidden = _hidden(count, keys.shape[1], window, heads // keys.shape[0], query.device, query.dtype) if count > 1 else None
    if softcap is None:
        mixed = F.scaled_dot_product_attention(grouped[None], keys[None], values[None], attn_mask=hidden, scale=scale)[0]
    else:
        mixed = _capped(grouped, keys, values, hidden, scale, softcap)
    return mixed.reshape(heads, count, -1).transpose(0, 1)


def _capped(grouped: Tensor, keys: Tensor, values: Tensor, hidden: Tensor | None, scale: float, softcap: float) -> Tensor:
    """The same with soft-capped scores, which PyTorch's own attention does not know."""
    scores = torch.tanh((grouped @ keys.transpose(1, 2)).float() * (scale / softcap)) * softcap
    weights = (scores if hidden is None else scores + hidden).softmax(-1)
    return weights.to(values.dtype) @ values


@lru_cache(maxsize=8)  # every layer of a pass asks for the same one
def _hidden(count: int, length: int, window: int | None, group: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """What the last `count` tokens, once for each head of a group, must not see of `length` keys: (G T, L), 0 or minus infinity."""
    seen = torch.ones(count, length, dtype=torch.bool, device=device).tril(length - count)
    seen = seen if window is None else seen.triu(length - count - window + 1)
    return torch.zeros(count, length, dtype=dtype, device=device).masked_fill_(~seen, float("-inf")).repeat(group, 1)


AttentionInterface.register(NAME, slot_attention)


def use_slots(model: PreTrainedModel) -> None:
    """Let the model compute attention in slots from now on."""
    for module in model.modules():
        if hasattr(module, "config"):
            module.config._attn_implementation = NAME
