from __future__ import annotations

from dataclasses import replace

import pytest

from engrain.documents.base import Section
from engrain.knowledge.blocks import blocks
from engrain.study.details import UNNOTICED, constituents, headed, merged, place, spans_in, worth_asking
from kites import FACT, SECTIONS

SECTION = Section("a.md", 2, ("Harbour Kites", "Team"), "Mira mends sails and keeps a grey parrot.", 0)


def test_a_fact_is_shown_with_its_heading_and_the_sentence_before_it() -> None:
    assert headed(FACT.business, SECTIONS["a.md#1"]) == "Harbour Kites › Hours"
    assert place(FACT, SECTIONS) == ("Harbour Kites › Hours", "It opens at nine.", "nine", "The shop is small.")


def test_common_words_are_not_worth_a_question() -> None:
    assert worth_asking(FACT)
    assert not worth_asking(replace(FACT, weight=0.3))
    assert not worth_asking(replace(FACT, kind="yesno", value="opens at nine"))
    posted = replace(FACT, kind="date", relation="Posted ___ by Mira.", value="3 May")
    assert not worth_asking(posted)
    assert worth_asking(replace(posted, relation="The shop opens on ___."))
    assert not worth_asking(replace(FACT, subject="Posted")), "when a notice was written is not when its event is"


def test_what_is_listed_weighs_more_and_what_no_fact_holds_is_new() -> None:
    block = blocks(SECTION.text)[0]
    known = replace(FACT, section=SECTION.id, kind="text", value="sails", start=11, end=16, weight=0.5)
    spans = spans_in(SECTION.text, ["sails", "a grey parrot", "a parrot", SECTION.text])
    assert spans == [(11, 16), (27, 40)]
    found = merged([known], [(SECTION, block, span) for span in spans], "Harbour Kites")
    assert [(f.value, f.weight) for f in found] == [("sails", 1.0), ("a grey parrot", 1.0)]
    new = found[1]
    assert SECTION.text[new.start : new.end] == new.value
    assert (new.relation, new.evidence, new.topic) == ("Mira mends sails and keeps ___.", SECTION.text, "Team")
    assert [(f.value, f.weight) for f in merged([known], [], "")] == [("sails", UNNOTICED)]
    typed = replace(known, kind="time", weight=1.0)
    assert merged([typed], [], "") == [typed], "people ask for times whatever the model lists"


def test_a_listed_detail_has_the_statement_that_holds_it() -> None:
    text = "We have no till, so bring cards. Our ovens came by barge, and the mason carried 2,140 bricks from a grey quarry."
    section = Section("a.md", 3, ("Harbour Kites", "Oven"), text, 0)
    block = blocks(text)[1]
    listed = [(section, block, span) for span in spans_in(block.text, ["a grey quarry"])]
    (new,) = merged([], listed, "Harbour Kites")
    assert new.value == "a grey quarry"
    assert new.relation == "the mason carried 2,140 bricks from ___."


@pytest.mark.parametrize(
    ("text", "whole", "torn"),
    [
        (
            "You make a tail from a paper bag and paint faces on it.",
            ["a paper bag"],
            ["a paper bag and paint faces on it", "bag and paint"],
        ),
        ("If the line snaps, leave the field and ask one of us.", ["one of us"], ["the field and ask one of us"]),
        ("Each guest gets a cup and saucer on the sand.", ["a cup and saucer", "on the sand"], ["saucer on the sand"]),
        ("Neither had ever flown a kite.", ["a kite"], ["Neither had ever flown a kite", "had ever flown a kite"]),
    ],
)
def test_a_listed_detail_is_one_part_of_its_sentence(text: str, whole: list[str], torn: list[str]) -> None:
    section = Section("a.md", 4, ("Harbour Kites", "Craft"), text, 0)
    (block,) = blocks(text)
    found = constituents([(section, block, span) for span in spans_in(text, [*whole, *torn])])
    assert [text[start:end] for _, _, (start, end) in found] == whole


def test_a_whole_statement_is_no_detail() -> None:
    text = "If a kite tears, bring it to us; somebody will mend it."
    section = Section("a.md", 5, ("Harbour Kites", "Craft"), text, 0)
    listed = [(section, block, span) for block in blocks(text) for span in spans_in(block.text, ["somebody will mend it"])]
    assert listed
    assert merged([], listed, "Harbour Kites") == []
