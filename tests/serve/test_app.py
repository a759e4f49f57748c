"""The whole server: routes that schemathesis cannot break, metrics, clients that go away, the command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis.strategies import sampled_from
from serving import KEY, until

MESSAGES = [{"role": "user", "content": "Who?"}]
LONG = {"model": "two", "messages": MESSAGES, "max_tokens": 400, "temperature": 1.5, "seed": 3}


@pytest.fixture
def breakable(tmp_path: Path, tiny_folder: Path, kites_made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server that may lose what it has: a run that is ready for training, one that can be asked, and no documents."""
    from making import make_run
    from serving import running

    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    shutil.copytree(kites_made, tmp_path / "runs" / "kites")
    make_run(tmp_path / "runs", "one", tiny_folder, seed=0)
    with running(tmp_path / "runs", tiny_folder, requests_per_minute=5000) as found:
        yield found


@pytest.mark.parametrize("part", ["/v1", "/engrain", "/"])
def test_no_request_of_schemathesis_makes_the_server_fail(breakable: Any, part: str) -> None:
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings

    schema = schemathesis.openapi.from_url(f"{breakable.url}/openapi.json", headers={"Authorization": f"Bearer {KEY}"})
    operations = [result.ok() for result in schema.get_all_operations()]
    chosen = [o for o in operations if (o.path.split("/")[1] == part[1:] if part != "/" else o.path.count("/") == 1)]
    answered: dict[str, list[int]] = {operation.label: [] for operation in chosen}
    for operation in chosen:

        @given(case=operation.as_strategy(), run=sampled_from(["kites", "one", None]))
        @settings(max_examples=6, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None)
        def attempt(case: Any, run: str | None) -> None:
            if run and "run" in case.path_parameters:  # a name that nobody would guess
                case.path_parameters["run"] = run
            response = case.call(headers={"Authorization": f"Bearer {KEY}"}, timeout=30)
            answered[operation.label].append(response.status_code)  # noqa: B023
            assert response.status_code < 500, (case.as_curl_command(), response.text)

        attempt()
    assert len(answered) == {"/v1": 17, "/engrain": 40, "/": 2}[part]
    assert all(answered.values())
    assert any(status < 300 for statuses in answered.values() for status in statuses)


def test_the_openapi_document_says_which_routes_need_a_key(server: Any) -> None:
    with server.client() as caller:
        document = caller.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    keyless = {path for path, methods in document["paths"].items() for told in methods.values() if "security" not in told}
    assert keyless == {"/healthz"}


def slots(server: Any) -> float:
    """Answers being written or waiting, as the metrics tell."""
    with server.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(("engrain_writing ", "engrain_waiting ")))


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_frees_its_slot_within_a_second(server: Any, stream: bool) -> None:
    body = json.dumps({**LONG, "stream": stream, "stop": ["\0" * 9]}).encode()
    address = server.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1]))) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        until(lambda: slots(server) > 0, 30)
    left = time.monotonic()
    until(lambda: slots(server) == 0, 30)
    assert time.monotonic() - left < 1


def test_metrics_count_requests_and_tokens(server: Any) -> None:
    with server.client() as client:
        client.post("/v1/chat/completions", json={"model": "one", "messages": MESSAGES, "max_tokens": 2})
        text = client.get("/metrics").text
    assert 'engrain_requests_total{method="POST",route="/v1/chat/completions",status="200"}' in text
    assert "engrain_written_tokens_total" in text
    assert "Who?" not in text


def test_what_is_refused_is_counted_too_and_odd_methods_make_no_label_of_their_own(server: Any) -> None:
    with server.client(Authorization="Bearer wrong") as stranger, server.client() as client:
        stranger.get("/v1/models")
        stranger.request("BREW", "/healthz")
        text = client.get("/metrics").text
    assert 'engrain_requests_total{method="GET",route="none",status="401"}' in text
    assert 'method="other"' in text
    assert "BREW" not in text


def test_models_have_root_and_parent_as_vllm_gives_them(server: Any) -> None:
    with server.openai() as client:
        models = {model.id: model for model in client.models.list()}
    base = server.parts.settings.base
    assert {"one", "two", "three", "four", "five", base} <= models.keys()
    assert models["one"].parent == base
    assert models["one"].root.endswith("one/adapter")
    assert models[base].parent is None


def test_a_run_that_is_not_complete_is_no_model(server: Any) -> None:
    from engrain.run import Run

    run = Run(server.parts.settings.runs / "five")
    run.update(status="running")
    with server.client() as client:
        assert client.get("/v1/models/five").status_code == 404
        run.update(status="complete")
        assert client.get("/v1/models/five").status_code == 200


def test_the_command_makes_a_key_serves_and_stops_on_a_signal(tmp_path: Path, tiny_folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ENGRAIN_API_KEY"}
    command = [sys.executable, "-m", "engrain", "serve", "--port", "0", "--runs", str(tmp_path / "runs"), "--base", str(tiny_folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)
    assert process.stdout is not None
    page, api = (process.stdout.readline() for _ in range(2))
    url, _, key = page.removeprefix("Page: ").strip().partition("/#key=")
    assert key.startswith("engrain-")
    assert key in api
    with httpx.Client(base_url=url, trust_env=False, headers={"Authorization": f"Bearer {key}"}) as client:
        until(lambda: answers(client), 60)
        assert client.get("/v1/models").json()["data"][0]["id"] == str(tiny_folder)
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=60)
    assert process.returncode in (0, 143, -signal.SIGTERM), log
    *lines, last = [line for line in log.splitlines() if line]
    assert last == "engrain: Stopped."
    assert all(json.loads(line)["event"] == "request" for line in lines), log
    assert key not in log


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").is_success
    except httpx.TransportError:
        return False


def test_a_folder_of_runs_has_one_server(server: Any) -> None:
    import asyncio

    from engrain.errors import RunError
    from engrain.serve.app import create_app, lifespan, make_parts

    parts = make_parts(server.parts.settings, key=KEY)

    async def start() -> None:
        app = create_app(parts)
        async with lifespan(app):
            pass

    with pytest.raises(RunError, match="in use"):
        asyncio.run(start())
    parts.database.close()


def test_the_folder_of_runs_is_the_same_wherever_a_job_works(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from engrain.serve.app import make_parts
    from engrain.serve.settings import ServeSettings

    monkeypatch.chdir(tmp_path)
    parts = make_parts(ServeSettings(runs=Path("runs"), base=str(tiny_folder)), key=KEY)
    parts.database.close()
    assert parts.settings.runs == (tmp_path / "runs").resolve()
