"""What people see of exports: what fits a run, and what was written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from rich.text import Text

from engrain.cli._render import console, table

if TYPE_CHECKING:
    from engrain.export import Offer
    from engrain.export.base import Exported


def offers(found: Sequence[Offer]) -> None:
    """Print a line for each target that fits the run, and below why others do not."""
    drawn = table("--to", "what", "--type", "about")
    for each in found:
        if not each.obstacle:
            types = ", ".join(form.type for form in each.forms if form.type)
            drawn.add_row(*map(Text, (each.target, each.text, types, size(each.forms[0].bytes) if each.forms[0].bytes else "")))
    console().print(drawn)
    for each in found:
        if each.obstacle:
            click.echo(f"{each.target}: {each.obstacle}")


def exported(done: Exported) -> None:
    """Print the files, how they compare with the run's model, what to know, and the command."""
    click.echo(f"Folder:   {done.folder}" + f" ({done.type})" * bool(done.type))
    for name, count in done.files.items():
        click.echo(f"          {name}  {size(count)}")
    click.echo(f"Checked:  {done.check}" if done.check else "Checked:  not compared with the run's model")
    for note in done.notes:
        click.echo(f"To know:  {note}")
    click.echo(f"\nUse it:\n  {done.command}")


def size(count: int) -> str:
    """Bytes in the unit that people read."""
    value, units = float(count), ["B", "kB", "MB", "GB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} B" if units[0] == "B" else f"{value:,.1f} {units[0]}"
