"""Tools over HTTP: told as training tells them, called as OpenAI's client expects it, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from engrain.examples import example_from_row
from engrain.serve import answers
from engrain.serve.engine import Piece
from engrain.serve.tools import Sieve, Tools

DAYS = {"type": "object", "properties": {"day": {"enum": ["Monday", "Sunday"]}}, "required": ["day"], "additionalProperties": False}
HOURS = {"type": "function", "function": {"name": "hours", "parameters": DAYS}}
ROOMS = {"type": "function", "function": {"name": "rooms"}}
CALL = '<tool_call>\n{"name": "hours", "arguments": {"day": "Sunday"}}\n</tool_call>'
ASK = [{"role": "user", "content": "When do you open on Sundays?"}]
CALLED = {"id": "1", "type": "function", "function": {"name": "hours", "arguments": '{"day": "Sunday"}'}}
TALK = [
    {"role": "system", "content": "Be brief."},
    *ASK,
    {"role": "assistant", "content": None, "tool_calls": [CALLED]},
    {"role": "tool", "tool_call_id": "1", "content": "9:00"},
    {"role": "tool", "tool_call_id": "2", "content": "closed"},
]


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes every model say a text, a few characters at a time; what models were shown is noted."""
    shown: list[str] = []

    def saying(text: str) -> list[str]:
        async def write(parts: Any, served: Any, prompt: list[int], sampling: Any) -> AsyncGenerator[Piece, None]:
            shown.append(parts.engine.tokenizer(served.weights.base).decode(prompt))
            for start in range(0, len(text), 5):
                yield Piece(text[start : start + 5])
            yield Piece("", finish="stop", written=len(text))

        monkeypatch.setattr(answers, "write", write)
        return shown

    return saying


def streamed(client: Any, **asked: Any) -> tuple[str, list[Any], str]:
    """The text, the calls and the finish reason of a streamed answer."""
    text, calls, finish = "", list[Any](), ""
    for chunk in client.chat.completions.create(model="two", messages=ASK, stream=True, **asked):
        delta = chunk.choices[0].delta
        text += delta.content or ""
        calls += delta.tool_calls or []
        finish = chunk.choices[0].finish_reason or finish
    return text, calls, finish


@pytest.mark.parametrize("before", ["", "Let me look. "])
def test_a_call_reaches_the_official_client(client: Any, says: Any, before: str) -> None:
    says(before + CALL)
    choice = client.chat.completions.create(model="two", messages=ASK, tools=[HOURS]).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", before.strip() or None)
    (call,) = choice.message.tool_calls
    assert (call.type, call.function.name, json.loads(call.function.arguments)) == ("function", "hours", {"day": "Sunday"})
    assert call.id.startswith("call_")
    text, calls, finish = streamed(client, tools=[HOURS])
    assert (text, finish) == (before, "tool_calls")
    assert [(c.index, c.function.name, c.function.arguments) for c in calls] == [(0, "hours", '{"day": "Sunday"}')]


@pytest.mark.parametrize("said", [CALL.replace("hours", "rooms"), "<tool_call>\nnonsense", "a < b <tool", "<tool_call>{}</tool_call> no"])
def test_what_is_no_call_of_an_offered_tool_stays_text(client: Any, says: Any, said: str) -> None:
    says(said)
    choice = client.chat.completions.create(model="two", messages=ASK, tools=[HOURS]).choices[0]
    assert (choice.message.content, choice.message.tool_calls, choice.finish_reason) == (said, None, "stop")
    assert streamed(client, tools=[HOURS]) == (said, [], "stop")


def test_several_calls_come_unless_only_one_may(client: Any, says: Any) -> None:
    says(f"{CALL}\n{CALL.replace('Sunday', 'Monday')}")
    for several, count in ((True, 2), (False, 1)):
        choice = client.chat.completions.create(model="two", messages=ASK, tools=[HOURS], parallel_tool_calls=several).choices[0]
        assert len(choice.message.tool_calls) == count
    assert [call.index for call in streamed(client, tools=[HOURS])[1]] == [0, 1]


def test_the_prompt_is_the_one_that_training_knows(client: Any, says: Any, tiny_tokenizer: Any) -> None:
    shown = says("At nine.")
    answer = client.chat.completions.create(model="one", messages=TALK, tools=[ROOMS])
    row = example_from_row({"tools": [ROOMS], "messages": [*TALK, {"role": "assistant", "content": "At nine."}]})
    turns = [{"role": message.role, "content": message.content} for message in row.messages[:-1]]
    assert shown[-1] == tiny_tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert answer.engrain["status"] == "unchecked", "what a tool gives stands in no document"
    client.chat.completions.create(model="one", messages=TALK)
    assert "hours" in shown[-1], "calls stay in the conversation where no tool is offered any more"
    assert "You may call these tools" not in shown[-1]


def test_no_tool_is_told_where_none_may_be_called(client: Any, says: Any) -> None:
    shown = says(CALL)
    choice = client.chat.completions.create(model="two", messages=ASK, tools=[HOURS], tool_choice="none").choices[0]
    assert (choice.message.content, choice.message.tool_calls) == (CALL, None)
    assert "hours" not in shown[-1]


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "hours"}}])
def test_a_call_that_has_to_be_made_is_made(client: Any, choice: Any) -> None:
    tools = [HOURS] if choice == "required" else [ROOMS, HOURS]
    asked = {"tools": tools, "tool_choice": choice}
    found = client.chat.completions.create(model="two", messages=ASK, **asked).choices[0]
    assert (found.finish_reason, found.message.content) == ("tool_calls", None)
    (call,) = found.message.tool_calls
    assert call.function.name == "hours"
    assert json.loads(call.function.arguments)["day"] in ("Monday", "Sunday")
    text, (again,), finish = streamed(client, **asked)
    assert (text, again.function.arguments, finish) == ("", call.function.arguments, "tool_calls")
    cut = client.chat.completions.create(model="two", messages=ASK, **{**asked, "max_tokens": 2}).choices[0]
    assert (cut.finish_reason, cut.message.tool_calls) == ("length", None)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tools": [HOURS], "tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": [HOURS], "tool_choice": {"type": "function", "function": {"name": "rooms"}}}, "tool_choice"),
        ({"tools": [HOURS], "response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [HOURS], "engrain": {"mode": "retrieval"}}, "tools"),
        ({"tools": [HOURS], "model": "one+both"}, "tools"),
        ({"functions": [HOURS["function"]]}, "functions"),
        ({"messages": [{"role": "user", "content": "x", "tool_calls": [HOURS]}]}, "messages"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": "no JSON"}}]}, *ASK]}, "messages"),
        ({"messages": [{"role": "assistant", "function_call": {"name": "a"}}, *ASK]}, "messages"),
        ({"tools": [{"function": {"name": "a", "parameters": {"type": "odd"}}}], "tool_choice": "required"}, "tools"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_parameter(server: Any, change: dict[str, Any], param: str) -> None:
    with server.client() as client:
        response = client.post("/v1/chat/completions", json={"model": "one", "messages": ASK, **change})
    assert (response.status_code, response.json()["error"]["param"]) == (400, param), response.text


def test_nothing_of_a_call_is_sent_before_it_is_known_to_be_none() -> None:
    sieve = Sieve(Tools(({"name": "hours"},)))
    assert [sieve.add(text) for text in ("Yes <", "tool", "_box", " <tool_call", ">\n{", "}")] == ["Yes ", "", "<tool_box", " ", "", ""]
    assert sieve.end() == ("<tool_call>\n{}", [])
