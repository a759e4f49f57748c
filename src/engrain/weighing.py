"""Weighing: which of several answers to a question a model finds likeliest, from memory and from what it reads.

A model that was asked twice, closed-book and from passages, is often right once. Answers that similar questions had are
further candidates. The model's own likelihood tells them apart better than any single way of asking does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engrain.examples import Message
from engrain.tasks.chat import log_likelihood
from engrain.tokens import encode_example

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def weigh(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Sequence[Message]], answers: Sequence[str]
) -> list[float]:
    """How likely the model finds each answer: the mean log-probability of its tokens (nats), and the mean of that over the prompts."""
    scores = [_scores(model, tokenizer, prompt, answers) for prompt in prompts]
    return [sum(each) / len(each) for each in zip(*scores, strict=True)]


def _scores(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Message], answers: Sequence[str]) -> list[float]:
    rows = [encode_example(tokenizer, (*prompt, Message("assistant", answer))) for answer in answers]
    return [found.total / found.tokens for found in log_likelihood(model, rows)]
