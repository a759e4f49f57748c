"""Full fine-tuning: every weight trains, with fp32 master values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from engrain.methods.base import Method, load_model_folder, save_model_folder

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class FullSettings:
    """Full fine-tuning has nothing to choose."""


class Full(Method):
    """All parameters train. Saved as a whole model in Hugging Face layout."""

    Settings: ClassVar[type] = FullSettings
    artifact: ClassVar[str] = "model"
    learning_rate: ClassVar[float] = 2e-4

    def apply(self, model: nn.Module) -> None:
        """Every parameter is marked to train."""
        model.requires_grad_(True)

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the whole model in Hugging Face layout."""
        save_model_folder(model, folder)

    def load(self, model: nn.Module, folder: Path) -> None:
        """Read the weights back; ModelError lists every tensor that does not fit."""
        load_model_folder(model, folder)

    def merge(self, model: nn.Module) -> None:
        """Nothing to merge: the model is plain already."""
