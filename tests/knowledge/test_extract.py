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


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("- Monday: 9:00 AM - 5:00 PM", "9:00 AM - 5:00 PM"),
        ("- Monday: 9:00 to 12:00 and 14:00 to 18:00", "9:00 to 12:00 and 14:00 to 18:00"),
        ("- Tours: 10:00, 12:00 and 14:00", "10:00, 12:00 and 14:00"),
    ],
)
def test_the_hours_of_an_item_are_whole(facts_in: Callable[..., list[Fact]], text: str, value: str) -> None:
    assert [fact.value for fact in facts_in(text) if fact.kind == "time"] == [value]


def test_the_documents_own_answer_is_a_whole_sentence_or_none(facts_in: Callable[..., list[Fact]]) -> None:
    text = "When are you open? Monday to Friday: 9:00 to 17:00. Not on feast days.\n\nAre dogs allowed? Yes; but only on a lead.\n\n"
    long = "Can I cancel? Yes, if you do so more than fourteen days before the first lesson " + "that you have booked with us " * 4 + "."
    found = {fact.relation: fact.value for fact in facts_in(text + long) if fact.form == "question"}
    assert found == {"When are you open?": "Monday to Friday: 9:00 to 17:00", "Are dogs allowed?": "Yes; but only on a lead"}
    assert not [fact for fact in facts_in("What should I bring? These things:\n\n- Lunch: £5") if fact.form == "question"]


def test_what_a_bracket_limits_is_no_rule(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("Entry is free (members only). Parking is free.")
    assert [fact.relation for fact in found if fact.kind == "yesno"] == ["parking is free."]


def test_a_sum_beside_the_price_is_asked_for_by_its_name(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("- Wetsuit: £30 deposit\n- Child: £5 discount\n- Locker: £2 fee")
    named = {(fact.subject, fact.relation) for fact in found if fact.kind == "money"}
    assert named == {("Wetsuit", "deposit"), ("Child", "discount"), ("Locker", "money")}


def test_a_column_is_money_by_whole_words(facts_in: Callable[..., list[Fact]]) -> None:
    found = {fact.relation: fact.kind for fact in facts_in("| Horse | Feeds | Fees |\n|---|---|---|\n| Star | 12 | 30 |")}
    assert found == {"Feeds": "count", "Fees": "money"}


def test_the_last_group_of_a_number_is_no_count(facts_in: Callable[..., list[Fact]]) -> None:
    assert "200" not in {fact.value for fact in facts_in("We had 1 200 visitors in May. The yard is shut.")}
