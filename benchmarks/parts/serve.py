"""The server under load: clients that ask at the same time and never pause."""

from __future__ import annotations

import asyncio
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.environments import variables
from benchmarks.measuring import BASE, Options
from benchmarks.results import Results, Row
from benchmarks.serve_load import at, load
from benchmarks.tables import table

TITLE = "The server"
ABOUT = (
    "`engrain serve` with the base model; clients that stream answers of at most 64 tokens and ask again at once "
    "(`benchmarks/serve_load.py`, which can be run on any server). One client is the comparison: one request at a time."
)
CLIENTS = (1, 8, 32)
SECONDS, TOKENS, PATIENCE = 30.0, 64, 60.0


def cells(options: Options) -> dict[str, Callable[[], Row]]:
    """`clients-N`."""
    return {f"clients-{n}": partial(under_load, options, n) for n in CLIENTS}


def under_load(options: Options, clients: int) -> Row:
    """Requests and tokens a second, waiting times in seconds, and how requests ended."""
    with _server(options) as (url, key):
        asyncio.run(load(url, key, [BASE], clients, 5.0, TOKENS))
        started = time.perf_counter()
        seen = asyncio.run(load(url, key, [BASE], clients, SECONDS, TOKENS))
        seconds = time.perf_counter() - started
    times = {"first": seen.first, "whole": seen.whole}
    waits = {f"{name}_{share:.0%}": at(own, share) for name, own in times.items() for share in (0.5, 0.95)}
    return {"requests": len(seen.whole) / seconds, "tokens": seen.tokens / seconds, "statuses": dict(seen.statuses), **waits}


@contextmanager
def _server(options: Options) -> Iterator[tuple[str, str]]:
    """Address and key of a server that runs inside."""
    key = f"bench-{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        command = [sys.executable, "-m", "engrain", "serve", "--port", "0"]
        log = Path(scratch) / "log"
        with log.open("w") as output:
            environment = {**variables(options.threads), "ENGRAIN_API_KEY": key}
            process = subprocess.Popen(command, cwd=scratch, env=environment, stdout=output, stderr=output)
        try:
            yield _address(process, log), key
        finally:
            process.terminate()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the server listens, once it says so. RuntimeError where it never does."""
    end = time.perf_counter() + PATIENCE
    while time.perf_counter() < end and process.poll() is None:
        found = re.search(r"http://[\w.]+:\d+", log.read_text(encoding="utf-8"))
        if found:
            return found[0]
        time.sleep(0.1)
    raise RuntimeError(f"engrain serve did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")


def section(results: Results, images: Path) -> list[str]:
    """A row for each number of clients."""
    found = sorted(results.read("serve").items(), key=lambda pair: int(pair[0].partition("-")[2]))
    rows = [
        [
            name.partition("-")[2], f"{row['requests']:.2f}", f"{row['tokens']:,.0f}", f"{row['first_50%']:.2f} s",
            f"{row['first_95%']:.2f} s", f"{row['whole_50%']:.1f} s",
            ", ".join(f"{status}: {count}" for status, count in row["statuses"].items()),
        ]
        for name, row in found
    ]  # fmt: skip
    head = ["clients", "requests/s", "tokens/s", "first piece, median", "95% under", "whole answer, median", "how requests ended"]
    return table(head, rows) if rows else []
