"""Moving about on the page, and looking at whether everybody can use it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

SLOW = 240_000
"""Milliseconds that a step may take before its test fails: several times what it takes on an idle machine, for CI may not be one."""


def leaves(url: str, address: str) -> bool:
    return urlsplit(url).scheme not in ("data", "blob") and not url.startswith(f"{address}/")


def go(page: Any, step: str) -> None:
    page.get_by_role("navigation", name="Steps").get_by_role("link", name=step).click()
    page.get_by_role("heading", level=1).wait_for()


def check_access(page: Any) -> None:
    """No serious finding of axe-core, in light and in dark, and nothing that sticks out sideways on a phone."""
    from axe_playwright_python.sync_playwright import Axe

    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = Axe().run(page).response["violations"]
        serious = [(f["id"], [node["html"][:200] for node in f["nodes"]][:3]) for f in found if f["impact"] in ("serious", "critical")]
        assert serious == [], f"{scheme}: {json.dumps(serious, indent=1)}"
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1280, "height": 900})
