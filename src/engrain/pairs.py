"""Scores of pairs of texts, each computed once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import islice

REMEMBERED = 8192
"""Pairs whose scores are remembered."""


class PairScores(ABC):
    """What scores pairs of texts; what was read already is not read again."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, str], float] = {}

    @abstractmethod
    def computed(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The score of each pair, computed now."""

    def read(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The score of each pair. Many at once are faster: every batch costs one pass over all weights."""
        known = self._read  # never changed, only replaced: other threads may read meanwhile
        new = [pair for pair in dict.fromkeys(pairs) if pair not in known]
        if new:
            known = known | dict(zip(new, self.computed(new), strict=True))
            self._read = dict(islice(known.items(), max(len(known) - REMEMBERED, 0), None))
        return [known[pair] for pair in pairs]
