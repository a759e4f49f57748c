"""Which examples make up which step, and how a step is cut to fit in memory. Pure functions of seed and position.

The order does not depend on the machine, the micro-batch or what ran before, so a run resumes at any step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


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
        order = np.arange(self.num_examples)
        if self.shuffle:
            order = np.random.default_rng((self.seed, epoch)).permutation(self.num_examples)
        return [int(i) for i in order[within * self.batch_size : (within + 1) * self.batch_size]]


def micro_batches(indices: Sequence[int], lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """The indices in groups of at most `max_tokens` (a longer example stands alone), similar lengths together."""
    groups: list[list[int]] = []
    room = 0
    for index in sorted(indices, key=lambda i: (-lengths[i], i)):
        if not groups or lengths[index] > room:
            groups.append([])
            room = max_tokens
        groups[-1].append(index)
        room -= lengths[index]
    return groups
