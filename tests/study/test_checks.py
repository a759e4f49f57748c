from __future__ import annotations

from dataclasses import replace

from engrain.study.checks import names_beyond, reversible, sensible
from engrain.words import canonical
from kites import FACT


def test_a_question_must_not_give_its_answer_away() -> None:
    assert sensible(FACT, "When does Harbour Kites open?")
    assert not sensible(FACT, "Does it open at 9?"), "nine in another spelling"
    assert not sensible(FACT, "When?")


def test_a_question_must_not_name_what_its_source_does_not() -> None:
    known = canonical("Harbour Kites › Hours It opens at nine on Mondays. Mira’s shop has 12 kites.")
    assert names_beyond("Is Mira’s shop, Harbour Kites, open when I’m free at 12?", known) == []
    assert names_beyond("When is Mira at Gull House on the 24th?", known) == ["Gull", "House", "24th"]
    assert names_beyond("Gulls at the shop?", known) == [], "a first word has a capital anyway"


def test_a_question_is_turned_round_to_something_that_the_source_says() -> None:
    fact = replace(FACT, evidence="Mira opens the shop at nine.")
    assert reversible(fact, "Who opens at 9?", "Mira")
    assert not reversible(fact, "Who opens the shop?", "Mira"), "the value is not named"
    assert not reversible(fact, "Who opens at nine?", "Jonas"), "the source does not say so"
    assert not reversible(fact, "When does Mira open, at nine?", "Mira"), "the answer is given away"
    walk = replace(FACT, value="Sunday", evidence="Mira leads a photo walk on Sunday.")
    assert not reversible(walk, "What is the photo walk on Sunday?", "a photo walk"), "with another article"
    assert not reversible(walk, "When is the photo walk, Sunday or when?", "Mira"), "nobody is a time"
