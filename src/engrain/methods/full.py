"""Full fine-tuning: every weight trains, with fp32 master values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from engrain.methods.base import WholeModel

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class FullSettings:
    """Full fine-tuning has nothing to choose."""


class Full(WholeModel):
    """All parameters train."""

    Settings: ClassVar[type] = FullSettings
    learning_rate: ClassVar[float] = 2e-4

    def apply(self, model: nn.Module) -> None:
        """Every parameter is marked to train."""
        model.requires_grad_(True)
