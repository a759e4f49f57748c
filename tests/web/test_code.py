"""Somebody whose version completes code looks at its scores, and has a gap filled on the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from serving import KEY, running
from walking import SLOW, check_access, go

from coders import make_coder
from engrain.coding.completion import load_completer
from engrain.comparison import Comparison, Line, Measured
from engrain.run import Run

MEASURED = Comparison(
    "40 gaps in 7 held-out files",
    "untouched",
    "fine-tuned",
    (
        Line("middle: exact match", Measured(0.25), Measured(0.5, 0.4, 0.6), Measured(0.25, 0.1, 0.4)),
        Line("perplexity of held-out files", Measured(15.4), Measured(4.2), Measured(-11.2)),
    ),
    ("Intervals are drawn over files.",),
)


@pytest.fixture
def address(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENGRAIN_DEVICE", "cpu")
    run = Run(make_coder(tmp_path / "runs" / "coder", tiny_folder))
    run.write_json("scores.json", {"comparison": asdict(MEASURED)})
    with running(tmp_path / "runs", tiny_folder, requests_per_minute=5000) as found:
        yield found.url


@pytest.mark.timeout(300)
def test_a_gap_is_filled_where_the_cursor_stands(page: Any, address: str, tmp_path: Path) -> None:
    page.goto(f"{address}/#key={KEY}")
    look_at_the_scores(page)
    go(page, "Ask")
    before, after, path = "def total(numbers):\n    ", "\n    return total\n", "lib/sums.py"
    code = page.get_by_label("Code, with the cursor")
    code.fill(before + after)
    code.evaluate(f"box => box.setSelectionRange({len(before)}, {len(before)})")
    page.get_by_label("Path of its file").fill(path)
    page.get_by_role("button", name="Complete").click()
    turn = page.get_by_role("region", name="Line 2")
    check_access(page)
    for way, wanted in (("tuned", filled(tmp_path, before, after, path=path)), ("base", filled(tmp_path, before, base_only=True))):
        mark = turn.locator(f'[data-way="{way}"] mark')
        mark.wait_for(timeout=SLOW)
        assert mark.text_content() == wanted
        page.get_by_role("button", name=f"Put it in: {'Yours' if way == 'tuned' else 'Untouched'}").click()
        assert code.input_value() == before + wanted + after
        assert code.evaluate("box => box.selectionStart") == len(before + wanted)


def look_at_the_scores(page: Any) -> None:
    go(page, "Verdict")
    table = page.get_by_role("region", name="Scores before and after")
    rows = [" ".join(row.inner_text().split()) for row in table.locator("tbody tr").all()]
    assert rows == [
        "middle: exact match 0.250 0.500 0.400 to 0.600 +0.250 +0.100 to +0.400",
        "perplexity of held-out files 15.400 4.200 −11.200",
    ]
    page.get_by_text("Intervals are drawn over files.").wait_for()
    check_access(page)


def filled(tmp_path: Path, *gap: str, base_only: bool = False, **more: str) -> str:
    completer = load_completer(Run(tmp_path / "runs" / "coder"), base_only=base_only)
    return completer.complete(*gap, **more, max_new_tokens=64).text
