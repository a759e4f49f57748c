"""Measuring in processes of their own: one trainer, two that take turns, or one function, each with its peak memory."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.environments import ROOT, cache, python_of, variables
from benchmarks.results import Row
from benchmarks.trainers.base import Job
from benchmarks.turns import Worker, alternate, peak_bytes
from benchmarks.workload import chats, token_rows, write_rows

BASE = "smollm2-135m"
WARM = 2
"""Steps of a run whose time does not count."""
UNDISTURBED = 0.93
"""A step that had the processors for less of its time, beside the best step of the run, was disturbed and does not count."""


@dataclass(frozen=True)
class Options:
    """How to measure: on so many threads, on this device, whether in a few minutes, and what is waited for before each step."""

    threads: int
    device: str = "cpu"
    quick: bool = False
    before: str = ""


def base_folder() -> str:
    """The folder of the base model, fetched the first time."""
    from engrain.models import locate

    return str(locate(BASE).folder)


def w1_chats() -> Path:
    """W1 as conversations."""
    return write_rows(cache() / "workloads" / "w1-chats.jsonl", chats())


def w1() -> Path:
    """W1 as tokens of the base model."""
    return write_rows(cache() / "workloads" / "w1-tokens.jsonl", token_rows(BASE, chats()))


def job(method: str, precision: str, steps: int, **more: Any) -> Job:
    """Training on W1 unless `more` says otherwise."""
    given = {"model": base_folder(), "tokens": str(w1()), "scratch": "", **more}
    return Job(method=method, precision=precision, steps=steps, **given)


def run(jobs: Sequence[tuple[str, Job]], options: Options) -> list[list[Row]]:
    """The rows of each (trainer, job), which take turns; each has the steps of its job."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        workers = []
        for number, (name, asked) in enumerate(jobs):
            own = Path(scratch) / str(number)
            own.mkdir()
            command = [str(python_of(name)), "-m", "benchmarks.trainers", name, replace(asked, scratch=str(own), waits=True).to_json()]
            log = cache() / "logs" / f"{name}-{asked.method}-{asked.precision}.log"
            workers.append(Worker(name, command, log, variables(options.threads)))
        turns = max(asked.steps + (asked.passes > 1) for _, asked in jobs)
        return alternate(workers, turns, options.before)


def timed(rows: Sequence[Row], warm: int = WARM) -> list[Row]:
    """The steps after the first `warm` that others did not disturb: they had the processors for nearly as much of their time
    as the step that had them most.
    """
    steps = [row for row in rows if "loss" in row][warm:]
    most = max(row["computed"] / row["seconds"] for row in steps)
    return [row for row in steps if row["computed"] / row["seconds"] >= UNDISTURBED * most]


def rate(rows: Sequence[Row], warm: int = WARM) -> float:
    """Tokens a second over the steps that count (`timed`)."""
    counted = timed(rows, warm)
    return sum(row["tokens"] for row in counted) / sum(row["seconds"] for row in counted)


def quietness(rows: Sequence[Row], options: Options, warm: int = WARM) -> Row:
    """How many steps count, and the part of the processors' time that they had."""
    counted = timed(rows, warm)
    had = sum(row["computed"] for row in counted) / (options.threads * sum(row["seconds"] for row in counted))
    return {"counted": len(counted), "processors": round(had, 3)}


def curve(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Loss, tokens and seconds of each step."""
    steps = [row for row in rows if "loss" in row]
    return {key: [round(row[key], 5) for row in steps] for key in ("loss", "tokens", "seconds")}


def apart(function: str, threads: int, **arguments: Any) -> Row:
    """What a function (`module:name`) returns in a process of its own, with the `peak_bytes` of that process."""
    command = [sys.executable, "-m", "benchmarks.measuring", function, json.dumps(arguments)]
    done = subprocess.run(command, cwd=ROOT, env=dict(variables(threads)), stdout=subprocess.PIPE, text=True, check=True)
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def main(function: str, arguments: str) -> None:
    """The other side of `apart`."""
    module, _, name = function.partition(":")
    found: Row = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    print(json.dumps({**found, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
