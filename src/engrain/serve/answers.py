"""From a conversation to an answer: prompt, tokens, what supports it; the same for every engine and every route."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TypeVar

from fastapi import Request

from engrain.assistant import check_mode
from engrain.examples import Message
from engrain.retrieval import in_full
from engrain.serve.bodies import ChatBody, check_length, max_tokens, sampling_of
from engrain.serve.catalogue import Served
from engrain.serve.engine import Piece, Sampling, Token, Weights
from engrain.serve.failures import ApiError
from engrain.serve.knowledge import Knowledge
from engrain.serve.parts import Parts
from engrain.tokens import encode_prompt, question_messages

T = TypeVar("T")
BOTH = ("closed-book", "retrieval")
EVERYDAY = "everyday"
"""The mode of an answer that the untouched base gave, because the question does not concern the documents."""
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

    def add(self, piece: Piece) -> None:
        """Note one more piece."""
        self.text += piece.text
        self.tokens += piece.tokens
        self.finish = piece.finish
        self.cached_tokens += piece.cached
        self.written_tokens += piece.written


@dataclass(frozen=True)
class Chat:
    """A conversation with a model that is to be gone on with."""

    served: Served
    mode: str
    messages: tuple[Message, ...]
    prompts: dict[str, list[int]]
    sampling: Sampling
    knowledge: Knowledge

    @property
    def question(self) -> str:
        """What the user said last, after the question before it where it leans on that."""
        return asked_in_full(self.messages)


async def open_chat(parts: Parts, body: ChatBody, served: Served, mode: str, messages: tuple[Message, ...]) -> Chat:
    """The chat with its prompts, checked; so what is wrong with it is known before anything is sent."""
    knowledge = await asyncio.to_thread(parts.shelf.get, served.run)
    check_mode(mode, has_documents=knowledge.retriever is not None)
    ways: tuple[str, ...] = BOTH if mode == "both" else (mode,)
    if not await _concerns(parts, body, served, knowledge, messages):
        served, mode, ways = replace(served, weights=Weights(served.weights.base)), EVERYDAY, ("closed-book",)
    return await asyncio.to_thread(_open_chat, parts, body, served, mode, ways, messages, knowledge)


async def _concerns(parts: Parts, body: ChatBody, served: Served, knowledge: Knowledge, messages: Sequence[Message]) -> bool:
    """Whether the question, by itself or with the one before it, concerns the documents; without a gate each does."""
    if knowledge.gate is None or (body.engrain and not body.engrain.gate):
        return True
    *before, question = [message.content for message in messages if message.role == "user"]
    texts = [question, *([f"{before[-1]} {question}"] if before else [])]
    states = await parts.engine.states(served.weights.base, texts)
    return states is None or any(knowledge.gate.opens(states))


def _open_chat(
    parts: Parts,
    body: ChatBody,
    served: Served,
    mode: str,
    ways: Sequence[str],
    messages: tuple[Message, ...],
    knowledge: Knowledge,
) -> Chat:
    context = parts.engine.context(served.weights.base)
    check_length([message.content for message in messages], context, "messages")
    most = context - max_tokens(body, 0, context)
    prompts = {way: make_prompt(parts, served, knowledge, messages, way, most) for way in ways}
    room = max_tokens(body, max(map(len, prompts.values())), context)
    return Chat(served, mode, messages, prompts, sampling_of(body, room), knowledge)


def make_prompt(parts: Parts, served: Served, knowledge: Knowledge, messages: Sequence[Message], way: str, most: int) -> list[int]:
    """The tokens after which the answer follows; the last passages give way where there would be more than `most`."""
    *history, last = messages
    tokenizer = parts.engine.tokenizer(served.weights.base)
    passages = knowledge.passages(asked_in_full(messages)) if way == "retrieval" else ()
    ids = encode_prompt(tokenizer, question_messages(last.content, passages, history))
    while passages and len(ids) > most:
        passages = passages[:-1]
        ids = encode_prompt(tokenizer, question_messages(last.content, passages, history))
    return ids


def asked_in_full(messages: Sequence[Message]) -> str:
    """The last question, after the one before it where it leans on that."""
    *earlier, last = [message.content for message in messages if message.role == "user"]
    return in_full(last, earlier)


async def chat(parts: Parts, asked: Chat, number: int, written: Written) -> AsyncGenerator[Piece, None]:
    """Answer `number` to a chat, piece by piece; `written` holds all of it. With mode both it comes once it is decided."""
    if asked.mode != "both":
        (way,) = asked.prompts
        async with aclosing(_way(parts, asked, way, number, written)) as pieces:
            async for piece in pieces:
                yield piece
        return
    closed = Written()
    async with aclosing(_way(parts, asked, "closed-book", number, closed)) as pieces:
        held = [piece async for piece in pieces]
    if closed.status == "supported":
        for piece in held:
            written.add(piece)
        written.source, written.status, written.prompt_tokens = closed.source, closed.status, closed.prompt_tokens
        for piece in held:
            yield piece
        return
    written.prompt_tokens, written.cached_tokens, written.written_tokens = closed.prompt_tokens, closed.cached_tokens, closed.written_tokens
    async with aclosing(_way(parts, asked, "retrieval", number, written)) as pieces:
        async for piece in pieces:
            yield piece


async def _way(parts: Parts, asked: Chat, way: str, number: int, written: Written) -> AsyncGenerator[Piece, None]:
    """The answer from the weights, or from passages, and at its end what supports it."""
    prompt = asked.prompts[way]
    written.prompt_tokens += len(prompt)
    async with aclosing(write(parts, asked.served, prompt, replace(asked.sampling, number=number))) as pieces:
        async for piece in pieces:
            written.add(piece)
            if piece.finish:
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
