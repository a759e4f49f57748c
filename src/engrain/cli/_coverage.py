"""What people see of coverage: which of the documents' parts and values became facts, and which did not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from engrain.knowledge.coverage import Coverage

LONGEST_LIST = 6
"""Parts without a fact that are shown of each document."""


def show(rows: Sequence[Coverage]) -> None:
    """Print how much of each document became facts, by kind of part and of value, and what did not."""
    kinds = list(dict.fromkeys(kind for row in rows for kind in row.units))
    drawn = Table(title="What became facts", title_justify="left", box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in ("document", "facts", "of its text", *(f"{kind}s" if kind != "key and value" else "keys and values" for kind in kinds)):
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(row.file, str(row.facts), f"{row.share:.0%}", *(held(row.units.get(kind)) for kind in kinds))
    Console(highlight=False, soft_wrap=False).print(drawn)
    for line in (*value_lines(rows), *(line for row in rows for line in missed_lines(row))):
        click.echo(line)


def held(count: tuple[int, int] | None) -> str:
    """How many of how many gave a fact."""
    return f"{count[1]} of {count[0]}" if count else "–"


def value_lines(rows: Sequence[Coverage]) -> list[str]:
    """One line: of each kind of value, how many of all documents a fact holds."""
    kinds = sorted({kind for row in rows for kind in row.values})
    sums = {kind: [sum(row.values.get(kind, (0, 0))[i] for row in rows) for i in (0, 1)] for kind in kinds}
    return [f"Values in facts: {', '.join(f'{kind} {yes} of {count}' for kind, (count, yes) in sums.items())}."] if sums else []


def missed_lines(row: Coverage) -> list[str]:
    """What of a document no fact holds, some of each: sections, parts, values."""
    parts = (("section", row.missed_sections), ("part", row.missed), ("value", row.missed_values))
    if not any(texts for _, texts in parts):
        return []
    shown = [f"Not covered in {row.file}: {1 - row.share:.0%} of its text"]
    for name, texts in parts:
        shown += [f"  {name}: {' '.join(text.split())}" for text in texts[:LONGEST_LIST]]
        if len(texts) > LONGEST_LIST:
            shown.append(f"  … {len(texts) - LONGEST_LIST:,} more (--json lists all)")
    return shown
