"""What is computed of many things at once, of each only once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """What `compute` makes of keys; of the latest `most` it is remembered."""

    def __init__(self, compute: Callable[[Sequence[K]], Iterable[V]], most: int) -> None:
        self._compute, self._most = compute, most
        self._known: dict[K, V] = {}

    def of(self, keys: Sequence[K]) -> list[V]:
        """What is made of each key; what is not known yet is computed at once."""
        known = self._known  # never changed, only replaced: other threads may read meanwhile
        new = [key for key in dict.fromkeys(keys) if key not in known]
        if new:
            known = known | dict(zip(new, self._compute(new), strict=True))
            self._known = dict(islice(known.items(), max(len(known) - self._most, 0), None))
        return [known[key] for key in keys]
