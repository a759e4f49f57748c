"""Many requests to a teacher: several at a time, each reply kept on the disk, tokens and cost told before, meanwhile and after."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import httpx

from engrain.files import write_text
from engrain.progress import Progress
from engrain.study.teacher_endpoint import OPTIONS, Endpoint, content, json_object, mapping
from engrain.study.teacher_prompts import SYSTEM, tokens

MAX_ASKED = 3
"""Times that a request is sent until its reply is JSON."""


@dataclass(frozen=True)
class Price:
    """What a million tokens cost, sent and received, in whatever currency."""

    sent: float
    received: float

    def of(self, sent: int, received: int) -> float:
        """What so many tokens cost."""
        return (sent * self.sent + received * self.received) / 1e6

    def told(self, sent: int, received: int) -> str:
        """What so many tokens cost, in words."""
        return f"{self.of(sent, received):,.2f} at {self.sent:g} and {self.received:g} for a million"


class Asking:
    """Asks an endpoint's model; `used` counts the tokens of the last requests, `failed` lists prompts whose replies were no JSON."""

    def __init__(self, endpoint: Endpoint, model: str, cache: Path, progress: Progress, concurrency: int, price: Price | None) -> None:
        self.endpoint, self.model, self.cache = endpoint, model, cache
        self.progress, self.concurrency, self.price = progress, concurrency, price
        self.failed: list[str] = []
        self.used: Counter[str] = Counter()
        self._counting = Lock()

    def ask(self, prompts: Iterable[str], title: str) -> dict[str, dict[str, Any]]:
        """Prompt → reply, from the cache or the endpoint; a prompt whose replies were no JSON is left out."""
        wanted = dict.fromkeys(prompts)
        known = {prompt: reply for prompt in wanted if (reply := self._cached(prompt)) is not None}
        todo = [prompt for prompt in wanted if prompt not in known]
        size = tokens(todo)
        cost = f", which cost about {self.price.told(size, 0)}" if self.price and todo else ""
        self.progress.note(
            f"Teacher {self.model} at {self.endpoint.place}: {len(todo):,} requests with about {size:,} tokens to send{cost}; "
            f"{len(known):,} were answered before."
        )
        return known | self._fetch(todo, title) if todo else known

    def _fetch(self, prompts: Sequence[str], title: str) -> dict[str, dict[str, Any]]:
        """Prompt → reply. When it is stopped, replies that are under way still arrive and are kept: they are paid for."""
        self.used.clear()
        self.endpoint.stopped.clear()
        try:
            return self._fetched(prompts, title)
        finally:
            self._note_used()

    def _fetched(self, prompts: Sequence[str], title: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        with (
            self.endpoint.client() as client,
            ThreadPoolExecutor(self.concurrency) as pool,
            self.progress.stage(title, len(prompts), "requests") as stage,
        ):
            futures = {pool.submit(self._reply, client, prompt): prompt for prompt in prompts}
            try:
                for future in as_completed(futures):
                    reply = future.result()
                    if reply is None:
                        self.failed.append(futures[future])
                    else:
                        found[futures[future]] = mapping(reply)
                    stage.advance(**self._figures())
            except BaseException:
                self.endpoint.stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return found

    def _figures(self) -> dict[str, float]:
        """Tokens and cost so far."""
        sent, received = self.used["prompt_tokens"], self.used["completion_tokens"]
        return {"tokens": sent + received} | ({"cost": self.price.of(sent, received)} if self.price else {})

    def _reply(self, client: httpx.Client, prompt: str) -> dict[str, Any] | None:
        """The reply to a prompt, put into the cache, its tokens counted; None where no reply was JSON."""
        body, used = self._body(prompt), Counter[str]()
        for _ in range(MAX_ASKED):
            answered = self.endpoint.complete(client, body)
            took = {name: n for name, n in mapping(answered.get("usage")).items() if isinstance(n, int)}
            used.update(took)
            with self._counting:
                self.used.update(took)
            reply = json_object(content(answered))
            if reply is not None:
                write_text(self._file(prompt), json.dumps({"request": body, "reply": reply, "usage": used}))
                return reply
        return None

    def _body(self, prompt: str) -> dict[str, Any]:
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}]
        return {"model": self.model, "messages": messages, **OPTIONS}

    def _file(self, prompt: str) -> Path:
        return self.cache / f"{hashlib.sha256((json.dumps(self._body(prompt)) + self.endpoint.version).encode()).hexdigest()}.json"

    def _cached(self, prompt: str) -> dict[str, Any] | None:
        with suppress(OSError, UnicodeDecodeError):
            reply = mapping(json_object(self._file(prompt).read_text(encoding="utf-8"))).get("reply")
            return reply if isinstance(reply, dict) else None
        return None

    def _note_used(self) -> None:
        sent, received = self.used["prompt_tokens"], self.used["completion_tokens"]
        cost = f", which cost {self.price.told(sent, received)}" if self.price else ""
        self.progress.note(f"The teacher counted {sent:,} tokens sent and {received:,} received{cost}.")
