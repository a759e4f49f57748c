"""Mode both over HTTP: the answer that `engrain ask --mode both` gives, alone and beside other models."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from making import make_run

from engrain import api
from engrain.documents.base import Section
from engrain.knowledge.facts import Fact
from engrain.knowledge.wording import REFUSAL
from engrain.retrieval import Retriever
from engrain.run import Run
from engrain.support import Index, Support
from engrain.weighing import Weighing

SECTION = Section("kites.md", 0, ("Kites",), "The Gannet costs £41. The Petrel costs £52. We open at 9:00.", 0)
ASKED = {"How much is the Gannet?": "£41.", "How much is the Petrel?": "£52.", "From when are you open?": "9:00."}
QUESTIONS = ["What does the Gannet cost?", "What does the Petrel cost?", "When do you open?", "Who are you?"]
TOKENS = 12


@pytest.fixture(scope="module")
def kiosk(many_runs: Path, tiny_folder: Path) -> Path:
    """A run with a document and trained questions."""
    folder = make_run(many_runs, "kiosk", tiny_folder, seed=3)
    values = [answer.rstrip(".") for answer in ASKED.values()]
    starts = [SECTION.text.index(value) for value in values]
    facts = [
        Fact(f"f{i}", "kiosk", "price", value, "money", SECTION.text, SECTION.id, start, start + len(value))
        for i, (value, start) in enumerate(zip(values, starts, strict=True))
    ]
    talks = [[{"role": "user", "content": q}, {"role": "assistant", "content": a}] for q, a in ASKED.items()]
    run = Run(folder)
    run.write_rows("documents.jsonl", [asdict(SECTION)])
    run.write_rows("facts.jsonl", [asdict(fact) for fact in facts])
    (folder / "examples").mkdir()
    run.write_rows("examples/train.jsonl", [{"messages": t, "kind": "question", "fact": f.id} for t, f in zip(talks, facts, strict=True)])
    return folder


@pytest.fixture(scope="module")
def knowing(many_runs: Path, kiosk: Path) -> Path:
    """The same run with a sentence encoder."""
    folder = many_runs / "knowing"
    shutil.copytree(kiosk, folder)
    run = Run(folder)
    run.update(settings={**run.info["settings"], "encoder": True})
    return folder


@pytest.fixture
def unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let answers count that weigh less than declining: of a random model any may."""
    monkeypatch.setattr("engrain.weighing.LEAD", -100.0)
    monkeypatch.setattr("engrain.assistant.MAX_NEW_TOKENS", TOKENS)


def said(client: Any, model: str, *turns: str) -> str:
    roles = ("user", "assistant", "user")
    messages = [{"role": role, "content": text} for role, text in zip(roles, turns, strict=False)]
    return str(client.chat.completions.create(model=model, messages=messages, max_tokens=TOKENS).choices[0].message.content)


@pytest.mark.usefixtures("unsure")
def test_the_server_answers_what_the_assistant_answers_alone_and_beside_others(client: Any, kiosk: Path) -> None:
    assistant = api.load(kiosk, mode="both")
    wanted = [assistant.ask(question).text for question in QUESTIONS]
    assert len(set(wanted)) > 2
    assert [text == REFUSAL for text in wanted] == [False, False, False, True], "no document says who they are"
    assert [said(client, "kiosk+both", question) for question in QUESTIONS] == wanted
    with ThreadPoolExecutor(8) as pool:
        others = [pool.submit(said, client, model, question) for model in ("one", "two", "three+closed-book") for question in QUESTIONS]
        beside = list(pool.map(lambda question: said(client, "kiosk+both", question), QUESTIONS))
        assert all(other.result() for other in others)
    assert beside == wanted


@pytest.mark.usefixtures("unsure")
def test_a_question_that_follows_on_another_is_weighed_in_its_talk(client: Any, kiosk: Path) -> None:
    turns = ("What does the Gannet cost?", "£41.", "And the Petrel?")
    assistant = api.load(kiosk, mode="both")
    assert said(client, "kiosk+both", *turns) == "".join(assistant.stream(turns[2], [turns[:2]]))


def test_an_answer_that_weighs_less_than_declining_is_not_given_and_all_that_was_computed_counts(
    client: Any, kiosk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engrain.weighing.LEAD", 100.0)
    messages = [{"role": "user", "content": "When do you open?"}]
    closed, opened, both, again = (
        client.chat.completions.create(model=model, messages=messages, max_tokens=2)
        for model in ("kiosk", "kiosk+retrieval", "kiosk+both", "kiosk+both")
    )
    assert both.choices[0].message.content == REFUSAL
    assert both.choices[0].finish_reason == "stop"
    assert both.engrain == {"source": "", "status": "refused", "mode": "both", "asked_as": ""}
    assert both.usage.completion_tokens == 4  # two tokens each way
    assert both.usage.prompt_tokens == closed.usage.prompt_tokens + opened.usage.prompt_tokens
    assert 0 < both.usage.prompt_tokens_details.cached_tokens <= again.usage.prompt_tokens_details.cached_tokens < again.usage.prompt_tokens
    assert again.usage.prompt_tokens == both.usage.prompt_tokens


@pytest.mark.usefixtures("unsure")
def test_a_stream_brings_the_answer_once_it_is_decided(client: Any, kiosk: Path) -> None:
    messages = [{"role": "user", "content": QUESTIONS[0]}]
    chunks = list(client.chat.completions.create(model="kiosk+both", messages=messages, max_tokens=TOKENS, stream=True))
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    assert texts == [said(client, "kiosk+both", QUESTIONS[0])]
    cut = client.chat.completions.create(model="kiosk+both", messages=messages, max_tokens=TOKENS, stop=[texts[0][1:3]])
    assert cut.choices[0].message.content == texts[0][:1]


@pytest.mark.parametrize(("field", "value"), [("logprobs", True), ("response_format", {"type": "json_object"})])
def test_what_goes_token_by_token_is_refused(client: Any, kiosk: Path, field: str, value: Any) -> None:
    from openai import BadRequestError

    with pytest.raises(BadRequestError) as refused:
        client.chat.completions.create(model="kiosk+both", messages=[{"role": "user", "content": "?"}], **{field: value})
    assert refused.value.param == field


@pytest.mark.usefixtures("unsure")
@pytest.mark.parametrize("rewrite", [True, False])
def test_from_memory_the_server_asks_in_the_words_in_which_the_assistant_asks(
    client: Any, knowing: Path, rewrite: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Index, "check", lambda *_: Support("supported", "kites.md"))  # else what a random model says is never given
    wanted = [api.load(knowing, rewrite=rewrite).ask(question) for question in QUESTIONS]
    assert any(answer.asked_as for answer in wanted) == rewrite
    for question, answer in zip(QUESTIONS, wanted, strict=True):
        turns = [{"role": "user", "content": question}]
        body = {"engrain": {"rewrite": rewrite}}
        got = client.chat.completions.create(model="knowing", messages=turns, max_tokens=TOKENS, extra_body=body)
        assert (got.choices[0].message.content.strip(), got.engrain["asked_as"]) == (answer.text, answer.asked_as)


@pytest.mark.parametrize(("model", "places"), [("knowing", 1), ("knowing+both", 2)])
def test_a_request_takes_one_place_for_each_way_however_many_questions_are_put(
    client: Any, server: Any, knowing: Path, model: str, places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[int] = []

    def known_words(self: Retriever, question: str, k: int) -> list[str]:
        put.append(k)
        return list(ASKED)[:k]

    monkeypatch.setattr(Retriever, "known_words", known_words)
    monkeypatch.setattr(server.parts.engine, "most_open", places)
    answer = client.with_options(max_retries=0).chat.completions.create(
        model=model, messages=[{"role": "user", "content": "What is it?"}], max_tokens=TOKENS
    )
    assert answer.choices[0].message.content
    assert put == [len(ASKED)]


@pytest.mark.usefixtures("unsure")
def test_both_ways_and_other_words_are_the_same_over_http(client: Any, knowing: Path) -> None:
    assistant = api.load(knowing, mode="both")
    assert [said(client, "knowing+both", question) for question in QUESTIONS] == [assistant.ask(question).text for question in QUESTIONS]


@pytest.mark.usefixtures("unsure")
def test_what_is_said_from_memory_is_weighed_as_the_assistant_weighs_it(
    client: Any, knowing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assistant = api.load(knowing)
    wanted = [assistant.ask(question).text for question in QUESTIONS]
    assert [said(client, "knowing", question) for question in QUESTIONS] == wanted
    plain = api.load(knowing, rewrite=False)
    own = [plain.ask(question).text for question in QUESTIONS]
    assert REFUSAL not in own, "a random model says anything"
    monkeypatch.setattr("engrain.weighing.LEAD", 100.0)
    messages = [{"role": "user", "content": QUESTIONS[0]}]
    ask = {"model": "knowing", "messages": messages, "max_tokens": TOKENS}
    declined = client.chat.completions.create(**ask)
    assert declined.choices[0].message.content == REFUSAL
    assert declined.engrain["status"] == "refused"
    assert client.chat.completions.create(**ask, extra_body={"engrain": {"rewrite": False}}).choices[0].message.content.strip() == own[0]
    told = client.chat.completions.create(**ask, logprobs=True)
    assert told.choices[0].message.content != REFUSAL, "what is wanted token by token is not weighed"


@pytest.mark.parametrize(("model", "rewrite", "wanted"), [("knowing", True, True), ("knowing", False, False), ("kiosk", True, False)])
def test_what_was_recalled_comes_first_where_it_does_for_the_assistant(
    client: Any, many_runs: Path, knowing: Path, model: str, rewrite: bool, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    weigh = Weighing.of

    def watched(*voices: Any) -> Weighing:
        told.append(voices[-1])
        return weigh(*voices)

    monkeypatch.setattr(Weighing, "of", watched)
    api.load(many_runs / model, mode="both", rewrite=rewrite).ask(QUESTIONS[0])
    messages = [{"role": "user", "content": QUESTIONS[0]}]
    client.chat.completions.create(
        model=f"{model}+both", messages=messages, max_tokens=TOKENS, extra_body={"engrain": {"rewrite": rewrite}}
    )
    assert told == [wanted, wanted]
