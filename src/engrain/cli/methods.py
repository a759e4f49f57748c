"""List the methods of fine-tuning, and why some cannot be used."""

from __future__ import annotations

import click

from engrain.cli import _options, _render
from engrain.cli._progress import listener
from engrain.models import BaseSettings


@_options.command("engrain methods --json")
@click.option("--base", default=BaseSettings.base, show_default=True, help="The model to count trainable parameters on.")
@_options.json_option
def command(base: str, as_json: bool) -> None:
    """List every method of fine-tuning: engrain's own, and those of the installed PEFT library.

    Each of the library's methods is tried out on a small random model: does it train only what it says, can what it
    learned be saved and loaded by the library itself, does it compute packed rows as it computes single ones?
    """
    from engrain import api

    found = api.methods(base, progress=listener())
    _options.print_json(found) if as_json else _render.methods(found)
