"""Asking over HTTP: several ways at once, streamed, each with its source; and what people say to the answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_studio_builds import events

from engrain.serve.knowledge import Knowledge


def ask(studio: Any, *ways: str, question: str = "What does the Gannet cost?", **more: Any) -> list[tuple[str, dict[str, Any]]]:
    answer = studio.post("/engrain/ask", json={"run": "kites", "question": question, "ways": list(ways), **more})
    assert answer.status_code == 200, answer.text
    return events(answer.text)


def test_answers_come_in_pieces_with_their_source(studio: Any, kites_adapter: Path) -> None:
    said = ask(studio, "base", "tuned")
    pieces = {way: "".join(data["text"] for name, data in said if name == "piece" and data["way"] == way) for way in ("base", "tuned")}
    assert pieces == {"base": "Well, £77.", "tuned": "It costs £41."}
    answers = {data["way"]: data for name, data in said if name == "answer"}
    assert answers["base"]["status"] == "unsupported"
    assert answers["base"]["passage"] is None
    assert answers["tuned"]["status"] == "supported"
    passage = answers["tuned"]["passage"]
    assert passage["place"].startswith("kites.md")
    assert passage["text"][passage["start"] : passage["end"]] == "£41"


def test_the_prompt_is_the_one_that_was_trained(studio: Any, kites_adapter: Path, parrot: Any) -> None:
    from engrain.assistant import load
    from engrain.run import Run

    said = ask(studio, "tuned", "tuned+retrieval")
    asked = [prompt for _, prompt in parrot.asked]
    assistant = load(Run(kites_adapter))
    wanted = [assistant._prompt("What does the Gannet cost?", mode) for mode in ("closed-book", "retrieval")]
    assert sorted(asked) == sorted(parrot.found.decode(ids) for ids in wanted)
    read = next(data["read"] for name, data in said if name == "answer" and data["way"] == "tuned+retrieval")
    assert any("Gannet" in text for text in read)


def test_both_ways_and_similar_questions_are_weighed_together(
    studio: Any, kites_adapter: Path, parrot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits, weighed = Knowledge.fits, list[str]()
    monkeypatch.setattr(Knowledge, "fits", lambda own, question, answers: weighed.extend(answers) or fits(own, question, answers))
    said = ask(studio, "tuned+both", "base+both")
    answers = {data["way"]: data for name, data in said if name == "answer"}
    assert len(parrot.asked) == 4  # two models, each from memory and with passages
    assert {"It costs £41.", "£41."} < set(weighed), "answers of similar questions are weighed too"
    assert "Well, £77." not in weighed, "no document says so"
    assert all("£41" in answers[way]["text"] for way in ("tuned+both", "base+both")), "what the documents support comes first"
    assert answers["base+both"]["status"] == "supported"
    assert answers["base+both"]["passage"]["place"].startswith("kites.md")
    assert any("Gannet" in text for text in answers["tuned+both"]["read"])


def test_a_failure_stands_in_the_place_of_its_answer(studio: Any, kites_adapter: Path, parrot: Any) -> None:
    write = parrot.write
    parrot.write = lambda weights, *rest: write(weights, *rest) if weights.adapter else None
    said = ask(studio, "base", "tuned")
    assert [data["way"] for name, data in said if name == "failure"] == ["base"]
    assert [data["way"] for name, data in said if name == "answer"] == ["tuned"]


def test_only_a_complete_run_can_be_asked(studio: Any, kites: Path) -> None:
    refused = studio.post("/engrain/ask", json={"run": "kites", "question": "What?"})
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "not_complete"
    assert studio.post("/engrain/ask", json={"run": "kites", "question": "What?", "ways": []}).status_code == 400


def test_feedback_is_kept(studio: Any, tmp_path: Path) -> None:
    given = {"run": "kites", "question": "What?", "way": "tuned", "answer": "£77", "good": False}
    assert studio.post("/engrain/feedback", json=given).status_code == 204
    (line,) = (tmp_path / "runs" / ".studio" / "feedback.jsonl").read_text().splitlines()
    assert given.items() <= json.loads(line).items()


def test_an_everyday_question_is_left_to_the_untouched_model(studio: Any, kites_adapter: Path, parrot: Any) -> None:
    import torch

    from engrain.gate import Gate

    Gate(torch.tensor([1.0, 0.0], dtype=torch.float64), -0.5).save(kites_adapter)
    state = torch.tensor([[0.0, 1.0]])

    async def states(base: str, texts: list[str]) -> Any:
        return state

    parrot.states = states
    answers = {data["way"]: data for name, data in ask(studio, "base", "tuned") if name == "answer"}
    assert answers["tuned"]["text"] == answers["base"]["text"]
    assert answers["tuned"]["everyday"]
    assert not answers["base"]["everyday"]
    state = torch.tensor([[1.0, 0.0]])
    answers = {data["way"]: data for name, data in ask(studio, "tuned") if name == "answer"}
    assert answers["tuned"]["text"] == "It costs £41."


def test_a_question_longer_than_the_context_is_refused_before_it_is_read(studio: Any, kites_adapter: Path, parrot: Any) -> None:
    said = ask(studio, "base", "tuned+retrieval", question="\U0001f9a9" * 2000)
    failures = {data["way"]: data["message"] for name, data in said if name == "failure"}
    assert failures.keys() == {"base", "tuned+retrieval"}
    assert all("tokens" in message for message in failures.values()), failures
    assert parrot.asked == []


def test_a_talk_goes_on_and_each_way_sees_its_own_answers(studio: Any, kites_adapter: Path, parrot: Any) -> None:
    first = {"question": "What does the Petrel cost?", "answers": {"base": "Nothing.", "tuned": "It costs £29."}}
    second = {"question": "How long do repairs take?", "answers": {"tuned": "Nine days."}}
    answers = {
        data["way"]: data
        for name, data in ask(studio, "base", "tuned", "tuned+retrieval", question="And the Gannet?", earlier=[first, second])
        if name == "answer"
    }
    prompts = sorted((prompt for _, prompt in parrot.asked), key=lambda prompt: prompt.count("<|im_start|>assistant"))
    assert ["Nothing." in prompt for prompt in prompts] == [False, True, False]
    assert ["It costs £29." in prompt and "Nine days." in prompt for prompt in prompts] == [False, False, True]
    assert all(prompt.index("And the Gannet?") > prompt.rfind("repairs") for prompt in prompts)
    assert {data["forgotten"] for data in answers.values()} == {0}
    assert any("Gannet" in text for text in answers["tuned+retrieval"]["read"])


def test_the_oldest_turns_of_a_talk_give_way_to_the_question(studio: Any, kites_adapter: Path, parrot: Any) -> None:
    turns = [{"question": f"Question {number}?", "answers": {"tuned": "word " * 120}} for number in range(9)]
    (answer,) = (data for name, data in ask(studio, "tuned", earlier=turns) if name == "answer")
    ((_, prompt),) = parrot.asked
    assert 0 < answer["forgotten"] < 9
    assert [f"Question {number}?" in prompt for number in range(9)] == [number >= answer["forgotten"] for number in range(9)]
    assert prompt.rstrip().endswith("assistant")
