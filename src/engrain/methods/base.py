"""The contract of a method of fine-tuning: what trains, how it is saved, how it is put back.

Nothing else in engrain knows how a method works; `train.py` sees only this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import torch
    from torch import nn


class Method(ABC):
    """A way of fine-tuning. `Settings` is its frozen dataclass of settings, `artifact` the folder it saves to."""

    Settings: ClassVar[type]
    artifact: ClassVar[str]
    learning_rate: ClassVar[float]
    """The peak learning rate to start from for a model of about 135M parameters."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def apply(self, model: nn.Module) -> None:
        """Mark what trains (`requires_grad`) and put adapters in. Raises SettingError when nothing would train."""

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """The optimizer's parameter groups; all trainable parameters in one unless the method says otherwise."""
        return [{"params": [p for p in model.parameters() if p.requires_grad]}]

    def before_step(self, model: nn.Module, step: int) -> None:
        """Called before each optimizer step (for methods that change what trains)."""

    @abstractmethod
    def save(self, model: nn.Module, folder: Path) -> None:
        """Write what was trained in the ecosystem's own format."""

    @abstractmethod
    def load(self, model: nn.Module, folder: Path) -> None:
        """Put a saved result into a model on which `apply` has run. Raises ModelError listing every tensor that does not fit."""

    @abstractmethod
    def merge(self, model: nn.Module) -> None:
        """Turn the model into a plain one without adapters, in place, with the same outputs."""

    def trainable_state(self, model: nn.Module) -> dict[str, torch.Tensor]:
        """Name → tensor for everything that trains (what a checkpoint must hold)."""
        return {name: p for name, p in model.named_parameters() if p.requires_grad}


CONTRACT = Method
