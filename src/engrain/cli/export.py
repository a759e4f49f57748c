"""Take a run's model away, in the form that another program reads."""

from __future__ import annotations

from pathlib import Path

import click

from engrain import registry
from engrain.cli import _export, _options
from engrain.cli._progress import listener

TARGETS = registry.names("export")


@_options.command("engrain export runs/handbook --to gguf --type q8_0 --out handbook-gguf")
@click.argument("run", type=_options.FOLDER, required=False)
@click.option("--to", type=click.Choice(TARGETS), help="Where it goes; without it, the forms that fit the run are listed.")
@click.option("--type", "type_", metavar="FORMAT", help="Number format: f32, f16, bf16, and for gguf and ollama q8_0.")
@click.option("--out", type=_options.FOLDER, help="New folder for the files.  [default: exports/RUN-TARGET]")
@click.option("--check/--no-check", default=True, help="Read back what was written and compare it with the run's model.  [default: check]")
@_options.json_option
def command(run: Path | None, to: str | None, type_: str | None, out: Path | None, check: bool, as_json: bool) -> None:
    """Take the model of RUN (default: the newest) away, in the form that another program reads.

    Leaves a folder with the model, tokenizer and chat template, the command that uses it there, and what is to be
    known: an exported model answers from memory, without the gate that leaves everyday questions to the base.
    """
    from engrain import api

    if to is None:
        if type_ or out:
            raise click.UsageError("--type and --out go with --to")
        found = api.exports(run)
        _options.print_json(found) if as_json else _export.offers(found)
        return
    done = api.export(run, to, out=out, type=type_ or "", check=check, progress=listener())
    _options.print_json(done) if as_json else _export.exported(done)
