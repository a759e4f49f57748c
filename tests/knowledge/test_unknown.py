from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from engrain.documents.base import Document
from engrain.knowledge.facts import Fact, find_facts
from engrain.knowledge.unknown import known_things, of_invented, unanswerable, unanswered

ANSWERED = ("What does a wheel session cost?", "How much is the gift box at Fernlea Pottery?", "Who runs the studio?")
OPEN = ("How much is the lantern?", "How long does the gift box last?", "Is there a swimming pool?", "Who paints the lantern?")
SAID = """Our cat Miso sleeps in the window. Quiet jazz music plays all day. We pay £900 rent a month. The walls are green.
We bank with Lloyds. Ada Merle is 41 years old. Ada Merle runs the shop.

| Item | Color | Weight |
|---|---|---|
| Gift box | Green | 3 kg |
"""
"""What answers questions that are otherwise taken to have no answer."""


@pytest.fixture(scope="module")
def facts(documents: list[Document]) -> list[Fact]:
    return find_facts(documents, "Fernlea Pottery")


def test_what_a_fact_of_the_asked_kind_may_answer_is_told_from_what_none_does(facts: list[Fact]) -> None:
    assert unanswered((*ANSWERED, *OPEN), facts) == list(OPEN)
    assert unanswered(ANSWERED, []) == list(ANSWERED)


def test_a_written_question_that_the_documents_answer_is_not_declined(facts: list[Fact]) -> None:
    train, test = unanswerable(facts, 0.1, 400, set(), random.Random(0), [*ANSWERED, *OPEN])
    prompts = {wording.prompt for wording in (*train, *test)}
    assert prompts >= set(OPEN)
    assert not prompts & set(ANSWERED)


def test_no_name_of_a_known_person_is_declined_for_being_joined_to_anothers(facts: list[Fact]) -> None:
    train, test = unanswerable(facts, 0.5, 4000, set(), random.Random(0))
    people = {fact.value for fact in facts if fact.kind == "person"}
    assert {"Harriet Boone", "Colm Aldersey"} <= people
    assert not [w.prompt for w in (*train, *test) if "Harriet" in w.prompt and "Harriet Boone" not in w.prompt]


def test_what_the_documents_say_is_not_declined(facts_in: Callable[..., list[Fact]]) -> None:
    train, _ = unanswerable(facts_in(SAID), 0.5, 4000, set(), random.Random(0))
    prompts = " ".join(wording.prompt for wording in train)
    assert not [words for words in ("cat?", "rent", "music", "walls", "Which bank", "How old", "colour", "weigh") if words in prompts]
    assert "Which software writes the invoices at Fernlea Pottery?" in prompts
    assert "Who invented a gift box?" in prompts
    assert "Is Ada Merle married?" in prompts


def test_a_yes_or_no_that_a_rule_may_answer_is_not_declined(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("Dogs are allowed in the studio.\n\nIs there parking? Behind the building.")
    told = ("Are dogs allowed in the studio?", "Can I take my dog into the studio?", "Is there parking at Fernlea Pottery?")
    assert unanswered((*told, "Are children allowed in the kiln room?", "Is there a lift?"), facts) == [
        "Are children allowed in the kiln room?",
        "Is there a lift?",
    ]


def test_what_a_fact_nearly_repeats_is_not_declined_whatever_it_asks_for(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("Return postage on a glazed tile is £4.50. The brass key tag bears the number of the kiln.")
    told = ("What is the return postage on a glazed tile sent by Fernlea Pottery?", "What is on the brass key tag?")
    assert unanswered((*told, "What is the size of the glazed tile?"), facts) == ["What is the size of the glazed tile?"]


def test_at_most_half_is_written_by_a_model_as_long_as_there_are_others(facts: list[Fact]) -> None:
    written = [f"Is there a {word}?" for word in ("moat", "lift", "vault", "crypt", "ramp", "jetty", "sauna", "piano", "casino", "chapel")]
    train, _ = unanswerable(facts, 0.5, 12, set(), random.Random(0), written)
    assert len(train) == 12
    assert sum(wording.prompt in written for wording in train) == 6


def test_the_beginning_of_a_question_says_what_kind_it_asks_for(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("Parking tickets are sold at 12 Quay Lane. Notice of three weeks is needed to leave the guild.")
    told = ("Where do I pay for parking tickets?", "How much notice must I give to leave?")
    assert unanswered((*told, "How much does parking in the tower cost?"), facts) == ["How much does parking in the tower cost?"]


NOTES = """# Notices

Posted: 2026-11-14

Telephone: 01632 960123

Board: Notices by the kiln

| Service | Price |
|---|---|
| Glaze firing (stoneware, red or grey), per shelf | £14 |
| Wheel hire, per hour | £9 |
"""


def test_only_what_one_buys_visits_or_is_taught_is_asked_for_more(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in(NOTES)
    assert known_things(facts) == ["a wheel hire", "glaze firing"]


def test_at_most_a_quarter_of_the_rest_is_about_what_is_made_up(facts: list[Fact]) -> None:
    train, _ = unanswerable(facts, 0.5, 40, set(), random.Random(0))
    made_up = {question for _, question in of_invented(facts)}
    assert len(train) == 40
    assert sum(wording.prompt in made_up for wording in train) == 10
