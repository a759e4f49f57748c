"""Reading practice: questions answered from retrieved passages, so that tuning makes retrieval better, not worse.

A passage set holds the fact's own section among others, or (one time in ten) not, and then the answer is to decline
(RAFT, arXiv 2403.10131). Closed-book examples never carry a passage: practising recall with the source in view teaches
none (arXiv 2505.01812).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from engrain.documents.base import Section
from engrain.examples import Example, Message
from engrain.retrieval import Retriever
from engrain.tokens import passage, question_messages

WITHOUT_SOURCE = 0.1
"""Share of readings whose passages lack the answer."""


def reading_examples(
    examples: Sequence[Example], sections: Mapping[str, Section], values: Mapping[str, str], refusal: str, count: int, seed: int
) -> list[Example]:
    """Up to `count` question examples asked again with passages; `values` maps a fact's id to the value its answer needs."""
    rng = random.Random(seed)
    asked = [e for e in examples if e.kind == "question" and e.fact in values]
    retriever = Retriever(list(sections.values()))
    return [_reading(e, retriever, values[e.fact], refusal, rng) for e in rng.sample(asked, min(count, len(asked)))]


def _reading(example: Example, retriever: Retriever, value: str, refusal: str, rng: random.Random) -> Example:
    question, answer = example.messages[-2].content, example.messages[-1]
    found = retriever.search(question, k=4)
    without = [p for p in found if value not in p.text]
    shown = without[:2] if rng.random() < WITHOUT_SOURCE and without else found[: rng.choice((1, 2, 3))]
    rng.shuffle(shown)
    known = any(value in p.text for p in shown)
    messages = question_messages(question, [passage(p.place, p.text) for p in shown])
    return replace(
        example, messages=(*messages, answer if known else Message("assistant", refusal)), kind="read", form=f"read:{example.form}"
    )
