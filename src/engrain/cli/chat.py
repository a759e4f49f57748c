"""Talk with a run."""

from __future__ import annotations

from pathlib import Path

import click

from engrain import api
from engrain.cli import _options, _render
from engrain.cli._progress import listener

MODES = ("closed-book", "retrieval", "both")
HELP = "Type a question. /mode closed-book|retrieval|both changes where answers come from, /clear forgets the talk, /exit ends it."


@_options.command("engrain chat --run runs/handbook --mode both")
@_options.mode_option
@click.option("--base-only", is_flag=True, help="Talk with the untouched base model.")
@_options.run_option
def command(mode: str, base_only: bool, run: Path | None) -> None:
    """Talk with a run; under every answer stands the place in the documents that supports it."""
    talk(run, mode, base_only)


def talk(run: Path | None, mode: str, base_only: bool) -> None:
    """Answer what is typed until the input ends or /exit."""
    assistant = api.load(run, base_only=base_only, mode=mode, progress=listener())
    history: list[tuple[str, str]] = []
    click.echo(HELP)
    while (line := _line()) is not None:
        word, _, rest = line.partition(" ")
        if word == "/exit":
            return
        if word == "/clear":
            history.clear()
        elif word == "/mode" and rest in MODES:
            assistant = api.load(run, base_only=base_only, mode=rest, progress=listener())
        elif word.startswith("/"):
            click.echo(HELP)
        elif line:
            history.append((line, _reply(assistant, line, history)))


def _line() -> str | None:
    """The next line that is typed, None at the end of the input."""
    try:
        return input("> ").strip()
    except EOFError:
        return None


def _reply(assistant: api.Assistant, question: str, history: list[tuple[str, str]]) -> str:
    """Show the answer as it is made, then its source, and return it."""
    pieces = []
    for piece in assistant.stream(question, history):
        click.echo(piece, nl=False)
        pieces.append(piece)
    text = "".join(pieces)
    click.echo()
    click.echo(_render.source_line(assistant.check(question, text)))
    return text
