"""Complete code at a place in a file."""

from __future__ import annotations

import re
from pathlib import Path

import click

from engrain.cli import _options
from engrain.cli._progress import listener
from engrain.errors import ExampleError


@_options.command("engrain complete --run runs/tcl lib/http.tcl --at 120:9")
@click.argument("file", type=_options.FILE, metavar="FILE")
@click.option("--at", "place", metavar="LINE[:COLUMN]", help="Where to write, both from 1.  [default: the end of the file]")
@click.option("--path", help="The file's path in the code base.  [default: FILE as it is given]")
@click.option("--max-tokens", type=click.IntRange(min=1), default=64, show_default=True, help="Tokens to write at most.")
@click.option("--line", "one_line", is_flag=True, help="Write no further than to the end of the line.")
@click.option("--base-only", is_flag=True, help="Let the untouched base model write.")
@_options.run_option
@_options.json_option
def command(
    file: Path, place: str | None, path: str | None, max_tokens: int, one_line: bool, base_only: bool, run: Path | None, as_json: bool
) -> None:
    """Write what belongs at a place in a file, from what stands before and after it.

    The run is one of `engrain build --task code`. Editors ask the server for the same: POST /v1/completions with
    prompt and suffix.
    """
    before, after = split(text_of(file), place)
    from engrain import api

    found = api.complete(
        run,
        before,
        after,
        path=path or file.as_posix(),
        max_new_tokens=max_tokens,
        stop=("\n",) if one_line else (),
        base_only=base_only,
        progress=listener(),
    )
    _options.print_json(found) if as_json else click.echo(found.text)


def text_of(file: Path) -> str:
    """The file's text. Raises ExampleError where it is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ExampleError(f"{file}: not valid UTF-8 text", "Save it as UTF-8.") from error


def split(text: str, place: str | None) -> tuple[str, str]:
    """What stands before and after a place. Raises UsageError for a place that the text does not have."""
    if place is None:
        return text, ""
    found = re.fullmatch(r"(\d+)(?::(\d+))?", place)
    lines = text.split("\n")
    line, column = (int(found[1]), int(found[2] or 1)) if found else (0, 0)
    if not 1 <= line <= len(lines) or not 1 <= column <= len(lines[line - 1]) + 1:
        raise click.UsageError(f"--at {place}: there is no such place; the file has {len(lines)} lines, and places are LINE or LINE:COLUMN")
    start = sum(len(each) + 1 for each in lines[: line - 1]) + column - 1
    return text[:start], text[start:]
