"""Try out settings of training and say which are best."""

from __future__ import annotations

from pathlib import Path

import click

from engrain.cli import _options, _render
from engrain.cli._progress import listener
from engrain.config import DOCUMENT_PARTS, Settings


@_options.command("engrain sweep ./docs --trials 20 --tune rank,learning_rate,layers --minutes 2")
@click.argument("paths", nargs=-1, required=True, type=_options.ANY, metavar="PATH...")
@click.option("--trials", type=int, default=16, show_default=True, help="Trainings at most, each as long as --minutes or --epochs say.")
@click.option(
    "--tune", "names", help="Settings to tune, separated by commas.  [default: learning_rate, rank and layers, where the method has them]"
)
@click.option("--out", type=_options.FOLDER, help="Folder of the sweep.  [default: sweeps/ and the documents' name]")
@click.option("--resume", is_flag=True, help="Go on with a sweep that was stopped, or with a complete one to try more.")
@_options.json_option
@_options.settings_options(*DOCUMENT_PARTS)
def command(
    paths: tuple[Path, ...], trials: int, names: str | None, out: Path | None, resume: bool, as_json: bool, settings: Settings
) -> None:
    """Try out values of rank, learning rate, layers and other settings in short trainings, and say which are best.

    PATH is documents, or the folder of a run whose examples are used. Every training (2 minutes where nothing is said) is
    judged by its loss on the held-out examples alone; one that is clearly worse than others is ended early. Leaves a table, the
    command that builds with the best settings, and one page, sweep.html.
    """
    from engrain import api

    asked = [name.strip().replace("-", "_") for name in (names or "").split(",") if name.strip()]
    run, found = api.sweep(paths, trials=trials, tune=asked, out=out, resume=resume, progress=listener(), settings=settings)
    _options.print_json({"run": run, **vars(found)}) if as_json else _render.sweep(found, run.path)
