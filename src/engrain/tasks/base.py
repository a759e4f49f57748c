"""The contract of a task: what is learned from which examples, and how well. `train.py` sees only this."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engrain import registry
from engrain.progress import SILENT, Progress
from engrain.settings import check_choices, setting

if TYPE_CHECKING:
    import torch
    from torch import nn

FILE = "task.safetensors"
"""What of a task's own has trained, in the run folder; the method's artifact may hold it too."""


@dataclass(frozen=True)
class TaskSettings:
    """What is learned; the members of this family, with dashes."""

    task: str = setting("chat", "What the model learns to do.", choices=tuple(name.replace("_", "-") for name in registry.names("tasks")))

    def __post_init__(self) -> None:
        check_choices(self)


@dataclass(frozen=True)
class Loss:
    """The summed loss of a micro-batch (with gradient), how many targets it sums over, and how many were right."""

    total: torch.Tensor
    count: int
    correct: int


class Task(ABC):
    """Holds the encoded examples and knows their loss. `train` and `heldout` are sequences of encoded examples."""

    train: Sequence[Any]
    heldout: Sequence[Any]
    label_smoothing: float = 0.0
    """Share of each target that goes to all there are alike, while the model trains."""

    def prepare(self, model: nn.Module, progress: Progress = SILENT) -> None:
        """Called once with the untouched model, before a method is applied to it."""

    def free(self, model: nn.Module) -> None:
        """Called once after a method was applied: what the task has put into the model trains too, where it can (`requires_grad`)."""

    def fold(self, model: nn.Module) -> dict[str, torch.Tensor]:
        """Called once after training: what trained of the task's own, which is then a plain part of the model; kept in `FILE`."""
        return {}

    def fit(self, model: nn.Module, free: int) -> int:
        """Called once with the bytes that there are for what is kept for the way back: for how many tokens at once that is enough.

        A task may then choose to keep less and compute it again.
        """
        return sys.maxsize

    def settle(self, model: nn.Module, progress: Progress = SILENT) -> None:
        """Called once before the first step, when it is known what trains: what never changes may be computed now."""

    @abstractmethod
    def length(self, encoded: Any) -> int:
        """The cost of an encoded example in tokens."""

    def shared(self, rows: Sequence[Any]) -> int:
        """How many leading tokens of all these examples a micro-batch computes once; 0 where a task has no such thing."""
        return 0

    @abstractmethod
    def targets(self, encoded: Any) -> int:
        """How many targets of an encoded example count in the loss."""

    @abstractmethod
    def content(self, encoded: Any) -> bytes:
        """What an encoded example says, as bytes: equal for equal examples (a resume checks that the data is the same)."""

    def by_heart(self) -> list[int]:
        """The numbers of the examples that the model is to give word for word, of equal ones the first; none where a task has none."""
        return []

    def not_known(self, model: nn.Module) -> list[int]:
        """Of those, the numbers of the ones that it would not give."""
        return []

    def smoothing(self, model: nn.Module) -> float:
        """`label_smoothing` while the model trains; what is held out is measured as it is."""
        return self.label_smoothing if model.training else 0.0

    @abstractmethod
    def loss(self, model: nn.Module, batch: Sequence[Any]) -> Loss:
        """The loss of some encoded examples, in one forward pass."""


CONTRACT = Task
