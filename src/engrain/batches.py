"""Which examples make up which step, and how a step is cut to fit in memory. Pure functions of seed and position.

The order does not depend on the machine, the micro-batch or what ran before, so a run resumes at any step.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    """The order of `num_examples` examples over epochs, `batch_size` a step."""

    num_examples: int
    batch_size: int
    seed: int
    shuffle: bool = True

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the examples; the last one may be smaller."""
        return -(-self.num_examples // self.batch_size)

    def step(self, number: int) -> list[int]:
        """The indices of the examples of step `number` (from 0)."""
        epoch, within = divmod(number, self.steps_per_epoch)
        places = range(within * self.batch_size, min((within + 1) * self.batch_size, self.num_examples))
        return _shuffled(self.num_examples, self.seed, epoch)[places.start : places.stop].tolist() if self.shuffle else list(places)


def with_again(indices: Sequence[int], again: Sequence[int], share: float, turn: int, lengths: Sequence[int]) -> list[int]:
    """A step's indices, the shortest of which gave way to those to practise `again`: a `share` of the step, in turn.

    `turn` counts the steps since those were found. No index comes twice.
    """
    if not again:
        return list(indices)
    count = min(round(share * len(indices)), len(again))
    chosen = [again[(turn * count + i) % len(again)] for i in range(count)]
    stay = sorted(indices, key=lambda i: -lengths[i])[: len(indices) - count]
    return list(dict.fromkeys([*chosen, *stay]))


@lru_cache(maxsize=1)
def _shuffled(num_examples: int, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch; kept until the next one's, for to draw it anew at each step would take longer than a step of many examples."""
    return np.random.default_rng((seed, epoch)).permutation(num_examples)


def micro_batches(indices: Sequence[int], lengths: Sequence[int], max_tokens: int, shared: int = 0) -> list[list[int]]:
    """The indices in as few groups of at most `max_tokens` as can be (a longer example stands alone), similar lengths together.

    The groups are as even as can be: a small one would cost nearly as much as a full one. The first `shared` tokens of all
    examples count once in a group.
    """
    order = sorted(indices, key=lambda i: (-lengths[i], i))
    fewest = len(_filled(order, lengths, max_tokens, shared))
    even = 1 + bisect_left(range(1, max_tokens), True, key=lambda room: len(_filled(order, lengths, room, shared)) <= fewest)
    return _filled(order, lengths, even, shared)


def _filled(order: Sequence[int], lengths: Sequence[int], max_tokens: int, shared: int) -> list[list[int]]:
    """The indices in this order, as many in each group as there is room for."""
    groups: list[list[int]] = []
    room = 0
    for index in order:
        own = lengths[index] - shared
        if not groups or own > room:
            groups.append([])
            room = max_tokens - shared
        groups[-1].append(index)
        room -= own
    return groups


def batches(items: Sequence[T], size: int) -> list[list[T]]:
    """The items in lists of at most `size`."""
    return [list(items[i : i + size]) for i in range(0, len(items), size)]
