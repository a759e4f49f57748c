"""What people see of results: answers, tables, the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from engrain.api import Answer
    from engrain.doctor import Check
    from engrain.run import Run

SIGNS = {"ok": ("ok", "green"), "warning": ("!", "yellow"), "blocks": ("blocks", "red")}
STATUS_WORDS = {
    "supported": "source",
    "unsupported": "nothing in the documents supports this answer",
    "refused": "not answered: not found in the documents",
}


def console() -> Console:
    """Where results go: standard output, without colour where NO_COLOR is set or nobody looks."""
    return Console(highlight=False, soft_wrap=False)


def table(*columns: str, title: str = "") -> Table:
    """An empty table in the house's style."""
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def answer(found: Answer) -> None:
    """Print one answer and what supports it."""
    click.echo(found.text)
    click.echo(source_line(found))


def source_line(found: Answer) -> str:
    """The line under an answer: its source, or that there is none."""
    words = STATUS_WORDS[found.status]
    return f"  [{words}: {found.source}]" if found.status == "supported" else f"  [{words}]"


def side_by_side(questions: Sequence[str], expected: Sequence[Sequence[str]], before: Sequence[Answer], after: Sequence[Answer]) -> None:
    """Print what the untouched and the fine-tuned model answer to the same questions."""
    drawn = table("question", "right", "before", "after", title="The same questions, before and after")
    drawn.show_lines = True
    for question, right, old, new in zip(questions, expected, before, after, strict=True):
        drawn.add_row(
            Text(question),
            Text(right[0] if right else "(not in the documents)"),
            Text(old.text),
            Text(f"{new.text}\n{source_line(new).strip()}"),
        )
    console().print(drawn)


def runs(found: Sequence[Run], root: Path) -> None:
    """Print a line for each run."""
    if not found:
        click.echo(f"There is no run under {root}/ yet. Make one with: engrain build PATH")
        return
    drawn = table("run", "status", "base", "method", "held out", "made")
    for run in found:
        info = run.info
        settings = info.get("settings", {})
        accuracy = info.get("heldout_accuracy")
        shown = f"{accuracy:.0%}" if isinstance(accuracy, float) else "-"
        drawn.add_row(
            str(run.path), info.get("status", "?"), settings.get("base", "-"), settings.get("method", "-"), shown, info.get("created", "-")
        )
    console().print(drawn)


def checks(found: Sequence[Check]) -> None:
    """Print what doctor found, and what to do about it."""
    drawn = table("", "what", "found")
    for check in found:
        word, style = SIGNS[check.state]
        drawn.add_row(Text(word, style), check.name, Text(check.found + (f"\n→ {check.remedy}" if check.remedy else "")))
    console().print(drawn)
    blocked = [check.name for check in found if check.state == "blocks"]
    click.echo(f"In the way of a build: {', '.join(blocked)}." if blocked else "Nothing is in the way of a build.")
