"""What a sentence's details are, and which of them are no answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engrain.knowledge.facts import Fact
from engrain.knowledge.forms import wordings


def test_further_names_without_a_verb_are_what_the_first_is_said_to_be(facts_in: Callable[..., list[Fact]]) -> None:
    found = {(fact.relation, fact.value) for fact in facts_in("The Tern is a green canoe at £2.85, the Gull a kayak at £3.40.")}
    assert {("the Tern is a green canoe at ___.", "£2.85"), ("the Gull is a kayak at ___.", "£3.40")} <= found


@pytest.mark.parametrize(
    ("text", "value"),
    [("The pupils sing carols in May as a rule.", "a rule"), ("We found this jar in the loft.", "this jar")],
)
def test_a_manner_of_speaking_is_no_value(facts_in: Callable[..., list[Fact]], text: str, value: str) -> None:
    assert value not in {fact.value for fact in facts_in(text)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The mugs are kept in the cellar.", "the cellar"),
        ("Wine tastings are held on Thursday evenings.", "Thursday evenings"),
        ("Either side may end it with one month's notice.", "one month's notice"),
        ("You may end it on 21 days' written notice.", "21 days' written notice"),
    ],
)
def test_what_people_ask_for_is_a_value(facts_in: Callable[..., list[Fact]], text: str, value: str) -> None:
    assert value in {fact.value for fact in facts_in(text)}


def test_the_number_of_a_clause_is_no_part_of_it(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("4 Owners pay £30 a month.\n\n5 Guests pay £12 a night.")
    assert {(fact.subject, fact.value) for fact in found if fact.kind == "money"} == {("owners", "£30 a month"), ("guests", "£12 a night")}


def test_what_follows_a_colon_is_a_reason_only_where_it_is_a_statement(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("Ropes are never hired out: bring your own, with two spares.")
    assert not [fact for fact in found if "because" in fact.relation]


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("Three tables are held back every weekday for members.", "contained"),
        ("Children are included free until their tenth birthday.", "covered"),
        ("The clock is run by weight.", "What runs"),
        ("The three looms upstairs are out of order until June.", "the how many"),
        ("The lunch includes one drink.", "how many drink"),
    ],
)
def test_questions_that_nobody_would_ask_are_not_asked(facts_in: Callable[..., list[Fact]], text: str, broken: str) -> None:
    prompts = [wording.prompt for each in wordings(facts_in(text)) for wording in each]
    assert prompts
    assert not [prompt for prompt in prompts if broken in prompt]


@pytest.mark.parametrize(("text", "value"), [("A missed lesson costs £25 and you lose your place.", "£25"), ("A tandem costs £45.", "£45")])
def test_costs_before_an_amount_is_a_verb(facts_in: Callable[..., list[Fact]], text: str, value: str) -> None:
    assert [fact for fact in facts_in(text) if fact.value == value and fact.relation.endswith("costs ___.")]
