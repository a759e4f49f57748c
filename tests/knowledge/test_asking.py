"""What a statement is not asked: what it denies, and whose number it does not give."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from asked import prompts
from engrain.documents.base import Document, Section
from engrain.knowledge.facts import Fact, find_facts
from engrain.knowledge.forms import wordings


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


@pytest.mark.parametrize(
    ("text", "value", "missing"),
    [
        ("The crew shut the kiln in 2019 with the old tongs.", "the old tongs", "which person"),
        ("The old kiln cost £900 in 2019.", "£900", "How much do I have to pay for the old kiln?"),
        ("The Lodestar is our yearly newsletter.", "our yearly newsletter", "role"),
        ("Further bags cost £7.50 apiece at the shop.", "the shop", "come to"),
        ("The course lasts two hours.", "two hours", "How much time does"),
        ("The hike is two hours long.", "two hours", "For how long is"),
    ],
)
def test_other_words_are_put_only_where_they_fit(facts_in: Callable[..., list[Fact]], text: str, value: str, missing: str) -> None:
    assert not [prompt for prompt in prompts(facts_in(text), value) if missing in prompt]


def test_the_price_of_several_things_is_asked_for_though_cost_may_be_the_past(facts_in: Callable[..., list[Fact]]) -> None:
    assert "How much are seven firings?" in prompts(facts_in("Seven firings cost £80."), "£80")


def test_how_long_is_asked_in_the_words_that_its_verb_takes(facts_in: Callable[..., list[Fact]]) -> None:
    assert "For how long does the glaze keep?" in prompts(facts_in("The glaze keeps for six weeks."), "six weeks")
    assert "How much time does the firing take?" in prompts(facts_in("The firing takes nine hours."), "nine hours")


def test_several_people_are_no_which_person(facts_in: Callable[..., list[Fact]]) -> None:
    one = prompts(facts_in("The kiln was built by the founder."), "the founder")
    assert "Which person built the kiln?" in one
    several = prompts(facts_in("The kiln was built by the pupils."), "the pupils")
    assert "Who built the kiln?" in several
    assert not [prompt for prompt in several if "hich person" in prompt]


def test_what_a_customer_asks_is_passed_on_from_the_business_s_side(facts_in: Callable[..., list[Fact]]) -> None:
    found = prompts(facts_in("We lend your group an apron for £2."), "£2")
    assert not [prompt for prompt in found if prompt.startswith("A customer wants to know") and " you " in prompt]


@pytest.mark.parametrize(
    ("text", "value", "noun"), [("The deposit is £40.", "£40", "deposit"), ("The price of a key is £9.", "£9", "price")]
)
def test_a_sum_has_no_price(facts_in: Callable[..., list[Fact]], text: str, value: str, noun: str) -> None:
    (fact,) = (fact for fact in facts_in(text) if fact.value == value)
    (found,) = wordings([fact])
    asked = [wording.prompt for wording in found if wording.kind == "question"]
    assert any(prompt.startswith(f"How much is the {noun}") for prompt in asked)
    assert not [prompt for prompt in asked if "price of the" in prompt or "charge for the" in prompt or "set me back" in prompt]


@pytest.mark.parametrize(
    ("text", "heading", "value", "question"),
    [
        ("A leather strap costs £7.", "In the shop", "£7", "Which strap costs £7?"),
        ("Pen Weekend costs £140.", "Writing courses at Osier", "£140", "Which course costs £140?"),
    ],
)
def test_a_thing_is_asked_for_by_its_sort(text: str, heading: str, value: str, question: str) -> None:
    facts = find_facts([Document("a.md", heading, (Section("a.md", 0, (heading,), text, 0),), "0" * 64)])
    assert question in prompts(facts, value)
