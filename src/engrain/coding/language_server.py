"""A language server: editors ask it, over standard input and output, for the code at the cursor.

It answers `textDocument/inlineCompletion` (Language Server Protocol 3.18: grey text at the cursor) and, for editors without
that, `textDocument/completion` (an entry in their list).
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import httpx

from engrain import __version__
from engrain.coding.completion import Completer, Gap
from engrain.errors import EngrainError, ModelError, SettingError

if TYPE_CHECKING:
    from lsprotocol import types as lsp
    from pygls.lsp.server import LanguageServer
    from pygls.workspace import TextDocument

LONGEST_LABEL = 60
TIMEOUT_SECONDS = 60.0

Writer = Callable[[Gap, Sequence[str]], Generator[str, None, None]]
"""Writes the code for a gap piece by piece, up to a stop text."""


def from_run(completer: Completer, max_tokens: int) -> Writer:
    """Completions by a model in this process."""

    def write(gap: Gap, stop: Sequence[str]) -> Generator[str, None, None]:
        yield from completer.stream(gap, max_new_tokens=max_tokens, stop=stop)

    return write


def from_server(url: str, key: str, model: str, max_tokens: int) -> Writer:
    """Completions by a run that `engrain serve` serves; the writer raises ModelError where it gives none."""

    def write(gap: Gap, stop: Sequence[str]) -> Generator[str, None, None]:
        body: dict[str, Any] = {"model": model, "prompt": gap.before, "suffix": gap.after or None, "max_tokens": max_tokens}
        body |= {"stream": True, "stop": list(stop) or None, "engrain": {"path": gap.path}}
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            with httpx.stream("POST", f"{url.rstrip('/')}/v1/completions", json=body, headers=headers, timeout=TIMEOUT_SECONDS) as response:
                if response.is_error:
                    raise ModelError(f"{url}: {_reason(response.read())}", "Check --server, --model and ENGRAIN_API_KEY.")
                yield from map(_piece, (line for line in response.iter_lines() if line.startswith("data: {")))
        except httpx.HTTPError as error:
            raise ModelError(f"{url} does not answer: {error}", "Start it with engrain serve, or check --server.") from error

    return write


def _reason(body: bytes) -> str:
    """What a server says went wrong."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:200]


def _piece(line: str) -> str:
    """The text in one line of a streamed answer."""
    said = json.loads(line.removeprefix("data: "))
    if "error" in said:
        raise ModelError(said["error"]["message"], "Look at what the server has written.")
    return str(said["choices"][0]["text"]) if said["choices"] else ""


class Latest:
    """Has one completion written at a time; one that a newer request has overtaken is given up."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._newest = 0
        self._lock = threading.Lock()

    async def text(self, gap: Gap, stop: Sequence[str] = ()) -> str:
        """The code for a gap; nothing where another was asked for meanwhile."""
        self._newest += 1
        return await asyncio.to_thread(self._write, self._newest, gap, stop)

    def _write(self, number: int, gap: Gap, stop: Sequence[str]) -> str:
        pieces: list[str] = []
        with self._lock, closing(self.writer(gap, stop)) as written:
            while number == self._newest:
                piece = next(written, None)
                if piece is None:
                    return "".join(pieces)
                pieces.append(piece)
        return ""


def language_server(writer: Writer) -> LanguageServer:
    """The server; `start_io()` makes it listen. Raises SettingError where pygls is not installed."""
    try:
        from lsprotocol import types as lsp
        from pygls.lsp.server import LanguageServer
    except ImportError as error:
        raise SettingError("engrain lsp needs pygls", "pip install 'engrain[editor]'") from error
    server, latest = LanguageServer("engrain", __version__), Latest(writer)

    @server.feature(lsp.TEXT_DOCUMENT_INLINE_COMPLETION)
    async def inline(params: lsp.InlineCompletionParams) -> lsp.InlineCompletionList:
        text = await _completed(server, latest, params.text_document.uri, params.position)
        here = lsp.Range(params.position, params.position)
        return lsp.InlineCompletionList([lsp.InlineCompletionItem(text, range=here)] if text else [])

    @server.feature(lsp.TEXT_DOCUMENT_COMPLETION)
    async def listed(params: lsp.CompletionParams) -> lsp.CompletionList:
        known = server.client_capabilities.text_document
        if known is not None and known.inline_completion is not None:
            return lsp.CompletionList(is_incomplete=False, items=[])  # it asks for the same inline
        text = await _completed(server, latest, params.text_document.uri, params.position)
        document = server.workspace.get_text_document(params.text_document.uri)
        return lsp.CompletionList(is_incomplete=True, items=[_item(document, params.position, text)] if text.strip() else [])

    return server


async def _completed(server: LanguageServer, latest: Latest, uri: str, position: lsp.Position) -> str:
    """The code at a position, and in the editor's log how long it took; what goes wrong is shown there and gives nothing."""
    from lsprotocol import types as lsp

    document, started = server.workspace.get_text_document(uri), time.perf_counter()
    offset = document.offset_at_position(position)
    before, after = (text.replace("\r\n", "\n") for text in (document.source[:offset], document.source[offset:]))  # as in training
    gap = Gap(before, after, _path(server, document))
    if not (gap.before or gap.after).strip():
        return ""
    rest_of_line = gap.after.partition("\n")[0]
    try:
        text = await latest.text(gap, ("\n",) if rest_of_line.strip() else ())
    except EngrainError as error:
        server.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Error, f"engrain: {error}"))
        return ""
    seconds = time.perf_counter() - started
    told = f"{gap.path}:{position.line + 1}: {len(text)} characters in {seconds:.2f} s"
    server.window_log_message(lsp.LogMessageParams(lsp.MessageType.Log, told))
    return text


def _path(server: LanguageServer, document: TextDocument) -> str:
    """The file's path in the folder that is open, as in training; its name where it lies elsewhere."""
    path, root = PurePath(document.path), server.workspace.root_path
    return path.relative_to(root).as_posix() if root and path.is_relative_to(root) else path.name


def _item(document: TextDocument, position: lsp.Position, text: str) -> Any:
    """An entry of a list; it takes the place of the word before the cursor, because editors filter by that."""
    from lsprotocol import types as lsp

    offset = document.offset_at_position(position)
    found = re.search(r"\w*\Z", document.source[:offset])
    word = found[0] if found else ""
    start = lsp.Position(position.line, position.character - document.position_codec.client_num_units(word))
    first, *more = text.strip().split("\n")
    return lsp.CompletionItem(
        label=f"{first[:LONGEST_LABEL]}{' …' if more or len(first) > LONGEST_LABEL else ''}",
        kind=lsp.CompletionItemKind.Text,
        detail="engrain",
        documentation=f"{word}{text}",
        filter_text=f"{word}{text}",
        insert_text_mode=lsp.InsertTextMode.AsIs,
        text_edit=lsp.TextEdit(lsp.Range(start, position), f"{word}{text}"),
    )
