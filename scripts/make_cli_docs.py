"""Write docs/cli.md, the reference of the command line, from the --help of every command."""

from __future__ import annotations

from pathlib import Path

import click

from engrain.cli import commands

TARGET = Path(__file__).parent.parent / "docs" / "cli.md"
HEAD = """# The command line

This page is made from `--help` by `make docs`; do not edit it.

Exit codes: 0, 1 (the work failed), 2 (the call was wrong), 130 (Ctrl-C), 141 (nobody reads the
output, as in `engrain … | head`), 143 (SIGTERM). Results go to standard output,
progress to standard error. `--debug` shows the traceback of a failure.
"""


def text() -> str:
    """The whole page."""
    top = click.Context(commands, info_name="engrain", terminal_width=100, **commands.context_settings)
    parts = [HEAD, _section("engrain", commands.get_help(top))]
    for name in commands.list_commands(top):
        command = commands.get_command(top, name)
        assert command is not None
        shown = command.get_help(click.Context(command, info_name=name, parent=top, terminal_width=100))
        parts.append(_section(f"engrain {name}", shown))
    return "\n".join(parts)


def _section(title: str, shown: str) -> str:
    body = "\n".join(line.rstrip() for line in shown.splitlines())
    return f"## {title}\n\n```text\n{body}\n```\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
