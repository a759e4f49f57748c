"""What the page's tests share: a browser, without which they are skipped, and the servers of tests/serve."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "serve")]
CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless browser, for one file: while it runs no test may have an event loop. Skipped where the machine has none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e .[dev]")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine (Debian: apt install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--no-proxy-server"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    """A page that fails the test on any error of its scripts and on any request to another machine."""
    from walking import SLOW, leaves

    context = chromium.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened, faults = context.new_page(), []
    opened.set_default_timeout(SLOW)
    opened.on("pageerror", lambda error: faults.append(f"script: {error}"))
    opened.on(
        "console",
        lambda said: (
            faults.append(f"console: {said.text}") if said.type == "error" and "Failed to load resource" not in said.text else None
        ),
    )
    opened.on("request", lambda sent: faults.append(f"request to {sent.url}") if leaves(sent.url, address) else None)
    yield opened
    context.close()
    assert faults == []
