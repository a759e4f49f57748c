"""How likely the weights find given texts: rows that are read in a slot as prompts are, one after another.

So nothing but one chunk of one row is computed between two tokens of other answers, and what rows begin with alike is
computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from engrain.serve.engine import Likelihoods, Weights
from engrain.serve.failures import ApiError
from engrain.serve.tenant import Tenant
from engrain.tokens import Encoded


class Scoring(Tenant[Likelihoods]):
    """Rows whose supervised tokens are scored; at least one row, each with at least one such token after its first."""

    def __init__(self, weights: Weights, rows: Sequence[Encoded], send: Callable[[Likelihoods | Exception], None], deadline: float) -> None:
        super().__init__(weights, send, deadline)
        self._rows, self._means = rows, list[float]()
        self._cached = 0
        self._begin(rows[0])

    def places(self) -> list[int]:
        """The places after which a supervised token follows."""
        return self._places

    def shared(self) -> int:
        """What stands before the first scored token: rows of one question differ behind it."""
        return self._places[0]

    def take(self, logits_KV: Tensor) -> None:
        """Score the tokens that follow, and go on with the next row after the last of them."""
        done = len(self._scores)
        targets_K = torch.from_numpy(self._targets[done : done + len(logits_KV)]).to(logits_KV.device)
        self._scores += logits_KV.float().log_softmax(-1).gather(1, targets_K[:, None])[:, 0].tolist()
        if self.late:
            self.fail(ApiError(503, "The answers could not be weighed in time.", "overloaded", retry_seconds=5))
        elif not self.reading:
            self._end()

    def _begin(self, row: Encoded) -> None:
        self.prompt = tuple(row.ids[:-1].tolist())
        self.read = self.cached = 0
        at = np.flatnonzero(row.supervised[1:])
        self._places, self._targets = at.tolist(), row.ids[at + 1].astype(np.int64)
        self._scores = list[float]()

    def _end(self) -> None:
        self._means.append(sum(self._scores) / len(self._scores))
        self._cached += self.cached
        if len(self._means) < len(self._rows):
            self._begin(self._rows[len(self._means)])
            return
        self.over = True
        self.send(Likelihoods(tuple(self._means), sum(len(row) - 1 for row in self._rows), self._cached))
