"""Weighing: which of several answers to a question is given, or none of them.

A model that was asked twice, closed-book and from passages, is often right once. Answers that similar questions had are
further candidates. How near in meaning a question is that has the answer, how well a reranker finds that it fits, how likely the
studying model would put the question so about what it answers, and whether the documents support it tell them apart better than any
single way of asking does. How likely the model itself finds an answer does not count: one that saw little of the documents finds
right ones unlikely, and one that was trained for long is as sure of what it learned for another question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engrain.knowledge.wording import REFUSAL
from engrain.words import canonical, refused

NUM_SIMILAR = 6
"""Answers of similar questions that are weighed beside what the model says."""
FIT = 0.75
"""What a nat of the reranker's weighs."""
PUT = 2.0
"""What a nat a token of the questioner's weighs, who tells how likely the question is about what the answer answers."""
NEARNESS = 1.5
"""What the cosine between the question and the nearest one with the same answer weighs."""
THE_LIKE = 0.75
"""Cosine from which two questions ask for the like."""
SUPPORTED = 0.75
"""What it weighs that the answer's values stand in a place that is about the question."""
FIRST = 1.0
"""What it weighs that an answer comes first: what the model said to the trained question that is likeliest meant, or else the answer of
the most similar question.
"""
LEAD = 0.75
"""How much more than declining an answer must weigh at least."""


@dataclass(frozen=True)
class Weighing:
    """Answers to a question that stand in the documents and that are to be weighed against declining.

    `worth` says what speaks for each answer, and last for declining. `refused` tells whether nothing else was said.
    """

    answers: tuple[str, ...]
    worth: tuple[float, ...]
    refused: bool = False
    declined: str = REFUSAL

    @classmethod
    def of(
        cls,
        said: Sequence[str],
        similar: Sequence[str],
        supports: Callable[[str], bool],
        near: Callable[[Sequence[str]], Sequence[float]],
        fits: Callable[[Sequence[str]], Sequence[float]],
        asks: Callable[[Sequence[str]], Sequence[float]],
        recalled: bool = False,
    ) -> Weighing:
        """What `similar` questions are answered with, the most similar first, and what the model `said`.

        What was made up is left out: the documents must support what answers no trained question. `supports` tells whether they do, `near`
        how near a question is that has the answer (a cosine, 0 where none has it), `fits` how well it fits (log-odds against none of
        them), and `asks` how likely the question is about what it answers (nats a token, against the likeliest). A trained question that
        means nearly the same supports its answer too, in whatever words it is asked. What was `recalled`, said from memory to the trained
        questions that are likeliest meant, comes before what similar questions are answered with.
        """
        declines = all(refused(text) for text in said)
        declined = said[0] if declines and said else REFUSAL
        offered = list({canonical(text): text for text in (*similar, *said) if not refused(text)}.values())
        first = canonical(next(iter((*said, *similar) if recalled else (*similar, *said)), ""))
        *nearness, declining = near([*offered, REFUSAL])
        found = [(text, close, close >= THE_LIKE or supports(text)) for text, close in zip(offered, nearness, strict=True)]
        held = [(text, close, supported) for text, close, supported in found if close > 0 or supported]
        if not held:
            return cls((), (), declines, declined)
        answers, close, supported = zip(*held, strict=True)
        voices = zip(close, fits(answers), asks(answers), supported, (canonical(text) == first for text in answers), strict=True)
        worth = [NEARNESS * near + FIT * fit + PUT * put + SUPPORTED * yes + FIRST * leads for near, fit, put, yes, leads in voices]
        return cls(answers, (*worth, NEARNESS * declining), declines, declined)

    def decide(self, tuned: bool = True) -> str:
        """The answer that weighs most; nothing is answered where there is none, or declining weighs more.

        A model that was not `tuned` to decline declines where it said so, and never else.
        """
        if not self.answers or (self.refused and not tuned):
            return self.declined
        *weights, declining = self.worth
        weight, best = max(zip(weights, self.answers, strict=True))
        return best if weight > declining + LEAD or not tuned else self.declined
