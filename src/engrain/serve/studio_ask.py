"""Asking over HTTP: one question to several ways of answering at once, each answer with its source; and what people say to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from anyio import to_thread
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from engrain.assistant import MAX_NEW_TOKENS, NUM_PASSAGES, Library
from engrain.documents.base import Section
from engrain.files import append_line, to_json
from engrain.gate import Gate
from engrain.retrieval import Retriever
from engrain.run import Run, now
from engrain.serve.bodies import without_surrogates
from engrain.serve.catalogue import weights_of
from engrain.serve.engine import Sampling, Weights
from engrain.serve.failures import ApiError, of
from engrain.serve.parts import Parts, Served
from engrain.serve.studio_builds import event
from engrain.serve.studio_facts import Passage, around
from engrain.serve.studio_workspace import Working
from engrain.support import Index
from engrain.tokens import encode_prompt, passage, question_messages

router = APIRouter(prefix="/engrain", tags=["asking"])
Way = Literal["base", "base+retrieval", "tuned", "tuned+retrieval"]


class Question(BaseModel):
    """A question, and who is asked: the base or the run's model, from memory or with passages that were looked up."""

    run: str
    question: str = Field(min_length=1, max_length=2000)
    ways: list[Way] = Field(default=["base", "tuned"], min_length=1, max_length=4)


class Answered(BaseModel):
    """A whole answer; `status` is supported (by `passage`), unsupported or refused. `read` are passages it was given.

    `everyday` says that the question does not concern the documents, so that the untouched model answered it.
    """

    way: Way
    text: str
    status: Literal["supported", "unsupported", "refused"]
    source: str
    passage: Passage | None
    read: list[str]
    everyday: bool = False


class Feedback(BaseModel):
    """What somebody found of an answer."""

    run: str
    question: str = Field(min_length=1, max_length=2000)
    way: Way
    answer: str = Field(max_length=10_000)
    good: bool


@dataclass(frozen=True)
class Shelf:
    """What a run knows of its documents, ready for looking up."""

    sections: tuple[Section, ...]
    retriever: Retriever | None
    index: Index
    gate: Gate | None

    def answered(self, way: Way, question: str, text: str, read: tuple[str, ...]) -> Answered:
        """The answer with what the documents say to it."""
        support = self.index.check(question, text)
        place = next((s for s in self.sections if s.place == support.source), None)
        start = place.text.find(support.value) if place and support.value else -1
        found = around(place, max(start, 0), max(start, 0) + (len(support.value) if start >= 0 else 0)) if place else None
        return Answered(way=way, text=text, status=support.status, source=support.source, passage=found, read=list(read))  # type: ignore[arg-type]


@router.post("/ask", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def ask(served: Served, space: Working, asked: Question) -> StreamingResponse:
    """The answers as server-sent events: `piece` (way, text) as they are written, `answer` (see Answered) when one is whole.

    `failure` (way, message) stands in the place of an answer that could not be written.
    """
    without_surrogates(asked.model_dump())
    run = space.run(asked.run)
    if run.info.get("status") != "complete":
        raise ApiError(409, f"{asked.run!r} is not complete; there is no trained model to ask.", "not_complete", "run")
    weights = weights_of(run.path, run.info)
    shelf = await to_thread.run_sync(shelf_of, run)
    if shelf.retriever is None and any(way.endswith("retrieval") for way in asked.ways):
        raise ApiError(409, f"{asked.run!r} has no documents to look things up in.", "no_documents", "ways")
    stream = _answers(served, shelf, weights, asked)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.post("/feedback", status_code=204)
def feedback(space: Working, given: Feedback) -> None:
    """Remember whether an answer was right; a correction is an example that is added by POST /engrain/examples."""
    without_surrogates(given.model_dump())
    append_line(space.feedback, to_json({"created": now(), **given.model_dump()}))


def shelf_of(run: Run) -> Shelf:
    """What a run knows of its documents; read once as long as they do not change."""
    files = [run.path / name for name in ("documents.jsonl", "facts.jsonl", "examples/train.jsonl", "run.json")]
    return _shelf(run.path, tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files))


@lru_cache(maxsize=8)
def _shelf(path: Path, changed: tuple[int, ...]) -> Shelf:
    library = Library.of(Run(path))
    index = Index(library.facts, {section.id: section for section in library.sections})
    return Shelf(library.sections, library.retriever(), index, Gate.load(path))


async def _answers(served: Parts, shelf: Shelf, weights: Weights, asked: Question) -> AsyncIterator[str]:
    """All answers as they come, mixed; those under way end when nobody listens any more."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    ways = list(dict.fromkeys(asked.ways))
    tasks = [asyncio.create_task(_answer(served, shelf, weights, asked.question, way, queue)) for way in ways]
    try:
        waiting = len(tasks)
        while waiting:
            said = await queue.get()
            waiting -= not said
            if said:
                yield said
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answer(served: Parts, shelf: Shelf, weights: Weights, question: str, way: Way, queue: asyncio.Queue[str]) -> None:
    """Put one answer on the queue piece by piece, and an empty text behind it."""
    try:
        tuned = way.startswith("tuned")
        everyday = tuned and not await _concerns(served, shelf, weights.base, question)
        chosen = weights if tuned and not everyday else Weights(weights.base)
        prompt, read = await to_thread.run_sync(_prompt, served, shelf, weights.base, question, "base" if everyday else way)
        text = ""
        async with aclosing(served.engine.write(chosen, prompt, Sampling(MAX_NEW_TOKENS))) as pieces:
            async for piece in pieces:
                text += piece.text
                if piece.text:
                    queue.put_nowait(event("piece", {"way": way, "text": piece.text}))
        found = await to_thread.run_sync(shelf.answered, way, question, text.strip(), read)
        queue.put_nowait(event("answer", found.model_dump() | {"everyday": everyday}))
    except Exception as error:
        queue.put_nowait(event("failure", {"way": way, "message": of(error).message}))
    finally:
        queue.put_nowait("")


async def _concerns(served: Parts, shelf: Shelf, base: str, question: str) -> bool:
    """Whether a question concerns the documents; without a gate each does."""
    states = await served.engine.states(base, [question]) if shelf.gate else None
    return shelf.gate is None or states is None or bool(shelf.gate.opens(states)[0])


def _prompt(served: Parts, shelf: Shelf, base: str, question: str, way: Way) -> tuple[list[int], tuple[str, ...]]:
    """The prompt's tokens and the passages in it; the last passages give way where there is no room for all."""
    found = shelf.retriever.search(question, NUM_PASSAGES) if way.endswith("retrieval") and shelf.retriever else []
    passages = tuple(passage(section.place, section.text) for section in found)
    tokenizer, room = served.engine.tokenizer(base), served.engine.context(base) - MAX_NEW_TOKENS
    ids = encode_prompt(tokenizer, question_messages(question, passages))
    while len(ids) > room and passages:
        passages = passages[:-1]
        ids = encode_prompt(tokenizer, question_messages(question, passages))
    return ids, passages
