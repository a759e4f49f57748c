"""Talk with a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

import click

from engrain.cli import _options, _render
from engrain.cli._progress import listener
from engrain.errors import SettingError
from engrain.retrieval import in_full

if TYPE_CHECKING:
    from engrain.api import Assistant

HELP = "Type a question. /mode closed-book|retrieval|both changes where answers come from, /clear forgets the talk, /exit ends it."
MOST_SHOWN = 200
"""Characters that are shown of what the system says."""


@_options.command("engrain chat --run runs/handbook --mode both")
@_options.mode_option
@click.option("--base-only", is_flag=True, help="Talk with the untouched base model.")
@_options.gate_option
@_options.rewrite_option
@_options.run_option
def command(mode: str, base_only: bool, gate: bool, rewrite: bool, run: Path | None) -> None:
    """Talk with a run; under every answer stands the place in the documents that supports it."""
    from engrain import api

    talk(api.load(run, base_only=base_only, mode=mode, gate=gate, rewrite=rewrite, progress=listener()))


def talk(assistant: Assistant) -> None:
    """Answer what is typed until the input ends or /exit."""
    history: list[tuple[str, str]] = []
    click.echo(HELP)
    if assistant.system:
        click.echo(f"(Said before every question, as in training: {shorten(assistant.system, MOST_SHOWN)})")
    while (line := _line()) is not None:
        word, _, rest = line.partition(" ")
        if word == "/exit":
            return
        if word == "/clear":
            history.clear()
        elif word == "/mode":
            _switch(assistant, rest)
        elif word.startswith("/"):
            click.echo(HELP)
        elif line:
            _talk_on(assistant, line, history)


def _switch(assistant: Assistant, mode: str) -> None:
    try:
        assistant.switch(mode)
    except SettingError as error:
        click.echo(str(error))


def _line() -> str | None:
    """The next line that is typed, None at the end of the input."""
    try:
        return input("> ").strip()
    except EOFError:
        return None


def _talk_on(assistant: Assistant, question: str, history: list[tuple[str, str]]) -> None:
    """Answer, and add both to the history; what cannot be answered is said, and the talk goes on."""
    try:
        history.append((question, _reply(assistant, question, history)))
    except SettingError as error:
        click.echo(str(error))


def _reply(assistant: Assistant, question: str, history: list[tuple[str, str]]) -> str:
    """Show the answer as it is made, then its source, and return it; turns that the model no longer sees are said, and dropped."""
    gone = assistant.forgotten(question, history)
    if gone:
        click.echo(
            f"(The talk is longer than the model can see: {'the first turn is' if gone == 1 else f'the first {gone} turns are'} forgotten.)"
        )
        del history[:gone]
    pieces = []
    for piece in assistant.stream(question, history):
        click.echo(piece, nl=False)
        pieces.append(piece)
    text = "".join(pieces)
    click.echo()
    full = in_full(question, [asked for asked, _ in history])
    click.echo(_render.source_line(replace(assistant.check(full, text), asked_as=assistant.asked_as(question, text, history))))
    return text
