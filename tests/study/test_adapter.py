from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import pytest

from engrain.documents.base import Section
from engrain.knowledge.blocks import blocks
from engrain.knowledge.facts import Fact
from engrain.study import adapter
from engrain.study.adapter import (
    SHIPPED,
    UNNOTICED,
    WAVE,
    StudyingModel,
    headed,
    merged,
    most_wanted,
    names_beyond,
    place,
    reversible,
    sensible,
    spans_in,
    worth_asking,
)
from engrain.words import canonical

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TEXT = "The shop is small. It opens at nine. Mira runs it!\n\nA deposit is due."
SECTIONS = {"a.md#1": Section("a.md", 1, ("Harbour Kites", "Hours"), TEXT, 0)}
FACT = Fact(
    "f", "the shop", "it opens at ___.", "nine", "time", "It opens at nine.", "a.md#1", 31, 35, "Hours", "Harbour Kites",
    before="The shop is small.",
)  # fmt: skip


def test_a_fact_is_shown_with_its_heading_and_the_sentence_before_it() -> None:
    assert headed(FACT.business, SECTIONS["a.md#1"]) == "Harbour Kites › Hours"
    assert place(FACT, SECTIONS) == ("Harbour Kites › Hours", "It opens at nine.", "nine", "The shop is small.")


def test_a_question_must_not_give_its_answer_away() -> None:
    assert sensible(FACT, "When does Harbour Kites open?")
    assert not sensible(FACT, "Does it open at 9?"), "nine in another spelling"
    assert not sensible(FACT, "When?")


def test_a_question_must_not_name_what_its_source_does_not() -> None:
    known = canonical("Harbour Kites › Hours It opens at nine on Mondays. Mira’s shop has 12 kites.")
    assert names_beyond("Is Mira’s shop, Harbour Kites, open when I’m free at 12?", known) == []
    assert names_beyond("When is Mira at Gull House on the 24th?", known) == ["Gull", "House", "24th"]
    assert names_beyond("Gulls at the shop?", known) == [], "a first word has a capital anyway"


def test_common_words_are_not_worth_a_question() -> None:
    assert worth_asking(FACT)
    assert not worth_asking(replace(FACT, weight=0.3))
    assert not worth_asking(replace(FACT, kind="yesno", value="opens at nine"))


def test_a_question_is_turned_round_to_something_that_the_source_says() -> None:
    fact = replace(FACT, evidence="Mira opens the shop at nine.")
    assert reversible(fact, "Who opens at 9?", "Mira")
    assert not reversible(fact, "Who opens the shop?", "Mira"), "the value is not named"
    assert not reversible(fact, "Who opens at nine?", "Jonas"), "the source does not say so"
    assert not reversible(fact, "When does Mira open, at nine?", "Mira"), "the answer is given away"


SECTION = Section("a.md", 2, ("Harbour Kites", "Team"), "Mira mends sails and keeps a grey parrot.", 0)


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


def test_the_shipped_adapter_is_small_enough_to_ship() -> None:
    folders = [path for path in SHIPPED.iterdir() if path.is_dir()]
    assert folders
    for folder in folders:
        assert (folder / "adapter_model.safetensors").stat().st_size <= 12 * 2**20
        assert (folder / "adapter_config.json").is_file()


def test_what_people_ask_for_most_is_studied_first() -> None:
    facts = [replace(FACT, id=str(n), weight=0.5 + 0.5 * (n % 2)) for n in range(20)] + [replace(FACT, id="rare", weight=0.3)]
    found = most_wanted(facts, 0)
    assert [fact.weight for fact in found] == [1.0] * 10 + [0.5] * 10
    assert [fact.id for fact in found[:10]] != [str(n) for n in range(1, 20, 2)], "no document waits for those before it"
    assert found == most_wanted(facts, 0)


@pytest.mark.parametrize(("minutes", "waves"), [(0, 4), (2.5, 2), (0.5, 1), (99, 4)])
def test_studying_ends_in_time(
    minutes: float,
    waves: int,
    tiny_model: PreTrainedModel,
    tiny_tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    facts = [replace(FACT, id=str(n)) for n in range(4 * WAVE)]
    minute = count(step=60)
    monkeypatch.setattr(adapter.time, "perf_counter", lambda: next(minute))  # a wave takes a minute
    monkeypatch.setattr(StudyingModel, "_wordings", lambda self, wave, *_: {fact.id: [] for fact in wave})
    monkeypatch.setattr(StudyingModel, "_absent", lambda self, sections, business: {})
    notes: list[str] = []
    model = StudyingModel(tiny_model, tiny_tokenizer, minutes=minutes)
    monkeypatch.setattr(type(model.progress), "note", lambda self, text: notes.append(text))
    assert len(model.study(facts, SECTIONS).wordings) == waves * WAVE
    assert bool(notes) == (waves < 4)


def test_what_is_written_about_a_fact_holds_or_is_dropped(tiny_model: PreTrainedModel, tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    facts = [replace(FACT, id=str(n)) for n in range(2)]
    found = StudyingModel(tiny_model, tiny_tokenizer).study(facts, SECTIONS)
    assert set(found.wordings) == {"0", "1"}
    assert found.dropped, "a model with random weights writes nothing that holds"
    assert set(found.absent) == set(SECTIONS)
