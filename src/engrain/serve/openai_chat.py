"""`/v1/chat/completions`."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from engrain.serve import answers, sse
from engrain.serve.answers import Chat, Written
from engrain.serve.bodies import ChatBody, check_fields, messages_of, mode_of, without_surrogates
from engrain.serve.engine import Token
from engrain.serve.logs import log_words
from engrain.serve.parts import Parts, Served
from engrain.serve.tools import Sieve

router = APIRouter(prefix="/v1", tags=["chat"])
CALLED = "tool_calls"
"""The finish reason of an answer that calls tools."""


@router.post("/chat/completions", response_model=None)
async def create_chat_completion(body: ChatBody, request: Request, served: Served) -> Response:
    """An answer to a conversation.

    `engrain: {"mode": "retrieval"}` (or the model's name with `+retrieval`) answers from passages of the documents. The
    response's `engrain` says which place in the documents supports the answer, and whether any does.
    """
    without_surrogates(body.model_dump())
    check_fields(body, served.settings)
    model, suffix = served.catalogue.find(body.model)
    asked = await answers.open_chat(served, body, model, mode_of(body, suffix), messages_of(body))
    if body.stream:
        served.engine.check_room()  # once the stream has begun, its status is 200
        return sse.stream(_chunks(served, body, asked), end="[DONE]")
    return JSONResponse(await answers.unless_gone(request, _whole(served, body, asked)))


async def _whole(parts: Parts, body: ChatBody, asked: Chat) -> dict[str, Any]:
    """The response in one piece."""
    writings = [Written() for _ in range(body.n or 1)]
    streams = [answers.chat(parts, asked, number, written) for number, written in enumerate(writings)]
    async with aclosing(answers.together(streams)) as pieces:
        async for _ in pieces:
            pass
    _log(parts, asked, writings)
    choices = [_choice(number, written, asked) for number, written in enumerate(writings)]
    return {**_head("chat.completion", asked), "choices": choices, "usage": usage(writings), "engrain": choices[0]["engrain"]}


def _choice(number: int, written: Written, asked: Chat) -> dict[str, Any]:
    text, calls = asked.tools.made(written.text) if asked.tools else (written.text, [])
    message = {"role": "assistant", "content": text or None if calls else text, "refusal": None}
    return {
        "index": number,
        "message": message | ({"tool_calls": calls} if calls else {}),
        "logprobs": logprobs(written.tokens, asked.sampling.top_logprobs),
        "finish_reason": CALLED if calls else written.finish,
        "engrain": own(written, asked),
    }


async def _chunks(parts: Parts, body: ChatBody, asked: Chat) -> AsyncGenerator[dict[str, Any], None]:
    """The response piece by piece; the last piece of a choice has its finish reason and what supports it."""
    head = _head("chat.completion.chunk", asked)
    counts = bool(body.stream_options and body.stream_options.include_usage)
    rest: dict[str, Any] = {"usage": None} if counts else {}
    writings = [Written() for _ in range(body.n or 1)]
    sieves = [Sieve(asked.tools) if asked.tools else None for _ in writings]
    for number in range(len(writings)):
        yield {**head, "choices": [_delta(number, {"role": "assistant", "content": "", "refusal": None})], **rest}
    streams = [answers.chat(parts, asked, number, written) for number, written in enumerate(writings)]
    async with aclosing(answers.together(streams)) as pieces:
        async for number, piece in pieces:
            sieve = sieves[number]
            text = sieve.add(piece.text) if sieve else piece.text
            if text or piece.tokens:
                shown = logprobs(piece.tokens, asked.sampling.top_logprobs)
                yield {**head, "choices": [_delta(number, {"content": text}, logprobs=shown)], **rest}
            if piece.finish:
                left, calls = sieve.end() if sieve else ("", [])
                said = own(writings[number], asked)
                if left or calls:
                    numbered = {"tool_calls": [{"index": index, **call} for index, call in enumerate(calls)]} if calls else {}
                    yield {**head, "choices": [_delta(number, ({"content": left} if left else {}) | numbered)], **rest}
                yield {**head, "choices": [_delta(number, {}, finish=CALLED if calls else piece.finish)], "engrain": said, **rest}
    _log(parts, asked, writings)
    if counts:
        yield {**head, "choices": [], "usage": usage(writings)}


def _delta(number: int, delta: dict[str, Any], finish: str | None = None, logprobs: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"index": number, "delta": delta, "logprobs": logprobs, "finish_reason": finish}


def _head(kind: str, asked: Chat) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": asked.served.name}


def own(written: Written, asked: Chat) -> dict[str, str]:
    """engrain's own field: the place that supports the answer, its status, where it came from, and the trained question asked instead."""
    return {"source": written.source, "status": written.status, "mode": asked.mode, "asked_as": written.asked_as}


def usage(writings: Sequence[Written]) -> dict[str, Any]:
    """What the answers cost together; the prompt counts once."""
    prompt, cached = max(w.prompt_tokens for w in writings), max(w.cached_tokens for w in writings)
    completion = sum(w.written_tokens for w in writings)
    details = {"cached_tokens": cached}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": details,
    }


def logprobs(tokens: Sequence[Token], top: int | None) -> dict[str, Any] | None:
    """The log-probabilities of a chat answer; None where they were not asked for."""
    if top is None:
        return None
    content = [{**_scored(t.text, t.logprob), "top_logprobs": [_scored(text, logprob) for text, logprob in t.likeliest]} for t in tokens]
    return {"content": content, "refusal": None}


def _scored(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": max(logprob, -9999.0), "bytes": list(text.encode()) if "\ufffd" not in text else None}


def _log(parts: Parts, asked: Chat, writings: Sequence[Written]) -> None:
    if parts.settings.log_prompts:
        log_words([m.content for m in asked.messages], [w.text for w in writings])
