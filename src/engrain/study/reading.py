"""Reading practice: questions answered from retrieved passages, so that tuning makes retrieval better, not worse.

The passages hold the fact's own among others, or (one time in ten) not, and then the answer is to decline
(RAFT, arXiv 2403.10131). Closed-book examples never carry a passage: practising recall with the source in view teaches
none (arXiv 2505.01812).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice

from engrain.examples import Example, Message
from engrain.retrieval import Retriever
from engrain.tokens import passage, question_messages

WITHOUT_SOURCE = 0.1
"""Share of readings whose passages lack the answer."""
NUM_FOUND = 4
"""Passages looked at for one that holds the answer; the others distract."""
KINDS = ("question", "reverse")


def reading_examples(
    examples: Sequence[Example], retriever: Retriever, values: Mapping[str, str], refusal: str, count: int, seed: int
) -> list[Example]:
    """Up to `count` examples that ask for a fact or from its value back, asked again with passages; `values` maps a fact's id to its value.

    Questions that do not find the passage with their fact among the first few are passed over.
    """
    rng = random.Random(seed)
    asked = [e for e in examples if e.kind in KINDS and e.fact in values]
    readings = (_reading(e, retriever, values[e.fact], refusal, rng) for e in rng.sample(asked, len(asked)))
    return list(islice((reading for reading in readings if reading), count))


def _reading(example: Example, retriever: Retriever, value: str, refusal: str, rng: random.Random) -> Example | None:
    question, answer = example.messages[-2].content, example.messages[-1]
    found = retriever.search(question, k=NUM_FOUND)
    needed = {value} if example.kind == "question" else {value, answer.content.rstrip(".")}
    source = next((p for p in found if all(part in f"{p.place}\n{p.text}" for part in needed)), None)
    others = [p for p in found if value not in p.text]
    if source is None:
        return None
    declines = rng.random() < WITHOUT_SOURCE and bool(others)
    count = rng.choice((1, 2, 3))
    shown = others[:count] if declines else [source, *others[: count - 1]]
    rng.shuffle(shown)
    messages = question_messages(question, [passage(p.place, p.text) for p in shown])
    reply = Message("assistant", refusal) if declines else answer
    return replace(example, messages=(*messages, reply), kind="read", form=f"read:{example.form}")
