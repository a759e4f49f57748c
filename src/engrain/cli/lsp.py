"""Complete code in an editor: a language server on standard input and output."""

from __future__ import annotations

import os
from pathlib import Path

import click

from engrain.cli import _options
from engrain.cli._progress import listener


@_options.command("engrain lsp --run runs/tcl")
@_options.run_option
@click.option("--server", metavar="URL", help="Ask a running `engrain serve` in place of loading a run; its key is ENGRAIN_API_KEY.")
@click.option("--model", metavar="NAME", help="The run that the server is asked for.")
@click.option("--max-tokens", type=click.IntRange(min=1), default=48, show_default=True, help="Tokens to write at most.")
def command(run: Path | None, server: str | None, model: str | None, max_tokens: int) -> None:
    """Complete code in an editor that speaks the Language Server Protocol; the editor starts this command.

    The run is one of `engrain build --task code`. docs/code.md shows how to set up Neovim, Helix and VS Code.
    """
    from engrain import api
    from engrain.coding.completion import load_completer
    from engrain.coding.language_server import from_run, from_server, language_server

    if (server is None) != (model is None) or (server is not None and run is not None):
        raise click.UsageError("give --server and --model together, or a run")
    if server is not None and model is not None:
        writer = from_server(server, os.environ.get("ENGRAIN_API_KEY", ""), model, max_tokens)
    else:
        writer = from_run(load_completer(api.run_for("code", run), progress=listener()), max_tokens)
    language_server(writer).start_io()
