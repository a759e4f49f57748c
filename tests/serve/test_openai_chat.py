"""The chat route as the official client sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from making import make_run

from engrain.run import Run

MESSAGES = [{"role": "user", "content": "When do you open?"}]


def test_the_official_client_gets_an_answer_with_usage_and_what_supports_it(client: Any) -> None:
    answer = client.chat.completions.create(model="one", messages=MESSAGES, max_tokens=8)
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.completion_tokens == 8
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 8
    assert answer.engrain["mode"] == "closed-book"
    assert answer.engrain["status"] in ("supported", "unsupported", "refused")


def test_a_streamed_answer_is_the_same_in_pieces_and_counts_at_the_end(client: Any) -> None:
    whole = client.chat.completions.create(model="one", messages=MESSAGES, max_tokens=12)
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="one", messages=MESSAGES, max_tokens=12, stream=True, stream_options=options))
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert said == whole.choices[0].message.content
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 12
    finished = [c for c in chunks if c.choices and c.choices[0].finish_reason]
    assert len(finished) == 1
    assert finished[0].engrain == whole.engrain


def test_a_stream_ends_with_done(server: Any) -> None:
    with server.client() as client:
        body = {"model": "one", "messages": MESSAGES, "max_tokens": 2, "stream": True}
        lines = [line for line in client.post("/v1/chat/completions", json=body).text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith("data: ") for line in lines)


def test_a_seed_repeats_an_answer_and_n_gives_different_ones(client: Any) -> None:
    ask = {"model": "two", "messages": MESSAGES, "max_tokens": 10, "temperature": 1.0, "seed": 7, "n": 3}
    first, second = (client.chat.completions.create(**ask) for _ in range(2))
    texts = [[c.message.content for c in answer.choices] for answer in (first, second)]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 3
    assert [c.index for c in first.choices] == [0, 1, 2]


def test_a_stop_text_ends_the_answer_and_is_left_out(client: Any) -> None:
    whole = client.chat.completions.create(model="two", messages=MESSAGES, max_tokens=12).choices[0].message.content
    stop = whole[5:7]
    cut = client.chat.completions.create(model="two", messages=MESSAGES, max_tokens=12, stop=[stop]).choices[0]
    assert cut.message.content == whole[: whole.index(stop)]
    assert cut.finish_reason == "stop"


def test_log_probabilities_come_with_the_likeliest_tokens(client: Any) -> None:
    answer = client.chat.completions.create(model="one", messages=MESSAGES, max_tokens=3, logprobs=True, top_logprobs=2)
    content = answer.choices[0].logprobs.content
    assert len(content) == 3
    for token in content:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 2
        assert token.top_logprobs[0].logprob == pytest.approx(token.logprob)  # the likeliest one was taken


def test_a_json_schema_is_enforced(client: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"day": {"enum": ["Monday", "Sunday"]}, "open": {"type": "boolean"}},
        "required": ["day", "open"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "day", "schema": schema, "strict": True}}
    ask = {"model": "three", "messages": MESSAGES, "max_tokens": 200, "temperature": 1.0, "seed": 1, "response_format": form}
    answer = client.chat.completions.create(**ask)
    found = json.loads(answer.choices[0].message.content)
    assert found.keys() == {"day", "open"}
    assert found["day"] in ("Monday", "Sunday")
    assert isinstance(found["open"], bool)


def test_passages_come_into_the_prompt_by_field_or_by_name(client: Any) -> None:
    closed = client.chat.completions.create(model="one", messages=MESSAGES, max_tokens=1)
    by_field = client.chat.completions.create(model="one", messages=MESSAGES, max_tokens=1, extra_body={"engrain": {"mode": "retrieval"}})
    by_name = client.chat.completions.create(model="one+retrieval", messages=MESSAGES, max_tokens=1)
    assert by_field.usage.prompt_tokens == by_name.usage.prompt_tokens > closed.usage.prompt_tokens
    assert by_field.engrain["mode"] == by_name.engrain["mode"] == "retrieval"


def test_cached_tokens_are_counted_once_however_many_pieces_there_are(client: Any) -> None:
    for _ in range(2):
        usage = client.chat.completions.create(model="one", messages=MESSAGES, max_tokens=12).usage
    assert 0 < usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens


def test_the_prompt_is_the_one_that_training_knows(client: Any, tiny_tokenizer: Any) -> None:
    from engrain.tokens import encode_prompt, question_messages

    wanted = encode_prompt(tiny_tokenizer, question_messages("When do you open?"))
    answer = client.chat.completions.create(model="one", messages=MESSAGES, max_tokens=1)
    assert answer.usage.prompt_tokens == len(wanted)


def test_an_openai_name_means_the_servers_base(client: Any, server: Any) -> None:
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, max_tokens=1)
    assert answer.model == server.parts.settings.base


def test_a_run_on_a_base_that_has_changed_is_refused(server: Any, tiny_folder: Path) -> None:
    folder = make_run(server.parts.settings.runs, "stale", tiny_folder, seed=9)
    Run(folder).update(base={"files": {"model.safetensors": "0" * 64}})
    with server.client() as client:
        chat = client.post("/v1/chat/completions", json={"model": "stale", "messages": MESSAGES})
        text = client.post("/v1/completions", json={"model": "stale", "prompt": "x"})
    assert (chat.status_code, text.status_code) == (409, 409)
    assert "model.safetensors" in chat.json()["error"]["message"]


@pytest.mark.parametrize("concerns", [True, False])
def test_everyday_questions_go_to_the_untouched_base(client: Any, server: Any, tiny_folder: Path, concerns: bool) -> None:
    import torch

    from engrain.gate import Gate

    name = f"gated-{concerns}"
    make_run(server.parts.settings.runs, name, tiny_folder, seed=9)
    Gate(torch.zeros(64, dtype=torch.float64), 1.0 if concerns else -1.0).save(server.parts.settings.runs / name)
    models = (name, server.parts.settings.base)
    tuned, base = (client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=12) for model in models)
    assert (tuned.choices[0].message.content == base.choices[0].message.content) is not concerns
    assert tuned.engrain["mode"] == ("closed-book" if concerns else "everyday")
    without = client.chat.completions.create(model=name, messages=MESSAGES, max_tokens=12, extra_body={"engrain": {"gate": False}})
    assert without.choices[0].message.content != base.choices[0].message.content


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"model": "nothing"}, 404, "model"),
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}, {"role": "user", "content": ""}]}, 400, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 400, "messages"),
        ({"max_tokens": 10**9}, 400, "max_tokens"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"n": 10**6}, 400, "n"),
        ({"temperature": -1}, 400, "temperature"),
        ({"temperature": "NaN"}, 400, "temperature"),
        ({"top_p": 0}, 400, "top_p"),
        ({"tools": [{"type": "function"}]}, 400, "tools"),
        ({"frequency_penalty": 1}, 400, "frequency_penalty"),
        ({"modalities": ["audio"]}, 400, "modalities"),
        ({"engrain": {"mode": "magic"}}, 400, "engrain.mode"),
        ({"model": "two+retrieval"}, 400, None),
        ({"messages": [{"role": "user", "content": "long " * 400}]}, 400, "messages"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}},
            400,
            "response_format",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_parameter(server: Any, change: dict[str, Any], status: int, param: str | None) -> None:
    with server.client() as client:
        response = client.post("/v1/chat/completions", json={"model": "one", "messages": MESSAGES, "max_tokens": 4, **change})
    error = response.json()["error"]
    assert response.status_code == status, error
    assert error["param"] == param
    assert error["message"]
    assert error["type"] in ("invalid_request_error", "not_found_error")


def test_all_bad_turns_are_named_together(server: Any) -> None:
    with server.client() as client:
        turns = [{"role": "robot", "content": "x"}, {"role": "user", "content": ""}]
        message = client.post("/v1/chat/completions", json={"model": "one", "messages": turns}).json()["error"]["message"]
    assert "messages.0" in message
    assert "messages.1" in message


def test_what_changes_nothing_is_accepted(client: Any) -> None:
    idle = {"frequency_penalty": 0.0, "presence_penalty": 0, "modalities": ["text"], "logit_bias": {}, "tools": []}
    assert client.chat.completions.create(model="one", messages=MESSAGES, max_tokens=1, **idle).choices


def test_a_message_that_cannot_fit_is_refused_before_the_gate_reads_it(
    server: Any, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from engrain.gate import Gate

    make_run(server.parts.settings.runs, "guarded", tiny_folder, seed=9)
    Gate(torch.zeros(64, dtype=torch.float64), 1.0).save(server.parts.settings.runs / "guarded")
    read = []
    monkeypatch.setattr(server.parts.engine, "states", lambda *given: read.append(given))
    body = {"model": "guarded", "messages": [{"role": "user", "content": "long " * 100_000}]}
    with server.client() as client:
        response = client.post("/v1/chat/completions", json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert read == []


@pytest.mark.parametrize("stream", [True, False])
def test_over_the_queue_a_stream_is_refused_as_any_other(server: Any, stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.parts.engine, "open", 10**6)
    with server.client() as client:
        answers = [
            client.post("/v1/chat/completions", json={"model": "one", "messages": MESSAGES, "stream": stream}),
            client.post("/v1/completions", json={"model": "one", "prompt": "x", "stream": stream}),
        ]
    assert [answer.status_code for answer in answers] == [429, 429]
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
