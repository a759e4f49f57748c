"""QLoRA: LoRA beside a base kept in 4 bits (arXiv 2305.14314)."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar

from engrain.errors import SettingError
from engrain.methods._low_rank import LowRank

if TYPE_CHECKING:
    from torch import nn

    from engrain.kernels.lora_linear import LoRALinear


class QLoRA(LowRank):
    """h = W₄ x + s · B A x, W₄ being W rounded to 4 bits (NF4 with double quantisation); A and B train in fp32."""

    learning_rate: ClassVar[float] = 2e-3
    paper: ClassVar[str] = "https://arxiv.org/abs/2305.14314"
    starts_at_base = False

    def layer(self) -> type[LoRALinear]:
        """A layer that keeps its weight in 4 bits."""
        from engrain.methods._quantized import QuantizedLinear

        return QuantizedLinear

    def apply(self, model: nn.Module) -> None:
        """Round every target to 4 bits and put an update beside it. Raises SettingError without the library that does the rounding."""
        if find_spec("bitsandbytes") is None:
            raise SettingError("method='qlora' needs bitsandbytes, which is not installed", "pip install 'engrain[qlora]'")
        super().apply(model)
