"""What fails on the page is said there, and can be tried again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import KEY, running
from walking import go

sys.path.insert(0, str(Path(__file__).parent.parent / "serve" / "studio"))


@pytest.fixture
def address(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from shop import KITES, ready_run

    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENGRAIN_DEVICE", "cpu")
    ready_run(tmp_path / "runs" / "kites", tmp_path / "documents", tiny_folder)
    dropped = tmp_path / "runs" / ".studio" / "documents" / "kites.md"
    dropped.parent.mkdir(parents=True)
    dropped.write_bytes(KITES)
    with running(tmp_path / "runs", tiny_folder, requests_per_minute=5000) as found:
        yield found.url


def fails(page: Any, address: str) -> Any:
    """Let every request to this address fail; what is returned lets them through again."""
    page.route(address, lambda route: route.fulfill(status=500, content_type="application/json", body="{}"))
    return lambda: page.unroute(address)


def try_again(page: Any, mend: Any) -> None:
    page.get_by_role("alert").get_by_text("The server answered 500.").wait_for()
    mend()
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("alert").wait_for(state="detached")


@pytest.mark.timeout(300)
def test_calls_that_fail_are_tried_again(page: Any, address: str) -> None:
    mend = fails(page, "**/engrain/coverage")
    page.goto(f"{address}/#key={KEY}")
    go(page, "Documents")
    try_again(page, mend)
    page.get_by_text("facts to learn").wait_for()
    mend = fails(page, "**/engrain/documents/kites.md")
    page.get_by_role("button", name="kites.md", exact=True).click()
    try_again(page, mend)
    page.locator("dialog mark", has_text="£41").wait_for()
    page.keyboard.press("Escape")
    go(page, "Facts")
    page.get_by_text("£41").first.wait_for()
    mend = fails(page, "**/facts?*")
    page.get_by_label("Search").fill("Petrel")
    try_again(page, mend)
    page.get_by_text("£29").first.wait_for()
    page.get_by_role("tab", name="Examples").click()
    mend = fails(page, "**/tokens?*")
    page.get_by_role("button", name="As the model sees it").first.click()
    try_again(page, mend)
    page.get_by_text("tokens are learned").wait_for()
