from __future__ import annotations

import random

import pytest

from engrain.documents.base import Document
from engrain.knowledge.facts import Fact, find_facts
from engrain.knowledge.unknown import unanswerable, unanswered

ANSWERED = ("What does a wheel session cost?", "How much is the gift box at Fernlea Pottery?", "Who runs the studio?")
OPEN = ("How much is the lantern?", "How long does the gift box last?", "Is there a swimming pool?", "Who paints the lantern?")


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
