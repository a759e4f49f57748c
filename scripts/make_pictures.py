"""Take the pictures of the page that docs/page.md shows: `scripts/make_pictures.py RUN [FOLDER]`.

RUN is a run of the bundled business, as `engrain demo` leaves it. The page is driven in Debian's Chromium on a server of its own, which
takes about a minute. Nothing of RUN is changed.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from playwright.sync_api import sync_playwright

from engrain.serve.studio_documents import EXAMPLE

if TYPE_CHECKING:
    from playwright.sync_api import Page

KEY, NAME = "a-key-for-pictures", "wexlaby"
DESK, PHONE = {"width": 1200, "height": 1040}, {"width": 390, "height": 860}
QUESTION = "For how many months are gift vouchers good?"
PATIENCE = 900_000
"""Milliseconds that a step may take."""


def main(run: Path, out: Path) -> None:
    """Take all pictures; that of a training comes last, because a new version is begun for it."""
    with tempfile.TemporaryDirectory() as scratch, serving(run, Path(scratch)) as address, sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--no-proxy-server"])
        page = chromium.new_page(viewport=DESK, reduced_motion="reduce")
        page.set_default_timeout(PATIENCE)
        page.goto(f"{address}/#key={KEY}")
        for name, show in STEPS.items():
            show(page)
            page.screenshot(path=out / f"page-{name}.png")
        for name, size, scheme in (("dark", DESK, "dark"), ("phone", PHONE, "light")):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size(size)
            go(page, "Verdict" if name == "dark" else "Ask")
            page.screenshot(path=out / f"page-{name}.png")
        page.set_viewport_size(DESK)
        train(page)
        page.screenshot(path=out / "page-3-train.png")
        chromium.close()


@contextmanager
def serving(run: Path, scratch: Path) -> Iterator[str]:
    """The address of a server that has a copy of the run, and the documents that it was made of."""
    shutil.copytree(run, scratch / NAME)
    shutil.copytree(EXAMPLE, scratch / ".studio" / "documents")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "engrain", "serve", "--runs", str(scratch), "--port", str(port), "--requests-per-minute", "5000"]
    with (scratch / "server.log").open("w") as said:
        server = subprocess.Popen(command, env={**os.environ, "ENGRAIN_API_KEY": KEY}, stdout=said, stderr=said)
        try:
            wait_for(f"http://127.0.0.1:{port}", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers; raises RuntimeError where it ends before."""
    while server.poll() is None:
        try:
            httpx.get(f"{address}/healthz", trust_env=False).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(1)
    raise RuntimeError("engrain serve ended at once")


def go(page: Page, step: str) -> None:
    """Go to a step of the page."""
    page.get_by_role("navigation", name="Steps").get_by_role("link", name=step).click()
    page.get_by_role("heading", level=1).wait_for()


def documents(page: Page) -> None:
    """All documents with what becomes of them."""
    page.locator("tr .coverage", has_text="%").nth(7).wait_for()


def facts(page: Page) -> None:
    """Facts that a search finds, one with its passage."""
    go(page, "Facts and examples")
    page.get_by_label("Search").fill("voucher")
    page.locator(".total", has_text="fact").wait_for()
    page.get_by_text("Where it stands").first.click()
    page.locator("blockquote mark").first.wait_for()


def verdict(page: Page) -> None:
    """What to do, and why."""
    go(page, "Verdict")
    page.get_by_role("heading", name="How often each way answers right").wait_for()


def ask(page: Page) -> None:
    """The untouched model and the tuned one beside each other."""
    go(page, "Ask")
    page.get_by_label("Yours, both").check()
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    answered = page.get_by_role("region", name=QUESTION)
    for way in ("base", "tuned", "tuned+both"):
        answered.locator(f'[data-way="{way}"] .foot .chip').wait_for()
    answered.locator('[data-way="tuned+both"] details').first.locator("summary").click()
    answered.get_by_role("button", name="This is wrong: Untouched, from memory", exact=True).click()


def take_away(page: Page) -> None:
    """Where the model can go."""
    go(page, "Take it away")
    page.get_by_text("It answers from memory").wait_for()


def train(page: Page) -> None:
    """The choice before a training, and what it is estimated to take."""
    go(page, "Documents")
    page.get_by_role("button", name="Write facts and examples").click()
    page.get_by_role("tab", name="Facts").wait_for()
    go(page, "Train")
    page.get_by_text("How this was worked out").wait_for()


STEPS = {"1-documents": documents, "2-facts": facts, "4-verdict": verdict, "5-ask": ask, "6-take-away": take_away}

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "docs/images"))
