"""How long work says where it is: stages with a total, and notes. Silent unless somebody listens.

The command line listens with a live display (`cli`), a server with its event stream; the parts that do the work
know only this.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Stage:
    """One piece of work under way."""

    def advance(self, amount: float = 1, **figures: float) -> None:
        """`amount` more of the total is done; `figures` are what to show beside it (loss, tokens_per_second…)."""

    def expect(self, total: float) -> None:
        """The total has turned out to be another one."""


class Progress:
    """A listener that ignores everything; override both methods to show or record it."""

    @contextmanager
    def stage(self, title: str, total: float | None = None, unit: str = "") -> Iterator[Stage]:
        """A piece of work named `title`, of `total` units (None where that is not known)."""
        yield Stage()

    def note(self, text: str) -> None:
        """A line worth reading: a choice that was made and why, a finding, a warning."""


SILENT = Progress()
