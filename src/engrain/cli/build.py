"""Make a model from documents: read, study, fine-tune, measure."""

from __future__ import annotations

from pathlib import Path

import click

from engrain.cli import _options, _render
from engrain.cli._progress import listener
from engrain.config import PARTS, Settings


@_options.command("engrain build ./docs --minutes 20 --out runs/handbook")
@click.argument("paths", nargs=-1, required=True, type=_options.ANY, metavar="PATH...")
@click.option("--questions", type=_options.FILE, help="JSONL file of your own test questions: id, question, answers.")
@click.option(
    "--from",
    "start_from",
    type=click.Choice(["documents", "facts", "examples"]),
    default="documents",
    show_default=True,
    help="Begin at a later stage, with what the folder given by --out holds (edited by hand, perhaps).",
)
@_options.out_option
@_options.resume_option
@_options.json_option
@_options.settings_options(*PARTS)
def command(
    paths: tuple[Path, ...], questions: Path | None, start_from: str, out: Path | None, resume: bool, as_json: bool, settings: Settings
) -> None:
    """Make a model from documents and say what it learned and forgot.

    Reads the files and folders given, finds the facts in them, writes examples about these, fine-tunes the base
    model on the examples, and compares it with the untouched model and with retrieval on questions it never saw.
    """
    from engrain import api

    progress = listener()
    result = api.build(paths, settings=settings, out=out, questions=questions, start_from=start_from, resume=resume, progress=progress)
    _render.result(result, as_json)
