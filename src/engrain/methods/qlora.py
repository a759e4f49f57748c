"""QLoRA: LoRA beside a base kept in 4 bits (arXiv 2305.14314)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar

from engrain.errors import SettingError
from engrain.fetch import quiet
from engrain.methods._low_rank import LowRank, LowRankSettings
from engrain.settings import setting

if TYPE_CHECKING:
    import torch
    from torch import nn

    from engrain.kernels.lora_linear import LoRALinear


@dataclass(frozen=True)
class QLoRASettings(LowRankSettings):
    """Those of LoRA, and what the update starts from."""

    loftq: bool = setting(False, "Start from the largest part of what rounding took from each weight (LoftQ), not from nothing.")


class QLoRA(LowRank):
    """h = W₄ x + s · B A x, W₄ being W rounded to 4 bits (NF4 with double quantisation); A and B train in fp32."""

    Settings: ClassVar[type] = QLoRASettings
    settings: QLoRASettings
    learning_rate: ClassVar[float] = 2e-3
    paper: ClassVar[str] = "https://arxiv.org/abs/2305.14314"
    starts_at_base = False

    def layer(self) -> type[LoRALinear]:
        """A layer that keeps its weight in 4 bits."""
        with quiet():
            from engrain.methods._quantized import QuantizedLinear

        return QuantizedLinear

    def start(self, layer: LoRALinear, weight: torch.Tensor) -> None:
        """With `loftq`, s·BA is the best approximation of W − W₄ of that rank (arXiv 2310.08659, one iteration: W₄ stays as it is)."""
        import torch

        if not self.settings.loftq:
            return
        with torch.no_grad():
            u, s, v = torch.linalg.svd(weight.float() - layer.weight.float(), full_matrices=False)
            root = (s[: layer.rank] / layer.scale).sqrt()
            layer.lora_A[: len(root)], layer.lora_B[:, : len(root)] = root[:, None] * v[: len(root)], u[:, : len(root)] * root

    def apply(self, model: nn.Module) -> None:
        """Round every target to 4 bits and put an update beside it. Raises SettingError without the library that does the rounding."""
        if find_spec("bitsandbytes") is None:
            raise SettingError("method='qlora' needs bitsandbytes, which is not installed", "pip install 'engrain[qlora]'")
        super().apply(model)
