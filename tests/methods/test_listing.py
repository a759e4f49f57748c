from __future__ import annotations

import json
from pathlib import Path

import pytest

from engrain import api, registry
from engrain.cli import main
from engrain.errors import ModelError

CHOSEN = ("full", "lora", "ia3", "poly", "prompt_tuning", "frod")


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few methods stand for all, which tests/methods/test_peft.py goes through."""
    own, names = registry.own, registry.names
    monkeypatch.setattr(registry, "names", lambda family: CHOSEN if family == "methods" else names(family))
    assert set(own("methods")) >= {"full", "lora"}


@pytest.mark.filterwarnings("ignore")
def test_every_method_says_what_it_is_and_why_not(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "--base", str(tiny_folder), "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == list(CHOSEN)
    assert set(rows["lora"]) == {"name", "title", "supported", "reason", "trainable_parameters", "paper"}
    assert rows["ia3"]["trainable_parameters"] == 2 * (32 + 32 + 128)
    assert rows["lora"]["trainable_parameters"] == 2 * 64 * (2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 128))
    assert rows["ia3"]["paper"].endswith("2205.05638")
    assert rows["prompt_tuning"]["paper"].endswith("2104.08691"), "its own files name none"
    assert rows["frod"]["supported"]
    assert rows["frod"]["trainable_parameters"] is None
    assert not rows["poly"]["supported"]
    assert rows["poly"]["reason"]
    assert main(["methods", "--base", str(tiny_folder)]) == 0
    shown = capsys.readouterr().out
    assert f"poly: not supported, because {rows['poly']['reason']}" in shown


def test_a_base_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match="nowhere"):
        api.methods("./nowhere")
