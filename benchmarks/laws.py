"""How cost grows: laws fitted to measurements, each with its error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Law:
    """y = constant + factor · x^power; `error` is the largest relative distance of a measured point from it."""

    constant: float
    factor: float
    power: float
    error: float

    def __call__(self, x: float) -> float:
        """y at x."""
        return self.constant + self.factor * x**self.power

    def told(self, x: str, unit: str) -> str:
        """The law in words and numbers."""
        start = f"{self.constant:.3g} + " if self.constant else ""
        power = f"^{self.power:.2f}" if self.power != 1 else ""
        return f"{start}{self.factor:.3g} · {x}{power} {unit} (within {self.error:.0%} of every point)"


def line(points: Points) -> Law:
    """The straight line whose relative distances from the points are smallest (least squares). ValueError with fewer than two."""
    _enough(points)
    weights = [1 / y**2 for _, y in points]
    total = sum(weights)
    mean_x = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
    mean_y = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
    spread = sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    factor = sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, points, strict=True)) / spread
    return _with_error(mean_y - factor * mean_x, factor, 1.0, points)


def power(points: Points) -> Law:
    """The power law through the points, a straight line between their logarithms. ValueError with fewer than two."""
    _enough(points)
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean_x, mean_y = (sum(values) / len(logs) for values in zip(*logs, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in logs)
    exponent = sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread
    return _with_error(0.0, math.exp(mean_y - exponent * mean_x), exponent, points)


def _enough(points: Points) -> None:
    if len({x for x, _ in points}) < 2:
        raise ValueError(f"a law needs points at two places at least, not {len(points)}")


def _with_error(constant: float, factor: float, exponent: float, points: Points) -> Law:
    law = Law(constant, factor, exponent, 0.0)
    return Law(constant, factor, exponent, max(abs(law(x) / y - 1) for x, y in points))
