"""EVA: LoRA that starts from the main directions of what comes into each layer (arXiv 2410.07170)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from engrain.methods._low_rank import LowRank, adapted

if TYPE_CHECKING:
    from torch import nn

PASSES = 4
"""Passes over examples that are looked at; the directions hardly change after a few thousand tokens."""


class EVA(LowRank):
    """LoRA whose A begins as the directions in which the layer's inputs vary most, of one length. Every layer keeps its rank (ρ = 1)."""

    learning_rate: ClassVar[float] = 2e-3
    paper: ClassVar[str] = "https://arxiv.org/abs/2410.07170"

    def prepare(self, model: nn.Module, passes: Iterable[Callable[[], object]]) -> None:
        """Look at some examples and give every A its directions."""
        import torch
        from torch.nn import functional as F

        from engrain.methods._layers import Directions

        layers = dict(adapted(model))
        looking = Directions(layers)
        try:
            with torch.no_grad():
                for forward in islice(passes, PASSES):
                    forward()
                for name, found in looking.found.items():
                    layers[name].lora_A[: len(found)] = F.normalize(found, dim=1)
        finally:
            looking.release()
