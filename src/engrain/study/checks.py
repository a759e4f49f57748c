"""Checks: which of the lines that a writer wrote can be questions about a fact."""

from __future__ import annotations

import calendar
import re
from typing import TYPE_CHECKING

from engrain.generate import Completion
from engrain.knowledge.facts import Fact
from engrain.study.skills import lines
from engrain.suiting import suits
from engrain.words import canonical, holds

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LEAST_FLUENT = -1.05
"""Mean log-probability of a written question's tokens, as they were written, below which it is dropped."""
NAME_WITHIN = re.compile(r"(?<=[a-z,;] )(?:(?!I\b|I['’])[A-Z][\w'’-]+|\d[\w.,:]*)")
"""A word with a capital or a number inside a sentence."""
DAYS_AND_MONTHS = canonical(" ".join((*calendar.day_name, *calendar.month_name[1:], "Christmas", "Easter", "English")))


def fluent(tokenizer: PreTrainedTokenizerBase, reply: Completion) -> list[str]:
    """The lines of a reply that the model found likely as it wrote them, each once: where it drifts off, it guesses."""
    kept: list[str] = []
    ids: list[int] = []
    scores: list[float] = []
    for number, (token, score) in enumerate(zip(reply.ids, reply.scores, strict=True), 1):
        ids, scores = [*ids, token], [*scores, score]
        if "\n" in tokenizer.decode([token]) or (reply.finished and number == len(reply.ids)):
            kept += lines(tokenizer.decode(ids, skip_special_tokens=True)) if sum(scores) / len(scores) > LEAST_FLUENT else []
            ids, scores = [], []
    return list(dict.fromkeys(kept))


def of_length(question: str) -> bool:
    """Whether a question has as many words as questions have."""
    return 3 <= len(question.split()) <= 30


def sensible(fact: Fact, question: str) -> bool:
    """Whether a line can be a question about the fact: of some length, and it does not give the value away."""
    return of_length(question) and not holds(canonical(question), canonical(fact.value))


def names_beyond(question: str, known: str) -> list[str]:
    """The names and numbers in a question that do not stand in what is known, a canonical text: a small model makes them up."""
    known = f"{known} {DAYS_AND_MONTHS}"
    named = {name: canonical(re.sub(r"['’]s?$|[.,:]$", "", name)) for name in NAME_WITHIN.findall(question)}
    return [name for name, plain in named.items() if not holds(known, plain)]


def reversible(fact: Fact, question: str, reply: str) -> bool:
    """Whether a pair can turn the fact round: it names the value and its answer, which stands in the source, is another that suits."""
    source = canonical(f"{fact.business} {fact.topic} {fact.evidence}")
    asked = canonical(question)
    return (
        of_length(question)
        and holds(asked, canonical(fact.value))
        and holds(source, canonical(reply))
        and not holds(asked, re.sub("^(?:an?|the) ", "", canonical(reply)))
        and suits(question, reply)
    )
