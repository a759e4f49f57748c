"""Scores of pairs of texts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from engrain.remembered import Remembered

REMEMBERED = 8192
"""Pairs whose scores are remembered."""


class PairScores(ABC):
    """What scores pairs of texts; what was read already is not read again."""

    def __init__(self) -> None:
        self._scores = Remembered(self.computed, REMEMBERED)

    @abstractmethod
    def computed(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The score of each pair, computed now."""

    def read(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The score of each pair. Many at once are faster: every batch costs one pass over all weights."""
        return self._scores.of(pairs)
