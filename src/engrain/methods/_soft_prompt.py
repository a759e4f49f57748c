"""Virtual tokens before the text: learned vectors that every row begins with (prompt tuning, P-tuning and the like), or learned
keys and values of every layer that stand before the text (prefix tuning).

All segments of a packed row share them: vectors join its prefix and are computed once, keys and values are in a cache. While
answering both are the first entries of the key-value cache; nothing outside this file knows of them.

Shapes: B rows, T tokens, V virtual tokens, N tokens of a packed row, D model width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from engrain.kernels.packed_attention import Packing, pack


def put_before(model: nn.Module, wrapper: Any) -> None:
    """Make the decoder of `model` begin every row with what the PEFT library's `wrapper` has learned."""
    model.virtual_tokens = wrapper.prompt_encoder["default"]
    decoder: Any = model.base_model
    plain, begin = decoder.forward, _vectors if isinstance(_prompt(wrapper), Tensor) else _keys_and_values

    def forward(
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        cache: Any = None,
        inputs_embeds: Tensor | None = None,
        **others: Any,
    ) -> Any:
        text = decoder.get_input_embeddings()(input_ids) if inputs_embeds is None else inputs_embeds
        count = wrapper.active_peft_config.num_virtual_tokens
        seen = 0 if cache is None else cache.get_seq_length()
        if seen:
            attention_mask, position_ids = after(seen, text.shape[1], count, attention_mask, position_ids, text.device)
            return plain(inputs_embeds=text, attention_mask=attention_mask, position_ids=position_ids, cache=cache, **others)
        given = {"position_ids": position_ids, "cache": cache, **others}
        rows, given = begin(_prompt(wrapper), text, given)
        out = plain(inputs_embeds=rows, attention_mask=longer(attention_mask, count), **given)
        out.last_hidden_state = out.last_hidden_state[:, -text.shape[1] :]
        return out

    decoder.forward = forward


def _prompt(wrapper: Any) -> Any:
    """What was learned: vectors (1, V, D), or a cache with the keys and values of every layer."""
    device = next(wrapper.prompt_encoder["default"].parameters()).device
    return wrapper.get_prompt(1, task_ids=torch.zeros(1, dtype=torch.long, device=device))


def _vectors(prompt: Tensor, text: Tensor, given: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
    """The rows (B, V + T, D) with the vectors before the text, and what else the decoder is told of them."""
    count, packing, positions = prompt.shape[1], given.get("packing"), given["position_ids"]
    if packing is not None:
        given = {**given, "packing": shifted(packing, count)}
    if positions is not None:
        start = torch.arange(count, device=text.device).expand(len(positions), -1)
        given = {**given, "position_ids": torch.cat([start, positions + count], 1)}
    return torch.cat([prompt.to(text).expand(len(text), -1, -1), text], 1), given


def _keys_and_values(prompt: Any, text: Tensor, given: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
    """The rows (B, T, D) as they are, and a cache that holds the keys and values before them."""
    cache = DynamicCache() if given["cache"] is None else given["cache"]
    for number, layer in enumerate(prompt.layers):
        cache.update(*(x.to(text).expand(len(text), -1, -1, -1) for x in (layer.keys, layer.values)), number)
    positions = given["position_ids"]
    return text, {**given, "cache": cache, "position_ids": None if positions is None else positions + prompt.get_seq_length()}


def after(
    seen: int, length: int, count: int, mask: Tensor | None, positions: Tensor | None, device: torch.device
) -> tuple[Tensor | None, Tensor]:
    """Mask and positions of `length` tokens that follow `seen` ones in the cache, `count` of which are virtual.

    A caller that filled the cache itself counts without them.
    """
    if mask is None:
        return None, torch.arange(seen, seen + length, device=device)[None]
    if mask.shape[1] == seen + length:
        return mask, mask.cumsum(1)[:, -length:] - 1
    whole = longer(mask, count)
    assert whole is not None
    return whole, whole.cumsum(1)[:, -length:] - 1


def longer(mask: Tensor | None, count: int) -> Tensor | None:
    """The mask (B, T) with `count` places more at its beginning, all seen."""
    return None if mask is None else torch.cat([mask.new_ones(len(mask), count), mask], 1)


def shifted(packing: Packing, count: int) -> Packing:
    """The packing of the same segments after a prefix that is `count` tokens longer."""
    own = packing.positions[packing.prefix :]
    starts = (own == packing.prefix).nonzero()[:, 0]
    lengths = torch.diff(starts, append=starts.new_tensor([len(own)]))
    return pack(lengths.tolist(), packing.prefix + count, packing.positions.device)
