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
