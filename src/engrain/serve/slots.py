"""Keys and values of several answers side by side, and attention in which each answer sees only its own.

An answer's attention is computed by itself, over exactly its own tokens. So its numbers are the same whoever is
written beside it, and nothing is computed over padding. Everything else in a model works on single tokens.

Shapes: B rows of one pass, T tokens of a row, S slots, C tokens of context, H heads, K key-value heads, D head width.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel

NAME = "engrain_slots"


@dataclass(frozen=True)
class Rows:
    """What a pass computes: row b holds `counts[b]` tokens for slot `slots[b]`, which has `starts[b]` already; 0 means an idle row."""

    slots: tuple[int, ...]
    starts: tuple[int, ...]
    counts: tuple[int, ...]


@dataclass
class Slots:
    """The keys and values (S, K, C, D) of every layer; memory is taken when a layer first computes."""

    count: int
    context: int
    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)

    def put(self, layer: int, slot: int, start: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add tokens (K, T, D) to a slot; all its keys and values so far."""
        if layer not in self.keys:
            shape = (self.count, key.shape[0], self.context)
            self.keys[layer], self.values[layer] = key.new_empty(*shape, key.shape[2]), value.new_empty(*shape, value.shape[2])
        end = start + key.shape[1]
        own_key, own_value = self.keys[layer][slot], self.values[layer][slot]
        own_key[:, start:end], own_value[:, start:end] = key, value
        return own_key[:, :end], own_value[:, :end]

    def copy_out(self, slot: int, start: int, end: int) -> list[tuple[Tensor, Tensor]]:
        """Copies of a stretch of a slot, one pair for each layer."""
        return [(self.keys[i][slot, :, start:end].clone(), self.values[i][slot, :, start:end].clone()) for i in sorted(self.keys)]

    def copy_in(self, slot: int, start: int, block: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Put such copies into a slot."""
        for layer, (key, value) in zip(sorted(self.keys), block, strict=True):
            self.put(layer, slot, start, key, value)


class Prefixes:
    """Keys and values of prompt beginnings, in blocks of one chunk; the least recently used gives way.

    A block belongs to its weights and to all tokens before it. It was computed by the very passes that would compute it
    again, so that what is reused is equal bit by bit.
    """

    def __init__(self, chunk: int, tokens: int) -> None:
        self.chunk, self.most = chunk, tokens // chunk
        self.blocks: OrderedDict[Hashable, list[tuple[Tensor, Tensor]]] = OrderedDict()

    def find(self, weights: Hashable, prompt: Sequence[int]) -> list[list[tuple[Tensor, Tensor]]]:
        """The blocks with which the prompt begins, short of its last token, which must be computed for what follows it."""
        found = []
        for end in range(self.chunk, len(prompt), self.chunk):
            name = (weights, tuple(prompt[:end]))
            if name not in self.blocks:
                break
            found.append(name)
        for name in reversed(found):  # the first block of a prompt is of use to more prompts than its last
            self.blocks.move_to_end(name)
        return [self.blocks[name] for name in found]

    def keep(self, weights: Hashable, prompt: Sequence[int], block: list[tuple[Tensor, Tensor]]) -> None:
        """Keep the last block of the beginning `prompt`."""
        self.blocks[(weights, tuple(prompt))] = block
        while len(self.blocks) > self.most:
            self.blocks.popitem(last=False)


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
    for row, (slot, start, count) in enumerate(zip(rows.slots, rows.starts, rows.counts, strict=True)):
        if count:
            keys, values = store.put(module.layer_idx, slot, start, key[row, :, :count], value[row, :, :count])
            out[row, :count] = _attend(query[row, :, :count], keys, values, scale, sliding_window, softcap)
    return out, None


def _attend(query: Tensor, keys: Tensor, values: Tensor, scale: float, window: int | None, softcap: float | None) -> Tensor:
    """Causal attention of the last tokens of one answer: query (H, T, D), keys and values (K, L, D) → (T, H, D)."""
    heads, count, width = query.shape
    if window is not None and keys.shape[1] > window + count - 1:
        keys, values = keys[:, -(window + count - 1) :], values[:, -(window + count - 1) :]
    grouped = query.reshape(keys.shape[0], -1, width)
    scores = (grouped @ keys.transpose(1, 2)).float().mul_(scale)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if count > 1:
        scores.view(heads, count, -1).masked_fill_(~_visible(count, keys.shape[1], window, query.device), float("-inf"))
    weights = scores.softmax(-1).to(values.dtype)
    return (weights @ values).reshape(heads, count, -1).transpose(0, 1)


def _visible(count: int, length: int, window: int | None, device: torch.device) -> Tensor:
    """Which of `length` keys the last `count` tokens see (T, L)."""
    seen = torch.ones(count, length, dtype=torch.bool, device=device).tril(length - count)
    return seen if window is None else seen.triu(length - count - window + 1)


AttentionInterface.register(NAME, slot_attention)


def use_slots(model: PreTrainedModel) -> None:
    """Let the model compute attention in slots from now on."""
    for module in model.modules():
        if hasattr(module, "config"):
            module.config._attn_implementation = NAME
