"""The studying model: a base with the small adapter that taught it to write questions and to read (see `lessons.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engrain.documents.base import Section
from engrain.generate import generate
from engrain.knowledge.facts import Fact
from engrain.progress import SILENT, Progress
from engrain.study.skills import conversation, lines, questions_prompt
from engrain.tokens import encode_prompt, passage, question_messages
from engrain.words import canonical, holds

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

QUESTION_TOKENS = 220
ANSWER_TOKENS = 24
TEMPERATURE = 0.7
TOP_P = 0.95


class StudyingModel:
    """Writes questions about facts and keeps those that its own reading of the source answers with the fact's value."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, business: str) -> None:
        self.model, self.tokenizer, self.business = model, tokenizer, business

    def questions(
        self, facts: Sequence[Fact], sections: Mapping[str, Section], seed: int, progress: Progress = SILENT
    ) -> dict[str, list[str]]:
        """Fact id → the questions about it that passed the check."""
        prompts = [questions_prompt(self._heading(f, sections), f.evidence, f.value) for f in facts]
        written = self._say(prompts, QUESTION_TOKENS, progress, "Writing questions", temperature=TEMPERATURE, top_p=TOP_P, seed=seed)
        asked = [(f, q) for f, reply in zip(facts, written, strict=True) for q in lines(reply) if self._sensible(f, q)]
        kept: dict[str, list[str]] = {f.id: [] for f in facts}
        for (fact, question), right in zip(asked, self._answered(asked, sections, progress), strict=True):
            if right:
                kept[fact.id].append(question)
        return kept

    def _heading(self, fact: Fact, sections: Mapping[str, Section]) -> str:
        return " › ".join([self.business, *sections[fact.section].headings[-1:]])

    def _sensible(self, fact: Fact, question: str) -> bool:
        """Whether a line can be a question about the fact: of some length, and it does not give the value away."""
        return 3 <= len(question.split()) <= 30 and not holds(canonical(question), canonical(fact.value))

    def _answered(self, asked: Sequence[tuple[Fact, str]], sections: Mapping[str, Section], progress: Progress) -> list[bool]:
        """Whether reading the fact's source gives its value back, for every question."""
        prompts = [encode_prompt(self.tokenizer, question_messages(q, [passage(self._heading(f, sections), f.evidence)])) for f, q in asked]
        read = generate(
            self.model, self.tokenizer, prompts, max_new_tokens=ANSWER_TOKENS, progress=progress, title="Checking questions", batch_size=64
        )
        return [_same(c.text, f.value) for c, (f, _) in zip(read, asked, strict=True)]

    def _say(self, prompts: Sequence[str], tokens: int, progress: Progress, title: str, **how: float | int) -> list[str]:
        rows = [encode_prompt(self.tokenizer, conversation(p, "")[:1]) for p in prompts]
        found = generate(self.model, self.tokenizer, rows, max_new_tokens=tokens, progress=progress, title=title, batch_size=64, **how)  # type: ignore[arg-type]
        return [c.text for c in found]


def _same(reply: str, value: str) -> bool:
    """Whether a reply gives the value, no less and not much more."""
    said, wanted = canonical(reply), canonical(value)
    return (holds(said, wanted) and len(said) <= 2 * len(wanted) + 12) or (len(said) > 3 and holds(wanted, said))
