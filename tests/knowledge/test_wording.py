from __future__ import annotations

import pytest

from engrain.knowledge.facts import Fact
from engrain.knowledge.wording import answer


def fact(value: str, relation: str, kind: str = "money") -> Fact:
    return Fact("f", "Gannet", relation, value, kind, "", "a.md#1", 0, len(value))


@pytest.mark.parametrize(
    ("value", "relation", "said"),
    [
        ("8.40", "Price (GBP)", "£8.40."),
        ("8.40", "Fee in €", "€8.40."),
        ("£9", "Price (GBP)", "£9."),
        ("12", "Wind", "12."),
        ("2025-03-04", "since", "4 March 2025."),
        ("2025-13-04", "article", "2025-13-04."),
        ("in **six** days", "Ready", "In six days."),
        ("mira@kites.example", "contact", "mira@kites.example."),
    ],
)
def test_answers_are_values_as_people_say_them(value: str, relation: str, said: str) -> None:
    assert answer(fact(value, relation)) == said


@pytest.mark.parametrize(
    ("value", "relation", "kind", "said"),
    [
        ("20 days", "a receipt must arrive within ___ of the sale.", "duration", "Within 20 days."),
        ("two weeks ahead", "you should book at least ___.", "duration", "At least two weeks ahead."),
        ("Tuesdays", "the van comes on ___.", "date", "On Tuesdays."),
        ("11.00", "orders must be in before ___.", "time", "Before 11.00."),
        ("24", "the evening has ___ seats.", "count", "24 seats."),
        ("900", "the clinic looks after some ___ people.", "count", "Some 900 people."),
        ("two", "the school has ___ of the boats.", "count", "Two."),
        ("six", "the hall with ___ courts takes members.", "count", "Six courts."),
        ("six", "the hall has ___ indoor courts.", "count", "Six indoor courts."),
        ("£5", "a token costs ___.", "money", "£5."),
    ],
)
def test_answers_keep_what_limits_a_value(value: str, relation: str, kind: str, said: str) -> None:
    assert answer(fact(value, relation, kind)) == said
