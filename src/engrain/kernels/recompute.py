"""Layers that are computed a second time on the way back, instead of keeping all that they need for it: for long rows.

What is kept of a row is then each layer's input, and of one layer at a time all the rest (arXiv 1604.06174). The second
pass costs about a third more time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from engrain.models import decoder_layers

LONG = 4096
"""Tokens computed at once beyond which layers are recomputed."""


@contextmanager
def recomputed(model: nn.Module, surroundings: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Inside, decoder layers note what to do on the way back; `surroundings` are put around them again then."""
    layers = list(decoder_layers(model))
    for layer in layers:
        layer.forward = partial(checkpoint, _within(layer.forward, surroundings), use_reentrant=False)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # what stood before is the class's own


def _within(forward: Callable[..., Any], surroundings: Callable[[], AbstractContextManager[None]]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with surroundings():
            return forward(*args, **kwargs)

    return run
