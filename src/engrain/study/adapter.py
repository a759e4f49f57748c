"""The studying model: a base with the small adapter that taught it to write questions and to read (see `lessons.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engrain.documents.base import Section
from engrain.examples import Message
from engrain.generate import generate
from engrain.knowledge.facts import Fact
from engrain.progress import SILENT, Progress
from engrain.study.skills import conversation, lines, questions_prompt, sentence_before
from engrain.tasks.chat import log_likelihood
from engrain.tokens import encode_example, encode_prompt, passage, question_messages
from engrain.words import canonical, holds

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SHIPPED = Path(__file__).parent / "adapters"
"""Adapters that come with the package, in folders named as `fetch.version_key` names their base."""
QUESTION_TOKENS, BATCH_SIZE = 150, 64
TEMPERATURE, TOP_P = 0.7, 0.95
LEAST_LIKELY = -0.7
"""Mean log-probability (nats a token) of the value, read from its source, below which a question is dropped."""
KEPT = 7
"""Questions kept of each fact: those whose reading gives the value most surely."""


class StudyingModel:
    """Writes questions about facts, and keeps those that its own reading of the source answers with the fact's value."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model, self.tokenizer = model, tokenizer

    def questions(
        self, facts: Sequence[Fact], sections: Mapping[str, Section], seed: int = 0, progress: Progress = SILENT
    ) -> dict[str, list[str]]:
        """Fact id → its best questions, the surest first; a fact about which none passed the check has none."""
        facts = [fact for fact in facts if worth_asking(fact)]
        prompts = [
            questions_prompt(heading(f, sections), f.evidence, f.value, sentence_before(sections[f.section].text, f.evidence))
            for f in facts
        ]
        rows = [encode_prompt(self.tokenizer, conversation(prompt, "")[:1]) for prompt in prompts]
        replies = generate(
            self.model,
            self.tokenizer,
            rows,
            max_new_tokens=QUESTION_TOKENS,
            temperature=TEMPERATURE,
            top_p=TOP_P,
            seed=seed,
            batch_size=BATCH_SIZE,
            progress=progress,
            title="Studying: writing questions",
        )
        with progress.stage("Studying: checking questions", len(facts), "facts") as stage:
            kept = {}
            for fact, reply in zip(facts, replies, strict=True):
                kept[fact.id] = self._surest(fact, [q for q in lines(reply.text) if sensible(fact, q)], sections)
                stage.advance()
        return kept

    def _surest(self, fact: Fact, questions: Sequence[str], sections: Mapping[str, Section]) -> list[str]:
        """The questions from whose reading the value follows, the surest first."""
        if not questions:
            return []
        shown = [passage(heading(fact, sections), fact.evidence)]
        rows = [encode_example(self.tokenizer, (*question_messages(q, shown), Message("assistant", fact.value))) for q in questions]
        totals = log_likelihood(self.model, rows)
        sure = [total / int(row.supervised.sum()) for total, row in zip(totals, rows, strict=True)]
        return [questions[i] for i in np.argsort(sure)[::-1] if sure[i] > LEAST_LIKELY][:KEPT]


def worth_asking(fact: Fact) -> bool:
    """Whether people would ask for the value: it is typed or a cell or an answer, or says more than a common word or two."""
    if fact.kind == "yesno":
        return False
    return (
        fact.kind != "text"
        or fact.form != "statement"
        or len(fact.value.split()) > 2
        or any(c.isupper() or c.isdigit() for c in fact.value)
    )


def heading(fact: Fact, sections: Mapping[str, Section]) -> str:
    """Business and section heading, as the lessons name a passage."""
    return " › ".join(part for part in (fact.business, *sections[fact.section].headings[-1:]) if part)


def sensible(fact: Fact, question: str) -> bool:
    """Whether a line can be a question about the fact: of some length, and it does not give the value away."""
    return 3 <= len(question.split()) <= 30 and not holds(canonical(question), canonical(fact.value))
