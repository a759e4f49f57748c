"""Tests of the questions for opening hours."""

from __future__ import annotations

import pytest

from engrain.knowledge.opening import weekdays


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Tuesday, Wednesday and Friday", ["Tuesday", "Wednesday", "Friday"]),
        ("Mon–Wed", ["Monday", "Tuesday", "Wednesday"]),
        ("Friday to Sunday", ["Friday", "Saturday", "Sunday"]),
        ("Weekends", ["Saturday", "Sunday"]),
        ("Sunday sailing", []),
        ("Monday morning", []),
    ],
)
def test_the_days_of_a_key(text: str, days: list[str]) -> None:
    assert weekdays(text) == days
