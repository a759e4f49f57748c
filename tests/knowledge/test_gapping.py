"""One verb for several values."""

from __future__ import annotations

import pytest

from engrain.knowledge.clauses import clauses
from engrain.knowledge.gapping import apart
from engrain.knowledge.memory import Memory
from engrain.knowledge.parse import parse
from engrain.knowledge.values import find_values


def statements(text: str) -> list[str]:
    doc = parse(text)
    spans = [(value, doc.char_span(value.start, value.end, alignment_mode="expand")) for value in find_values(text)]
    typed = [(span.start, span.end, value) for value, span in spans]
    return [each.text() for clause in clauses(doc, Memory("Harbour Kites")) for each in apart(clause, doc, typed)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A place costs £65 and a repair kit £8.50.", ["a place costs £65.", "a repair kit costs £8.50."]),
        (
            "From Monday to Friday the loft is open from 08:30 until 16:20, and on Saturday from 09:15 until 13:00.",
            ["from Monday to Friday the loft is open from 08:30 until 16:20.", "on Saturday the loft is open from 09:15 until 13:00."],
        ),
        (
            "The loft is open from 08:30 until 16:20 on weekdays and from 09:15 until 13:00 on Saturday.",
            ["the loft is open from 08:30 until 16:20 on weekdays.", "the loft is open from 09:15 until 13:00 on Saturday."],
        ),
        ("Lessons cost £30 for adults and £18 for children.", ["lessons cost £30 for adults.", "lessons cost £18 for children."]),
    ],
)
def test_a_verb_that_is_said_once_is_said_for_each_value(text: str, said: list[str]) -> None:
    assert statements(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "Boots cost £5 a day or £20 a week.",
        "Parking costs £4 and is free on Sunday.",
        "We sell kites, lines and reels at £3.",
        "The café serves soup until 14:00 and cake until 16:30.",
    ],
)
def test_other_statements_stay_as_they_are(text: str) -> None:
    doc = parse(text)
    assert statements(text) == [clause.text() for clause in clauses(doc, Memory("Harbour Kites"))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "You get a new mug of the same size and £12 in vouchers.",
            ["you get a new mug of the same size.", "you get £12 in vouchers."],
        ),
        (
            "Warm ash goes into the steel bin and never into the sack.",
            ["warm ash goes into the steel bin.", "warm ash never goes into the sack."],
        ),
        (
            "Soft glaze is kept in the cold shed and not under the bench.",
            ["soft glaze is kept in the cold shed.", "soft glaze is not kept under the bench."],
        ),
        ("Old oil belongs in the tin and not in the drain.", ["old oil belongs in the tin."]),
        ("We sell bread and cakes.", ["we sell bread and cakes."]),
        ("Boats are kept in the shed, but not in May.", ["boats are kept in the shed, but not in May."]),
    ],
)
def test_a_statement_is_parted_where_its_conjunction_was_lost(text: str, said: list[str]) -> None:
    assert statements(text) == said
