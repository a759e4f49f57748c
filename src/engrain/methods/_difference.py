"""Methods whose update starts from a part of W itself and counts by how far it has moved from there."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar

from engrain.methods._low_rank import LowRank, adapted

if TYPE_CHECKING:
    import torch
    from torch import nn

    from engrain.kernels.lora_linear import LoRALinear


class Difference(LowRank):
    """h = W x + s · (B A − B₀ A₀) x. Saved as a plain LoRA of twice the rank: s · [B, −B₀] · [A; A₀]."""

    learning_rate: ClassVar[float] = 2e-4
    copies: ClassVar[int] = 2

    def layer(self) -> type[LoRALinear]:
        """A layer that remembers where its update began."""
        from engrain.methods._layers import DifferenceLinear

        return DifferenceLinear

    @abstractmethod
    def beginning(self, weight: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
        """A₀ and B₀, of which s · B₀ A₀ is the part of a `weight` that an update of that rank starts from."""

    def prepare(self, model: nn.Module, passes: Iterable[Callable[[], object]]) -> None:
        """Give every layer its part of W; a saved result brings its own."""
        for _, layer in adapted(model):
            layer.begin(*self.beginning(layer.weight, layer.rank))

    def saved(self, layer: LoRALinear) -> dict[str, torch.Tensor]:
        """The layer as a LoRA of twice the rank."""
        a, b = layer.factors()
        return {"lora_A.weight": a, "lora_B.weight": b}

    def restored(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The layer's own tensors out of a LoRA of twice the rank."""
        (a, first_a), (b, first_b) = tensors["lora_A.weight"].chunk(2), tensors["lora_B.weight"].chunk(2, 1)
        return {"lora_A": a, "first_A": first_a, "lora_B": b, "first_B": -first_b}
