"""Asking over HTTP: one question to several ways of answering at once, each answer with its source; and what people say to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from engrain.assistant import MAX_NEW_TOKENS, WAYS
from engrain.examples import Message
from engrain.files import append_line, to_json
from engrain.run import now
from engrain.serve import answers
from engrain.serve.answers import Chat, Written
from engrain.serve.bodies import without_surrogates
from engrain.serve.catalogue import Served as Model
from engrain.serve.catalogue import weights_of
from engrain.serve.engine import Sampling, Weights
from engrain.serve.failures import ApiError, of
from engrain.serve.knowledge import Knowledge
from engrain.serve.parts import Parts, Served
from engrain.serve.prompts import EVERYDAY, make_prompts
from engrain.serve.studio_builds import event
from engrain.serve.studio_facts import Passage, around
from engrain.serve.studio_workspace import Working, base_of
from engrain.support import stretch
from engrain.tokens import turn_messages

router = APIRouter(prefix="/engrain", tags=["asking"])
Way = Literal["base", "base+retrieval", "base+both", "tuned", "tuned+retrieval", "tuned+both"]


class Turn(BaseModel):
    """An earlier question of a talk, and what each way answered."""

    question: str = Field(min_length=1, max_length=2000)
    answers: dict[Way, Annotated[str, Field(max_length=10_000)]]


class Question(BaseModel):
    """A question, and who is asked: the base or the run's model; from memory, with passages that were looked up, or both.

    Where it goes on from a talk, `earlier` holds that, the oldest turn first; each way sees the turns that it answered.
    """

    run: str
    question: str = Field(min_length=1, max_length=2000)
    ways: list[Way] = Field(default=["base", "tuned"], min_length=1, max_length=6)
    earlier: list[Turn] = Field(default=[], max_length=100)

    def messages(self, way: Way) -> tuple[Message, ...]:
        """The talk as that way sees it, the question last."""
        turns = [(turn.question, turn.answers[way]) for turn in self.earlier if way in turn.answers]
        return (*turn_messages(turns), Message("user", self.question))


class Answered(BaseModel):
    """A whole answer; `status` is supported (by `passage`), unsupported or refused. `read` are passages it was given.

    `everyday` says that the question does not concern the documents, so that the untouched model answered it; `forgotten` how
    many of the oldest turns were left out because the model cannot see them together with the question; `asked_as` is the trained
    question that the model was asked in place of this one, if it was.
    """

    way: Way
    text: str
    status: Literal["supported", "unsupported", "refused"]
    source: str
    passage: Passage | None
    read: list[str]
    everyday: bool = False
    forgotten: int = 0
    asked_as: str = ""


class Feedback(BaseModel):
    """What somebody found of an answer."""

    run: str
    question: str = Field(min_length=1, max_length=2000)
    way: Way
    answer: str = Field(max_length=10_000)
    good: bool


@dataclass(frozen=True)
class Version:
    """The run that is asked about: as a model, and what it knows of its documents."""

    model: Model
    knowledge: Knowledge


@router.post("/ask", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def ask(served: Served, space: Working, asked: Question) -> StreamingResponse:
    """The answers as server-sent events: `piece` (way, text) as they are written, `answer` (see Answered) when one is whole.

    `failure` (way, message) stands in the place of an answer that could not be written.
    """
    without_surrogates(asked.model_dump())
    run = space.run(asked.run)
    if run.info.get("status") != "complete":
        raise ApiError(409, f"{asked.run!r} is not complete; there is no trained model to ask.", "not_complete", "run")
    base_of(run)
    knowledge = await to_thread.run_sync(served.shelf.get, run)
    if knowledge.retriever is None and any("+" in way for way in asked.ways):
        raise ApiError(409, f"{asked.run!r} has no documents to look things up in.", "no_documents", "ways")
    version = Version(Model(asked.run, weights_of(run.path, run.info), run, 0), knowledge)
    stream = _answers(served, version, asked)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.post("/feedback", status_code=204)
def feedback(space: Working, given: Feedback) -> None:
    """Remember whether an answer was right; a correction is an example that is added by POST /engrain/examples."""
    without_surrogates(given.model_dump())
    append_line(space.feedback, to_json({"created": now(), **given.model_dump()}))


async def _answers(served: Parts, version: Version, asked: Question) -> AsyncIterator[str]:
    """All answers as they come, mixed; those under way end when nobody listens any more."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    ways = list(dict.fromkeys(asked.ways))
    tasks = [asyncio.create_task(_answer(served, version, asked, way, queue)) for way in ways]
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


async def _answer(served: Parts, version: Version, asked: Question, way: Way, queue: asyncio.Queue[str]) -> None:
    """Put one answer on the queue piece by piece, and an empty text behind it."""
    try:
        chat = await _chat(served, version, asked.messages(way), way)
        written = Written()
        async with aclosing(answers.chat(served, chat, 0, written)) as pieces:
            async for piece in pieces:
                if piece.text:
                    queue.put_nowait(event("piece", {"way": way, "text": piece.text}))
        found = await to_thread.run_sync(_answered, chat, way, written)
        queue.put_nowait(event("answer", found.model_dump()))
    except Exception as error:
        queue.put_nowait(event("failure", {"way": way, "message": of(error).message}))
    finally:
        queue.put_nowait("")


async def _chat(served: Parts, version: Version, messages: tuple[Message, ...], way: Way) -> Chat:
    """The talk with whom `way` names; a question that does not concern the documents goes to the untouched model.

    The oldest turns give way where the model cannot see all at once, and then the last passages. Raises ApiError 400 where
    question and answer alone do not fit the context together.
    """
    model, knowledge = version.model, version.knowledge
    side, _, mode = way.partition("+")
    if side == "tuned" and not await answers.concerns(served, model.weights.base, knowledge, messages):
        side, mode = "base", EVERYDAY
    if side == "base":
        model = Model(model.name, Weights(model.weights.base), model.run, model.created)
    mode = mode or WAYS[0]
    most = served.engine.context(model.weights.base) - MAX_NEW_TOKENS - 1
    make = partial(make_prompts, forgetful=True)
    prompts = await to_thread.run_sync(make, served, model, knowledge, messages, mode, most)
    longest = max(len(prompt.ids) for several in prompts for prompt in several)
    if longest > most:
        raise ApiError(400, f"The question has {longest} tokens; at most {most} are possible.", "context_length_exceeded", "question")
    weighed = answers.weighs(model, knowledge, mode)
    return Chat(model, mode, messages, prompts, Sampling(MAX_NEW_TOKENS), knowledge, weighed=weighed)


def _answered(chat: Chat, way: Way, written: Written) -> Answered:
    """The answer with what the documents say to it."""
    text = written.text.strip()
    support = chat.knowledge.index.check(chat.question, text)
    place = next((s for s in chat.knowledge.sections if s.place == support.section), None)
    found = around(place, *(stretch(place.text, support.value) or (0, 0))) if place else None
    return Answered(
        way=way,
        text=text,
        status=support.status,  # type: ignore[arg-type]
        source=support.source,
        passage=found,
        read=[text for several in chat.prompts for text in several[0].passages],
        everyday=chat.mode == EVERYDAY,
        forgotten=max(several[0].forgotten for several in chat.prompts),
        asked_as=written.asked_as,
    )
