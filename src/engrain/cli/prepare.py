"""Teach a base model to study, so that builds on it write better questions."""

from __future__ import annotations

from pathlib import Path

import click

from engrain.cli import _options, _render
from engrain.cli._progress import listener


@_options.command("engrain prepare ./my-base --learning-rate 5e-4")
@click.argument("base", metavar="BASE")
@click.option("--learning-rate", type=float, help="Peak learning rate; default: LoRA's own, less for wider models.")
@click.option("--epochs", type=float, help="Passes over the lessons.  [default: 1,140 steps, which are 0.75]")
@click.option("--out", type=_options.FOLDER, help="Folder of the study.  [default: studies/ and the base's name]")
@_options.resume_option
@_options.json_option
def command(base: str, learning_rate: float | None, epochs: float | None, out: Path | None, resume: bool, as_json: bool) -> None:
    """Train the small adapter that makes BASE a studying model, on the corpus that comes with engrain.

    A studying model lists details, writes many questions about one and reads answers out of passages. Builds on this
    base then use it by themselves; the embedded base comes with its own.
    """
    from engrain import api

    options: dict[str, float | None] = {} if learning_rate is None else {"learning_rate": learning_rate}
    if epochs is not None:
        options |= {"epochs": epochs, "max_steps": None}
    _render.result(api.prepare(base, out=out, resume=resume, progress=listener(), **options), as_json)
