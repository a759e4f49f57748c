"""Processes that train step by step and take turns, so that what slows the machine for a while slows all of them.

A child (`Turns`) waits for leave before each step, measures it and tells it as a line of JSON; the parent (`Worker`)
gives leave. The child's side needs the standard library only: it runs in the environments of the peers. Beside its time
on the clock (`seconds`) a row has that on the processors (`computed`): where others had the processors, it falls short.
"""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def peak_bytes() -> int:
    """The most memory that this process has held so far (resident)."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def card_bytes() -> Row:
    """The most memory that torch has held on a CUDA device, where this process uses one."""
    torch: Any = sys.modules.get("torch")
    return {"card_bytes": torch.cuda.max_memory_allocated()} if torch and torch.cuda.is_initialized() else {}


def wait_for_card() -> None:
    """Wait until a CUDA device has done what it was given, where torch uses one."""
    torch: Any = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        torch.cuda.synchronize()


class Turns:
    """The child's side. What the training library prints goes to standard error; standard output is for rows alone."""

    def __init__(self, waits: bool) -> None:
        self.waits = waits
        self._rows = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        self._started = self._seconds = self._computed = 0.0

    def start(self) -> None:
        """Wait for leave, then start the clock."""
        if self.waits and not sys.stdin.readline():
            sys.exit(0)
        wait_for_card()
        self._started, self._computed = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """Stop the clock once all that was begun is done."""
        wait_for_card()
        self._seconds, self._computed = time.perf_counter() - self._started, time.process_time() - self._computed

    def tell(self, **values: Any) -> None:
        """Tell what was measured between `start` and `stop`."""
        measured = {"seconds": round(self._seconds, 4), "computed": round(self._computed, 4), "peak_bytes": peak_bytes(), **card_bytes()}
        self._rows.write(json.dumps({**measured, **values}) + "\n")


class Worker:
    """The parent's side of one child. What else it prints goes to the file `log`."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name, self.log = name, log
        log.parent.mkdir(parents=True, exist_ok=True)
        at_once = {**environment, "PYTHONUNBUFFERED": "1"}  # a child that is let go loses what it has not written yet
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=at_once, bufsize=1
            )

    def turn(self) -> Row | None:
        """Give leave for one step and wait for its row; None once the child has ended. RuntimeError when it failed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if line:
            row: Row = json.loads(line)
            return row
        if self.process.wait() != 0:
            end = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
            raise RuntimeError(f"{self.name} ended with exit code {self.process.returncode}; the end of {self.log}:\n" + "\n".join(end))
        return None

    def end(self) -> None:
        """Let the child go."""
        self.process.kill()
        self.process.communicate()


def alternate(workers: Sequence[Worker], steps: int, before: str = "") -> list[list[Row]]:
    """The rows of each worker, which made `steps` steps one after the other in turn (fewer where it ended).

    `before` is a command that is waited for before each step.
    """
    rows: list[list[Row]] = [[] for _ in workers]
    try:
        for _ in range(steps):
            for worker, own in zip(workers, rows, strict=True):
                if before:
                    subprocess.run(shlex.split(before), check=True)
                row = worker.turn()
                if row is not None:
                    own.append(row)
    finally:
        for worker in workers:
            worker.end()
    return rows
