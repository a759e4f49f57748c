from __future__ import annotations

from typing import Any

import pytest

from engrain import agent
from engrain.assistant import Assistant, Library
from engrain.documents.base import Section

TEXTS = {
    "Opening": "We open at 9 on weekdays. Parking is behind the house.",
    "Parking": "Parking costs 4 pounds a day. Bicycles stand free of charge.",
    "Bicycles": "Bicycles are lent for 12 pounds a day by Maria Lopez.",
    "Other": "Nothing of this kind is told here about boats and rivers.",
}


def section(number: int, heading: str, text: str) -> Section:
    fields: dict[str, Any] = {"file": "a.md", "number": number, "text": text, "headings": (heading,), "start": 0}
    names = Section.__dataclass_fields__
    return Section(**{name: value for name, value in fields.items() if name in names})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tiny_model: Any, tiny_tokenizer: Any) -> tuple[Assistant, list[str]]:
    sections = tuple(section(i, heading, text) for i, (heading, text) in enumerate(TEXTS.items()))
    assistant = Assistant(tiny_model, tiny_tokenizer, Library(sections, ()))
    return assistant, []


def test_it_stops_once_the_documents_support_the_answer(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assistant, prompts = asked

    def say(_: Any, messages: Any) -> str:
        prompts.append(messages[-1].content)
        return "It costs 4 pounds."

    monkeypatch.setattr(agent, "_say", say)
    assert agent.replies(assistant, ["What does parking cost a day?"]) == ["It costs 4 pounds."]
    assert len(prompts) == 1
    assert "Parking costs 4 pounds" in prompts[0]


def test_it_searches_again_at_most_three_times_and_reads_nothing_twice(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assistant, prompts = asked
    monkeypatch.setattr(agent, "NUM_PASSAGES", 1)

    def say(_: Any, messages: Any) -> str:
        prompts.append(messages[-1].content)
        return "boats" if "search for" in prompts[-1] else "It costs 777 pounds."

    monkeypatch.setattr(agent, "_say", say)
    assert agent.replies(assistant, ["What does parking cost a day?"]) == ["It costs 777 pounds."]
    read = [prompt for prompt in prompts if "Question:" in prompt]
    assert len(read) == agent.STEPS
    assert len({prompt.partition("Question:")[0] for prompt in read}) == agent.STEPS


def test_a_real_model_answers(asked: Any) -> None:
    assistant, _ = asked
    assert len(agent.replies(assistant, ["What does parking cost?", "Who lends bicycles?"])) == 2
