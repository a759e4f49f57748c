"""Work in a process of its own: its memory is given back when it ends, and what stops this process stops it in order."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

from engrain.errors import EngrainError

STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
"""Exit codes of work that a signal ended in order."""
STOP_SECONDS = 15.0
"""How long a command that is stopped may take to end in order."""


def give_back() -> None:
    """Have the C library give freed memory back to the system, where it can (glibc).

    It keeps what lies between things still in use, and the rows of every step are of other sizes: a training would hold ever more.
    """
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        return getattr(ctypes.CDLL(None), "malloc_trim", None)
    except (OSError, TypeError):  # Windows has no program whose own functions could be looked up
        return None


def in_own_process(work: Callable[..., None], *arguments: Any) -> int:
    """The exit code of `work`, a module's function, in a new process; negative where a signal killed it.

    Ctrl-C and whatever else interrupts this process reach the new one as SIGTERM; once it has ended, KeyboardInterrupt
    goes on. A second interruption ends it at once.
    """
    process = multiprocessing.get_context("spawn").Process(target=_carried_out, args=(work, arguments), daemon=True)
    process.start()
    try:
        process.join()
    except KeyboardInterrupt:
        process.terminate()
        try:
            process.join()
        finally:
            process.kill()
        raise
    assert process.exitcode is not None, "a joined process has ended"
    return process.exitcode


@contextmanager
def command_beside(argv: Sequence[str], output: Path, environment: Mapping[str, str]) -> Iterator[BaseProcess]:
    """A command of engrain under way in a process of its own, with more in its `environment`; what it prints goes to the file `output`.

    It is stopped on leaving, and stops by itself where this process is gone.
    """
    work = (_command, (list(argv), str(output), dict(environment)))
    process = multiprocessing.get_context("spawn").Process(target=_carried_out, args=work, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join(STOP_SECONDS)
        process.kill()
        process.join()


def _command(argv: list[str], output: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    with Path(output).open("w", encoding="utf-8") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    sys.argv = ["engrain", *argv]
    runpy.run_module("engrain", run_name="__main__")


def _carried_out(work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Do the work. The main function of the new process."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        os.setsid()  # what a terminal or `timeout` sends to a whole group comes once, from the process that started this
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work(*arguments)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGTERM)
    except EngrainError as error:
        sys.exit(error.exit_code)


def _interrupt(number: int, _: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # what is under way is put in order, which a second one must not disturb
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """Stop this process once the one that started it has gone: nobody would wait for its work."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "this runs in a process that another one started"
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
