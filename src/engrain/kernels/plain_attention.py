"""Attention while generating: all scores by plain products, over keys and values that are written where room was left.

Over the few hundred keys of a question PyTorch's fused attention is several times slower on a CPU, for one query a row most
of all; and joining a token to all before it, as caches usually do, moves the whole cache for it. Longer rows and other
devices keep the fused attention, models with an attention of their own all that they have.

Shapes: B rows, H heads, M queries, T keys, D head width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, Cache, DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from engrain.kernels import native
from engrain.kernels.packed_attention import Options, with_attention, with_scores

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "engrain_plain"
REPLACED = "sdpa"
FEW_QUERIES, FEW_KEYS = 8, 192
"""Queries or keys of a row up to which all scores are made; for more of both the fused attention is as quick and needs less room."""
MOST_KEYS, MOST_WIDTH = 4096, 512
"""As in `elementwise.c`, which holds what a query has of them beside the stack."""
BLOCK = 64
"""Room for keys and values is made for so many tokens at once."""


def plain_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """query (B, H, M, D), key and value (B, Hkv, T, D), the mask (B, 1, M, T) true where a key is seen → output (B, M, H, D)."""
    if query.device.type != "cpu" or (query.shape[2] > FEW_QUERIES and key.shape[2] > FEW_KEYS):
        fused: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return fused
    options = Options(scaling, dropout if module.training else 0.0, None, None, query.shape[1] // key.shape[1])
    if attention_mask is not None and not options.dropout and _can(query, key, value, attention_mask):
        return _attend(query, key, value, attention_mask, options), None
    return with_scores(query, key, value, attention_mask, options).transpose(1, 2), None


def _can(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> bool:
    """Whether the attention of these is computed natively: of few queries, with nothing to go back for."""
    few = query.shape[2] <= FEW_QUERIES and key.shape[2] <= MOST_KEYS and query.shape[-1] <= MOST_WIDTH
    whole = query.stride(-1) == mask.stride(-1) == mask.shape[1] == 1 and mask.dtype == torch.bool and mask.shape[-1] == key.shape[2]
    alike = query.dtype == key.dtype and key.shape == value.shape
    return few and whole and alike and not torch.is_grad_enabled() and native.can(key, value)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, options: Options) -> Tensor:
    rows, heads, queries, width = query.shape
    y = query.new_empty(rows, queries, heads, width)
    sizes = (rows, heads, options.groups, queries, key.shape[2], width)
    strides = (*query.stride()[:3], mask.stride(0) if len(mask) > 1 else 0, mask.stride(2))
    native.call("attend", query.dtype, query, key, value, mask, y, *sizes, *strides, options.scale(width))
    return y


def whole_mask(*args: Any, **kwargs: Any) -> Tensor:
    """The mask, never left out: it also hides the room that is still empty."""
    return sdpa_mask(*args, **{**kwargs, "allow_is_causal_skip": False})


AttentionInterface.register(NAME, plain_attention)
AttentionMaskInterface.register(NAME, whole_mask)


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values (B, Hkv, room, D) of which the first `length` are filled; the mask hides the others, which are zero."""

    keys: Tensor
    values: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.length = 0

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Add tokens (B, Hkv, T, D); all keys and values with their room."""
        start = self.length
        self.grow(key_states, value_states)
        self.keys[:, :, start : self.length], self.values[:, :, start : self.length] = key_states, value_states
        return self.keys, self.values

    def grow(self, key_states: Tensor, value_states: Tensor) -> None:
        """Have room for as many tokens more as these (B, Hkv, T, D) are."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.length += key_states.shape[2]
        self.keys, self.values = (_with_room(old, new, self.length) for old, new in ((self.keys, key_states), (self.values, value_states)))

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """How many keys the mask covers once `query_length` tokens are added, and which is the first."""
        return _room(self.length + query_length), 0

    def get_seq_length(self) -> int:
        """How many tokens there are."""
        return self.length


def _room(tokens: int) -> int:
    return -(-tokens // BLOCK) * BLOCK


def _with_room(old: Tensor, new: Tensor, tokens: int) -> Tensor:
    """`old` (or nothing) with room for so many tokens of the kind of `new`."""
    if old.dim() == 4 and old.shape[2] >= tokens:
        return old
    bigger = new.new_zeros(*new.shape[:2], _room(tokens), new.shape[3])
    if old.dim() == 4:
        bigger[:, :, : old.shape[2]] = old
    return bigger


def roomy_cache(model: PreTrainedModel) -> Cache | None:
    """A cache with room for a model inside `plain`; None where it has another attention, or layers that are no attention."""
    if model.config._attn_implementation != NAME:
        return None
    layers = DynamicCache(config=model.config).layers
    usual = all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)
    return Cache(layers=[RoomyLayer() for _ in layers]) if usual else None


@contextmanager
def plain(model: PreTrainedModel) -> Iterator[None]:
    """Inside, the model's attention is `plain_attention` where it was PyTorch's own."""
    with with_attention(model, NAME, instead_of=REPLACED):
        yield
