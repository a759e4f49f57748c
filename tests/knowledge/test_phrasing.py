from __future__ import annotations

import pytest

from engrain.knowledge.phrasing import fill, is_plural


@pytest.mark.parametrize(
    ("phrase", "plural"),
    [
        ("further bags", True),
        ("the barn and the mill", True),
        ("black and white glazing, per pot", False),
        ("Slip and Salt", False),
        ("wheels and tools", True),
    ],
)
def test_a_name_with_and_is_one_thing(phrase: str, plural: bool) -> None:
    assert is_plural(phrase) == plural


def test_the_verb_goes_with_the_subject() -> None:
    assert fill("When {is} {s}?", "Slip and Salt") == "When is Slip and Salt?"
