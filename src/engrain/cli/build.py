"""Make a model from documents: read, study, fine-tune, measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from engrain.cli import _options, _render
from engrain.cli._progress import listener
from engrain.config import PARTS


@_options.command("engrain build ./docs --minutes 20 --out runs/handbook")
@click.argument("paths", nargs=-1, required=True, type=_options.ANY, metavar="PATH...")
@click.option("--questions", type=_options.FILE, help="JSONL file of your own test questions: id, question, answers.")
@click.option("--own", type=_options.FILE, help="File of examples of your own, learned beside those of the documents.")
@click.option(
    "--from",
    "start_from",
    type=click.Choice(["documents", "facts", "examples"]),
    default="documents",
    show_default=True,
    help="Begin at a later stage, with what the folder given by --out holds (edited by hand, perhaps).",
)
@click.option(
    "--until",
    type=click.Choice(["examples", "verdict"]),
    default="verdict",
    show_default=True,
    help="Stop before training, to look at facts and examples and edit them; then go on with --from.",
)
@click.option("--earlier", type=_options.FOLDER, help="A run whose facts and wordings are kept for sections that have not changed.")
@_options.out_option
@_options.resume_option
@_options.json_option
@_options.settings_options(*PARTS)
def command(paths: tuple[Path, ...], as_json: bool, **choices: Any) -> None:
    """Make a model from documents and say what it learned and forgot.

    Reads the files and folders given, finds the facts in them, writes examples about these, fine-tunes the base
    model on the examples, and compares it with the untouched model and with retrieval on questions it never saw.

    With --task image-classification, PATH is a folder with a folder of images for each class, or a table with the
    columns image, label and perhaps patient; with --task code, it is a code base.
    """
    from engrain import api

    _render.result(api.build(paths, progress=listener(), **choices), as_json)
