"""What engrain set out to reach, and what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One target: in words, the value wanted (at least, or at most), the value measured, and how either is written."""

    what: str
    wanted: float
    measured: float
    shown: Callable[[float], str]
    at_least: bool = True

    @property
    def wish(self) -> str:
        """`≥ 450`."""
        return f"{'≥' if self.at_least else '≤'} {self.shown(self.wanted)}"

    @property
    def met(self) -> bool:
        """Whether what was wanted was measured."""
        return self.measured >= self.wanted if self.at_least else self.measured <= self.wanted

    @property
    def verdict(self) -> str:
        """Whether it is met, or by how much it is missed."""
        off = abs(self.measured / self.wanted - 1)
        return "met" if self.met else f"missed by {off:.0%}" if off >= 0.01 else f"missed by {off:.2%}"

    def row(self) -> list[str]:
        """The cells of a table: what, wanted, measured, verdict."""
        return [self.what, self.wish, self.shown(self.measured), self.verdict]
