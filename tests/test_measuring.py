"""What a run is measured on: held-out rows as questions, what the untouched model said, and what chooses nothing."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engrain import measuring
from engrain.assistant import Assistant, Library
from engrain.evaluate import matches
from engrain.examples import Example, Message, Question, asked_in, example_to_row
from engrain.knowledge.wording import STUDIED
from engrain.progress import Progress
from engrain.run import Run

FIRST, FOLLOW = "What does a gift card cost?", "And how many looms are there?"


def test_a_held_out_talk_is_asked_as_a_talk() -> None:
    turns = (Message("user", FIRST), Message("assistant", "£20."), Message("user", FOLLOW), Message("assistant", "Four looms."))
    asked = measuring.heldout_question(Example(turns, "follow-up"), "4")
    assert asked is not None
    assert (asked.question, asked.history, asked.answers, asked.kind) == (FOLLOW, ((FIRST, "£20."),), ("4",), "follow-up")
    persona = measuring.heldout_question(Example((Message("system", "Be brief."), *turns), "own"), "")
    assert persona is not None
    assert (persona.system, persona.question, persona.history, persona.answers) == (
        "Be brief.",
        FOLLOW,
        ((FIRST, "£20."),),
        ("Four looms.",),
    )
    assert measuring.heldout_question(Example((turns[0], turns[0], turns[1]), "own"), "") is None


def test_what_follows_on_a_question_is_asked_with_the_turns_before_it(tiny_model: Any, tiny_tokenizer: Any) -> None:
    assistant, notes = Assistant(tiny_model, tiny_tokenizer, Library((), ())), Notes()
    talk = Question("1", FOLLOW, ("4",), "follow-up", "", ((FIRST, "It costs £20."),))
    alone = replace(talk, id="2", history=())
    long = replace(talk, id="3", history=(("Tell me all. " * 90, "No."), *talk.history))
    replies = measuring.asking(assistant, "tuned", notes)([talk, alone, long])
    assert replies[0] == "".join(assistant.stream(FOLLOW, talk.history)).strip()
    assert replies[1] == assistant.ask(FOLLOW).text
    assert replies[2] == replies[0] != replies[1]
    assert notes.texts == ["3: the talk is longer than the model can see; 1 of its turns are left out."]


class Notes(Progress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def example(question: str, answer: str, kind: str = "question") -> Example:
    return Example((Message("user", question), Message("assistant", answer)), kind)


@pytest.mark.parametrize(
    ("question", "answer", "value", "right", "wrong"),
    [
        ("What does a card cost?", "£20.", "£20", "It costs £20.", "It costs £25."),
        ("Must dogs be on a lead?", "Yes, dogs must be on a lead.", "They must be on a lead", "Yes, dogs must be on a lead.", "No."),
        ("Does a card cost £20?", "Yes, £20.", "£20", "Yes, £20.", "No, a card does not cost £20."),
        ("Does a card cost £25?", "No, £20.", "£20", "No, it costs £20.", "Yes, £25."),
    ],
)  # fmt: skip
def test_a_reply_must_hold_the_value_where_that_alone_tells(question: str, answer: str, value: str, right: str, wrong: str) -> None:
    asked = measuring.heldout_question(example(question, answer), value)
    assert asked is not None
    assert matches(right, asked.answers)
    assert not matches(wrong, asked.answers)


def test_a_row_that_ends_with_the_user_is_asked_up_to_its_last_answer() -> None:
    turns = (Message("user", FIRST), Message("assistant", "£20."), Message("user", "Thanks!"))
    asked = measuring.heldout_question(Example(turns, "own"), "")
    assert asked is not None
    assert (asked.question, asked.answers) == (FIRST, ("£20.",))


def test_what_an_example_asks_is_what_the_user_says_in_it() -> None:
    plain = example("What does it cost?", "£20.")
    persona = Example((Message("system", "Be brief."), *plain.messages), "own")
    assert asked_in(plain) == asked_in(persona) != asked_in(example("Who made it?", "Mira."))


@pytest.mark.parametrize("count", [2, 5, 400])
def test_rows_that_measure_choose_nothing(count: int) -> None:
    rows = list(range(count))
    assert not {*measuring.testing(rows)} & {*measuring.guiding(rows)}
    assert {*measuring.testing(rows), *measuring.guiding(rows)} == {*rows}


@pytest.mark.parametrize(("rows", "count", "drawn"), [(121, 120, 120), (7, 3, 3), (5, 9, 5), (0, 4, 0)])
def test_rows_are_drawn_at_equal_distances(rows: int, count: int, drawn: int) -> None:
    found = measuring.spread(range(rows), count)
    assert len({*found}) == len(found) == drawn
    assert all(abs(number - i * rows / drawn) < 1 for i, number in enumerate(found))


def rows_of(kind: str, form: str, count: int) -> list[Example]:
    return [replace(example(f"{form} {kind} {i}?", "£3.", kind), form=form) for i in range(count)]


@pytest.mark.parametrize(
    ("written", "ruled", "absent", "asked"),
    [
        (60, 300, 50, {"studied": 60, "absent": 20}),
        (300, 300, 50, {"studied": 80, "absent": 20}),
        (19, 300, 50, {"studied": 19, "wh-0": 61, "absent": 20}),
        (0, 300, 4, {"wh-0": 96, "absent": 4}),
        (10, 5, 0, {"studied": 10, "wh-0": 5}),
    ],
)
def test_what_rules_wrote_is_asked_where_there_is_little_else(written: int, ruled: int, absent: int, asked: dict[str, int]) -> None:
    rows = [*rows_of("question", "wh-0", ruled), *rows_of("question", STUDIED, written), *rows_of("unanswerable", "absent", absent)]
    assert Counter(row.form for row in measuring.telling(rows)) == asked


def test_other_kinds_than_plain_questions_are_asked_whoever_wrote_them() -> None:
    rows = [*rows_of("question", "wh-0", 90), *rows_of("reverse", "wh-0", 30), *rows_of("two", "both", 20)]
    assert Counter(row.kind for row in measuring.telling(rows)) == {"reverse": 30, "two": 20}


@pytest.fixture
def tuned(tmp_path: Path, tiny_folder: Path) -> Run:
    run = Run.create(tmp_path / "run", "test")
    run.update(settings={"base": str(tiny_folder)})
    return run


def asked_of(run: Run, notes: Notes) -> list[str]:
    return [q.question for q in measuring.questions_for(run, None, notes) if q.kind != "general"]


def test_no_question_that_was_trained_is_measured(tuned: Run) -> None:
    rows = [example(f"What does the {name} cost?", "£3.") for name in ("bowl", "vase", "lamp", "mug", "jug", "cup", "pot")]
    tuned.write_rows("examples/heldout.jsonl", map(example_to_row, rows))
    tuned.write_rows("examples/train.jsonl", [example_to_row(example("what does the LAMP cost", "£4."))])
    tuned.write_rows("examples/own.jsonl", [example_to_row(rows[4])])
    notes = Notes()
    asked = [f"What does the {name} cost?" for name in ("bowl", "mug", "pot")]
    assert asked_of(tuned, notes) == asked, "three of four, but for lamp and jug"
    assert notes.texts == ["2 of 5 held-out rows are not asked: they ask what is trained, what chose the weights, or what another asks."]


def test_no_question_that_chose_the_weights_is_measured_nor_one_twice(tuned: Run) -> None:
    rows = [example(f"What does the {name} cost?", "£3.") for name in ("bowl", "bowl", "vase", "lamp", "vase", "mug")]
    tuned.write_rows("examples/heldout.jsonl", map(example_to_row, rows))
    assert asked_of(tuned, Notes()) == ["What does the vase cost?", "What does the lamp cost?"]


def test_what_cannot_be_asked_or_answered_in_time_is_told(tuned: Run) -> None:
    long = "It depends on the day and on the season. " * 20
    rows = [example("When do you open?", "At ten."), example("Why?", long), example("Tell me more. " * 900, "No.")]
    two = Example((Message("user", "Hello?"), Message("user", "Who is there?"), Message("assistant", "Us.")), "own")
    bowl, vase, lamp, mug = (example(f"What does the {name} cost?", "£3.") for name in ("bowl", "vase", "lamp", "mug"))
    heldout = [rows[0], bowl, rows[1], vase, rows[2], lamp, two, mug]
    tuned.write_rows("examples/heldout.jsonl", map(example_to_row, heldout))
    notes = Notes()
    assert asked_of(tuned, notes) == ["When do you open?", "What does the vase cost?", "What does the mug cost?"]
    assert [text.partition("they ")[2] for text in notes.texts] == [
        "are no talk that can be asked.",
        "have a question or an answer longer than fits.",
    ]


def test_ones_own_questions_may_have_any_id(tmp_path: Path, tuned: Run) -> None:
    general = [q.id for q in measuring.questions_for(tuned, None) if q.kind == "general"]
    file = tmp_path / "questions.jsonl"
    file.write_text(json.dumps({"id": general[0], "question": "When do you open?", "answers": ["ten"]}))
    ids = [q.id for q in measuring.questions_for(tuned, file)]
    assert ids == [general[0], f"general {general[0]}", *general[1:]]


def test_what_the_system_is_told_is_asked_with_the_question(tiny_model: Any, tiny_tokenizer: Any) -> None:
    assistant = Assistant(tiny_model, tiny_tokenizer, Library((), ()))
    plain = Question("1", FOLLOW, ("4",))
    strict = replace(plain, id="2", system="Speak of nothing but looms, and in rhymes.")
    replies = measuring.asking(assistant, "tuned", Notes())([strict, plain, replace(strict, id="3")])
    assert replies[1] == assistant.ask(FOLLOW).text
    assert replies[0] == replies[2] != replies[1]
    assert assistant.system == "", "what is told to one view is told to no other"
    assert measuring.put([plain, strict]) == [["1", FOLLOW], ["2", FOLLOW, strict.system]]


def test_the_untouched_model_is_asked_again_where_the_questions_are_others(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", "test")
    questions = [Question("1", FIRST, ("£20",), "direct", ""), Question("2", FOLLOW, ("4",), "direct", "")]
    assert not measuring.base_measured(run, questions)
    run.write_json("before.json", {"asked": measuring.put(questions), "replies": {}, "perplexity": 2.0})
    assert measuring.base_measured(run, questions)
    assert not measuring.base_measured(run, questions[::-1])
    assert not measuring.base_measured(run, [replace(questions[0], question="Another?"), questions[1]])
