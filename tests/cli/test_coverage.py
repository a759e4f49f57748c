from __future__ import annotations

import pytest

from engrain.cli import _coverage
from engrain.knowledge.coverage import Coverage

HOURS = Coverage("hours.md", 3, 4, 3, 80, 60, ("Well,\nwell.",), {"sentence": (3, 2), "key and value": (1, 1)}, {"time": (2, 2)})
FULL = Coverage("prices.csv", 9, 9, 9, 90, 90, (), {"table cell": (9, 9)}, {"time": (1, 0), "money": (9, 9)}, ("time 9:00: 9:00 or so",))


def test_what_became_facts_by_part_and_value(capsys: pytest.CaptureFixture[str]) -> None:
    _coverage.show([HOURS, FULL])
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert ["hours.md", "3", "75%", "2", "of", "3", "1", "of", "1", "–"] in rows
    assert ["prices.csv", "9", "100%", "–", "–", "9", "of", "9"] in rows
    assert "Values in facts: money 9 of 9, time 2 of 3." in out
    assert "Not covered in hours.md: 25% of its text\n  part: Well, well.\n" in out
    assert "Not covered in prices.csv: 0% of its text\n  value: time 9:00: 9:00 or so\n" in out


def test_long_lists_are_cut_and_counted() -> None:
    row = Coverage("a.md", 0, 9, 0, 90, 0, tuple(f"Part {n}." for n in range(9)), {}, {}, (), ("a.md › Oh",))
    assert _coverage.missed_lines(row) == [
        "Not covered in a.md: 100% of its text",
        "  section: a.md › Oh",
        *(f"  part: Part {n}." for n in range(6)),
        "  … 3 more (--json lists all)",
    ]
    assert _coverage.missed_lines(Coverage("b.md", 1, 1, 1, 9, 9, ())) == []
