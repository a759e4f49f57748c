"""The language server, driven over standard input and output by a client of the protocol."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient
from pygls.workspace import Workspace

from coders import make_coder
from engrain.cli import main
from engrain.coding.completion import Gap, load_completer
from engrain.coding.language_server import Latest, _completed, from_server, language_server
from engrain.errors import ModelError
from engrain.run import Run

TEXT = "proc area {w h} {\n    return [expr {\n}\n"
INLINE, LIST = (
    lsp.ClientCapabilities(text_document=lsp.TextDocumentClientCapabilities(**able))
    for able in ({"inline_completion": lsp.InlineCompletionClientCapabilities()}, {"completion": lsp.CompletionClientCapabilities()})
)


@pytest.fixture(scope="module")
def coder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_coder(tmp_path_factory.mktemp("runs") / "coder", tiny_folder)


@asynccontextmanager
async def editor(coder: Path, folder: Path, capabilities: lsp.ClientCapabilities) -> Any:
    """An editor with the file lib/area.tcl open; `logged` is what its log holds."""
    client = LanguageClient("editor", "1")
    client.logged = []
    client.feature("window/logMessage")(lambda params: client.logged.append(params.message))
    await client.start_io(sys.executable, "-m", "engrain", "lsp", "--run", str(coder), "--max-tokens", "8")
    await client.initialize_async(lsp.InitializeParams(capabilities, root_uri=folder.as_uri()))
    client.initialized(lsp.InitializedParams())
    document = lsp.TextDocumentItem((folder / "lib" / "area.tcl").as_uri(), "tcl", 1, TEXT)
    client.text_document_did_open(lsp.DidOpenTextDocumentParams(document))
    try:
        yield client, lsp.TextDocumentIdentifier(document.uri)
    finally:
        await client.shutdown_async(None)
        client.exit(None)
        await client.stop()


def completed(coder: Path, before: str, after: str, stop: Sequence[str] = ()) -> str:
    return load_completer(Run(coder)).complete(before, after, path="lib/area.tcl", max_new_tokens=8, stop=stop).text


def test_an_editor_gets_code_at_its_cursor_also_after_it_has_typed(coder: Path, tmp_path: Path) -> None:
    context = lsp.InlineCompletionContext(lsp.InlineCompletionTriggerKind.Automatic)

    async def talk() -> tuple[Any, Any, list[str]]:
        async with editor(coder, tmp_path, INLINE) as (client, file):
            first = await client.text_document_inline_completion_async(lsp.InlineCompletionParams(context, file, lsp.Position(1, 18)))
            typed = lsp.TextDocumentContentChangePartial(lsp.Range(lsp.Position(1, 18), lsp.Position(1, 18)), "$w")
            version = lsp.VersionedTextDocumentIdentifier(2, file.uri)
            client.text_document_did_change(lsp.DidChangeTextDocumentParams(version, [typed]))
            second = await client.text_document_inline_completion_async(lsp.InlineCompletionParams(context, file, lsp.Position(1, 20)))
            asked = lsp.CompletionParams(file, lsp.Position(1, 20))
            assert not (await client.text_document_completion_async(asked)).items, "the same would be shown twice"
            return first, second, client.logged

    first, second, logged = asyncio.run(talk())
    head, tail = "proc area {w h} {\n    return [expr {", "\n}\n"
    assert [item.insert_text for item in first.items] == [completed(coder, head, tail)]
    assert first.items[0].range == lsp.Range(lsp.Position(1, 18), lsp.Position(1, 18))
    assert [item.insert_text for item in second.items] == [completed(coder, f"{head}$w", tail)]
    assert [line.split(":")[:2] for line in logged] == [["lib/area.tcl", "2"]] * 2
    assert all(line.endswith(" s") for line in logged), "how long it took"


def test_an_editor_without_inline_completion_gets_an_entry_of_its_list(coder: Path, tmp_path: Path) -> None:
    async def talk() -> Any:
        async with editor(coder, tmp_path, LIST) as (client, file):
            return await client.text_document_completion_async(lsp.CompletionParams(file, lsp.Position(1, 8)))

    (item,) = asyncio.run(talk()).items
    text = completed(coder, "proc area {w h} {\n    retu", "rn [expr {\n}\n", ("\n",))
    assert item.text_edit == lsp.TextEdit(lsp.Range(lsp.Position(1, 4), lsp.Position(1, 8)), f"retu{text}")
    assert item.filter_text == f"retu{text}"
    assert "\n" not in item.label


def test_what_a_newer_request_has_overtaken_is_given_up() -> None:
    begun, go_on = threading.Event(), threading.Event()
    written = []

    def writer(gap: Gap, stop: Sequence[str]) -> Generator[str, None, None]:
        for piece in ("one ", "two ", "three"):
            written.append((gap.before, piece))
            yield piece
            if gap.before == "old":
                begun.set()
                go_on.wait(10)

    async def talk() -> list[str]:
        latest = Latest(writer)
        old = asyncio.create_task(latest.text(Gap("old")))
        await asyncio.to_thread(begun.wait, 10)
        new = asyncio.create_task(latest.text(Gap("new")))
        await asyncio.sleep(0)
        go_on.set()
        return list(await asyncio.gather(old, new))

    assert asyncio.run(talk()) == ["", "one two three"]
    assert ("old", "three") not in written


def test_lines_end_as_in_training_whatever_the_file_has(tmp_path: Path) -> None:
    asked: list[Gap] = []

    def writer(gap: Gap, stop: Sequence[str]) -> Generator[str, None, None]:
        asked.append(gap)
        yield "incr total"

    server = language_server(writer)
    server.protocol._workspace = Workspace(tmp_path.as_uri())
    uri = (tmp_path / "a.tcl").as_uri()
    server.workspace.put_text_document(lsp.TextDocumentItem(uri, "tcl", 1, "set total 0\r\n\r\nputs $total\r\n"))
    position = lsp.Position(1, 0)
    found = asyncio.run(_completed(server, Latest(writer), uri, position))
    assert (found, asked) == ("incr total", [Gap("set total 0\n", "\nputs $total\n", "a.tcl")])


def test_a_server_is_asked_without_a_key_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def stream(method: str, url: str, **given: Any) -> Any:
        assert given["headers"] == {}
        return nullcontext(httpx.Response(401, json={"error": {"message": "There is no key."}}))

    monkeypatch.setattr(httpx, "stream", stream)
    with pytest.raises(ModelError, match=r"There is no key(.|\n)*ENGRAIN_API_KEY"):
        next(from_server("http://here", "", "tcl", 8)(Gap("set "), ()))


@pytest.mark.parametrize(
    "arguments", [["--server", "http://here"], ["--model", "x"], ["--server", "http://here", "--model", "x", "--run", "r"]]
)
def test_a_server_needs_a_model_and_no_run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lsp", *arguments]) == 2
    assert "--server and --model" in capsys.readouterr().err


def test_a_run_of_another_task_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run.create(tmp_path / "run", "run")
    run.update(status="complete", settings={"task": "chat"})
    assert main(["lsp", "--run", str(run.path)]) == 1
    assert "'chat', not 'code'" in capsys.readouterr().err
