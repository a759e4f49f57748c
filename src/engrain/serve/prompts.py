"""From a conversation to what a model is shown, for each way of asking it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engrain.assistant import BOTH, WAYS
from engrain.examples import Message
from engrain.retrieval import in_full
from engrain.serve.catalogue import Served
from engrain.serve.knowledge import Knowledge
from engrain.serve.parts import Parts
from engrain.tokens import encode_prompt, question_messages

EVERYDAY = "everyday"
"""The mode of an answer that the untouched base gave, because the question does not concern the documents."""
WAYS_OF = {BOTH: WAYS, EVERYDAY: WAYS[:1]}
"""The ways in which a mode asks; other modes are a way themselves."""


@dataclass(frozen=True)
class Prompt:
    """What a model is shown, and its tokens; `passages` stand before the question."""

    messages: tuple[Message, ...]
    ids: list[int]
    passages: tuple[str, ...] = ()


def make_prompts(
    parts: Parts, served: Served, knowledge: Knowledge, messages: Sequence[Message], mode: str, most: int
) -> dict[str, Prompt]:
    """The prompt for each way in which the mode asks."""
    return {way: make_prompt(parts, served, knowledge, messages, way, most) for way in WAYS_OF.get(mode, (mode,))}


def make_prompt(parts: Parts, served: Served, knowledge: Knowledge, messages: Sequence[Message], way: str, most: int) -> Prompt:
    """The prompt after which the answer follows; the last passages give way where there would be more than `most` tokens."""
    *history, last = messages
    tokenizer = parts.engine.tokenizer(served.weights.base)
    passages = knowledge.passages(asked_in_full(messages)) if way == "retrieval" else ()
    while True:
        shown = question_messages(last.content, passages, history)
        ids = encode_prompt(tokenizer, shown)
        if len(ids) <= most or not passages:
            return Prompt(shown, ids, passages)
        passages = passages[:-1]


def asked_in_full(messages: Sequence[Message]) -> str:
    """The last question, after the one before it where it leans on that."""
    *earlier, last = [message.content for message in messages if message.role == "user"]
    return in_full(last, earlier)
