"""Fine-tune on examples of your own."""

from __future__ import annotations

from pathlib import Path

import click

from engrain.cli import _options, _render
from engrain.cli._progress import listener
from engrain.config import Settings


@_options.command("engrain tune examples.jsonl --method lora --rank 16 --epochs 3")
@click.argument("examples", type=_options.FILE, metavar="FILE")
@click.option("--heldout", type=_options.FILE, help="File of examples that are measured and not learned.  [default: one row in twenty]")
@_options.out_option
@_options.resume_option
@_options.json_option
@_options.settings_options("model", "chat", "training", "verdict", "replay")
def command(examples: Path, heldout: Path | None, out: Path | None, resume: bool, as_json: bool, settings: Settings) -> None:
    """Fine-tune on a file of examples of your own.

    FILE holds OpenAI `messages` (with `weight`, `tools` and tool calls), prompt/completion, Alpaca or ShareGPT rows as
    JSONL, or a CSV with question and answer columns.
    """
    from engrain import api

    _render.result(api.tune(examples, heldout=heldout, settings=settings, out=out, resume=resume, progress=listener()), as_json)
