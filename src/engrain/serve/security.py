"""Who may call the server: keys, host names and origins, sizes and rates. Everything is refused unless it is allowed here."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engrain.serve.database import Database
from engrain.serve.failures import ApiError, response
from engrain.serve.settings import ServeSettings

TABLE = "CREATE TABLE IF NOT EXISTS keys (hash TEXT PRIMARY KEY, name TEXT NOT NULL, created INTEGER NOT NULL)"
UPLOADS = ("/v1/files", "/engrain/documents", "/engrain/classify", "/engrain/collections")
"""Where files are sent to, which are larger than other requests."""
WINDOW_SECONDS = 60.0


class Keys:
    """The keys that open the server, kept as sha256 (they are random, so that nothing slower is needed)."""

    def __init__(self, database: Database, given: str | None = None) -> None:
        self.database = database
        database.script(TABLE)
        self._given = _sha256(given) if given else None

    def first(self) -> str | None:
        """A new key where there is none yet and none was given; the only time that it is seen. Else None."""
        return None if self._given or self.database.row("SELECT 1 FROM keys") else self.new("first")

    def new(self, name: str) -> str:
        """One more key."""
        key = f"engrain-{secrets.token_urlsafe(32)}"
        self.database.run("INSERT INTO keys VALUES (?, ?, ?)", (_sha256(key), name, int(time.time())))
        return key

    def find(self, key: str) -> str | None:
        """The hash of a key that is known; None where it is not."""
        hashed = _sha256(key)
        known = [row["hash"] for row in self.database.rows("SELECT hash FROM keys")] + ([self._given] if self._given else [])
        return hashed if any([hmac.compare_digest(hashed, other) for other in known]) else None  # noqa: C419 - all, for equal time


class Rates:
    """How many requests each key made in the last minute."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._times: dict[str, deque[float]] = {}

    def count(self, key: str) -> None:
        """Count one request. Raises ApiError 429 when the key has made too many."""
        now, times = time.monotonic(), self._times.setdefault(key, deque())
        while times and now - times[0] > WINDOW_SECONDS:
            times.popleft()
        if len(times) >= self.per_minute:
            wait = int(WINDOW_SECONDS - (now - times[0])) + 1
            raise ApiError(429, f"This key made {len(times)} requests in a minute.", "rate_limit_exceeded", retry_seconds=wait)
        times.append(now)


class Guard:
    """ASGI middleware in front of everything; `open_paths` need no key."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, keys: Keys, open_paths: Collection[str]) -> None:
        self.app, self.settings, self.keys, self.open_paths = app, settings, keys, frozenset(open_paths)
        self.rates = Rates(settings.requests_per_minute)
        self.hosts = {"localhost", settings.host.lower(), *(name.lower() for name in settings.allowed_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer why not."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        try:
            limit = self._check(scope, Headers(scope=scope))
        except ApiError as error:
            await response(error)(scope, receive, send)
            return
        await self.app(scope, _limited(receive, limit), send)

    def _check(self, scope: Scope, headers: Headers) -> int:
        """The largest body that the request may have, once it may be served at all."""
        self._check_host(headers)
        if scope["path"] not in self.open_paths:
            self.rates.count(self._key(headers))
        upload = scope["method"] == "POST" and scope["path"].startswith(UPLOADS)
        limit = self.settings.max_upload_bytes if upload else self.settings.max_request_bytes
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            raise _too_large(limit)
        return limit

    def _check_host(self, headers: Headers) -> None:
        """A name that points to this machine may belong to anybody, an address may not; pages of others may not call at all."""
        host = headers.get("host", "")
        name = (urlsplit(f"//{host}").hostname or "").lower() if _is_host(host) else ""
        if name not in self.hosts and not _is_address(name):
            raise ApiError(421, f"This server does not answer to the name {name!r}; start it with --allowed-hosts.", "unknown_host")
        origin = headers.get("origin")
        if origin is not None and _host_of(origin) != host.lower():
            raise ApiError(403, "Pages of other sites may not call this server.", "foreign_origin")

    def _key(self, headers: Headers) -> str:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        key = self.keys.find(given.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            why = "The API key is wrong." if given else "There is no API key: send it as `Authorization: Bearer KEY`."
            raise ApiError(401, why, "invalid_api_key")
        return key


def _limited(receive: Receive, limit: int) -> Receive:
    """`receive` that ends the request once its body is larger than `limit`, whatever its headers said."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise _too_large(limit)
        return message

    return counted


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f"The request is larger than {limit:,} bytes.", "request_too_large")


def _is_host(host: str) -> bool:
    try:
        return bool(host) and not set(host) & set("/?#@\\ ") and urlsplit(f"//{host}").port != 0
    except ValueError:
        return False


def _host_of(origin: str) -> str:
    """The host of an origin; empty where that is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        return bool(ip_address(name))
    except ValueError:
        return False


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", errors="surrogateescape")).hexdigest()
