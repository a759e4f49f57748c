"""Parts of a model: its lower layers alone, or its upper ones alone.

Shapes: B rows, T tokens, D model width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from engrain.models import decoder_layers


class _Reached(Exception):
    """Raised inside the model when the wanted hidden states are there, to leave it."""


def states_before(model: nn.Module, layer: int, **inputs: Any) -> Tensor:
    """The hidden states (B, T, D) that go into decoder layer number `layer`; nothing above is computed."""

    def leave(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        raise _Reached(args[0] if args else kwargs["hidden_states"])

    hook = decoder_layers(model)[layer].register_forward_pre_hook(leave, with_kwargs=True)
    try:
        model.base_model(**inputs)
    except _Reached as reached:
        states: Tensor = reached.args[0]
        return states
    finally:
        hook.remove()
    raise AssertionError("a model runs through all of its layers")


@contextmanager
def upper(model: nn.Module, first: int) -> Iterator[None]:
    """Inside, the model begins with decoder layer number `first`: `inputs_embeds` are the states before that."""
    layers = decoder_layers(model)
    owner, name = next((m, n) for m in model.modules() for n, child in m.named_children() if child is layers)
    config = model.config.get_text_config()
    types = getattr(config, "layer_types", None)
    setattr(owner, name, layers[first:])
    if types is not None:
        config.layer_types = types[first:]
    try:
        yield
    finally:
        setattr(owner, name, layers)
        if types is not None:
            config.layer_types = types
