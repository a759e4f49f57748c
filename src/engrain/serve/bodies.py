"""What requests for answers may say. What OpenAI's API knows and this server does not do is refused, never ignored."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from engrain.assistant import MODES
from engrain.errors import ExampleError
from engrain.examples import Message
from engrain.serve.engine import Sampling
from engrain.serve.failures import ApiError
from engrain.serve.grammar import ANY_OBJECT, checked
from engrain.serve.settings import ServeSettings
from engrain.tool_calls import call_text, result_text

DEFAULT_MAX_TOKENS = 256
"""Tokens of an answer where the request says nothing; one that is held to JSON may be as long as any, for cut off it is worth nothing."""
MOST_CHARACTERS = 32
"""Characters for each token of context, above which a text is refused unread."""
IDLE = {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}
"""Fields that say something about the request and ask for nothing that would change the answer."""
NEUTRAL: tuple[Any, ...] = (None, 0, [], {}, "")
NEUTRAL_ONES = {"best_of": 1, "function_call": "none", "modalities": ["text"]}
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "user"}
SEEDS = 2**63


class Lenient(BaseModel):
    """A body whose unknown fields are looked at by `check_fields`."""

    model_config = ConfigDict(extra="allow", strict=False)


class TextPart(Lenient):
    """A part of a message."""

    type: str
    text: str | None = None


class Turn(Lenient):
    """A message of a conversation."""

    role: str
    content: str | list[TextPart] | None = None
    tool_calls: list[dict[str, Any]] | None = None


class StreamOptions(BaseModel):
    """How to stream."""

    include_usage: bool = False


class Own(BaseModel):
    """engrain's own field: where answers come from, whether everyday questions go to the untouched base, and whether the tuned
    model is asked from memory in the words of the nearest question that it was trained on.
    """

    model_config = ConfigDict(extra="forbid")
    mode: Literal["closed-book", "retrieval", "both"] | None = None
    gate: bool = True
    rewrite: bool = True


class OwnGap(Own):
    """The same for a gap in code; `path` is that of its file in the code base."""

    path: str = Field("", max_length=4096)


class JsonSchema(Lenient):
    """A named JSON schema."""

    name: str = "answer"
    schema_: dict[str, Any] = Field(alias="schema", default_factory=dict)


class ResponseFormat(Lenient):
    """The form that an answer must have."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JsonSchema | None = None


class Asked(Lenient):
    """What chat and text completions have in common. The temperature is 0 unless it is given: facts are no matter of chance."""

    model: str = Field(max_length=512)
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    n: Annotated[StrictInt, Field(ge=1)] | None = None
    max_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    seed: Annotated[StrictInt, Field(ge=-SEEDS, lt=SEEDS)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    engrain: Own | None = None


class ChatBody(Asked):
    """A chat completion."""

    messages: Annotated[list[Turn], Field(min_length=1, max_length=512)]
    max_completion_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=128)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None


Ids = Annotated[list[Annotated[StrictInt, Field(ge=0)]], Field(min_length=1)]


class CompletionBody(Asked):
    """A text completion; `suffix` is what follows the gap that is to be filled."""

    prompt: str | Ids | Annotated[list[str], Field(min_length=1, max_length=64)] | Annotated[list[Ids], Field(min_length=1, max_length=64)]
    suffix: str | None = None
    logprobs: Annotated[StrictInt, Field(ge=0, le=20)] | None = None
    engrain: OwnGap | None = None


def check_fields(body: Asked, settings: ServeSettings) -> None:
    """Raise ApiError 400 for what this server does not do, and for more than it gives to one request."""
    unknown = [name for name, value in (body.model_extra or {}).items() if name not in IDLE and not _neutral(name, value)]
    if unknown:
        raise ApiError(400, f"This server does not support: {', '.join(sorted(unknown))}.", "unsupported_parameter", sorted(unknown)[0])
    if (body.n or 1) > settings.max_choices:
        raise ApiError(400, f"n={body.n}: at most {settings.max_choices} answers to one request.", "invalid_value", "n")
    wanted = _most_tokens(body)
    if wanted is not None and wanted > settings.max_tokens:
        raise ApiError(400, f"max_tokens={wanted}: at most {settings.max_tokens} tokens in one answer.", "invalid_value", "max_tokens")


def _neutral(name: str, value: Any) -> bool:
    return value in NEUTRAL or (name in NEUTRAL_ONES and value == NEUTRAL_ONES[name])


def _most_tokens(body: Asked) -> int | None:
    given = body.max_completion_tokens if isinstance(body, ChatBody) else None
    return given if given is not None else body.max_tokens


def check_length(texts: Sequence[str], context: int, param: str) -> None:
    """Raise ApiError 400 for texts so long that no tokenizer need be asked whether they fit."""
    count = sum(map(len, texts))
    if count > MOST_CHARACTERS * context:
        raise ApiError(400, f"{count:,} characters do not fit into {context:,} tokens.", "context_length_exceeded", param)


def max_tokens(body: Asked, prompt_tokens: int, context: int, settings: ServeSettings) -> int:
    """How many tokens the answer may have. Raises ApiError 400 where prompt and answer do not fit the context together."""
    wanted, room = _most_tokens(body), context - prompt_tokens
    if room < 1 or (wanted or 1) > room:
        raise ApiError(
            400,
            f"The prompt has {prompt_tokens} tokens and the answer may have {wanted or 1}; together at most {context} are possible.",
            "context_length_exceeded",
            "messages" if isinstance(body, ChatBody) else "prompt",
        )
    usual = min(settings.max_tokens, max(context // 2, 1)) if is_held(body) else DEFAULT_MAX_TOKENS
    return wanted if wanted is not None else min(usual, room)


def is_held(body: Asked) -> bool:
    """Whether the answer is held to JSON token by token."""
    return isinstance(body, ChatBody) and body.response_format is not None and body.response_format.type != "text"


def sampling_of(body: Asked, tokens: int) -> Sampling:
    """How the body asks to choose tokens; an answer without a seed gets one by chance where chance plays a part."""
    temperature = body.temperature or 0.0
    seed = secrets.randbits(32) if body.seed is None and temperature else (body.seed or 0) % 2**64
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    schema = _schema(body.response_format) if isinstance(body, ChatBody) else ""
    chosen = tuple(word for word in stop if word)
    return Sampling(tokens, temperature, body.top_p or 1.0, seed, 0, chosen, _top_logprobs(body), schema)


def _top_logprobs(body: Asked) -> int | None:
    if isinstance(body, ChatBody):
        return (body.top_logprobs or 0) if body.logprobs else None
    return body.logprobs if isinstance(body, CompletionBody) else None


def _schema(form: ResponseFormat | None) -> str:
    if form is None or form.type == "text":
        return ""
    if form.type == "json_object":
        return checked(ANY_OBJECT)
    if form.json_schema is None:
        raise ApiError(400, "response_format of type json_schema needs json_schema.", "invalid_value", "response_format")
    return checked(form.json_schema.schema_)


def messages_of(body: ChatBody) -> tuple[Message, ...]:
    """The conversation. Raises ApiError 400 that lists every turn that cannot be read; the last must be the user's, or a tool's result."""
    problems = [f"messages.{i}: {fault}" for i, turn in enumerate(body.messages) if (fault := _fault(turn))]
    if problems:
        raise ApiError(400, "\n".join(problems), "invalid_value", "messages")
    turns: list[Message] = []
    for turn, before in zip(body.messages, [None, *body.messages], strict=False):
        content = _content(turn)
        if turn.role == "tool" and before is not None and before.role == "tool":  # as training has it: templates want the roles in turn
            turns[-1] = replace(turns[-1], content=f"{turns[-1].content}\n{content}")
        else:
            turns.append(Message(ROLES[turn.role], content))
    if turns[-1].role != "user":
        raise ApiError(400, "The last message must be the user's.", "invalid_value", "messages")
    return tuple(turns)


def _fault(turn: Turn) -> str:
    if turn.role not in ROLES:
        return f"the role {turn.role!r} is not supported; there are {', '.join(ROLES)}"
    if (turn.model_extra or {}).get("function_call"):
        return "function_call is not supported; write tool_calls"
    if turn.tool_calls and turn.role != "assistant":
        return "only the assistant calls tools"
    if isinstance(turn.content, list) and any(part.type != "text" or part.text is None for part in turn.content):
        return "only parts of text are supported"
    try:
        return "" if _content(turn) else "the content is empty"
    except ExampleError as error:
        return error.message


def _content(turn: Turn) -> str:
    """The text of a turn, with the calls that it makes, or as the result that it is."""
    text = "\n".join(part.text or "" for part in turn.content) if isinstance(turn.content, list) else turn.content or ""
    if turn.role == "tool":
        return result_text(text)
    return call_text(turn.tool_calls, text) if turn.tool_calls else text


def mode_of(body: Asked, suffix: str) -> str:
    """The mode that the body, or else the model's name, asks for; closed-book where neither does."""
    chosen = body.engrain.mode if body.engrain and body.engrain.mode else suffix or MODES[0]
    assert chosen in MODES
    return chosen


def without_surrogates(values: Mapping[str, Any]) -> None:
    """Raise ApiError 400 for text that is no text: half a character, which no tokenizer takes."""
    stack: list[Any] = [values]
    while stack:
        value = stack.pop()
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise ApiError(400, "The request holds half a character (a lone surrogate).", "invalid_value")
        stack += [*value, *value.values()] if isinstance(value, Mapping) else value if isinstance(value, list) else []
