"""Say whether a build fits this machine and how long it takes, before it starts."""

from __future__ import annotations

from pathlib import Path

import click

from engrain.cli import _options, _render
from engrain.cli._progress import listener
from engrain.config import DOCUMENT_PARTS, Settings


@_options.command("engrain plan ./docs --method full")
@click.argument("paths", nargs=-1, required=True, type=_options.ANY, metavar="PATH...")
@_options.json_option
@_options.settings_options(*DOCUMENT_PARTS)
def command(paths: tuple[Path, ...], as_json: bool, settings: Settings) -> int:
    """Say whether a build of these documents fits this machine, and what it takes.

    Gives tokens, steps, minutes, memory and disk with the reason for each. Ends with exit code 1 where it does not fit.
    """
    from engrain import api

    plan = api.plan(paths, settings=settings, progress=listener())
    _options.print_json(plan) if as_json else _render.plan(plan)
    return 0 if plan.fits else 1
