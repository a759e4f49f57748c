"""Who may call what: every route needs a key, hosts and origins are checked, sizes and rates are bounded."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import KEY, running

from engrain.errors import SettingError
from engrain.serve.database import Database
from engrain.serve.security import Keys
from engrain.serve.settings import ServeSettings

MESSAGES = [{"role": "user", "content": "a secret question"}]


@pytest.fixture
def bare(server: Any) -> Any:
    """A client without a key."""
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
        yield client


def test_every_route_needs_a_key(server: Any, bare: httpx.Client) -> None:
    with server.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    paths.pop("/healthz")
    assert len(paths) > 15
    for path in [*paths, "/metrics", "/openapi.json"]:
        for method in {"GET", *(verb.upper() for verb in paths.get(path, {}))}:
            response = bare.request(method, path.replace("{", "x").replace("}", "x"))
            assert response.status_code == 401, (method, path)


def test_paths_that_are_no_routes_need_one_too(bare: httpx.Client) -> None:
    for path in ("/v1", "/v1/", "//v1/models", "/v1/models/", "/%2e%2e/v1/models", "/docs", "/nothing", "/engrain", "/healthz/"):
        assert bare.get(path).status_code == 401, path


def test_health_needs_none_and_tells_nothing(bare: httpx.Client) -> None:
    response = bare.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", f"Basic {KEY}", "Bearer ' OR '1'='1", f"Bearer {KEY}x", "Bearer \xff"])
def test_wrong_keys_are_refused_with_openais_error(bare: httpx.Client, given: str) -> None:
    response = bare.get("/v1/models", headers={"Authorization": given.encode("latin-1")})  # type: ignore[dict-item]
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"


def test_keys_are_kept_as_hashes_and_seen_once(tmp_path: Path) -> None:
    database = Database(tmp_path / "server.sqlite")
    keys = Keys(database)
    key, other = keys.first(), keys.new("second")
    assert key
    assert keys.find(key)
    assert keys.find(other) != keys.find(key)
    assert keys.first() is None
    assert keys.find("") is None
    database.close()
    assert (tmp_path / "server.sqlite").stat().st_mode & 0o077 == 0
    with sqlite3.connect(tmp_path / "server.sqlite") as raw:
        kept = str(raw.execute("SELECT * FROM keys").fetchall())
    raw.close()
    assert key not in kept
    assert key not in (tmp_path / "server.sqlite").read_bytes().decode("latin-1")


def test_a_given_key_makes_no_other(tmp_path: Path) -> None:
    database = Database(tmp_path / "server.sqlite")
    keys = Keys(database, "given")
    assert keys.first() is None
    assert keys.find("given")
    database.close()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("a@localhost", 421),
        ("", 421),
    ],
)
def test_names_that_anybody_may_own_are_refused(server: Any, host: str, status: int) -> None:
    with server.client(Host=host) as client:
        assert client.get("/v1/models").status_code == status


def test_pages_of_other_sites_may_not_call(server: Any) -> None:
    own = server.url
    for origin, status in [(own, 200), ("https://evil.example", 403), ("null", 403), (f"{own}.evil.example", 403), ("http://[", 403)]:
        with server.client(Origin=origin) as client:
            assert client.get("/v1/models").status_code == status, origin


def test_large_bodies_are_refused_with_and_without_a_length(tmp_path: Path, tiny_folder: Path) -> None:
    with running(tmp_path / "runs", tiny_folder, max_request_bytes=1000) as server, server.client() as client:
        body = json.dumps({"model": "x", "messages": [{"role": "user", "content": "x" * 2000}]}).encode()
        assert client.post("/v1/chat/completions", content=body).status_code == 413
        pieces = (body[i : i + 100] for i in range(0, len(body), 100))
        assert client.post("/v1/chat/completions", content=pieces).status_code in (400, 413)
        assert client.get("/v1/models").status_code == 200


def test_odd_bodies_are_refused_in_order(server: Any) -> None:
    bodies = [b"", b"null", b"[" * 100_000, b'{"model": NaN', b"\xff\xfe", b'{"model": "one", "messages": "\\ud800"}']
    with server.client() as client:
        for body in bodies:
            response = client.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
            assert response.status_code == 400, body[:20]
            assert response.json()["error"]["message"]
        half = {"model": "one", "messages": [{"role": "user", "content": "x"}]}
        text = json.dumps(half).replace('"x"', '"\\ud800"').encode()
        assert client.post("/v1/chat/completions", content=text, headers={"Content-Type": "application/json"}).status_code == 400


def test_a_key_may_make_so_many_requests_a_minute(tmp_path: Path, tiny_folder: Path) -> None:
    with running(tmp_path / "runs", tiny_folder, requests_per_minute=3) as server, server.client() as client:
        found = [client.get("/v1/models") for _ in range(4)]
        assert [response.status_code for response in found] == [200, 200, 200, 429]
        assert 0 < int(found[-1].headers["Retry-After"]) <= 61
        other = server.parts.keys.new("other")
        assert client.get("/v1/models", headers={"Authorization": f"Bearer {other}"}).status_code == 200


def test_other_addresses_need_an_explicit_word(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--public"):
        ServeSettings(host="0.0.0.0", runs=tmp_path)
    assert ServeSettings(host="0.0.0.0", public=True, runs=tmp_path).host == "0.0.0.0"
    assert ServeSettings(host="::1", runs=tmp_path).host == "::1"


def test_the_log_says_what_happened_and_not_what_was_said(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="engrain.serve"), server.client() as client:
        client.post("/v1/chat/completions", json={"model": "one", "messages": MESSAGES, "max_tokens": 2})
        client.get("/v1/models?word=secret")
    records = [record for record in caplog.records if record.name == "engrain.serve"]
    assert {(record.path, record.status) for record in records} == {("/v1/chat/completions", 200), ("/v1/models", 200)}  # type: ignore[attr-defined]
    assert "secret" not in str([vars(record) for record in records])


def test_a_fault_of_ours_tells_its_number_only(server: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("/secret/path at 0x7f")

    monkeypatch.setattr("engrain.serve.answers.make_prompts", fail)
    with server.client() as client:
        response = client.post("/v1/chat/completions", json={"model": "one", "messages": MESSAGES})
    assert response.status_code == 500
    assert "secret" not in response.text
    number = response.json()["error"]["message"].split()[-1].rstrip(".")
    assert any(getattr(record, "failure", "") == number for record in caplog.records)
