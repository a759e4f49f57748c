"""The key is given once: a browser keeps it, for every tab, until its owner logs out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import KEY, running


@pytest.fixture
def address(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENGRAIN_DEVICE", "cpu")
    with running(tmp_path / "runs", tiny_folder, requests_per_minute=5000) as found:
        yield found.url


@pytest.mark.timeout(300)
def test_a_key_is_given_once_and_forgotten_in_every_tab(page: Any, address: str) -> None:
    page.goto(f"{address}/#key={KEY}")
    page.get_by_role("heading", name="Drop your documents here").wait_for()
    other = page.context.new_page()
    other.goto(address)
    other.get_by_role("heading", name="Drop your documents here").wait_for()
    other.get_by_role("button", name="Log out").click()
    for each in (other, page):
        each.get_by_label("Key").wait_for()
        assert each.get_by_role("heading", name="Drop your documents here").count() == 0
    page.reload()
    page.get_by_label("Key").wait_for()
