"""Texts that go on, and gaps in code that are filled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def test_completions_go_on_with_texts_and_ids(server: Any, tiny_tokenizer: Any) -> None:
    with server.openai() as client:
        texts = client.completions.create(model="one", prompt=["The shop", "A loaf"], max_tokens=4, n=2, temperature=1, seed=1, logprobs=2)
        ids = client.completions.create(model="one", prompt=tiny_tokenizer.encode("The shop"), max_tokens=4)
        text = client.completions.create(model="one", prompt="The shop", max_tokens=4)
        chunks = list(client.completions.create(model="one", prompt="The shop", max_tokens=4, stream=True))
    assert [choice.index for choice in texts.choices] == [0, 1, 2, 3]
    assert len(texts.choices[0].logprobs.tokens) == 4
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
    """A run of the task code on the tiny base, whose tokenizer got sentinels for gaps."""
    import torch

    from engrain import registry
    from engrain.models import load_model, load_tokenizer, locate
    from engrain.run import Run
    from engrain.tasks._fim import find_sentinels, make_room

    folder = server.parts.settings.runs / "coder"
    if folder.exists():
        return folder
    base = locate(str(tiny_folder))
    model, tokenizer = load_model(base, dtype=torch.float32, device="cpu"), load_tokenizer(base)
    make_room(model, tokenizer, find_sentinels(tokenizer))
    kind: Any = registry.find("methods", "lora")
    method = kind(kind.Settings(rank=2))
    method.apply(model)
    run = Run.create(folder, "coder")
    method.save(model, run.path / "adapter")
    settings = {"task": "code", "base": str(tiny_folder), "precision": "float32", "device": "cpu", "method": "lora", "rank": 2}
    run.update(status="complete", settings={**settings, "fim_rate": 0.5})
    return folder


@pytest.mark.parametrize("after", ["    return total\n", ""])
def test_a_gap_is_filled_as_the_completer_fills_it(server: Any, code_run: Path, after: str) -> None:
    from engrain.coding.completion import load_completer
    from engrain.run import Run

    before = "def total(numbers):\n"
    wanted = load_completer(Run(code_run)).complete(before, after, max_new_tokens=12).text
    with server.openai() as client:
        answer = client.completions.create(model="coder", prompt=before, suffix=after or None, max_tokens=12)
    assert answer.choices[0].text == wanted
