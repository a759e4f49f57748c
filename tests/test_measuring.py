"""What a run is measured on: held-out rows as questions, what the untouched model said, and what chooses nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engrain import measuring
from engrain.assistant import Assistant, Library
from engrain.evaluate import matches
from engrain.examples import Example, Message, Question, asked_in
from engrain.progress import Progress
from engrain.run import Run

FIRST, FOLLOW = "What does a gift card cost?", "And how many looms are there?"


def test_a_held_out_talk_is_asked_as_a_talk() -> None:
    turns = (Message("user", FIRST), Message("assistant", "£20."), Message("user", FOLLOW), Message("assistant", "Four looms."))
    asked = measuring.heldout_question(Example(turns, "follow-up"), 1, "4")
    assert (asked.question, asked.history, asked.answers, asked.kind) == (FOLLOW, ((FIRST, "£20."),), ("4",), "follow-up")
    persona = measuring.heldout_question(Example((Message("system", "Be brief."), *turns), "own"), 1, "")
    assert (persona.question, persona.history, persona.answers) == (FOLLOW, (), ("Four looms.",))


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
    asked = measuring.heldout_question(example(question, answer), 1, value)
    assert matches(right, asked.answers)
    assert not matches(wrong, asked.answers)


def test_a_row_that_ends_with_the_user_is_asked_up_to_its_last_answer() -> None:
    turns = (Message("user", FIRST), Message("assistant", "£20."), Message("user", "Thanks!"))
    asked = measuring.heldout_question(Example(turns, "own"), 1, "")
    assert (asked.question, asked.answers) == (FIRST, ("£20.",))


def test_what_an_example_asks_is_what_the_user_says_in_it() -> None:
    plain = example("What does it cost?", "£20.")
    persona = Example((Message("system", "Be brief."), *plain.messages), "own")
    assert asked_in(plain) == asked_in(persona) != asked_in(example("Who made it?", "Mira."))


@pytest.mark.parametrize("count", [1, 2, 5, 400])
def test_rows_that_measure_choose_nothing(count: int) -> None:
    rows = list(range(count))
    assert measuring.testing(rows)
    assert measuring.guiding(rows)
    assert count == 1 or sorted([*measuring.testing(rows), *measuring.guiding(rows)]) == rows


def test_the_untouched_model_is_asked_again_where_the_questions_are_others(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", "test")
    questions = [Question("1", FIRST, ("£20",), "direct", ""), Question("2", FOLLOW, ("4",), "direct", "")]
    assert not measuring.base_measured(run, questions)
    run.write_json("before.json", {"asked": measuring.put(questions), "replies": {}, "perplexity": 2.0})
    assert measuring.base_measured(run, questions)
    assert not measuring.base_measured(run, questions[::-1])
    assert not measuring.base_measured(run, [replace(questions[0], question="Another?"), questions[1]])
