"""What a statement is not asked: what it denies, and whose number it does not give."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from asked import prompts
from engrain.knowledge.facts import Fact


@pytest.mark.parametrize(
    ("said", "denied", "value", "question"),
    [
        (
            "The entrance is at the front gate.",
            "The entrance is not at the front gate.",
            "the front gate",
            "What is the location of the entrance?",
        ),
        ("The course lasts two hours.", "The course does not last two hours.", "two hours", "What is the length of the course?"),
        ("We charge a deposit of £20.", "We do not charge a deposit of £20.", "£20", "How much is the deposit?"),
        ("Our shop is at 7 Mill Lane.", "Our shop is not at 7 Mill Lane.", "7 Mill Lane", "What is the address of your shop?"),
    ],
)
def test_what_is_denied_is_not_asked_for(facts_in: Callable[..., list[Fact]], said: str, denied: str, value: str, question: str) -> None:
    assert question in prompts(facts_in(said), value)
    assert not [prompt for prompt in prompts(facts_in(denied), value) if prompt == question or "address" in prompt]


def test_a_denial_elsewhere_in_the_sentence_is_none_of_the_value(facts_in: Callable[..., list[Fact]]) -> None:
    assert "How much is the fee?" in prompts(facts_in("If you do not come, a fee of £20 is due."), "£20")


@pytest.mark.parametrize(
    ("text", "value", "own"),
    [
        ("Call us on 0800 111 999.", "0800 111 999", True),
        ("Ring 0800 111 999 to book.", "0800 111 999", True),
        ("Fernlea Pottery can be reached on 0800 111 999.", "0800 111 999", True),
        ("Reports go to kiln@fernlea.example.", "kiln@fernlea.example", True),
        ("If you smell gas call 0800 111 999.", "0800 111 999", False),
        ("Call 0800 111 999 if you smell gas.", "0800 111 999", False),
        ("The harbour master is on 0800 111 999.", "0800 111 999", False),
        ("Tickets are sold at www.ticketry.example.", "www.ticketry.example", False),
    ],
)
def test_a_number_is_the_business_s_where_the_statement_says_so(
    facts_in: Callable[..., list[Fact]], text: str, value: str, own: bool
) -> None:
    found = prompts(facts_in(text), value)
    assert any(prompt.endswith("of Fernlea Pottery?") for prompt in found) == own
