"""Keys and values of several answers side by side, and attention in which each answer sees only its own.

What an answer sees, and how many places are computed for it, follows from its own length alone. So its numbers are the same
whoever is written beside it. Everything else in a model works on single tokens.

Shapes: B rows of one pass, T tokens of a row, S slots, C tokens of context, H heads, K key-value heads, D head width.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from mmap import mmap
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, PreTrainedModel

from engrain.kernels.packed_attention import Options, shares

NAME = "engrain_slots"
BLOCK = 128
"""Answers are computed together where as many of these blocks hold them."""


@dataclass(frozen=True)
class Rows:
    """What a pass computes: row b holds `counts[b]` tokens for slot `slots[b]`, which has `starts[b]` already; 0 means an idle row.

    A pass with as many rows as there are slots has them in the slots' order.
    """

    slots: tuple[int, ...]
    starts: tuple[int, ...]
    counts: tuple[int, ...]

    @cached_property
    def places(self) -> tuple[Tensor, Tensor]:
        """The slots that are not idle, and the place of the first new token in each."""
        active = [(slot, start) for slot, start, count in zip(self.slots, self.starts, self.counts, strict=True) if count]
        slots, starts = torch.tensor(active, dtype=torch.long).reshape(-1, 2).unbind(1)
        return slots, starts


@dataclass(frozen=True)
class Alike:
    """Slots of a pass of single tokens that are computed together, as they are about as long: those of `members` from `first` to `last`.

    They see `length` tokens, but for what `hidden` (S, 1, 1, L) takes away.
    """

    first: int
    last: int
    length: int
    members: Tensor
    hidden: Tensor


@dataclass
class Slots:
    """The keys and values (S, K, C, D) of every layer; memory is taken when a layer first computes, or by `open`."""

    count: int
    context: int
    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)

    def open(self, layers: int, heads: int, width: int, like: Tensor) -> None:
        """Have room in so many layers, of numbers `like` these."""
        for layer in range(layers):
            self.keys[layer], self.values[layer] = (_zeros((self.count, heads, self.context, width), like) for _ in range(2))

    def pairs(self) -> list[tuple[Tensor, Tensor]]:
        """The keys and values of all layers."""
        return [(self.keys[layer], self.values[layer]) for layer in sorted(self.keys)]

    def single(self, rows: Rows, computed: Tensor) -> bool:
        """Whether a pass computes one token (B, H, 1, D) of every slot, or none of it."""
        return len(rows.slots) == self.count and computed.shape[2] == 1

    def put(self, layer: int, rows: Rows, key: Tensor, value: Tensor) -> None:
        """Add the tokens of every row (B, K, T, D) to its slot."""
        if layer not in self.keys:
            shape = (self.count, key.shape[1], self.context)
            self.keys[layer], self.values[layer] = _zeros((*shape, key.shape[3]), key), _zeros((*shape, value.shape[3]), value)
        if self.single(rows, key):
            slots, starts = rows.places
            self.keys[layer][slots, :, starts], self.values[layer][slots, :, starts] = key[slots, :, 0], value[slots, :, 0]
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


def _zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zeros: of what is masked, nothing may be infinite. On a CPU a page takes no memory before something is written to it."""
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    return torch.frombuffer(mmap(-1, math.prod(shape) * like.element_size()), dtype=like.dtype).view(shape)


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
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention in the form that transformers' interface asks for: query (B, H, T, D), key and value (B, K, T, D) → (B, T, H, D).

    Places of idle rows, and beyond a row's count, come out as zeros. `s_aux` (H) is what a further key without a value scores.
    """
    assert store is not None, "this attention runs inside a lane only"
    assert rows is not None
    how = Options(scaling, 0.0, sliding_window, softcap, query.shape[1] // key.shape[1], s_aux)
    store.put(module.layer_idx, rows, key, value)
    if store.single(rows, query):
        return _attend_single(query, store, module.layer_idx, rows, how), None
    out = query.new_zeros(query.shape[0], query.shape[2], query.shape[1], value.shape[3])
    for row, (slot, start, count) in enumerate(zip(rows.slots, rows.starts, rows.counts, strict=True)):
        if count:
            keys, values = store.of(module.layer_idx, slot, start + count)
            out[row, :count] = _attend(query[row, :, :count], keys, values, how)
    return out, None


def _attend(query: Tensor, keys: Tensor, values: Tensor, how: Options) -> Tensor:
    """Causal attention of the last tokens of one answer: query (H, T, D), keys and values (K, L, D) → (T, H, D)."""
    (heads, count, width), window = query.shape, how.sliding_window
    if window is not None and keys.shape[1] > window + count - 1:
        keys, values = keys[:, -(window + count - 1) :], values[:, -(window + count - 1) :]
    grouped = query.reshape(keys.shape[0], -1, width)  # the heads of a group are rows of one product
    hidden = _hidden(count, keys.shape[1], window, how.groups, query.device, query.dtype)
    return _mixed(grouped[None], keys[None], values[None], hidden, how).reshape(heads, count, -1).transpose(0, 1)


def _attend_single(query: Tensor, store: Slots, layer: int, rows: Rows, how: Options) -> Tensor:
    """Attention of one new token of every answer, those of about the same length together: query (S, H, 1, D) → (S, 1, H, D).

    An answer's numbers follow from its own tokens and from the rounded length, whoever is computed with it.
    """
    keys, values = store.keys[layer], store.values[layer]
    grouped = query.reshape(len(query), keys.shape[1], -1, query.shape[-1])
    out = query.new_zeros(*grouped.shape[:3], values.shape[-1])
    for alike in _alike(rows, store.context, how.sliding_window, query.device, query.dtype):
        chosen = slice(alike.first, alike.last)
        own_keys, own_values = keys[chosen, :, : alike.length], values[chosen, :, : alike.length]
        mixed = _mixed(grouped[chosen], own_keys, own_values, alike.hidden, how)
        out[alike.members] = mixed[alike.members - alike.first]
    return out.reshape(len(query), 1, query.shape[1], -1)


def _mixed(query: Tensor, keys: Tensor, values: Tensor, hidden: Tensor, how: Options) -> Tensor:
    """The values as the queries (B, K, G T, D) weigh them; soft caps and sinks, which PyTorch's own attention has not, step by step."""
    scale = how.scale(query.shape[-1])
    if how.softcap is None and how.sinks is None:
        return F.scaled_dot_product_attention(query, keys, values, attn_mask=hidden, scale=scale)
    scores = (query @ keys.transpose(-1, -2)).float() * scale
    if how.softcap is not None:
        scores = torch.tanh(scores / how.softcap) * how.softcap
    return shares(scores + hidden, how.sinks).to(values.dtype) @ values


@lru_cache(maxsize=8)  # every layer of a pass asks for the same one
def _hidden(count: int, length: int, window: int | None, group: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """What the last `count` tokens, once for each head of a group, must not see of `length` keys: (G T, L), 0 or minus infinity."""
    seen = torch.ones(count, length, dtype=torch.bool, device=device).tril(length - count)
    seen = seen if window is None else seen.triu(length - count - window + 1)
    return _minus_infinity(~seen, dtype).repeat(group, 1)


@lru_cache(maxsize=4)  # as above; there are two where some layers have a window
def _alike(rows: Rows, context: int, window: int | None, device: torch.device, dtype: torch.dtype) -> list[Alike]:
    """The slots that are not idle, by their length rounded up to whole blocks."""
    ends = dict(zip(*(part.tolist() for part in rows.places), strict=True))
    groups: dict[int, list[int]] = {}
    for slot, start in ends.items():
        groups.setdefault(min(context, (start // BLOCK + 1) * BLOCK), []).append(slot)
    found = []
    for length, members in groups.items():
        first, last = members[0], members[-1] + 1
        last_seen = torch.tensor([ends.get(slot, 0) for slot in range(first, last)], device=device)[:, None]
        places = torch.arange(length, device=device)
        hidden = (places > last_seen) if window is None else (places > last_seen) | (places <= last_seen - window)
        found.append(Alike(first, last, length, torch.tensor(members, device=device), _minus_infinity(hidden, dtype)[:, None, None]))
    return found


def _minus_infinity(where: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(where.shape, dtype=dtype, device=where.device).masked_fill_(where, float("-inf"))


AttentionInterface.register(NAME, slot_attention)


def use_slots(model: PreTrainedModel) -> None:
    """Let the model compute attention in slots from now on."""
    for module in model.modules():
        if hasattr(module, "config"):
            module.config._attn_implementation = NAME
