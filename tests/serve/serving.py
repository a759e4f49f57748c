"""A server for tests: the real app behind uvicorn on a free port, in a thread."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from engrain.serve.app import create_app, make_parts
from engrain.serve.parts import Parts
from engrain.serve.settings import ServeSettings

KEY = "a-key-for-tests"


@dataclass(frozen=True)
class Running:
    """A server under test, reached at `url`."""

    url: str
    parts: Parts

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {KEY}", **headers}, trust_env=False, timeout=60)

    @contextmanager
    def openai(self) -> Iterator[Any]:
        from openai import OpenAI

        with OpenAI(base_url=f"{self.url}/v1", api_key=KEY, max_retries=0, http_client=httpx.Client(trust_env=False, timeout=60)) as client:
            yield client


def settings(runs: Path, base: Path | str, **values: Any) -> ServeSettings:
    return ServeSettings(**{"runs": runs, "base": str(base), "precision": "float32", "device": "cpu", "context": 512, **values})


@contextmanager
def running(runs: Path, base: Path | str, **values: Any) -> Iterator[Running]:
    parts = make_parts(settings(runs, base, **values), key=KEY)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(parts), log_config=None, access_log=False, timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    until(lambda: server.started or not thread.is_alive())
    try:
        yield Running(f"http://127.0.0.1:{listening.getsockname()[1]}", parts)
    finally:
        server.should_exit = True
        thread.join()


def until(holds: Any, seconds: float = 60.0) -> None:
    """Wait until something holds; fail when it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
