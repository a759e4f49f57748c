"""Show what would be learned from documents, without training."""

from __future__ import annotations

from pathlib import Path

import click

from engrain.cli import _options, _render
from engrain.cli._progress import listener
from engrain.config import Settings


@_options.command("engrain examples ./docs")
@click.argument("paths", nargs=-1, required=True, type=_options.ANY, metavar="PATH...")
@_options.json_option
@_options.settings_options("privacy", "knowledge", "seed")
def command(paths: tuple[Path, ...], as_json: bool, settings: Settings) -> None:
    """Show which facts and examples the documents give, without training.

    Says how much of the documents became facts, how many examples of each kind there are, where private data stands,
    and which files could not be read and why.
    """
    from engrain import api

    preview = api.examples(paths, settings=settings, progress=listener())
    _options.print_json(preview) if as_json else _render.preview(preview)
