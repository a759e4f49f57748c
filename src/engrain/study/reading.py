"""Reading practice: questions answered from retrieved passages, so that tuning makes retrieval better, not worse.

The passages hold the fact's own among others, or (one time in ten) not, and then the answer is to decline
(RAFT, arXiv 2403.10131). Closed-book examples never carry a passage: practising recall with the source in view teaches
none (arXiv 2505.01812). Passages are most of what a reading costs, so several questions are asked about them.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from engrain.documents.base import Section
from engrain.examples import Example, Message
from engrain.retrieval import Retriever
from engrain.tokens import passage, question_messages

WITHOUT_SOURCE = 0.1
"""Share of readings whose passages lack the answer."""
NUM_FOUND = 4
"""Passages looked at for one that holds the answer; the others distract."""
KINDS = ("question", "reverse")
TURNS = 3
"""Questions asked about the same passages: they are read once for all of them."""


@dataclass(frozen=True)
class Reading:
    """A question whose answer a passage holds: the `source`, and `others` that were found beside it."""

    example: Example
    value: str
    source: Section
    others: tuple[Section, ...]


def reading_examples(
    examples: Sequence[Example], retriever: Retriever, values: Mapping[str, str], refusal: str, count: int, seed: int
) -> list[Example]:
    """Up to `count` questions asked again with passages, in talks of up to TURNS about the same ones; `values`: fact id → value.

    They ask for a fact or from its value back. Questions that do not find the passage with their fact among the first few
    are passed over.
    """
    rng = random.Random(seed)
    asked = [e for e in examples if e.kind in KINDS and e.fact in values]
    found = (_found(e, retriever, values[e.fact]) for e in rng.sample(asked, len(asked)))
    talks: dict[tuple[str, str], list[list[Reading]]] = defaultdict(list)
    declined = []
    for reading in islice((reading for reading in found if reading), count):
        if reading.others and rng.random() < WITHOUT_SOURCE:
            declined.append(_talk([reading], False, refusal, rng))
            continue
        about = talks[reading.source.place, reading.source.text]
        open_talk = next((talk for talk in about if len(talk) < TURNS and all(r.value != reading.value for r in talk)), None)
        if open_talk is None:
            about.append(open_talk := [])
        open_talk.append(reading)
    return [*declined, *(_talk(talk, True, refusal, rng) for about in talks.values() for talk in about)]


def _found(example: Example, retriever: Retriever, value: str) -> Reading | None:
    question, answer = example.messages[-2].content, example.messages[-1].content.rstrip(".")
    found = retriever.search(question, k=NUM_FOUND)
    needed = {value} if example.kind == "question" else {value, answer}
    source = next((p for p in found if all(part in f"{p.place}\n{p.text}" for part in needed)), None)
    return Reading(example, value, source, tuple(p for p in found if value not in p.text)) if source else None


def _talk(readings: Sequence[Reading], answered: bool, refusal: str, rng: random.Random) -> Example:
    """The questions one after the other, the first with passages."""
    first = readings[0]
    others = [p for p in first.others if not any(reading.value in p.text for reading in readings)]
    count = rng.choice((1, 2, 3))
    shown = [first.source, *others[: count - 1]] if answered else others[:count]
    rng.shuffle(shown)
    history: tuple[Message, ...] = ()
    for number, reading in enumerate(readings):
        passages = [passage(p.place, p.text) for p in shown] if number == 0 else ()
        reply = reading.example.messages[-1] if answered else Message("assistant", refusal)
        history = (*question_messages(reading.example.messages[-2].content, passages, history), reply)
    return replace(first.example, messages=history, kind="read", form=f"read:{first.example.form}", repeats=1)
