from __future__ import annotations

from dataclasses import replace

from engrain.documents.base import Section
from engrain.knowledge.facts import Fact
from engrain.study.adapter import SHIPPED, heading, sensible, worth_asking
from engrain.study.skills import sentence_before

TEXT = "The shop is small. It opens at nine. Mira runs it!\n\nA deposit is due."
SECTIONS = {"a.md#1": Section("a.md", 1, ("Harbour Kites", "Hours"), TEXT, 0)}
FACT = Fact("f", "the shop", "it opens at ___.", "nine", "time", "It opens at nine.", "a.md#1", 31, 35, "Hours", "Harbour Kites")


def test_a_fact_is_shown_with_its_heading_and_the_sentence_before_it() -> None:
    assert heading(FACT, SECTIONS) == "Harbour Kites › Hours"
    assert sentence_before(TEXT, FACT.evidence) == "The shop is small."
    assert sentence_before(TEXT, "Mira runs it!") == "It opens at nine."
    assert sentence_before(TEXT, "The shop is small.") == ""
    assert sentence_before(TEXT, "A deposit is due.") == ""
    assert sentence_before(TEXT, "Not there.") == ""


def test_a_question_must_not_give_its_answer_away() -> None:
    assert sensible(FACT, "When does Harbour Kites open?")
    assert not sensible(FACT, "Does it open at 9?"), "nine in another spelling"
    assert not sensible(FACT, "When?")


def test_common_words_are_not_worth_a_question() -> None:
    assert worth_asking(FACT)
    assert not worth_asking(replace(FACT, kind="text", value="the door"))
    assert worth_asking(replace(FACT, kind="text", value="the blue box outside"))
    assert worth_asking(replace(FACT, kind="text", value="the Drying Line"))
    assert not worth_asking(replace(FACT, kind="yesno", value="opens at nine"))


def test_the_shipped_adapter_is_small_enough_to_ship() -> None:
    folders = [path for path in SHIPPED.iterdir() if path.is_dir()]
    assert folders
    for folder in folders:
        assert (folder / "adapter_model.safetensors").stat().st_size <= 12 * 2**20
        assert (folder / "adapter_config.json").is_file()
