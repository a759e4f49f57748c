"""The servers under load: clients that ask at the same time and never pause."""

from __future__ import annotations

import importlib
import json
import os
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import psutil

from benchmarks import servers
from benchmarks.environments import LOCUST, ROOT, Unavailable, engrain_first, made, variables
from benchmarks.measuring import Options
from benchmarks.results import Results, Row
from benchmarks.tables import missing, table

TITLE = "The server"
ABOUT = (
    "Servers with the base model, on the processors that the clients run on too. Clients stream answers of at most 64 tokens and ask "
    "again at once (`benchmarks/locustfile.py`, which runs against any server). One client is the comparison: one request at a time. "
    "Memory is that of the server's process after the warm-up, at the end, and at most."
)
CLIENTS = {1: 60, 8: 60, 32: 300}
"""How many clients, and for how many seconds."""
WAITS = {"first": "first piece", "whole": "answer"}
"""What is waited for, and what locust calls it."""
WARM_UP, PATIENCE, MB = 10, 120.0, 1 << 20


def cells(options: Options) -> dict[str, Callable[[], Row]]:
    """`SERVER-CLIENTS`."""
    return {f"{name}-{clients}": partial(under_load, options, name, clients) for name in engrain_first(servers) for clients in CLIENTS}


def under_load(options: Options, name: str, clients: int) -> Row:
    """Requests and tokens a second, waiting times in seconds, failures, and the server's memory in bytes; why, where it cannot be had."""
    os.environ["ENGRAIN_API_KEY"] = f"bench-{secrets.token_hex(8)}"
    try:
        with _server(options, name, clients) as (url, process):
            _load(url, clients, WARM_UP)
            with _memory(process) as memory:
                stats = _load(url, clients, CLIENTS[clients])
    except Unavailable as error:
        return {"unavailable": str(error)}
    return {**summary(stats, CLIENTS[clients]), "memory": [memory[0], memory[-1], max(memory)]}


def summary(stats: list[dict[str, Any]], seconds: float) -> Row:
    """What locust's statistics of so many seconds say of the answers and of their first pieces; what was not finished does not count."""
    rows = {row["name"]: row for row in stats}
    answers = rows["answer"]
    waits = {f"{name}_{share:.0%}": _at(rows.get(row), share) for name, row in WAITS.items() for share in (0.5, 0.95)}
    counts = {
        "requests": (answers["num_requests"] - answers["num_failures"]) / seconds,
        "tokens": answers["total_content_length"] / seconds,
    }
    return {"seconds": seconds, "answered": answers["num_requests"], "failed": answers["num_failures"], **counts, **waits}


def _at(row: dict[str, Any] | None, share: float) -> float:
    """The time in seconds that this share of all stayed under."""
    counted = sorted((float(time), count) for time, count in (row or {"response_times": {}})["response_times"].items())
    wanted, seen = share * sum(count for _, count in counted), 0
    for milliseconds, count in counted:
        seen += count
        if seen >= wanted:
            return milliseconds / 1000
    return float("nan")


def _load(url: str, clients: int, seconds: int) -> list[dict[str, Any]]:
    """Put the load on; locust's statistics."""
    crowd = ["--users", str(clients), "--spawn-rate", str(clients), "--run-time", f"{seconds}s"]
    command = [str(made("locust", LOCUST)), "-m", "locust", "-f", "benchmarks/locustfile.py", "--headless", "--host", url, *crowd]
    done = subprocess.run(
        [*command, "--json", "--skip-log", "--exit-code-on-error", "0"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@contextmanager
def _server(options: Options, name: str, clients: int) -> Iterator[tuple[str, psutil.Process]]:
    """Address and process of a server that runs inside. RuntimeError where it never answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = importlib.import_module(f"benchmarks.servers.{name}").command(port, clients, options)
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        log = Path(scratch) / "log"
        with log.open("w") as output:
            process = subprocess.Popen(command, cwd=scratch, env=variables(options.threads), stdout=output, stderr=output)
        try:
            _wait(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server names its models."""
    end, headers = time.perf_counter() + PATIENCE, {"Authorization": f"Bearer {os.environ['ENGRAIN_API_KEY']}"}
    while time.perf_counter() < end and process.poll() is None:
        try:
            if httpx.get(f"{url}/v1/models", headers=headers).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"the server did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")


@contextmanager
def _memory(process: psutil.Process) -> Iterator[list[int]]:
    """The resident memory of a process in bytes, once a second while inside."""
    seen, over = [process.memory_info().rss], Event()

    def watch() -> None:
        while not over.wait(1.0):
            seen.append(process.memory_info().rss)

    thread = Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def section(results: Results, images: Path) -> list[str]:
    """A row for each number of clients and each server."""
    measured = results.read("serve")
    rows = [
        _row(importlib.import_module(f"benchmarks.servers.{name}").TITLE, clients, measured[f"{name}-{clients}"])
        for clients in CLIENTS
        for name in engrain_first(servers)
        if "requests" in measured.get(f"{name}-{clients}", {})
    ]
    head = [
        "clients", "server", "requests/s", "tokens/s", "first piece, median", "95% under", "whole answer, median", "answered", "failed",
        "memory, MB: begin", "end", "most",
    ]  # fmt: skip
    lacking = missing(measured)
    return [*(table(head, rows) if rows else []), *([""] if rows and lacking else []), *lacking]


def _row(title: str, clients: int, row: Row) -> list[str]:
    return [
        str(clients), title, f"{row['requests']:.2f}", f"{row['tokens']:,.0f}", f"{row['first_50%']:.2f} s", f"{row['first_95%']:.2f} s",
        f"{row['whole_50%']:.1f} s", f"{row['answered']:,} in {row['seconds']:.0f} s", str(row["failed"]),
        *[f"{size / MB:,.0f}" for size in row["memory"]],
    ]  # fmt: skip
