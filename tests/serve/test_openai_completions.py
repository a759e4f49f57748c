"""Texts that go on, and gaps in code that are filled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from serving import KEY

from coders import make_coder
from engrain.coding.completion import Gap, load_completer
from engrain.coding.language_server import from_server
from engrain.errors import ModelError
from engrain.run import Run


def test_completions_go_on_with_texts_and_ids(server: Any, tiny_tokenizer: Any) -> None:
    with server.openai() as client:
        texts = client.completions.create(model="one", prompt=["The shop", "A loaf"], max_tokens=4, n=2, temperature=1, seed=1, logprobs=2)
        ids = client.completions.create(model="one", prompt=tiny_tokenizer.encode("The shop"), max_tokens=4)
        text = client.completions.create(model="one", prompt="The shop", max_tokens=4)
        chunks = list(client.completions.create(model="one", prompt="The shop", max_tokens=4, stream=True))
    assert [choice.index for choice in texts.choices] == [0, 1, 2, 3]
    assert len(texts.choices[0].logprobs.tokens) == 4
    lengths = [len(token) for token in texts.choices[0].logprobs.tokens]
    assert texts.choices[0].logprobs.text_offset == [sum(lengths[:i]) for i in range(4)]
    assert texts.usage.completion_tokens == 16
    assert ids.choices[0].text == text.choices[0].text == "".join(chunk.choices[0].text for chunk in chunks)


def test_a_gap_is_filled_by_runs_of_the_task_code_only(server: Any) -> None:
    with server.client() as client:
        response = client.post("/v1/completions", json={"model": "one", "prompt": "def f(", "suffix": "return x"})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "suffix"
    assert "code" in response.json()["error"]["message"]


@pytest.fixture
def code_run(server: Any, tiny_folder: Path) -> Path:
    folder: Path = server.parts.settings.runs / "coder"
    return folder if folder.exists() else make_coder(folder, tiny_folder)


@pytest.mark.parametrize("after", ["    return total\n", ""])
def test_a_gap_is_filled_as_the_completer_fills_it(server: Any, code_run: Path, after: str) -> None:
    before = "def total(numbers):\n"
    wanted = load_completer(Run(code_run)).complete(before, after, max_new_tokens=12).text
    with server.openai() as client:
        answer = client.completions.create(model="coder", prompt=before, suffix=after or None, max_tokens=12)
    assert answer.choices[0].text == wanted


def test_the_path_of_a_file_is_context(server: Any, code_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, path = "def total(numbers):\n", "lib/sums.py"
    seen = []
    monkeypatch.setattr(server.parts.gaps, "prompt", lambda info, path, *rest, heal: seen.append((path, heal)) or ([1, 2, 3], ""))
    with server.openai() as client:
        client.completions.create(model="coder", prompt=before, max_tokens=2, extra_body={"engrain": {"path": path}})
    with server.client() as client:
        refused = client.post("/v1/completions", json={"model": "one", "prompt": before, "engrain": {"path": path}})
        chat = {"model": "one", "messages": [{"role": "user", "content": "Hello"}], "engrain": {"path": path}}
        no_chat = client.post("/v1/chat/completions", json=chat)
    assert seen == [(path, True)]
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "engrain.path"
    assert no_chat.status_code == 400


def test_editors_get_what_the_completer_writes(server: Any, code_run: Path) -> None:
    gap = Gap("def total(numbers):\n", "    return total\n", "lib/sums.py")
    completer = load_completer(Run(code_run))
    wanted = completer.complete(gap.before, gap.after, path=gap.path, max_new_tokens=12).text
    assert "".join(from_server(server.url, KEY, "coder", 12)(gap, ())) == wanted


def test_editors_are_told_why_a_server_writes_nothing(server: Any, code_run: Path) -> None:
    gap = Gap("def total(numbers):\n")
    for url, key, model, reason in (
        (server.url, "wrong", "coder", "key"),
        (server.url, KEY, "nobody", "nobody"),
        ("http://127.0.0.1:9", KEY, "coder", "does not answer"),
    ):
        with pytest.raises(ModelError, match=reason):
            list(from_server(url, key, model, 12)(gap, ()))
