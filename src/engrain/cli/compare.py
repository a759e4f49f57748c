"""Train several methods on the same documents and say which to use."""

from __future__ import annotations

from pathlib import Path

import click

from engrain.cli import _options, _render
from engrain.cli._progress import listener
from engrain.config import Settings, compared_names


@_options.command("engrain compare ./docs --methods full,layerwise,lora,dora,ia3,prompt_tuning --minutes 10")
@click.argument("paths", nargs=-1, required=True, type=_options.ANY, metavar="PATH...")
@click.option("--methods", "names", required=True, help="Methods by name, separated by commas; settings after colons (lora:rank=16).")
@click.option("--seeds", type=int, default=3, show_default=True, help="Trainings of each method, with seeds from 0 on.")
@click.option("--questions", type=_options.FILE, help="JSONL file of your own test questions: id, question, answers.")
@click.option("--out", type=_options.FOLDER, help="Folder of the comparison.  [default: comparisons/ and the documents' name]")
@_options.resume_option
@_options.json_option
@_options.settings_options(*compared_names())
def command(
    paths: tuple[Path, ...],
    names: str,
    seeds: int,
    questions: Path | None,
    out: Path | None,
    resume: bool,
    as_json: bool,
    settings: Settings,
) -> None:
    """Train several methods on identical examples with the same budget, and say which to use.

    Beside them stand the ways that need no tuning: the base, the base with retrieval, the base with nothing but passages before it, and
    a small agent that searches, reads and answers in at most three steps. Leaves a table and one page, comparison.html.
    """
    from engrain import api
    from engrain.compare import named

    run, board = api.compare(
        paths, named(names), seeds=seeds, questions=questions, out=out, resume=resume, progress=listener(), settings=settings
    )
    _options.print_json({"run": run, **vars(board)}) if as_json else _render.scoreboard(board, run)
