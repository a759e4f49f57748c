"""vLLM behind the same API, with a small HTTP server that speaks as vLLM does in its place."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from serving import running

from engrain.errors import SettingError
from engrain.serve.settings import ServeSettings

MESSAGES = [{"role": "user", "content": "When do you open?"}]


class Upstream(BaseHTTPRequestHandler):
    """Says the same to everybody, and remembers what it was asked; `refuse` makes it refuse adapters.

    It knows the models in `known`, if that is not None, and those that it loads.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._reply(200, b"")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))  # type: ignore[attr-defined]
        if self.path == "/v1/load_lora_adapter":
            self._reply(400 if self.server.refuse else 200, b'{"message": "rank is too large"}')  # type: ignore[attr-defined]
            if self.server.known is not None:  # type: ignore[attr-defined]
                self.server.known.add(body["lora_name"])  # type: ignore[attr-defined]
            return
        if self.server.known is not None and body["model"] not in self.server.known:  # type: ignore[attr-defined]
            self._reply(404, b'{"message": "the model does not exist"}')
            return
        choices = [{"index": 0, "text": text, "finish_reason": None} for text in ("At ", "nine")]
        choices.append({"index": 0, "text": "", "finish_reason": "stop"})
        lines = [{"choices": [choice]} for choice in choices]
        lines.append({"choices": [], "usage": {"completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 16}}})  # type: ignore[dict-item]
        data = "".join(f"data: {json.dumps(line)}\n\n" for line in lines) + "data: [DONE]\n\n"
        self._reply(200, data.encode())

    def _reply(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def upstream() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.asked, server.refuse, server.known = [], False, None  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def gateway(upstream: Any, many_runs: Path, tiny_folder: Path, tmp_path: Path) -> Iterator[Any]:
    """engrain in front of it, with the run `one` in a folder of its own."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "one").symlink_to(many_runs / "one")
    url = f"http://127.0.0.1:{upstream.server_port}/v1"
    with running(tmp_path / "runs", tiny_folder, engine="vllm", vllm_url=url) as found:
        yield found


def test_a_chat_goes_through_with_our_prompt_and_comes_back_with_its_source(gateway: Any, upstream: Any, tiny_tokenizer: Any) -> None:
    from engrain.tokens import encode_prompt, question_messages

    with gateway.openai() as client:
        answers = [client.chat.completions.create(model="one", messages=MESSAGES, max_tokens=5, seed=1) for _ in range(2)]
    assert answers[0].choices[0].message.content == "At nine"
    assert answers[0].usage.completion_tokens == 3
    assert answers[0].usage.prompt_tokens_details.cached_tokens == 16
    assert answers[0].engrain["status"] in ("supported", "unsupported", "refused")
    paths = [path for path, _ in upstream.asked]
    assert paths == ["/v1/load_lora_adapter", "/v1/completions", "/v1/completions"]  # loaded once
    load, ask = upstream.asked[0][1], upstream.asked[1][1]
    assert (Path(load["lora_path"]) / "adapter_config.json").is_file()
    assert ask["model"] == load["lora_name"]
    assert ask["prompt"] == encode_prompt(tiny_tokenizer, question_messages("When do you open?"))
    assert (ask["max_tokens"], ask["seed"], ask["temperature"]) == (5, 1, 0)


def test_the_base_needs_no_adapter_and_a_schema_is_passed_on(gateway: Any, upstream: Any) -> None:
    schema = {"type": "object"}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with gateway.openai() as client:
        stream = client.chat.completions.create(model=gateway.parts.settings.base, messages=MESSAGES, stream=True, response_format=form)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "At nine"
    ((path, ask),) = upstream.asked
    assert path == "/v1/completions"
    assert ask["structured_outputs"] == {"json": schema}


def test_a_server_that_does_not_hear_is_killed(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio
    import subprocess
    import sys

    from engrain.serve import vllm

    monkeypatch.setattr(vllm, "STOP_SECONDS", 0.1)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()

    async def work() -> None:
        engine = vllm.VllmEngine(gateway.parts.settings)
        engine._process = process
        await engine.close()

    asyncio.run(work())
    process.stdout.close()
    assert process.returncode is not None
    assert process.returncode != 0


def test_mode_both_weighs_through_it(gateway: Any, upstream: Any) -> None:
    with gateway.openai() as client:
        answer = client.chat.completions.create(model="one+both", messages=MESSAGES, max_tokens=5)
    assert answer.choices[0].message.content == "At nine"
    written = [body for path, body in upstream.asked if path == "/v1/completions"]
    assert len(written) == 2, "once for each way"
    assert len({body["model"] for body in written}) == 1


def test_an_adapter_that_it_refuses_is_told(gateway: Any, upstream: Any) -> None:
    upstream.refuse = True
    with gateway.client() as client:
        response = client.post("/v1/chat/completions", json={"model": "one", "messages": MESSAGES})
    assert response.status_code == 409
    assert "rank is too large" in response.json()["error"]["message"]


def test_a_server_that_went_away_is_told(gateway: Any, upstream: Any) -> None:
    upstream.shutdown()
    upstream.server_close()
    with gateway.client() as client:
        response = client.post("/v1/chat/completions", json={"model": gateway.parts.settings.base, "messages": MESSAGES})
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0


def test_settings_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    for values in ({"engine": "vllm"}, {"vllm_url": "http://localhost:1"}, {"engine": "vllm", "vllm_url": "x", "vllm_command": "y"}):
        with pytest.raises(SettingError):
            ServeSettings(runs=tmp_path, **values)  # type: ignore[arg-type]


def test_vllm_is_started_in_its_own_environment_and_stopped(many_runs: Path, tiny_folder: Path, tmp_path: Path) -> None:
    program = tmp_path / "vllm"
    program.write_text(
        f"#!{sys.executable}\nimport sys, json, os\n"
        f"open({str(tmp_path / 'called')!r}, 'w').write(json.dumps([sys.argv[1:], os.environ['VLLM_ALLOW_RUNTIME_LORA_UPDATING']]))\n"
        "from http.server import *\nfrom socketserver import UnixStreamServer\n"
        "class H(SimpleHTTPRequestHandler):\n  def do_GET(self):\n    self.send_response(200); self.end_headers()\n"
        "  def log_message(self, *a): pass\n"
        "UnixStreamServer(sys.argv[sys.argv.index('--uds') + 1], H).serve_forever()\n"
    )
    program.chmod(0o700)
    with running(tmp_path / "runs", tiny_folder, engine="vllm", vllm_command=str(program)) as server:
        process = server.parts.engine._process  # type: ignore[attr-defined]
        assert process.poll() is None
        (folder,) = [Path(argument).parent for argument in process.args if argument.endswith(".sock")]
        assert folder.stat().st_mode & 0o777 == 0o700  # nobody else comes past engrain's keys
    assert process.poll() is not None
    assert not folder.exists()
    arguments, allowed = json.loads((tmp_path / "called").read_text())
    assert arguments[:2] == ["serve", str(tiny_folder)]
    assert "--enable-lora" in arguments
    assert allowed == "True"


@pytest.mark.parametrize("model", ["one", "one+both"])
def test_an_adapter_is_loaded_again_after_a_restart(gateway: Any, upstream: Any, model: str) -> None:
    with gateway.openai() as client:
        client.chat.completions.create(model="one", messages=MESSAGES, max_tokens=5)
        upstream.known = set()
        answers = [client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=5) for _ in range(2)]
    assert [answer.choices[0].message.content for answer in answers] == ["At nine"] * 2
    assert [path for path, _ in upstream.asked].count("/v1/load_lora_adapter") == 2


def test_an_adapter_that_loads_slowly_does_not_hold_up_others(gateway: Any, upstream: Any) -> None:
    import asyncio

    from engrain.serve.engine import Sampling, Weights
    from engrain.serve.vllm import VllmEngine

    settings = gateway.parts.settings
    engine = VllmEngine(settings)
    first, second = (Weights(settings.base, Path(f"/{name}/adapter"), version=1) for name in ("one", "two"))

    async def said(weights: Weights) -> str:
        return "".join([piece.text async for piece in engine.write(weights, [1, 2], Sampling(max_tokens=5))])

    async def work() -> str:
        async with engine._loading["one-1"]:  # as while vLLM reads it
            waiting = asyncio.create_task(said(first))
            other = await asyncio.wait_for(said(second), 10)
            assert not waiting.done()
        assert await waiting == other
        await engine.close()
        return other

    assert asyncio.run(work()) == "At nine"


def test_a_base_that_it_does_not_know_is_told(gateway: Any, upstream: Any) -> None:
    upstream.known = set()
    with gateway.client() as client:
        response = client.post("/v1/chat/completions", json={"model": gateway.parts.settings.base, "messages": MESSAGES})
    assert response.status_code == 502
    assert "does not exist" in response.json()["error"]["message"]
