"""A vLLM server behind engrain: it computes, engrain stays in front with keys, prompts, jobs and sources.

vLLM lives in an environment of its own, because it needs other versions. It is pointed at by its address, or started
from its program. Adapters are loaded through its API when they are first asked for.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import httpx
from transformers import PreTrainedTokenizerBase

from engrain.errors import ModelError, SettingError
from engrain.models import locate
from engrain.serve.adapters import CONFIG
from engrain.serve.engine import Engine, Piece, Sampling, Token, Weights
from engrain.serve.failures import ApiError
from engrain.serve.local import Loaded, read_base
from engrain.serve.settings import ServeSettings

SOCKET = "vllm.sock"
START_SECONDS = 600.0
STOP_SECONDS = 30.0


class VllmEngine(Engine):
    """Sends token ids to vLLM's /v1/completions and passes on what comes back."""

    retry_seconds = 5

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._bases: dict[str, Loaded] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._loaded: set[str] = set()
        self._loading: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.most_open = settings.max_queue + settings.slots
        # A socket in a folder that is this user's alone: a port would answer everybody on the machine, past engrain's keys.
        self._folder = Path(tempfile.mkdtemp(prefix="engrain-vllm-")) if settings.vllm_command else None
        self._client = httpx.AsyncClient(
            base_url=settings.vllm_url.rstrip("/").removesuffix("/v1") or "http://vllm",
            timeout=httpx.Timeout(settings.max_seconds, connect=10),
            trust_env=False,
            transport=httpx.AsyncHTTPTransport(uds=str(self._folder / SOCKET)) if self._folder else None,
        )

    async def start(self) -> None:
        """Start vLLM where its program was given, and wait until it answers. Raises SettingError when it does not."""
        if self.settings.vllm_command:
            self._process = await asyncio.to_thread(self._begin)
        deadline = asyncio.get_running_loop().time() + (START_SECONDS if self._process else 0)
        while not await self._answers():
            if self._process and self._process.poll() is not None:
                raise SettingError(f"vLLM ended with code {self._process.returncode}", "Start the same command by hand to see why.")
            if asyncio.get_running_loop().time() >= deadline:
                raise SettingError(f"No vLLM server answers at {self._client.base_url}", "Start it first, or give --vllm-command.")
            await asyncio.sleep(1)

    def _begin(self) -> subprocess.Popen[bytes]:
        base = locate(self.settings.base)
        arguments = ["serve", str(base.folder), "--served-model-name", self.settings.base, "--enable-lora", "--max-lora-rank", "256"]
        address = ["--uds", str(self._folder and self._folder / SOCKET)]
        limits = ["--max-model-len", str(self._base(self.settings.base).context), "--max-loras", str(self.settings.max_adapters)]
        allowed = {**os.environ, "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "HF_HUB_OFFLINE": "1"}
        return subprocess.Popen([self.settings.vllm_command, *arguments, *address, *limits], env=allowed, stdin=subprocess.DEVNULL)

    async def _answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return (await self._client.get("/health")).is_success
        return False

    async def close(self) -> None:
        """Stop vLLM where it was started here."""
        await self._client.aclose()
        if self._process is not None:
            self._process.terminate()
            try:
                await asyncio.to_thread(self._process.wait, STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def tokenizer(self, base: str) -> PreTrainedTokenizerBase:
        """The base's tokenizer."""
        return self._base(base).tokenizer

    def context(self, base: str) -> int:
        """How many tokens a prompt and its answer may have together."""
        return self._base(base).context

    def _base(self, base: str) -> Loaded:
        with self._lock:
            if base not in self._bases:
                self._bases[base] = read_base(base, self.settings.context)
            return self._bases[base]

    async def write(self, weights: Weights, prompt: Sequence[int], sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """The answer piece by piece; leaving it closes the connection, upon which vLLM stops writing."""
        self.check_room()
        self.open += 1
        try:
            async with aclosing(await self._complete(weights, _request(prompt, sampling))) as response:
                if not response.is_success:
                    raise _refused(response.status_code, await response.aread())
                async for piece in _pieces(response):
                    yield piece
        except httpx.HTTPError as error:
            raise ApiError(503, "The vLLM server does not answer.", "unavailable", retry_seconds=self.retry_seconds) from error
        finally:
            self.open -= 1

    async def _complete(self, weights: Weights, body: dict[str, Any]) -> httpx.Response:
        """What vLLM answers to a body without its model, still to be read."""
        response = await self._sent(weights, body)
        if response.status_code != 404:
            return response
        await response.aclose()  # vLLM was started anew, and knows no adapter any more
        self._loaded.clear()
        return await self._sent(weights, body)

    async def _sent(self, weights: Weights, body: dict[str, Any]) -> httpx.Response:
        request = self._client.build_request("POST", "/v1/completions", json={"model": await self._name(weights), **body})
        return await self._client.send(request, stream=True)

    async def _name(self, weights: Weights) -> str:
        """The name under which vLLM knows the weights; an adapter is loaded first."""
        if weights.base != self.settings.base or weights.run is not None:
            what = f"runs on {weights.base!r}" if weights.run is None else "holds a whole model or an adapter that is no plain LoRA"
            raise ApiError(409, f"This run {what}; the vLLM server has {self.settings.base!r}.", "unusable_model", "model")
        if weights.adapter is None:
            return self.settings.base
        folder = weights.adapter.resolve()
        name = f"{folder.parent.name}-{weights.version}"
        async with self._loading[name]:
            if name not in self._loaded:
                response = await self._client.post("/v1/load_lora_adapter", json={"lora_name": name, "lora_path": str(folder)})
                if not response.is_success and b"already" not in response.content:
                    raise ModelError(f"vLLM cannot load {folder / CONFIG}: {_message(response.content)}", "Raise --max-lora-rank there.")
                self._loaded.add(name)
        return name


def _request(prompt: Sequence[int], sampling: Sampling) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        "prompt": list(prompt),
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": (sampling.seed + sampling.number) % 2**63,
        "stop": list(sampling.stop),
        "stream": True,
        "stream_options": {"include_usage": True},
        "add_special_tokens": False,
    }
    if sampling.top_logprobs is not None:
        chosen["logprobs"] = sampling.top_logprobs
    if sampling.schema:
        chosen["structured_outputs"] = {"json": json.loads(sampling.schema)}
    return chosen


async def _pieces(response: httpx.Response) -> AsyncGenerator[Piece, None]:
    """The pieces of a streamed completion; the counts come after the last of them, so that one is held back."""
    finish, cached, written = "", 0, 0
    async for line in response.aiter_lines():
        if not line.startswith("data:") or line == "data: [DONE]":
            continue
        said = json.loads(line.removeprefix("data:"))
        if "error" in said:
            raise ApiError(502, f"vLLM failed: {_message(line.removeprefix('data:').encode())}", "upstream_error")
        if counts := said.get("usage"):
            written = counts.get("completion_tokens", 0)
            cached = (counts.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        for choice in said.get("choices", []):
            finish = choice.get("finish_reason") or finish
            if choice.get("text") or choice.get("logprobs"):
                yield Piece(choice.get("text", ""), _tokens(choice.get("logprobs")))
    if not finish:
        raise ApiError(502, "The vLLM server ended the answer half-way.", "upstream_error")
    yield Piece("", (), finish if finish in ("stop", "length") else "stop", cached, written)


def _tokens(logprobs: dict[str, Any] | None) -> tuple[Token, ...]:
    if not logprobs:
        return ()
    likeliest = logprobs.get("top_logprobs") or [{}] * len(logprobs["tokens"])
    rows = zip(logprobs["tokens"], logprobs["token_logprobs"], likeliest, strict=True)
    return tuple(Token(-1, text, logprob if logprob is not None else 0.0, tuple((best or {}).items())) for text, logprob, best in rows)


def _refused(status: int, content: bytes) -> ApiError:
    message = f"vLLM refused: {_message(content)}"
    return ApiError(400, message, "invalid_value") if status in (400, 422) else ApiError(502, message, "upstream_error")


def _message(content: bytes) -> str:
    try:
        said = json.loads(content)
        return str((said.get("error") or said).get("message", said))
    except (ValueError, AttributeError):
        return content[:200].decode("utf-8", errors="replace")
