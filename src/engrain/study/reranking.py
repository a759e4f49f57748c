"""Reranking: from the corpus the reranker learns which of several answers a customer's question is after, and when none is.

A lesson is a good writer's question on one business, the answers of what rules ask that come nearest to it in meaning, and among
them the right one; or a question that the documents do not answer, where none is right. The loss is that of one choice among these
answers and "none of these", whose score is always 0 (one choice among what retrieval confuses: Gao and others 2021, arXiv 2101.08751).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from engrain.encoder import Encoder
from engrain.knowledge.wording import spelled
from engrain.progress import SILENT, Progress
from engrain.reranker import BIAS, WEIGHT, Reranker
from engrain.retrieval import Asked
from engrain.study.adapting import Adapting, adapt
from engrain.study.lessons import NOWHERE, Place
from engrain.study.matching import Business, Detail, different, stands_at
from engrain.words import canonical, holds, keywords

if TYPE_CHECKING:
    from numpy.typing import NDArray

RANK = 64
LEARNING_RATE = 1e-4
WARMUP = 60
STEPS = 2000
BATCH_SIZE = 16
CHOICES = 6
"""Answers to choose among, besides none of them."""
NEAREST = 24
"""Different answers, the nearest in meaning, of which wrong ones are taken."""
HARD = 10
"""How many of these are hard to tell from the right one; the later, the more of the wrong ones are taken of them."""
GONE = 0.05
"""Share of questions whose right answer is kept from the choice: then it is none of these."""
UNANSWERABLE = 3
"""How often a question that the documents do not answer comes while others come once: there are few."""
BARE, ALL_BARE = 0.15, 0.5
"""Share of answers without a question that has it, as a model gives them; and of choices with no right one where all come so.

Beside a right one that no rule asks for all come so too, or the missing question would give it away.
"""


@dataclass(frozen=True)
class Lesson:
    """A question, the answers that are right (first those that rules ask for, the nearest first), and wrong ones, the nearest first."""

    question: str
    right: tuple[Asked, ...]
    wrong: tuple[Asked, ...]


def lessons_of(business: Business, encoder: Encoder, everyday: Sequence[str] = ()) -> list[Lesson]:
    """A lesson of every question on the business that a good writer asks, and of `everyday` ones, which it does not answer.

    `encoder` finds the answers nearest in meaning.
    """
    offered, asked = _Offered(business.asked), list[tuple[str, Asked | None, Place]]()
    for detail in business.details:
        own = Asked("", spelled(detail.answer), evidence=offered.context(detail))
        asked += [(question, own, detail.place) for question in detail.questions]
        asked += [(question, replace(own, answer=spelled(answer)), detail.place) for question, answer in detail.reversed]
    asked += [(question, None, NOWHERE) for question in (*business.unanswerable * UNANSWERABLE, *everyday)]
    near = encoder.vectors([question for question, _, _ in asked]) @ encoder.vectors([each.question for each in business.asked]).T
    order = np.argsort(-near, axis=1, kind="stable")
    return [offered.lesson(*each, nearest) for each, nearest in zip(asked, order, strict=True)]


class _Offered:
    """The answers of what rules ask about a business, to choose from."""

    def __init__(self, asked: Sequence[Asked]) -> None:
        self._asked, self._answers = asked, [canonical(each.answer) for each in asked]
        self._fitting: dict[str, set[str]] = {}
        self._contexts = {each.evidence: set(keywords(each.evidence)) for each in asked}

    def lesson(self, question: str, own: Asked | None, place: Place, nearest: NDArray[np.intp]) -> Lesson:
        """The lesson of a question that a good writer answers with `own`; what is right stands at its `place`, what has the same answer
        elsewhere is neither right nor wrong.
        """
        numbers = different(nearest, self._answers)
        fitting = self._holding(canonical(own.answer)) if own else set()
        here = (i for i in nearest if self._answers[i] in fitting and stands_at(self._asked[i], place))
        right = [self._asked[i] for i in different(here, self._answers)]
        wrong = [self._asked[i] for i in numbers if self._answers[i] not in fitting]
        return Lesson(question, (*right[:2], *([own] if own else [])), tuple(wrong[:NEAREST]))

    def context(self, detail: Detail) -> str:
        """What the detail's sentence or row stands in, as rules show it where they ask about it: nothing else may tell it from theirs."""
        words = set(keywords(detail.sentence))
        held = [context for context, found in self._contexts.items() if words <= found]
        return min(held, key=len, default=f"{detail.heading}. {detail.sentence}")

    def _holding(self, value: str) -> set[str]:
        """The answers that hold this one."""
        if value not in self._fitting:
            self._fitting[value] = {answer for answer in set(self._answers) if holds(answer, value)}
        return self._fitting[value]


def choice_of(lesson: Lesson, progress: float, rng: random.Random) -> tuple[list[Asked], bool]:
    """At most CHOICES answers to choose among, and whether the last of them is right; else it is none of these.

    `progress` from 0 to 1 says how far training is: the wrong ones become harder.
    """
    mine = rng.choice(lesson.right) if lesson.right and rng.random() >= GONE else None
    most = CHOICES - bool(mine)
    hard = min(most, round(1 + (most - 1) * progress + rng.random())) if mine else most
    chosen = rng.sample(lesson.wrong[:HARD], min(hard, len(lesson.wrong[:HARD])))
    others = lesson.wrong[HARD:]
    chosen += rng.sample(others, min(most - len(chosen), len(others)))
    bare = 1.0 if (not mine.question if mine else rng.random() < ALL_BARE) else BARE
    choice = [_bare(each) if rng.random() < bare else each for each in chosen]
    return [*choice, *([_bare(mine) if rng.random() < BARE else mine] if mine else [])], mine is not None


def _bare(asked: Asked) -> Asked:
    return replace(asked, question="")


def teach(
    encoder: Encoder, lessons: Sequence[Lesson], out: Path, seed: int = 0, steps: int = STEPS, progress: Progress = SILENT
) -> list[float]:
    """Make the encoder a reranker, write the adapter to `out`, and return the loss (nats) of each step."""
    reranker, rng = Reranker(encoder), random.Random(seed)
    batches = _batches(lessons, rng)

    def loss(step: int) -> torch.Tensor:
        return choosing(reranker, [(lesson.question, *choice_of(lesson, step / steps, rng)) for lesson in next(batches)])

    head = {WEIGHT: reranker.score.weight, BIAS: reranker.score.bias}
    return adapt(encoder, loss, out, Adapting(RANK, LEARNING_RATE, WARMUP, steps, seed), head, progress)


def _batches(lessons: Sequence[Lesson], rng: random.Random) -> Iterator[list[Lesson]]:
    """Batches for ever; every lesson comes once before any comes again."""
    while True:
        order = rng.sample(lessons, len(lessons))
        for start in range(0, max(1, len(order) - BATCH_SIZE + 1), BATCH_SIZE):
            yield order[start : start + BATCH_SIZE]


def choosing(reranker: Reranker, choices: Sequence[tuple[str, Sequence[Asked], bool]]) -> torch.Tensor:
    """The mean surprise (nats) at the right one of each question's answers, or at none of them."""
    pairs = [(question, each.shown) for question, asked, _ in choices for each in asked]
    scores = iter(reranker.logits(*zip(*pairs, strict=True)).split([len(asked) for _, asked, _ in choices]))
    losses = []
    for (_, asked, has_right), own in zip(choices, scores, strict=True):
        against = torch.cat([own.new_zeros(1), own])
        losses.append(functional.cross_entropy(against, torch.tensor(len(asked) if has_right else 0)))
    return torch.stack(losses).mean()
