"""Numbers as Markdown tables and words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

GB = 1e9


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table; the first column stands left, the others right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)]


def gigabytes(size: float) -> str:
    """Bytes in GB (10⁹), two digits."""
    return f"{size / GB:.2f} GB"


def share(part: float, whole: float) -> str:
    """A percentage, or a dash where the whole is not known."""
    return "–" if math.isnan(whole) else f"{part / whole:.0%}"


def times(ratio: float) -> str:
    """How many times."""
    return f"{ratio:.2f} ×"


def missing(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The cells whose peer could not be had, each with the reason."""
    reasons = [f"- {cell}: {row['unavailable'].splitlines()[-1]}" for cell, row in found.items() if "unavailable" in row]
    return ["Peers that did not run here:", "", *reasons, ""] if reasons else []
