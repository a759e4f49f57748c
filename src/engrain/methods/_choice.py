"""Layers chosen by number, range, list, fraction or name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engrain.errors import SettingError
from engrain.models import decoder_layers

if TYPE_CHECKING:
    from torch import nn

HOW = "Use a number (top layers), a range (20-29), a list (3,7,11), a fraction (0.33, the top third) or names (model.layers.3.mlp)."


def chosen_modules(model: nn.Module, layers: str) -> list[nn.Module]:
    """The modules that `layers` names, in the model's order."""
    text = layers.replace(" ", "")
    if re.fullmatch(r"[\d.,/-]+", text):
        stack = decoder_layers(model)
        return [stack[i] for i in layer_numbers(text, len(stack))]
    wanted = text.split(",")
    named = dict(model.named_modules())
    unknown = [name for name in wanted if not name or name not in named]
    if unknown:
        raise SettingError(f"layers={layers!r}: the model has no module {', '.join(map(repr, unknown))}", HOW)
    empty = [name for name in wanted if not any(True for _ in named[name].parameters())]
    if empty:
        raise SettingError(f"layers={layers!r}: nothing can train in {', '.join(empty)}", HOW)
    return [named[name] for name in wanted]


def layer_numbers(text: str, count: int) -> list[int]:
    """Layer numbers out of `count` for a number, range, list or fraction; SettingError when they do not exist."""
    try:
        numbers = _parse(text, count)
    except (ValueError, ZeroDivisionError):
        raise SettingError(f"layers={text!r} cannot be read", HOW) from None
    if not numbers or min(numbers) < 0 or max(numbers) >= count:
        raise SettingError(f"layers={text!r} does not fit a model with layers 0 to {count - 1}", HOW)
    return sorted(set(numbers))


def _parse(text: str, count: int) -> list[int]:
    if "," in text:
        return [int(part) for part in text.split(",")]
    if "-" in text:
        first, last = (int(part) for part in text.split("-"))
        return list(range(first, last + 1))
    if "." in text or "/" in text:
        top, _, bottom = text.partition("/")
        share = float(top) / float(bottom or 1)
        return list(range(count - max(1, round(share * count)), count)) if 0 < share <= 1 else []
    return list(range(count - int(text), count))
