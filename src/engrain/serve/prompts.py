"""From a conversation to what a model is shown, for each way of asking it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engrain.assistant import WAYS, ways_of
from engrain.examples import Message
from engrain.retrieval import NUM_KNOWN, in_full
from engrain.serve.catalogue import Served
from engrain.serve.knowledge import Knowledge
from engrain.serve.parts import Parts
from engrain.tokens import Shown, fitted

EVERYDAY = "everyday"
"""The mode of an answer that the untouched base gave, because the question does not concern the documents."""


def make_prompts(
    parts: Parts,
    served: Served,
    knowledge: Knowledge,
    messages: Sequence[Message],
    mode: str,
    most: int,
    *,
    forgetful: bool = False,
    words: int = NUM_KNOWN,
) -> list[list[Shown]]:
    """What is shown in each way in which the mode asks; closed-book a tuned model is asked up to `words` questions that it was trained on.

    The last passages give way where there would be more than `most` tokens, and before them, if `forgetful`, the oldest turns.
    """
    *history, last = messages
    tokenizer = parts.engine.tokenizer(served.weights.base)
    first, turns = ([], history) if forgetful else (history, [])

    def shown(way: str) -> list[Shown]:
        full = asked_in_full(messages)
        passages = knowledge.passages(full) if way == "retrieval" else ()
        asked = fitted(tokenizer, last.content, passages, turns, most, first)
        system = [message for message in history if message.role == "system"]
        trained = knowledge.known_words(full, words) if words and served.weights.tuned and way == "closed-book" else []
        known = [replace(asked, ids=fitted(tokenizer, text, (), (), most, system).ids, asked_as=text) for text in trained]
        return known or [asked]

    return [shown(way) for way in (WAYS[:1] if mode == EVERYDAY else ways_of(mode))]


def asked_in_full(messages: Sequence[Message]) -> str:
    """The last question, after the one before it where it leans on that."""
    *earlier, last = [message.content for message in messages if message.role == "user"]
    return in_full(last, earlier)
