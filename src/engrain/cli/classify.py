"""Say what images show."""

from __future__ import annotations

from pathlib import Path

import click

from engrain.cli import _options, _render
from engrain.cli._progress import listener


@_options.command("engrain classify --run runs/lesions photo.png")
@click.argument("images", nargs=-1, required=True, type=_options.FILE, metavar="IMAGE...")
@_options.run_option
@_options.json_option
def command(images: tuple[Path, ...], run: Path | None, as_json: bool) -> None:
    """Say what images show, with the probability of every class.

    The run is one of `engrain build --task image-classification`. This is no medical device.
    """
    from engrain import api
    from engrain.imaging.classifier import NOTICE

    found = api.classify(run, images, progress=listener())
    _options.print_json(found) if as_json else _render.predictions(found, NOTICE)
