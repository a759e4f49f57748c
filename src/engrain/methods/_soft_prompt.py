"""Virtual tokens before the text: learned vectors that every row begins with (prompt tuning, P-tuning and the like).

All segments of a packed row share them, so they join its prefix and are computed once. While answering they are the first
tokens of the key-value cache; nothing outside this file knows of them.

Shapes: B rows, T tokens, V virtual tokens, N tokens of a packed row, D model width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engrain.errors import SettingError
from engrain.kernels.packed_attention import Packing, pack


def put_before(model: nn.Module, wrapper: Any) -> None:
    """Make the decoder of `model` begin every row with the virtual tokens of the PEFT library's `wrapper`.

    Raises SettingError where these are no tokens but keys and values of every layer.
    """
    prompt = wrapper.get_prompt(1, task_ids=torch.zeros(1, dtype=torch.long))
    if not isinstance(prompt, Tensor):
        raise SettingError(
            "it learns keys and values of every layer that stand before the text, which packed rows do not carry", "Use prompt_tuning."
        )
    model.virtual_tokens = wrapper.prompt_encoder["default"]
    decoder: Any = model.base_model
    plain = decoder.forward

    def forward(
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        packing: Packing | None = None,
        cache: Any = None,
        inputs_embeds: Tensor | None = None,
        **others: Any,
    ) -> Any:
        text = decoder.get_input_embeddings()(input_ids) if inputs_embeds is None else inputs_embeds
        before = wrapper.get_prompt(1, task_ids=torch.zeros(1, dtype=torch.long, device=text.device)).to(text)
        count, length = before.shape[1], text.shape[1]
        if packing is not None:
            packing = shifted(packing, count)
            others |= {"packing": packing}
        if cache is not None and cache.get_seq_length():
            attention_mask, position_ids = after(cache.get_seq_length(), length, count, attention_mask, position_ids, text.device)
            return plain(inputs_embeds=text, attention_mask=attention_mask, position_ids=position_ids, cache=cache, **others)
        if position_ids is not None:
            start = torch.arange(count, device=text.device).expand(len(position_ids), -1)
            position_ids = torch.cat([start, position_ids + count], 1)
        rows = torch.cat([before.expand(len(text), -1, -1), text], 1)
        out = plain(inputs_embeds=rows, attention_mask=longer(attention_mask, count), position_ids=position_ids, cache=cache, **others)
        out.last_hidden_state = out.last_hidden_state[:, count:]
        return out

    decoder.forward = forward


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
