"""The command line: parse, call `api`, show what came back.

A command is a file in this folder, named as it is typed, with a click command called `command`; like every family
it is found by `registry` and imported only when it is used. Files that begin with `_` hold what commands share.
"""

from __future__ import annotations

import difflib
import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from engrain import registry
from engrain.cli._imports import imported
from engrain.errors import EngrainError

INTRODUCTION = """Turn documents into a fine-tuned language model that people can query, and prove what it learned.

\b
Start with:
  engrain build ./docs              read the documents, fine-tune, measure
  engrain ask "When do you open?"   one answer, with its source
  engrain chat                      a conversation
"""


UNREAD = 128 + 13
"""The exit code of a program that SIGPIPE (13) ends, which Windows does not have."""


class Commands(click.Group):
    """The commands found in this folder, none imported before it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return list(registry.names("cli"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now; None where there is none."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = imported(f"engrain.cli.{cmd_name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called; UsageError with the nearest name where there is none."""
        close = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
        if close and args[0] != close[0]:
            ctx.fail(f"No such command {args[0]!r}; did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """The context of a call; asked for help, it is shown here."""
        with _unread_ends_quietly():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """What the command returns, once all of its output has gone out."""
        with _unread_ends_quietly():
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the first lines of their files."""
        rows = [(name, registry.summary("cli", name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=Commands, help=INTRODUCTION, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="engrain", message="engrain %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the full traceback when something fails.")
def commands() -> None:
    """Everything that can be typed after `engrain`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, 1 (the work failed), 2 (the call was wrong), 130 (Ctrl-C), 141 (nobody reads the output) or 143 (SIGTERM)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with _sigterm_interrupts() as received:
        try:
            result = commands.main(given, prog_name="engrain", standalone_mode=False)
            return result if isinstance(result, int) else 0
        except click.ClickException as error:
            error.show()
            return error.exit_code
        except (KeyboardInterrupt, click.Abort):
            _say("Stopped.")
            return 128 + (received or [signal.SIGINT])[-1]
        except Exception as error:
            if "--debug" in given:
                raise
            return _failed(error)


@contextmanager
def _unread_ends_quietly() -> Iterator[None]:
    """End without a word where nobody reads the output any more (`engrain … | head`), with the exit code that SIGPIPE gives.

    What is still to be written goes nowhere, for Python writes it at its end and would complain.
    """
    try:
        yield
    except BrokenPipeError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BrokenPipeError:
                os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        raise click.exceptions.Exit(UNREAD) from error


@contextmanager
def _sigterm_interrupts() -> Iterator[list[int]]:
    """Let SIGTERM interrupt the work as Ctrl-C does; the list gets its number once it has come."""
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)


def _failed(error: Exception) -> int:
    """Say what went wrong and what to do, and return the exit code."""
    if isinstance(error, EngrainError):
        _say(str(error))
        return error.exit_code
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        _say(f"The disk is full ({error.filename or 'while writing'}).\nFree some space and start the same command again.")
    elif isinstance(error, MemoryError):
        _say("There is not enough memory for this.\nLower --batch-size or --max-length, or close other programs.")
    elif isinstance(error, OSError):
        _say(f"{error}\nCheck that the path exists and may be used.")
    else:
        _say(f"a fault of engrain's own: {type(error).__name__}: {error}\nRun the command again with --debug and report what it shows.")
    return 1


def _say(message: Any) -> None:
    print(f"engrain: {message}", file=sys.stderr)
