"""Join the adapters of several runs into one run."""

from __future__ import annotations

from pathlib import Path

import click

from engrain.cli import _options, _render
from engrain.cli._progress import listener
from engrain.merging import PRUNING, WAYS


@_options.command("engrain merge runs/handbook runs/prices --how ties --weights 1,0.5")
@click.argument("runs", nargs=-1, required=True, type=_options.FOLDER, metavar="RUN RUN...")
@click.option("--how", type=click.Choice(WAYS), default="cat", show_default=True, help="How the updates are joined; cat is exact.")
@click.option("--weights", help="How much each run counts, separated by commas.  [default: 1 each]")
@click.option("--density", type=float, help=f"Share of an update's values kept by {', '.join(PRUNING)}.  [default: 0.5]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of what DARE drops.")
@click.option("--questions", type=_options.FILE, help="JSONL file of your own test questions: id, question, answers.")
@click.option("--no-evaluate", "evaluate", is_flag=True, default=True, flag_value=False, help="Do not measure the result.")
@_options.out_option
@_options.json_option
def command(
    runs: tuple[Path, ...],
    how: str,
    weights: str | None,
    density: float | None,
    seed: int,
    questions: Path | None,
    evaluate: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Join the LoRA adapters of runs that stand on the same base model; the result is a run like any other.

    It knows the documents of all its parts, and is measured on what they held out, or on your own questions.
    """
    from engrain import api

    try:
        numbers = tuple(float(part) for part in weights.split(",")) if weights else ()
    except ValueError:
        raise click.BadParameter(f"{weights!r} is no list of numbers", param_hint="--weights") from None
    made = api.merge(
        runs, how=how, weights=numbers, density=density, seed=seed, questions=questions, evaluate=evaluate, out=out, progress=listener()
    )
    _render.result(made, as_json)
