"""List the runs there are, newest first."""

from __future__ import annotations

from pathlib import Path

import click

from engrain.cli import _options, _render
from engrain.run import Run


@_options.command("engrain runs", uses="engrain.run")
@click.option("--root", type=_options.FOLDER, default="runs", show_default=True, help="The folder that holds the runs.")
@_options.json_option
def command(root: Path, as_json: bool) -> None:
    """List the runs there are, newest first: status, base model, method and held-out accuracy."""
    found = Run.list(root)  # what api.runs gives, without loading torch for a list
    _options.print_json(found) if as_json else _render.runs(found, root)
