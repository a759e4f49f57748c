"""A teacher on this machine: engrain's own server answers with a model of the user's, for as long as there is something to ask."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx

from engrain.errors import EngrainError
from engrain.models import Base
from engrain.processes import command_beside
from engrain.study.teacher_endpoint import READ_SECONDS, Endpoint

CONTEXT = 8192
"""Tokens of the longest request with its reply: a section of 12,000 characters, and the questions about it."""
MANY = 1_000_000
"""A limit that is never met."""
LAST_LINES = 5


class LocalEndpoint(Endpoint):
    """An Endpoint that runs while it has a client: the model is in memory only then, and nothing leaves this machine."""

    def __init__(self, base: Base, concurrency: int) -> None:
        super().__init__("http://127.0.0.1", key=secrets.token_urlsafe())
        self.base, self.concurrency = base, concurrency
        self.place, self.version = "this machine", base.key

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """A client of a server that is started for it and stopped after. Raises EngrainError with what the server said where it ends."""
        assert self.key is not None
        with tempfile.TemporaryDirectory() as scratch:
            said = Path(scratch) / "said"
            with command_beside(self._command(scratch), said, {"ENGRAIN_API_KEY": self.key}) as process:
                self.url = _address(process, said)
                with self._client(trust_env=False) as client:
                    yield client

    def _command(self, runs: str) -> list[str]:
        limits = {"slots": self.concurrency, "context": CONTEXT, "max-tokens": CONTEXT, "max-seconds": int(READ_SECONDS)}
        options = {"port": 0, "runs": runs, "base": self.base.folder, **limits, "requests-per-minute": MANY, "max-queue": MANY}
        return ["serve", *(text for name, value in options.items() for text in (f"--{name}", str(value)))]


def _address(process: BaseProcess, said: Path) -> str:
    """The URL that the server says it will listen at; requests that come too early are sent again."""
    while process.is_alive():
        if found := next((line for line in _lines(said) if line.startswith("API:")), ""):
            return found.split()[1]
        time.sleep(0.1)
    step = "Start `engrain serve --base MODEL` by hand to see why."
    raise EngrainError("The teacher's server ended before it answered:", step, _lines(said)[-LAST_LINES:])


def _lines(said: Path) -> list[str]:
    """What was said so far, perhaps in the middle of a character, without empty lines."""
    text = said.read_text(encoding="utf-8", errors="replace") if said.is_file() else ""
    return [line for line in text.splitlines() if line.strip()]
