from __future__ import annotations

import pytest

from engrain.knowledge.facts import Fact
from engrain.knowledge.wording import answer, flipped, relayed


def fact(value: str, relation: str, kind: str = "money") -> Fact:
    return Fact("f", "Gannet", relation, value, kind, "", "a.md#1", 0, len(value))


@pytest.mark.parametrize(
    ("value", "relation", "said"),
    [
        ("8.40", "Price (GBP)", "£8.40."),
        ("8.40", "Fee in €", "€8.40."),
        ("£9", "Price (GBP)", "£9."),
        ("12", "Price (AUD)", "A$12."),
        ("12", "Fee in CAD", "C$12."),
        ("12", "NZD", "NZ$12."),
        ("12", "Price (A$)", "A$12."),
        ("12", "Wind", "12."),
        ("12", "Weight (kg)", "12 kg."),
        ("10–12", "Length [in metres]", "10–12 metres."),
        ("90", "Every (mins)", "90 minutes."),
        ("1", "Notice (days)", "1 day."),
        ("about 15", "Share (%)", "About 15%."),
        ("12", "Price per kg", "12."),
        ("12 kg", "Weight (kg)", "12 kg."),
        ("none", "Weight (kg)", "None."),
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


@pytest.mark.parametrize(
    ("value", "relation", "kind", "said"),
    [
        ("the two posts", "you should moor between ___ only.", "text", "Between the two posts."),
        ("the bench", "the key hangs under ___.", "text", "Under the bench."),
        ("the oven", "the shelf is between ___ and the sink.", "text", "The oven."),
        ("the loft", "the sails are in ___.", "text", "The loft."),
    ],
)
def test_an_answer_keeps_the_preposition_that_says_where(value: str, relation: str, kind: str, said: str) -> None:
    assert answer(fact(value, relation, kind)) == said


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("our shop", "your shop"),
        ("We keep your spare key.", "You keep my spare key."),
        ("We lend you a hammer, show you round and walk back with you.", "You lend me a hammer, show me round and walk back with me."),
        ("If you are late, ring us.", "If I am late, ring you."),
        ("The tools you rent are ours.", "The tools I rent are yours."),
        ("They came from the US.", "They came from the US."),
    ],
)
def test_a_phrase_is_turned_to_the_asker_s_side(said: str, asked: str) -> None:
    assert flipped(said) == asked


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("whether I am to bring my own apron", "whether they are to bring their own apron"),
        ("how much you charge me for your kiln", "how much we charge them for our kiln"),
        ("when I get the pot back from you", "when they get the pot back from us"),
        ("what Ida Fell does", "what Ida Fell does"),
    ],
)
def test_a_customer_s_question_is_passed_on(asked: str, said: str) -> None:
    assert relayed(asked) == said
