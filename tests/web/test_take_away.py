"""Taking a model away on the page: a button for each form that fits, with its command; the number format is chosen there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from serving import KEY, running
from walking import SLOW, check_access, go

sys.path.insert(0, str(Path(__file__).parent.parent / "export"))


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from making import make_run
    from words import tokenizer_of

    import tiny

    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENGRAIN_DEVICE", "cpu")
    tokenizer = tokenizer_of("gpt-2")
    tokenizer.chat_template = tiny.CHATML
    tokenizer.save_pretrained(tmp_path / "base")
    tiny.build_model(tmp_path / "base", vocab_size=len(tokenizer))
    make_run(tmp_path / "runs", "kites", tmp_path / "base", seed=3)
    with running(tmp_path / "runs", tmp_path / "base", requests_per_minute=5000) as found:
        yield found.url


@pytest.mark.timeout(300)
def test_the_chosen_form_is_downloaded_and_its_command_shown(page: Any, address: str, tmp_path: Path) -> None:
    page.goto(f"{address}/#key={KEY}")
    go(page, "Take it away")
    page.get_by_text("It answers from memory").wait_for()
    assert page.locator("[data-target]").count() == 6  # all but ONNX
    card = page.locator('[data-target="ollama"]')
    card.get_by_text("ollama create kites -f ./kites-ollama/Modelfile").wait_for()
    gguf = page.locator('[data-target="gguf"]')
    gguf.get_by_label("Number format").select_option("q8_0")
    gguf.get_by_text("llama-server -m ./kites-gguf/kites-q8_0.gguf").wait_for()
    for target, title, wanted in (
        ("adapter", "Only what was learned", "adapter_model.safetensors"),
        ("gguf", "llama.cpp (GGUF)", "kites-q8_0.gguf"),
    ):
        with page.expect_download(timeout=SLOW) as started:
            page.get_by_role("button", name=f"Download for {title}").click()
        started.value.save_as(tmp_path / f"{target}.zip")
        assert f"kites-{target}/{wanted}" in ZipFile(tmp_path / f"{target}.zip").namelist()
    check_access(page)
