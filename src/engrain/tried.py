"""What a sweep tried, and how it went."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STATES = ("complete", "pruned", "failed")
"""How a training ended, the most telling first."""


@dataclass(frozen=True)
class Tried:
    """A training: `state` is complete, pruned or failed, `losses` are (step, loss) on the held-out examples."""

    number: int
    settings: dict[str, Any]
    state: str
    loss: float | None
    losses: tuple[tuple[int, float], ...] = ()
    seconds: float = 0.0
    trainable_parameters: int | None = None
    memory_bytes: int | None = None
    reason: str = ""

    def __str__(self) -> str:
        """How it went, in a few words."""
        if self.state == "failed":
            return f"failed: {self.reason}"
        return f"held-out loss {self.loss:.4f}" + ", ended early" * (self.state == "pruned")


@dataclass(frozen=True)
class Swept:
    """All that was tried, the best first, and the command line that builds with the best settings."""

    tuned: tuple[str, ...]
    trials: tuple[Tried, ...]
    command: str = ""

    @property
    def best(self) -> Tried | None:
        """The best of those that ended."""
        return next((t for t in self.trials if t.state == "complete"), None)


def standing(tried: Tried) -> tuple[int, float, int]:
    """What orders trainings: those that ended first, the lowest loss first."""
    return STATES.index(tried.state), math.inf if tried.loss is None else tried.loss, tried.number


def told(values: Mapping[str, Any]) -> str:
    """Settings in a few words."""
    return ", ".join(f"{name} {'all' if value == '' else value}" for name, value in values.items())
