"""The same measurements before and after, with their intervals: what a task with scores of its own reports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

RESAMPLES = 1000
FEWEST_GROUPS = 5
"""With fewer groups there is no interval: drawn from so few, it would be far too narrow."""
Z = NormalDist().inv_cdf(0.975)
"""How many standard errors a 95% interval reaches to either side."""


@dataclass(frozen=True)
class Measured:
    """A score with its 95% interval; None where it cannot be computed."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "–"
        return self._written(".3f")

    @property
    def signed(self) -> str:
        """A difference with its sign and interval."""
        return "–" if self.value is None else self._written("+.3f")

    def _written(self, form: str) -> str:
        interval = f" ({self.low:{form}} to {self.high:{form}})" if self.low is not None and self.high is not None else ""
        return f"{self.value:{form}}{interval}"


@dataclass(frozen=True)
class Line:
    """One score of the untouched and of the tuned model, and the `difference` on the same questions, images or files."""

    score: str
    base: Measured
    tuned: Measured
    difference: Measured


@dataclass(frozen=True)
class Comparison:
    """Scores before and after on `what`; `base` and `tuned` say what the two columns are, `notes` what to know beside them."""

    what: str
    base: str
    tuned: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()

    def table(self) -> list[str]:
        """The lines of a Markdown table."""
        rows = [f"| {line.score} | {line.base} | {line.tuned} | {line.difference.signed} |" for line in self.lines]
        return [f"| {self.what} | {self.base} | {self.tuned} | difference |", "|---|---|---|---|", *rows]


def wilson(right: float, count: int) -> tuple[float, float]:
    """The 95% interval of a share, `right` of `count`, after Wilson (1927); of nothing, 0 to 1."""
    centre, room = right + Z**2 / 2, count + Z**2
    width = Z * math.sqrt(right * (1 - right / max(count, 1)) + Z**2 / 4)
    return max(0.0, (centre - width) / room), min(1.0, (centre + width) / room)


def resampled(groups: Sequence[str], seed: int = 0, count: int = RESAMPLES) -> list[np.ndarray]:
    """`count` draws of row numbers: as many groups as there are, with repeats, each with all its rows (cluster bootstrap).

    None of fewer than FEWEST_GROUPS.
    """
    if len(set(groups)) < FEWEST_GROUPS:
        return []
    _, numbers = np.unique(np.array(groups), return_inverse=True)
    members = [np.flatnonzero(numbers == group) for group in range(int(numbers.max()) + 1)]
    random = np.random.default_rng(seed)
    return [np.concatenate([members[g] for g in random.integers(len(members), size=len(members))]) for _ in range(count)]


def with_interval(value: float, drawn: Sequence[float] | np.ndarray) -> Measured:
    """A score with the middle 95% of what was drawn, as far as that differs; what is NaN could not be computed."""
    found = np.asarray(drawn, float)
    found = found[~np.isnan(found)]
    if np.isnan(value) or not len(found) or found.min() == found.max():
        return Measured(None if np.isnan(value) else float(value))
    low, high = np.percentile(found, (2.5, 97.5))
    return Measured(float(value), float(low), float(high))


def mean_of(values: Sequence[float] | np.ndarray, groups: Sequence[str], is_difference: bool = False) -> Measured:
    """The mean of values with its interval over groups; None where there are no values.

    Where all are 0 or all are 1 nothing can be drawn, and the interval is that of as many groups; a difference of 0 may be on either side.
    """
    if not len(values):
        return Measured(None)
    found, count = np.asarray(values, float), len(set(groups))
    mean = float(found.mean())
    if count < FEWEST_GROUPS or found.min() != found.max() or abs(mean) not in (0, 1):
        return with_interval(mean, [found[rows].mean() for rows in resampled(groups)])
    low, high = wilson(abs(mean) * count, count)
    return Measured(mean, -high if is_difference and mean <= 0 else low, -low if mean < 0 else high)
