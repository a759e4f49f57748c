"""Make a model anew from documents that have changed."""

from __future__ import annotations

from pathlib import Path

import click

from engrain.cli import _options, _render
from engrain.cli._progress import listener


@_options.command("engrain update runs/handbook ./docs --out runs/handbook-march")
@click.argument("run", type=_options.ANY)
@click.argument("paths", nargs=-1, required=True, type=_options.ANY, metavar="PATH...")
@click.option("--questions", type=_options.FILE, help="JSONL file of your own test questions: id, question, answers.")
@_options.out_option
@_options.resume_option
@_options.json_option
def command(run: Path, paths: tuple[Path, ...], questions: Path | None, out: Path | None, resume: bool, as_json: bool) -> None:
    """Make a new run from documents that were added, changed or removed since RUN.

    Only what changed is studied again. The model is trained from its original base on everything, with the settings
    of RUN, which stays as it is; what was edited by hand stays where the documents still say it. Ends with the test
    questions that are answered otherwise than before.
    """
    from engrain import api

    found = api.update(run, paths, questions=questions, out=out, resume=resume, progress=listener())
    _options.print_json(found) if as_json else _render.update(found)
