"""From a conversation to an answer: prompt, tokens, what supports it; the same for every engine and every route."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from fastapi import Request

from engrain.assistant import BOTH, MODES, check_mode
from engrain.examples import Message
from engrain.retrieval import NUM_KNOWN
from engrain.serve.bodies import ChatBody, Own, check_length, is_held, max_tokens, sampling_of
from engrain.serve.catalogue import Served
from engrain.serve.engine import Piece, Sampling, Token, Weights
from engrain.serve.failures import ApiError
from engrain.serve.knowledge import UNCHECKED, Knowledge
from engrain.serve.parts import Parts
from engrain.serve.prompts import EVERYDAY, asked_in_full, make_prompts
from engrain.serve.tools import BEGINNING, Tools, tools_of
from engrain.tokens import Shown
from engrain.weighing import Weighing
from engrain.words import canonical

T = TypeVar("T")
GONE_SECONDS = 0.25
"""How often it is looked whether the client still waits."""


@dataclass
class Written:
    """An answer as far as it is written, and what it cost; `source` and `status` once it is finished."""

    text: str = ""
    tokens: list[Token] = field(default_factory=list)
    finish: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    source: str = ""
    status: str = ""
    asked_as: str = ""
    """The trained question that the model answered so, from memory, in place of the user's; empty where none was put to it."""

    def add(self, piece: Piece) -> None:
        """Note one more piece."""
        self.text += piece.text
        self.tokens += piece.tokens
        self.finish = piece.finish
        self.cached_tokens += piece.cached
        self.written_tokens += piece.written


@dataclass(frozen=True)
class Chat:
    """A conversation with a model that is to be gone on with; what `tools` give stands in no document, so with them none is asked.

    `prompts` has for each way of asking what the model is shown, one after another.
    """

    served: Served
    mode: str
    messages: tuple[Message, ...]
    prompts: Sequence[Sequence[Shown]]
    sampling: Sampling
    knowledge: Knowledge
    tools: Tools | None = None
    weighed: bool = False
    """Whether what the model says is weighed, and comes as a whole once it is decided."""
    recalled: bool = False
    """Whether it is asked from memory in the words of trained questions."""

    @property
    def question(self) -> str:
        """What the user said last, after the question before it where it leans on that."""
        return asked_in_full(self.messages)


async def open_chat(parts: Parts, body: ChatBody, served: Served, mode: str, messages: tuple[Message, ...]) -> Chat:
    """The chat with its prompts, checked; so what is wrong with it is known before anything is sent."""
    tools = tools_of(body)
    knowledge = await asyncio.to_thread(parts.shelf.get, served.run)
    check_mode(mode, has_documents=knowledge.retriever is not None)
    if tools and mode != MODES[0]:
        raise ApiError(400, f"tools: not with mode {mode}; ask with {MODES[0]}.", "unsupported_parameter", "tools")
    if mode == BOTH:
        _check_whole(body)
    context = await asyncio.to_thread(parts.engine.context, served.weights.base)
    check_length([message.content for message in messages], context, "messages")
    if tools:
        messages = tools.told(messages)
    elif (body.engrain or Own()).gate and not await concerns(parts, served.weights.base, knowledge, messages):
        served, mode = replace(served, weights=Weights(served.weights.base)), EVERYDAY
    return await asyncio.to_thread(_open_chat, parts, body, served, mode, messages, knowledge, tools)


def weighs(served: Served, knowledge: Knowledge, mode: str) -> bool:
    """Whether what the model says in this mode is weighed against declining."""
    return mode == BOTH or (mode == MODES[0] and served.weights.tuned and knowledge.has_meaning)


def _check_whole(body: ChatBody) -> None:
    """Raise ApiError 400 for what is done token by token: mode both chooses among whole answers, some of which nobody wrote now."""
    for name in _by_token(body):
        raise ApiError(400, f"{name}: not with mode both; ask with closed-book or retrieval.", "unsupported_parameter", name)


def _by_token(body: ChatBody) -> list[str]:
    """What the request wants that is done token by token."""
    wanted = {"logprobs": body.logprobs, "response_format": is_held(body)}
    return [name for name, value in wanted.items() if value]


async def concerns(parts: Parts, base: str, knowledge: Knowledge, messages: Sequence[Message]) -> bool:
    """Whether the question, by itself or with the one before it, concerns the documents; without a gate each does."""
    if knowledge.gate is None:
        return True
    *before, question = [message.content for message in messages if message.role == "user"]
    texts = [question, *([f"{before[-1]} {question}"] if before else [])]
    states = await parts.engine.states(base, texts)
    return states is None or any(knowledge.gate.opens(states, await asyncio.to_thread(knowledge.nearness_to, texts)))


def _open_chat(
    parts: Parts, body: ChatBody, served: Served, mode: str, messages: tuple[Message, ...], knowledge: Knowledge, tools: Tools | None
) -> Chat:
    context = parts.engine.context(served.weights.base)
    most = context - max_tokens(body, 0, context, parts.settings)
    rewrite = tools is None and (body.engrain or Own()).rewrite
    weighed = weighs(served, knowledge, mode) and (mode == BOTH or (rewrite and not _by_token(body)))
    words = 0 if not rewrite else NUM_KNOWN if weighed else 1
    prompts = make_prompts(parts, served, knowledge, messages, mode, most, words=words)
    if tools and tools.form:
        beginning = parts.engine.tokenizer(served.weights.base).encode(BEGINNING, add_special_tokens=False)
        prompts = [[replace(prompt, ids=[*prompt.ids, *beginning]) for prompt in several] for several in prompts]
    longest = max(len(prompt.ids) for several in prompts for prompt in several)
    room = max_tokens(body, longest, context, parts.settings)
    sampling = sampling_of(body, room)
    form = tools.form if tools and tools.form else sampling.schema
    recalled = rewrite and weighs(served, knowledge, MODES[0])
    return Chat(served, mode, messages, prompts, replace(sampling, schema=form), knowledge, tools, weighed, recalled)


async def chat(parts: Parts, asked: Chat, number: int, written: Written) -> AsyncGenerator[Piece, None]:
    """Answer `number` to a chat, piece by piece; `written` holds all of it. One that is weighed comes once it is decided."""
    if asked.weighed:
        piece = await _decided(parts, asked, number, written)
        written.add(piece)
        yield piece
        return
    ((prompt,),) = asked.prompts
    async with aclosing(_said(parts, asked, prompt, number, written)) as pieces:
        async for piece in pieces:
            yield piece


async def _decided(parts: Parts, asked: Chat, number: int, written: Written) -> Piece:
    """The answer that weighs most, of what the model says in all ways and (in mode both) of what similar questions are answered with.

    `written` gets what supports it, and the tokens that were read.
    """
    ways = [[(prompt, Written()) for prompt in several] for several in asked.prompts]
    async with aclosing(together([_in_turn(parts, asked, way, number) for way in ways])) as pieces:
        async for _ in pieces:
            pass
    said = [one for way in ways for _, one in way]
    weighing = await asyncio.to_thread(_weighing, asked, [one.text.strip() for one in said])
    best = weighing.decide(asked.served.weights.tuned)
    text = _until(best, asked.sampling.stop)
    chosen = next((one for one in said if canonical(one.text) == canonical(best)), Written(finish="stop"))
    written.asked_as = chosen.asked_as if asked.mode != BOTH else ""
    written.source, written.status = await asyncio.to_thread(asked.knowledge.verdict, asked.question, text)
    written.prompt_tokens = sum(one.prompt_tokens for one in said)
    cached = sum(one.cached_tokens for one in said)
    return Piece(text, (), chosen.finish, cached, sum(one.written_tokens for one in said))


def _weighing(asked: Chat, said: Sequence[str]) -> Weighing:
    knowledge, question = asked.knowledge, asked.question

    def supports(text: str) -> bool:
        return knowledge.verdict(question, text)[1] == "supported"

    near, fits, asks = (partial(voice, question) for voice in (knowledge.nearness, knowledge.fits, knowledge.asks))
    similar = knowledge.similar(question) if asked.mode == BOTH else ()
    return Weighing.of(said, similar, supports, near, fits, asks, asked.recalled)


def _until(text: str, stop: Sequence[str]) -> str:
    """The text up to the first of the stop texts."""
    return text[: min([len(text), *(place for word in stop if (place := text.find(word)) >= 0)])]


async def _in_turn(parts: Parts, asked: Chat, way: Sequence[tuple[Shown, Written]], number: int) -> AsyncGenerator[Piece, None]:
    """What the model says after each prompt of a way, one after another: whoever asks takes one place for a way, among all who wait."""
    for prompt, written in way:
        async with aclosing(_said(parts, asked, prompt, number, written)) as pieces:
            async for piece in pieces:
                yield piece


async def _said(parts: Parts, asked: Chat, prompt: Shown, number: int, written: Written) -> AsyncGenerator[Piece, None]:
    """What the model says after one of the prompts, and at its end what supports it."""
    written.prompt_tokens += len(prompt.ids)
    written.asked_as = prompt.asked_as
    async with aclosing(write(parts, asked.served, prompt.ids, replace(asked.sampling, number=number))) as pieces:
        async for piece in pieces:
            written.add(piece)
            if piece.finish and asked.tools:
                written.status = UNCHECKED
            elif piece.finish:
                written.source, written.status = await asyncio.to_thread(asked.knowledge.verdict, asked.question, written.text.strip())
            yield piece


async def write(parts: Parts, served: Served, prompt: Sequence[int], sampling: Sampling) -> AsyncGenerator[Piece, None]:
    """What the engine writes, counted."""
    parts.metrics.prompt_tokens.inc(len(prompt))
    async with aclosing(parts.engine.write(served.weights, prompt, sampling)) as pieces:
        async for piece in pieces:
            parts.metrics.cached_tokens.inc(piece.cached)
            parts.metrics.written_tokens.inc(piece.written)
            yield piece


async def together(streams: Sequence[AsyncGenerator[Piece, None]]) -> AsyncGenerator[tuple[int, Piece], None]:
    """The pieces of several answers as they come, with the number of each; leaving it ends them all."""
    queue = asyncio.Queue[tuple[int, Piece | BaseException | None]]()

    async def pump(number: int, stream: AsyncGenerator[Piece, None]) -> None:
        try:
            async for piece in stream:
                queue.put_nowait((number, piece))
            queue.put_nowait((number, None))
        except Exception as error:
            queue.put_nowait((number, error))

    tasks = [asyncio.create_task(pump(number, stream)) for number, stream in enumerate(streams)]
    try:
        left = len(tasks)
        while left:
            number, piece = await queue.get()
            if isinstance(piece, BaseException):
                raise piece
            if piece is None:
                left -= 1
            else:
                yield number, piece
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """What `work` gives; it is cancelled when the client goes away."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=GONE_SECONDS))[0]:
            if await request.is_disconnected():
                raise ApiError(499, "The client went away.", "gone")
        return task.result()
    finally:
        task.cancel()
