"""`/v1/completions`: a text goes on, or a gap in code is filled."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from engrain.healing import beginnings
from engrain.serve import answers, sse
from engrain.serve.answers import Written
from engrain.serve.bodies import CompletionBody, check_fields, check_length, max_tokens, sampling_of, without_surrogates
from engrain.serve.catalogue import Served as Model
from engrain.serve.engine import Piece, Sampling, Token
from engrain.serve.failures import ApiError
from engrain.serve.gaps import is_code
from engrain.serve.logs import log_words
from engrain.serve.openai_chat import usage
from engrain.serve.parts import Parts, Served

router = APIRouter(prefix="/v1", tags=["completions"])


@dataclass(frozen=True)
class Gap:
    """One choice of a response: the prompt that it goes on with."""

    prompt: list[int]
    sampling: Sampling


@router.post("/completions", response_model=None)
async def create_completion(body: CompletionBody, request: Request, served: Served) -> Response:
    """What follows a text. With `suffix`, what stands between both: for runs of the task `code`."""
    without_surrogates(body.model_dump())
    check_fields(body, served.settings)
    model, mode = served.catalogue.find(body.model)
    if mode not in ("", "closed-book") or (body.engrain and body.engrain.mode not in (None, "closed-book")):
        raise ApiError(400, "Completions go on with a text; modes with passages are for chat completions.", "invalid_value", "model")
    gaps = await asyncio.to_thread(_gaps, served, body, model)
    if len(gaps) > served.settings.max_choices:
        raise ApiError(400, f"{len(gaps)} answers (prompts × n): at most {served.settings.max_choices}.", "invalid_value", "prompt")
    if body.stream:
        served.engine.check_room()  # once the stream has begun, its status is 200
        return sse.stream(_chunks(served, body, model, gaps), end="[DONE]")
    return JSONResponse(await answers.unless_gone(request, _whole(served, body, model, gaps)))


def _gaps(parts: Parts, body: CompletionBody, model: Model) -> list[Gap]:
    """One gap for each prompt and answer; those of one prompt share their tokens. Raises ModelError for a run on another base."""
    parts.shelf.get(model.run)
    context = parts.engine.context(model.weights.base)
    texts = [body.prompt] if isinstance(body.prompt, str) else [text for text in body.prompt if isinstance(text, str)]
    check_length(texts, context * len(texts), "prompt")
    made = []
    for number, (prompt, begin) in enumerate(_prompts(parts, body, model, context - max_tokens(body, 0, context, parts.settings))):
        sampling = replace(sampling_of(body, max_tokens(body, len(prompt) + len(begin), context, parts.settings)), begin=begin)
        made += [Gap(prompt, replace(sampling, number=number * (body.n or 1) + i)) for i in range(body.n or 1)]
    return made


def _prompts(parts: Parts, body: CompletionBody, model: Model, room: int) -> list[tuple[list[int], str]]:
    """The tokens of every prompt, and what its answer has to begin with; runs of the task code see at most `room` tokens around the gap."""
    tokenizer, info = parts.engine.tokenizer(model.weights.base), model.run.info if model.run else {}
    given: list[Any] = [body.prompt] if isinstance(body.prompt, str) or isinstance(body.prompt[0], int) else list(body.prompt)
    path = body.engrain.path if body.engrain else ""
    if (body.suffix or path) and not is_code(info):
        name = "suffix" if body.suffix else "engrain.path"
        raise ApiError(400, f"{name}: {model.name!r} fills no gaps in code; runs of the task code do.", "invalid_value", name)
    size = len(tokenizer)
    if any(token >= size for prompt in given if not isinstance(prompt, str) for token in prompt):
        raise ApiError(400, f"prompt: token ids must be below {size}.", "invalid_value", "prompt")
    if is_code(info):
        texts = [prompt if isinstance(prompt, str) else tokenizer.decode(prompt) for prompt in given]
        heal = parts.engine.begins
        if heal:
            beginnings(tokenizer)  # made here, and not where it would hold up everybody's answers
        made = [parts.gaps.prompt(info, path, text, body.suffix or "", room, heal=heal) for text in texts]
    else:
        made = [(tokenizer.encode(prompt, verbose=False) if isinstance(prompt, str) else prompt, "") for prompt in given]
    return [(prompt or [tokenizer.bos_token_id or tokenizer.eos_token_id], begin) for prompt, begin in made]


async def _pieces(parts: Parts, model: Model, gap: Gap, written: Written) -> AsyncGenerator[Piece, None]:
    written.prompt_tokens = len(gap.prompt)
    async with aclosing(answers.write(parts, model, gap.prompt, gap.sampling)) as pieces:
        async for piece in pieces:
            written.add(piece)
            yield piece


async def _whole(parts: Parts, body: CompletionBody, model: Model, gaps: Sequence[Gap]) -> dict[str, Any]:
    """The response in one piece."""
    writings = [Written() for _ in gaps]
    streams = [_pieces(parts, model, gap, written) for gap, written in zip(gaps, writings, strict=True)]
    async with aclosing(answers.together(streams)) as pieces:
        async for _ in pieces:
            pass
    _log(parts, model, gaps, writings)
    choices = [
        _choice(number, written.text, written.finish, _logprobs(written.tokens, body.logprobs)) for number, written in enumerate(writings)
    ]
    return {**_head(model), "choices": choices, "usage": _usage(body, writings)}


async def _chunks(parts: Parts, body: CompletionBody, model: Model, gaps: Sequence[Gap]) -> AsyncGenerator[dict[str, Any], None]:
    """The response piece by piece."""
    head, writings = _head(model), [Written() for _ in gaps]
    counts = bool(body.stream_options and body.stream_options.include_usage)
    rest: dict[str, Any] = {"usage": None} if counts else {}
    streams = [_pieces(parts, model, gap, written) for gap, written in zip(gaps, writings, strict=True)]
    async with aclosing(answers.together(streams)) as pieces:
        async for number, piece in pieces:
            shown = _logprobs(piece.tokens, body.logprobs)
            yield {**head, "choices": [_choice(number, piece.text, piece.finish or None, shown)], **rest}
    _log(parts, model, gaps, writings)
    if counts:
        yield {**head, "choices": [], "usage": _usage(body, writings)}


def _choice(number: int, text: str, finish: str | None, logprobs: dict[str, Any] | None) -> dict[str, Any]:
    return {"index": number, "text": text, "logprobs": logprobs, "finish_reason": finish}


def _head(model: Model) -> dict[str, Any]:
    return {"id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion", "created": int(time.time()), "model": model.name}


def _usage(body: CompletionBody, writings: Sequence[Written]) -> dict[str, Any]:
    """What the answers cost together; each prompt counts once."""
    parts = [usage(writings[start : start + (body.n or 1)]) for start in range(0, len(writings), body.n or 1)]
    prompt, completion = (sum(part[name] for part in parts) for name in ("prompt_tokens", "completion_tokens"))
    cached = sum(part["prompt_tokens_details"]["cached_tokens"] for part in parts)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def _logprobs(tokens: Sequence[Token], top: int | None) -> dict[str, Any] | None:
    """The log-probabilities of a text; None where they were not asked for."""
    if top is None:
        return None
    likeliest = [{text: max(logprob, -9999.0) for text, logprob in token.likeliest} for token in tokens]
    logs = [max(token.logprob, -9999.0) for token in tokens]
    offsets = list(accumulate((len(token.text) for token in tokens[:-1]), initial=0))[: len(tokens)]
    return {"tokens": [token.text for token in tokens], "token_logprobs": logs, "top_logprobs": likeliest, "text_offset": offsets}


def _log(parts: Parts, model: Model, gaps: Sequence[Gap], writings: Sequence[Written]) -> None:
    if parts.settings.log_prompts:
        tokenizer = parts.engine.tokenizer(model.weights.base)
        log_words([tokenizer.decode(gap.prompt) for gap in gaps], [written.text for written in writings])
