from __future__ import annotations

import pytest

from engrain.serve.bodies import ChatBody, max_tokens
from engrain.serve.failures import ApiError
from engrain.serve.settings import ServeSettings

SETTINGS = ServeSettings(max_tokens=1024)


def body(**more: object) -> ChatBody:
    return ChatBody.model_validate({"model": "one", "messages": [{"role": "user", "content": "When do you open?"}], **more})


@pytest.mark.parametrize(
    ("more", "prompt", "context", "tokens"),
    [
        ({}, 100, 8192, 256),
        ({}, 100, 300, 200),
        ({"max_tokens": 700}, 100, 8192, 700),
        ({"max_completion_tokens": 5, "max_tokens": 700}, 100, 8192, 5),
        ({"response_format": {"type": "text"}}, 100, 8192, 256),
        ({"response_format": {"type": "json_object"}}, 100, 8192, 1024),
        ({"response_format": {"type": "json_object"}}, 100, 1000, 500),
        ({"response_format": {"type": "json_object"}}, 900, 1000, 100),
        ({"response_format": {"type": "json_object"}, "max_tokens": 9}, 100, 8192, 9),
    ],
)
def test_how_long_an_answer_may_be(more: dict[str, object], prompt: int, context: int, tokens: int) -> None:
    """Cut off, what is held to JSON is worth nothing."""
    assert max_tokens(body(**more), prompt, context, SETTINGS) == tokens


def test_prompt_and_answer_must_fit_together() -> None:
    with pytest.raises(ApiError, match="The prompt has 300 tokens and the answer may have 1; together at most 300 are possible"):
        max_tokens(body(), 300, 300, SETTINGS)
