"""Who holds a slot of a lane: a text that is read chunk by chunk, and what becomes of the logits after it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from torch import Tensor

from engrain.serve.engine import Weights

T = TypeVar("T")

FIRST = 32
"""Tokens of the first chunk: many prompts have only a short beginning in common, the system prompt."""


class Tenant(ABC, Generic[T]):
    """`read` counts the tokens of `prompt` that are known so far, `cached` those of them that were not computed.

    Its time is over at `deadline`, a reading of `time.monotonic`.
    """

    prompt: tuple[int, ...]

    def __init__(self, weights: Weights, send: Callable[[T | Exception], None], deadline: float) -> None:
        self.weights, self.send = weights, send
        self.deadline = deadline
        self.slot: int | None = None
        self.read = self.cached = 0
        self.over = self.left = False

    @property
    def reading(self) -> bool:
        """Whether some of its prompt is still to be computed."""
        return self.read < len(self.prompt)

    @property
    def late(self) -> bool:
        """Whether its time is over."""
        return time.monotonic() > self.deadline

    @abstractmethod
    def places(self) -> list[int]:
        """The places of the prompt, in their order, whose logits are wanted; at least one."""

    def chunk_ends(self, size: int) -> list[int]:
        """Where the chunks end that the prompt is read in: the first is short, the others have `size` tokens."""
        return [*range(min(FIRST, size), len(self.prompt), size), len(self.prompt)]

    def reusable_ends(self, size: int) -> list[int]:
        """Those before the first place whose logits are wanted: whatever begins with the same tokens is read in the same chunks."""
        return [end for end in self.chunk_ends(size) if end <= self.places()[0]]

    @abstractmethod
    def take(self, logits_KV: Tensor) -> None:
        """Take the logits of those places that were just read; called after every chunk, and maybe for none."""

    def leave(self) -> None:
        """Nobody waits for it any more."""
        self.left = True

    def fail(self, error: Exception) -> None:
        """Give up, and say why."""
        self.over = True
        self.send(error)
