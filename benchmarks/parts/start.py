"""How long `engrain tune` takes until its first step."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.environments import installed, variables
from benchmarks.measuring import BASE, Options, base_folder, w1_chats
from benchmarks.results import Results, Row
from benchmarks.tables import table
from benchmarks.targets import Target

TITLE = "Start"
ABOUT = (
    "`engrain tune` on W1 as a new process of an environment with what engrain itself requires, model on the disk, in the disk's cache; "
    "from the command to the beginning of its first step (the end of that step less what the step took), the middle one of five starts."
)
TARGET = 5.0
WORDS = {"no-evaluate": "`--no-evaluate`", "evaluate": "with an evaluation afterwards"}
STARTS = 5
LONGEST = 300
PAUSE = 0.01


def cells(options: Options) -> dict[str, Callable[[], Row]]:
    """Without and with the evaluation."""
    return {
        "no-evaluate": lambda: started(options, "--no-evaluate"),
        "evaluate": lambda: started(options),
    }


def started(options: Options, *arguments: str) -> Row:
    """Seconds of each start, in the order in which they were made."""
    base_folder()
    seconds = [_one(options, arguments) for _ in range(1 if options.quick else STARTS)]
    return {"seconds": seconds, "median": statistics.median(seconds)}


def _one(options: Options, arguments: tuple[str, ...]) -> float:
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        rows, log = Path(scratch) / "run" / "metrics.jsonl", Path(scratch) / "log"
        own = ["--base", BASE, "--out", str(rows.parent), "--max-steps", "8", "--batch-size", "16"]
        command = [str(installed()), "-m", "engrain", "tune", str(w1_chats()), *own, *arguments]
        with log.open("w") as output:
            began = time.perf_counter()
            process = subprocess.Popen(command, env=dict(variables(options.threads)), stdout=output, stderr=output)
        try:
            return _first_row(process, rows, log, began)
        finally:
            process.kill()
            process.wait()


def _first_row(process: subprocess.Popen[bytes], rows: Path, log: Path, began: float) -> float:
    """When the first step began, in seconds after `began`. RuntimeError where it never did."""
    while time.perf_counter() - began < LONGEST:
        text = rows.read_text(encoding="utf-8") if rows.is_file() else ""
        if text.endswith("\n"):
            row = json.loads(text.splitlines()[0])
            return time.perf_counter() - began - row["tokens"] / row["tokens_per_second"]
        if process.poll() is not None:
            break
        time.sleep(PAUSE)
    raise RuntimeError(f"engrain tune made no step:\n{log.read_text(encoding='utf-8')[-2000:]}")


def targets(results: Results) -> list[Target]:
    """Seconds until the first step, without and with the evaluation."""
    found = results.read("start")
    measured = [(f"start, {words}", found[cell]["median"]) for cell, words in WORDS.items() if cell in found]
    return [Target(what, TARGET, seconds, lambda seconds: f"{seconds:.1f} s", at_least=False) for what, seconds in measured]


def section(results: Results, images: Path) -> list[str]:
    """Both starts and the target."""
    rows = [target.row() for target in targets(results)]
    return table(["engrain tune", "wanted", "measured", ""], rows) if rows else []
