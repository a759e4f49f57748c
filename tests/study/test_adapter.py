from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from engrain.generate import Completion
from engrain.knowledge.wording import STUDIED, Wording
from engrain.study import adapter
from engrain.study.adapter import (
    BEYOND,
    ELSEWHERE,
    KEPT,
    KEPT_REVERSE,
    LONGEST_SHOWN,
    OTHERWISE,
    SENSELESS,
    SHIPPED,
    SMALLEST_WAVE,
    TOO_MANY,
    UNSAID,
    WAVE,
    Notes,
    StudyingModel,
    anchors,
    as_said,
    fault_of,
    most_wanted,
    plain_questions,
)
from engrain.study.fitting import Rivals
from kites import FACT, SECTIONS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from engrain.knowledge.facts import Fact


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


LISTS = [(0, WAVE), (0, WAVE), (0, 8), (1, WAVE), (1, WAVE), (1, 8)]
"""What is written about two waves of facts and eight more: list number and facts."""
SAID = 1 - UNSAID
"""The share of the minutes that is spent on what the documents say."""


@pytest.mark.parametrize(
    ("minutes", "lists", "again"),
    [
        (0, LISTS, 2 * WAVE + 8),
        (99, LISTS, 2 * WAVE + 8),
        (0.5 / SAID, LISTS[:1], 0),
        (2.2 / SAID, LISTS[:2], 0),
        (2.3 / SAID, [*LISTS[:2], (0, 8)], 0),
        (3.5 / SAID, [*LISTS[:4], (1, 24)], WAVE + 24),
    ],
)
def test_studying_ends_in_time_and_goes_once_through_all_facts_before_it_begins_again(
    minutes: float,
    lists: list[tuple[int, int]],
    again: int,
    tiny_model: PreTrainedModel,
    tiny_tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    facts = [replace(FACT, id=str(n)) for n in range(2 * WAVE + 8)]
    written: list[tuple[int, int]] = []
    # A full wave takes a minute.
    monkeypatch.setattr(adapter, "time", SimpleNamespace(perf_counter=lambda: 60 * sum(size for _, size in written) / WAVE))

    def write(self: StudyingModel, number: int, wave: list[Fact], sections: object, notes: dict[str, Notes], stage: object) -> None:
        written.append((number, len(wave)))
        notes |= {fact.id: Notes() for fact in wave}

    monkeypatch.setattr(StudyingModel, "_write_list", write)
    monkeypatch.setattr(StudyingModel, "_absent", lambda self, sections, business: {})
    said: list[str] = []
    model = StudyingModel(tiny_model, tiny_tokenizer, minutes=minutes)
    monkeypatch.setattr(type(model.progress), "note", lambda self, text: said.append(text))
    studied = len(model.study(facts, SECTIONS).wordings)
    assert written == lists
    assert studied == min(sum(size for _, size in lists), len(facts))
    assert bool(said) == (lists != LISTS)
    assert not said or f"study {studied} of {len(facts)} facts, {again} of them again" in said[0]


def test_later_lists_begin_with_other_questions() -> None:
    forms = ("wh-0", "after-sentence", "in-place", "quick+wh-0", "wh-1", "wh-2")
    plain = plain_questions([Wording("question", form, f"{form}?", "Nine.") for form in forms])
    assert [anchors(plain, n) for n in (0, 1, 2)] == ["wh-0?\nin-place?\n", "wh-1?\nwh-2?\n", "wh-0?\nin-place?\n"]


def test_the_surest_of_all_lists_are_practised() -> None:
    asked = {Wording("question", STUDIED, f"{n}?", "Nine."): -n / 100 for n in range(KEPT + 2)}
    notes = Notes(dict(reversed(asked.items())), [Wording("reverse", STUDIED, f"r{n}?", "It.") for n in range(5)], [("why", "lost?")])
    assert notes.wordings() == [*list(asked)[:KEPT], *notes.reversals[:KEPT_REVERSE]]
    assert [(d.reason, d.text) for d in notes.dropped("a#1")] == [("why", "lost?"), (TOO_MANY, "12?"), (TOO_MANY, "13?")]


def test_a_price_that_nothing_leads_back_from_is_turned_round() -> None:
    price = replace(FACT, kind="money", value="£9", relation="the Heron, a kite, at ___.", evidence="The Heron, a kite, at £9.")
    question = {Wording("question", STUDIED, "How much is the Heron?", "£9."): -0.1}
    found = Notes(dict(question))
    found.turn(price)
    assert found.wordings()[1].prompt == "What costs £9?"
    assert found.wordings()[1].answer == "The Heron."
    written = Wording("reverse", STUDIED, "Which kite costs £9?", "The Heron.")
    for other in (Notes(dict(question), [written]), Notes(dict(question), backwards=True)):
        before = list(other.reversals)
        other.turn(price)
        assert other.reversals == before


def test_a_question_that_cannot_be_about_a_fact_is_dropped_for_a_reason() -> None:
    bar = replace(FACT, id="bar", value="ten", relation="the bar opens at ___.", evidence="The bar opens at ten.", before="")
    asked = ("When does it open?", "Does it open at nine?", "When does Gull House open?", "How much is it to open?", "When does it end?")
    assert [fault_of(FACT, q, "It opens.", Rivals([FACT, bar])) for q in asked] == ["", SENSELESS, BEYOND, OTHERWISE, OTHERWISE]
    assert fault_of(FACT, "When is the bar busy?", "It opens.", Rivals([FACT, bar])) == ELSEWHERE


def test_a_reversed_question_is_in_words_as_people_say_them() -> None:
    fact = replace(FACT, value="2021-05-06", relation="with us since", kind="date")
    turned = as_said(fact, Wording("reverse", STUDIED, "Who has been here since 2021-05-06?", "the sail maker"))
    assert (turned.prompt, turned.answer) == ("Who has been here since 6 May 2021?", "The sail maker.")


@pytest.mark.parametrize(
    ("value", "relation", "prompt", "said"),
    [
        ("12", "Price (GBP)", "What costs £12?", "What costs £12?"),
        ("12", "Weight (kg)", "Which kite weighs 12 and takes 120?", "Which kite weighs 12 kg and takes 120?"),
        ("no", "Lined", "Which notebook is not lined?", "Which notebook is not lined?"),
    ],
)
def test_a_value_is_put_into_a_reversed_question_once_and_as_a_word(value: str, relation: str, prompt: str, said: str) -> None:
    assert as_said(replace(FACT, value=value, relation=relation), Wording("reverse", STUDIED, prompt, "the kite")).prompt == said


def test_what_a_section_does_not_say_is_asked_in_whole_likely_lines_without_made_up_names(
    tiny_model: PreTrainedModel, tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "Is there a parking place?\nIs there a Gull House at the shop?\nHow many kites does Mi"
    ids = tuple(tiny_tokenizer.encode(text, add_special_tokens=False))
    studying = StudyingModel(tiny_model, tiny_tokenizer)
    monkeypatch.setattr(
        studying, "_write", lambda prompts, *rest, **named: [Completion(text, ids, (0.0,) * len(ids), False)] * len(prompts)
    )
    monkeypatch.setattr(studying, "_sure", lambda shown, asked, answers: dict.fromkeys(asked, 0.0))
    assert studying._absent(list(SECTIONS.values()), "Harbour Kites") == {"a.md#1": ["Is there a parking place?"]}


@pytest.mark.parametrize(("minutes", "asked"), [(0, 5), (2.4, 2), (3.2, 3), (99, 5)])
def test_what_the_sections_do_not_say_is_asked_of_as_many_as_there_is_time_for(
    minutes: float, asked: int, tiny_model: PreTrainedModel, tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    (section,) = SECTIONS.values()
    sections = [replace(section, number=number) for number in range(5 * SMALLEST_WAVE)]
    waves: list[list[str]] = []
    notes: list[str] = []
    monkeypatch.setattr(adapter, "time", SimpleNamespace(perf_counter=lambda: 10 * len(waves)))  # a wave takes ten seconds
    studying = StudyingModel(tiny_model, tiny_tokenizer, minutes=minutes)
    monkeypatch.setattr(type(studying.progress), "note", lambda self, text: notes.append(text))
    monkeypatch.setattr(
        studying, "_write", lambda prompts, *rest, **named: waves.append(prompts) or [Completion("", (), (), True)] * len(prompts)
    )
    assert studying._absent(sections, "Harbour Kites") == {each.id: [] for each in sections}
    assert [len(prompts) for prompts in waves] == [SMALLEST_WAVE] * asked
    assert bool(notes) == (asked < 5)
    assert not notes or f"what {asked * SMALLEST_WAVE} of {len(sections)} sections do not say" in notes[0]


def test_only_what_rules_do_not_turn_round_is_turned_round(
    tiny_model: PreTrainedModel, tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    (section,) = SECTIONS.values()
    facts = [replace(FACT, id=name) for name in ("turned", "left")]
    prompts: list[str] = []
    found = [[Wording("question", "wh-0", "When?", "Nine."), Wording(kind, "", "What?", "It.")] for kind in ("reverse", "question")]
    monkeypatch.setattr(adapter, "wordings", lambda facts: found[: len(facts)])
    studying = StudyingModel(tiny_model, tiny_tokenizer)
    monkeypatch.setattr(
        studying, "_write", lambda asked, *rest, **named: prompts.extend(asked) or [Completion("", (), (), True)] * len(asked)
    )
    notes: dict[str, Notes] = {}
    studying._write_list(0, facts, {section.id: section}, notes, SimpleNamespace(advance=lambda count: None))
    assert {name: each.backwards for name, each in notes.items()} == {"turned": True, "left": False}
    assert sum("Ask questions that name" in prompt for prompt in prompts) == 1
    assert len(prompts) == 3


def test_a_paragraph_too_long_for_the_rules_is_not_shown_whole_to_the_model(
    tiny_model: PreTrainedModel, tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = replace(SECTIONS["a.md#1"], text="The loft is swept on Mondays.\n\n" + "and the sails are aired " * 90)
    shown: list[str] = []
    studying = StudyingModel(tiny_model, tiny_tokenizer)
    monkeypatch.setattr(
        studying, "_write", lambda prompts, *rest, **named: shown.extend(prompts) or [Completion("", (), (), True)] * len(prompts)
    )
    assert studying.notice([], [section], "Harbour Kites") == []
    assert len(shown) == 1
    assert "The loft is swept on Mondays." in shown[0]


def test_what_is_written_about_a_fact_holds_or_is_dropped(tiny_model: PreTrainedModel, tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    facts = [replace(FACT, id=str(n)) for n in range(2)]
    found = StudyingModel(tiny_model, tiny_tokenizer).study(facts, SECTIONS)
    assert set(found.wordings) == {"0", "1"}
    assert found.dropped, "a model with random weights writes nothing that holds"
    assert set(found.absent) == set(SECTIONS)


def test_what_a_section_does_not_answer_is_not_asked_of_a_part_of_it(
    tiny_model: PreTrainedModel, tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    studying = StudyingModel(tiny_model, tiny_tokenizer)
    write = studying._write
    monkeypatch.setattr(studying, "_write", lambda prompts, *rest, **named: shown.extend(prompts) or write(prompts, *rest, **named))
    (short,) = SECTIONS.values()
    long = replace(short, number=2, text="It opens at nine. " * (LONGEST_SHOWN // 10))
    assert studying._absent([long, short], "Harbour Kites").keys() == {long.id, short.id}
    assert len(shown) == 1
    assert studying._absent([long], "Harbour Kites") == {long.id: []}
