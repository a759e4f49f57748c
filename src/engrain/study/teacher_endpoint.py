"""An OpenAI-compatible endpoint, asked with patience, and replies of which nothing is certain."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from typing import Any

import httpx

from engrain.errors import EngrainError, SettingError

KEYS = ("ENGRAIN_TEACHER_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the endpoint's key, the first one that is set counts."""
MAX_TRIES, BACKOFF_SECONDS, LONGEST_WAIT_SECONDS = 6, 2.0, 300.0
"""Tries of a request whose fault may pass; the pause after the first, which doubles; the longest that a server may ask for."""
CONNECT_SECONDS, READ_SECONDS = 20.0, 600.0
"""A model on a small machine takes minutes for a reply."""
OPTIONS: dict[str, Any] = {"temperature": 0.8, "response_format": {"type": "json_object"}}
"""Settings of a request that it can do without where a server refuses them."""
NEXT_STEPS = {
    401: f"Set {KEYS[0]} to a key that is valid there.",
    403: f"Set {KEYS[0]} to a key that may use this model.",
    404: "Check the URL, which often ends in /v1, and the name of the model after the #.",
}
"""What mends a fault of the URL, the model or the key."""


class Endpoint:
    """An OpenAI-compatible server, asked with patience: a fault that may pass is waited out, any other is one clear error.

    `place` is where it is, in words; `version` tells its model from others of the same name, where that is known.
    """

    def __init__(self, url: str, key: str | None) -> None:
        if key is not None and not (key.isascii() and key.isprintable()):
            raise SettingError("The teacher's key holds characters that no key has.", f"Set {KEYS[0]} to the key alone.")
        self.url, self.key = checked_url(url), key
        self.place, self.version = self.url, ""
        self.refused: set[str] = set()
        self.stopped = Event()

    def client(self) -> AbstractContextManager[httpx.Client]:
        """A client of the endpoint, for any number of threads."""
        return self._client()

    def _client(self, trust_env: bool = True) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=trust_env)

    def only_model(self) -> str:
        """The one model that the endpoint has. Raises SettingError that lists them when there are others."""
        with self.client() as client:
            rows = mappings(self._checked(self._send(client, "models")).get("data"))
        names = [str(row["id"]) for row in rows if row.get("id")]
        if len(names) == 1:
            return names[0]
        raise SettingError(f"{self.url} has {len(names)} models to choose from:", f"Name one after a #: {self.url}#MODEL", names)

    def complete(self, client: httpx.Client, body: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to a chat request. An option that the endpoint refuses is left out, also from then on."""
        sent = {name: value for name, value in body.items() if name not in self.refused}
        response = self._send(client, "chat/completions", sent)
        refused = refused_options(response, sent)
        if refused:
            self.refused.update(refused)
            return self.complete(client, body)
        return self._checked(response)

    def _send(self, client: httpx.Client, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """The server's response, once it is none whose fault may pass. Raises EngrainError when the fault does not pass."""
        for attempt in range(MAX_TRIES):
            wait = 0.0
            try:
                response = client.request("GET" if body is None else "POST", path, json=body)
            except httpx.RequestError as error:
                fault = f"{type(error).__name__} {error}"
            else:
                if not may_pass(response):
                    return response
                fault, wait = self._told(response), retry_after(response)
            if wait > LONGEST_WAIT_SECONDS:
                raise self._failed(f"asks to wait {wait:,.0f} seconds", fault)
            if attempt + 1 < MAX_TRIES and self.stopped.wait(wait + random.uniform(0.5, 1) * BACKOFF_SECONDS * 2**attempt):
                raise CancelledError
        raise self._failed(f"failed {MAX_TRIES} times", fault)

    def _checked(self, response: httpx.Response) -> dict[str, Any]:
        """What a response holds. Raises SettingError for faults of URL, model or key, EngrainError for others."""
        if response.is_success:
            return mapping(json_object(response.text))
        kind = SettingError if response.status_code in NEXT_STEPS else EngrainError
        step = NEXT_STEPS.get(response.status_code, "Check the URL and the model. Replies that came before are kept.")
        raise kind(f"The teacher at {self.place} refused the request: {self._told(response)}", step)

    def _told(self, response: httpx.Response) -> str:
        """Status and first words of a response, without the key where a server repeats it."""
        said = " ".join((response.text or response.headers.get("location", "")).split())[:300]
        return f"status {response.status_code} {said.replace(self.key, '***') if self.key else said}".strip()

    def _failed(self, how: str, fault: str) -> EngrainError:
        step = "Check that the URL is right and the server runs, or start again later: replies that came before are kept."
        return EngrainError(f"The teacher at {self.place} {how}: {fault}", step)


def checked_url(url: str) -> str:
    """The base URL of an endpoint without its last slash. Raises SettingError where it is no URL of the web."""
    with suppress(httpx.InvalidURL):
        parsed = httpx.URL(url.strip())
        if parsed.scheme in ("http", "https") and parsed.host:
            return url.strip().rstrip("/").removesuffix("/chat/completions")
    raise SettingError(f"The teacher's URL {url!r} is none of the web.", "Give one like https://api.example/v1#model")


def may_pass(response: httpx.Response) -> bool:
    """Whether asking again may help: too many requests, a fault of the server, or a success that is none."""
    if response.is_success:
        found = json_object(response.text)
        return found is None or bool(found.get("error"))
    return response.status_code in (408, 425, 429) or response.status_code >= 500


def retry_after(response: httpx.Response) -> float:
    """Seconds that a response asks to wait, by number or date; 0 where it does not."""
    asked = response.headers.get("retry-after", "")
    if asked.replace(".", "", 1).isdecimal():
        return float(asked)
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds())
    return 0.0


def refused_options(response: httpx.Response, sent: Mapping[str, Any]) -> set[str]:
    """The options to leave out of a request that was refused: those that the response names, else the response format."""
    if response.status_code not in (400, 422):
        return set()
    options = OPTIONS.keys() & sent.keys()
    return {name for name in options if name in response.text} or options & {"response_format"}


# Replies: JSON of which nothing is certain


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object from a text's first brace to its last, whatever stands around it; None where there is none."""
    with suppress(ValueError, RecursionError):
        found = json.loads(text[text.find("{") : text.rfind("}") + 1])
        return found if isinstance(found, dict) else None
    return None


def content(answered: Mapping[str, Any]) -> str:
    """The text of a chat completion, without the thoughts that some servers put before it; "" where there is none."""
    text = mapping(next(iter(mappings(answered.get("choices"))), {}).get("message")).get("content")
    return text.rpartition("</think>")[2] if isinstance(text, str) else ""


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[dict[str, Any]]:
    """The objects in a list."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def strings(value: Any) -> list[str]:
    """The texts in a list, each once and in one line."""
    return list(dict.fromkeys(filter(None, map(one_line, value)))) if isinstance(value, list) else []


def one_line(value: Any) -> str:
    """A text in one line, without halves of characters, which no file can hold; "" for what is no text."""
    return " ".join(value.encode("utf-8", "ignore").decode().split()) if isinstance(value, str) else ""
