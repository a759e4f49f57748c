"""Measure a run on questions of your own."""

from __future__ import annotations

from pathlib import Path

import click

from engrain.cli import _options, _render
from engrain.cli._progress import listener


@_options.command("engrain evaluate runs/handbook questions.jsonl")
@click.argument("arguments", nargs=-1, required=True, type=_options.ANY, metavar="[RUN] QUESTIONS")
@_options.run_option
@_options.json_option
def command(arguments: tuple[Path, ...], run: Path | None, as_json: bool) -> None:
    """Measure a run on a file of questions: base and tuned model, each from memory and with retrieval (mode both).

    QUESTIONS is JSONL with id, question and answers (and kind: unanswerable, where the right reply is to decline). A question
    that follows on others has `messages` in place of question: the talk, with the question last.
    """
    from engrain import api

    if len(arguments) > 2 or (len(arguments) == 2 and run is not None):
        raise click.UsageError("give at most one run and one file of questions: engrain evaluate [RUN] QUESTIONS")
    folder = arguments[0] if len(arguments) == 2 else run
    evaluation = api.evaluate(folder, arguments[-1], progress=listener())
    _options.print_json(evaluation) if as_json else _render.evaluation(evaluation)
