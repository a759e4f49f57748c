"""Runs to export: a small llama whose tokenizer merges bytes, with a random adapter, as if it had been trained."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "serve")]


@pytest.fixture(scope="session")
def merging_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny llama with a tokenizer that has merges, in Hugging Face layout; do not write into it."""
    from words import tokenizer_of

    import tiny

    folder = tmp_path_factory.mktemp("merging")
    tokenizer = tokenizer_of("gpt-2")
    tokenizer.chat_template = tiny.CHATML
    tokenizer.save_pretrained(folder)
    tiny.build_model(folder, vocab_size=len(tokenizer) + 5, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id)
    return folder


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, merging_base: Path) -> Any:
    """A complete run on that base, with a few questions; do not write into it."""
    from making import make_run

    from engrain.run import Run

    folder = make_run(tmp_path_factory.mktemp("exported"), "kites", merging_base, seed=3)
    found = Run(folder)
    asked = ("What does the Gannet cost?", "Who runs the shop?", "When did you open?")
    rows = [{"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": "£41."}]} for q in asked]
    found.write_rows("examples/heldout.jsonl", rows)
    found.update(settings={**found.info["settings"], "device": "cpu"}, base={"name": str(merging_base), "source": "folder"})
    return found
