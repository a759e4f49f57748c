"""An editor and an HTTP client that ask for code at a gap, and how long they wait."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx


def asked_by_editor(run: Path, spots: Sequence[dict[str, Any]], max_tokens: int) -> list[float]:
    """Seconds from request to answer of `engrain lsp`, asked over standard input and output; the first request is left out."""
    return asyncio.run(_edited(run, [spots[0], *spots], max_tokens))[1:]


async def _edited(run: Path, spots: Sequence[dict[str, Any]], max_tokens: int) -> list[float]:
    from lsprotocol import types as lsp
    from pygls.lsp.client import LanguageClient

    client, seconds = LanguageClient("editor", "1"), []
    await client.start_io(sys.executable, "-m", "engrain", "lsp", "--run", str(run), "--max-tokens", str(max_tokens))
    inline = lsp.TextDocumentClientCapabilities(inline_completion=lsp.InlineCompletionClientCapabilities())
    await client.initialize_async(lsp.InitializeParams(lsp.ClientCapabilities(text_document=inline), root_uri="file:///code"))
    client.initialized(lsp.InitializedParams())
    for number, spot in enumerate(spots):
        file = lsp.TextDocumentItem(f"file:///code/{number}/{spot['file']}", "tcl", 1, spot["before"] + spot["after"])
        client.text_document_did_open(lsp.DidOpenTextDocumentParams(file))
        context = lsp.InlineCompletionContext(lsp.InlineCompletionTriggerKind.Automatic)
        place = lsp.Position(spot["before"].count("\n"), 0)
        started = time.perf_counter()
        await client.text_document_inline_completion_async(lsp.InlineCompletionParams(context, lsp.TextDocumentIdentifier(file.uri), place))
        seconds.append(time.perf_counter() - started)
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()
    return seconds


def asked_over_http(run: Path, spots: Sequence[dict[str, Any]], max_tokens: int) -> list[float]:
    """Seconds from request to answer of `engrain serve`; the first request, which loads the run, is left out."""
    key = secrets.token_hex(8)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "engrain", "serve", "--runs", str(run.parent), "--port", str(port)]
    server = subprocess.Popen(command, env={**os.environ, "ENGRAIN_API_KEY": key}, stdout=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}, timeout=300) as client:
            _wait(client)
            return [_asked(client, run.name, spot, max_tokens) for spot in [spots[0], *spots]][1:]
    finally:
        server.terminate()
        server.wait()


def _wait(client: httpx.Client) -> None:
    for _ in range(600):
        try:
            client.get("/v1/models").raise_for_status()
            return
        except httpx.TransportError:
            time.sleep(0.5)
    raise TimeoutError("the server did not start")


def _asked(client: httpx.Client, model: str, spot: dict[str, Any], max_tokens: int) -> float:
    body = {"model": model, "prompt": spot["before"], "suffix": spot["after"], "max_tokens": max_tokens}
    started = time.perf_counter()
    client.post("/v1/completions", json={**body, "engrain": {"path": spot["file"]}}).raise_for_status()
    return time.perf_counter() - started
