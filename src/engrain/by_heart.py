"""What a tuned model has by heart: for every fact, whether it says the answer when asked in the words that it practised most.

Test questions are about some of the facts, in other words. This is about all of them, and no test: these very questions were
trained, so it says what stuck and not what was understood.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engrain.examples import Example, exchange, users_turns
from engrain.models import context_length
from engrain.progress import SILENT, Progress
from engrain.tasks.chat import word_for_word
from engrain.tokens import encode_example

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FILE = "by-heart.jsonl"
LONGEST = 2048
"""Tokens of a question with its answer; one with more of them is not asked, nor was it practised."""


@dataclass(frozen=True)
class ByHeart:
    """A fact's id, the question about it that was practised most, the answer, and whether the model says that word for word."""

    fact: str
    question: str
    answer: str
    known: bool


def by_heart(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, examples: Iterable[Example], progress: Progress = SILENT
) -> list[ByHeart]:
    """What the model says of each fact that one of the examples asks for, in their order.

    No text is written for it: the likeliest token at each place of the answer is looked at, which is what the model would say.
    """
    limit = min(LONGEST, context_length(model))
    pairs = [(example, encode_example(tokenizer, example.messages)) for example in most_practised(examples).values()]
    asked = [(example, row) for example, row in pairs if len(row) <= limit]
    rows = [row for _, row in asked]
    known: dict[int, bool] = {}
    with progress.stage("Asking for every fact", len(rows), "facts") as stage:
        for place, said in word_for_word(model, rows):
            known[place] = said
            stage.advance(1)
    return [ByHeart(e.fact, users_turns(e)[-1], exchange(e)[-1].content, known[i]) for i, (e, _) in enumerate(asked)]


def most_practised(examples: Iterable[Example]) -> dict[str, Example]:
    """Fact → the question about it that a pass practises most often, of several the first."""
    found: dict[str, Example] = {}
    for example in examples:
        if example.kind == "question" and example.fact and example.repeats > (found[example.fact].repeats if example.fact in found else 0):
            found[example.fact] = example
    return found
