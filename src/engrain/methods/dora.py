"""DoRA: LoRA that learns the length of each weight row apart from its direction (arXiv 2402.09353)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from engrain.methods._low_rank import FACTORS, LowRank

if TYPE_CHECKING:
    import torch

    from engrain.kernels.lora_linear import LoRALinear


class DoRA(LowRank):
    """h = m · (W + s · B A) / ‖W + s · B A‖ · x with W frozen; m starts as the norms of W's rows."""

    learning_rate: ClassVar[float] = 2e-3
    paper: ClassVar[str] = "https://arxiv.org/abs/2402.09353"
    trained: ClassVar[tuple[str, ...]] = (*FACTORS, "lora_magnitude_vector")
    peft: ClassVar[dict[str, Any]] = {"use_dora": True}

    def layer(self) -> type[LoRALinear]:
        """A layer with a length for each row."""
        from engrain.methods._layers import DoRALinear

        return DoRALinear

    def saved(self, layer: LoRALinear) -> dict[str, torch.Tensor]:
        """The factors and the lengths."""
        return super().saved(layer) | {"lora_magnitude_vector": layer.lora_magnitude_vector}
