"""What is known by heart: what greedy writing says is known, and nothing else is."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch

from engrain.by_heart import by_heart, most_practised
from engrain.examples import Example, Message
from engrain.generate import generate
from engrain.tasks.chat import Chat
from engrain.tokens import Encoded, encode_example, encode_prompt, question_messages


def example(question: str, answer: str, fact: str, repeats: int = 1, kind: str = "question") -> Example:
    return Example((Message("user", question), Message("assistant", answer)), kind, fact=fact, repeats=repeats)


def test_of_a_fact_the_question_counts_that_was_practised_most() -> None:
    rows = [
        example("Cost?", "£41.", "a"),
        example("How much?", "£41.", "a", 5),
        example("How dear?", "£41.", "a", 5),
        example("Who?", "Mira.", "b", 0),
        example("It is", "nine.", "c", kind="statement"),
        example("Dogs?", "No.", ""),
    ]
    assert {fact: row.messages[0].content for fact, row in most_practised(rows).items()} == {"a": "How much?"}


def test_known_is_what_the_model_would_write(tiny_model: Any, tiny_tokenizer: Any) -> None:
    right = [
        example("Open?", "9:00.", "hours"),
        example("Who runs the shop?", "Mira.", "owner"),
        example("How much is a kite?", "£41.", "price"),
    ]
    wrong = [replace(row, messages=(row.messages[0], Message("assistant", "Nothing.")), fact=f"not {row.fact}") for row in right]
    model = taught(tiny_model, [encode_example(tiny_tokenizer, row.messages) for row in right])
    found = by_heart(model, tiny_tokenizer, [*right, *wrong, example("Why? " * 400, "No.", "longer than the model can see")])
    assert [(row.question, row.answer) for row in found] == [tuple(m.content for m in row.messages) for row in (*right, *wrong)]
    assert [row.fact for row in found if row.known] == ["hours", "owner", "price"]
    prompts = [encode_prompt(tiny_tokenizer, question_messages(row.question)) for row in found]
    said = [done.text.strip() for done in generate(model, tiny_tokenizer, prompts, max_new_tokens=12)]
    assert [text == row.answer for text, row in zip(said, found, strict=True)] == [row.known for row in found]


def taught(model: Any, rows: list[Encoded]) -> Any:
    """A copy of the model that says these rows."""
    copied, task = copy.deepcopy(model).requires_grad_(True), Chat(rows)
    optimizer = torch.optim.AdamW(copied.parameters(), lr=1e-2)
    for _ in range(60):
        task.loss(copied, rows).total.backward()
        optimizer.step()
        optimizer.zero_grad()
    return copied


def test_without_questions_about_facts_nothing_is_asked(tiny_model: Any, tiny_tokenizer: Any) -> None:
    assert by_heart(tiny_model, tiny_tokenizer, [example("Dogs?", "No.", "")]) == []
    assert by_heart(tiny_model, tiny_tokenizer, [example("Why? " * 400, "No.", "all are longer than the model can see")]) == []
