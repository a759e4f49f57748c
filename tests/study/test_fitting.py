from __future__ import annotations

from dataclasses import replace

import pytest

from engrain.knowledge.facts import Fact
from engrain.study.fitting import Rivals, asks_beyond, asks_for
from kites import FACT


def told(kind: str, value: str, relation: str) -> Fact:
    return replace(FACT, kind=kind, value=value, relation=relation, evidence=relation.replace("___", value), before="")


REPAIR = told("duration", "nine days", "a repair takes ___.")
READY = told("duration", "nine days", "a mended kite is ready within ___.")
SHUT = told("date", "6 May", "the pier is closed until ___.")
LESSON = told("date", "Sunday 6 May", "the lesson is on ___.")
DOOR = told("time", "9:15", "Mira opens the door at ___.")
REEL = told("money", "£12", "a reel costs ___.")
EXTENSION = told("count", "17", "the extension of Mira is ___.")
TAIL = told("measure", "four metres", "the tail is ___ long.")
PIER = told("place", "Gull Pier", "lessons are given at ___.")
SHIFTS = told("name", "Mon, Wed, Fri", "Mira works ___.")
SHED = told("text", "the blue shed", "kites dry in ___.")


@pytest.mark.parametrize(
    ("fact", "question"),
    [
        (REPAIR, "How long does a repair take?"),
        (REPAIR, "Repair at Harbour Kites, how many days?"),
        (READY, "When is my kite mended?"),
        (SHUT, "How long is the pier closed?"),
        (SHUT, "Since the pier is shut, tell me when I can come."),
        (LESSON, "Lesson, date?"),
        (DOOR, "How early does Mira open the door?"),
        (DOOR, "When does the door open?"),
        (REEL, "What do I pay on the day?"),
        (REEL, "How much is a reel when I bring my own line?"),
        (TAIL, "How long is the tail?"),
        (PIER, "Where are the lessons?"),
        (SHIFTS, "On which days can I book Mira?"),
        (SHED, "Where do kites dry?"),
        (SHED, "What smells of kites that are wet?"),
    ],
)
def test_a_question_may_ask_for_the_kind_of_the_value(fact: Fact, question: str) -> None:
    assert asks_for(fact, question)


@pytest.mark.parametrize(
    ("fact", "question"),
    [
        (REPAIR, "When can I use a repair?"),
        (REPAIR, "For what time is a repair good?"),
        (LESSON, "How long is the lesson?"),
        (LESSON, "At what time does the lesson take place?"),
        (DOOR, "On what day does Mira open the door?"),
        (REEL, "Since when has a reel been sold?"),
        (EXTENSION, "How long is Mira’s extension?"),
        (EXTENSION, "How much extension does Mira have?"),
        (PIER, "How many lessons are given?"),
        (SHED, "When do kites dry?"),
    ],
)
def test_a_question_for_another_kind_than_the_value_is_told(fact: Fact, question: str) -> None:
    assert not asks_for(fact, question)


@pytest.mark.parametrize(
    ("evidence", "good", "bad"),
    [
        ("name: Mira Gull; with us since: 2021-05-06", "When was Mira’s first day?", "When did Mira stop working?"),
        ("A voucher is for any sum from £5 upwards.", "What is the minimum for a voucher?", "What is the maximum for a voucher?"),
        ("The walk starts at 14:00 by the pier.", "How long does the walk last at Harbour Kites?", "When does the last walk start?"),
        ("Register by 6 May.", "Until when can I register?", "When did the first guests register?"),
        ("A lost key costs £12 to replace.", "What does a new key cost?", "What is the highest cost of a key?"),
        ("You get £12 of credit.", "How long till I get my £12?", "How much is a new kite?"),
        ("Open 9:15–17:00", "When do you stop serving?", "When is the longest day?"),
    ],
)
def test_a_question_for_an_end_or_an_extreme_has_it_from_its_source(evidence: str, good: str, bad: str) -> None:
    assert not asks_beyond(good, evidence)
    assert asks_beyond(bad, evidence)


def row(number: int, course: str, fee: str) -> Fact:
    evidence = f"Course: {course}; Fee: {fee}"
    return Fact(str(number), course, "Fee", fee, "money", evidence, "a.md#1", 9 * number, 9 * number + 3, "Fees", "Harbour Kites")


def test_a_question_that_fits_another_row_as_well_is_told() -> None:
    box, stunt = row(1, "Box kites", "£40"), row(2, "Stunt flying", "£60")
    rivals = Rivals([box, stunt, replace(row(3, "Kite lines", "£40"))])
    assert box.form == "attribute"
    assert not rivals.fit(box, "What is the fee for the box kites at Harbour Kites?")
    assert rivals.fit(box, "What is the fee for a course at Harbour Kites?")
    assert rivals.fit(box, "How much is the stunt course?")
    assert not Rivals([box, replace(stunt, value="£40")]).fit(box, "What is the fee for a course?"), "both have the same answer"


def test_a_question_in_words_of_another_fact_alone_is_told() -> None:
    kept, dried = told("duration", "ninety days", "we keep letters for ___."), told("duration", "two days", "kites dry for ___.")
    rivals = Rivals([replace(kept, id="a"), replace(dried, id="b")])
    assert rivals.fit(replace(kept, id="a"), "How long must I wait for a dried kite at Harbour Kites?")
    assert not rivals.fit(replace(kept, id="a"), "How long do you keep a letter about kites?")
    assert not rivals.fit(replace(kept, id="a"), "How long can my post lie there?"), "in words of neither"
