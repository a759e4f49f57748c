"""The questioner: how likely somebody who has a fact in mind puts it in the words of a question.

What was taught to write people's questions about a fact, the studying model, also tells how well a given question could be one of
them. Ranking by how likely a text makes the question is old (Ponte and Croft 1998); with a language model it is that of Sachan
and others (2022, arXiv 2204.07496). It sees what the reranker does not: the model has read far more than that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from engrain.batches import micro_batches
from engrain.methods.base import put_adapter_in
from engrain.models import Base, load_model, load_tokenizer
from engrain.pairs import PairScores
from engrain.study.adapter import study_adapter
from engrain.study.skills import conversation
from engrain.tasks._packed import first_target
from engrain.tasks.chat import log_likelihood
from engrain.tokens import Encoded, encode_example

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

READ_TOKENS = 2048
"""Tokens that are read at once."""


class Questioner(PairScores):
    """Scores pairs of a question and what the studying model is shown of a fact: the question's mean log-probability (nats a token)."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.model, self.tokenizer = model, tokenizer

    def computed(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """The score of each pair (question, prompt)."""
        rows = [encode_example(self.tokenizer, conversation(prompt, question)) for question, prompt in pairs]
        asked: dict[str, list[int]] = defaultdict(list)
        for number, (_, prompt) in enumerate(pairs):
            asked[prompt].append(number)
        families, found = list(asked.values()), [0.0] * len(rows)
        for group in micro_batches(range(len(families)), [_tokens([rows[i] for i in family]) for family in families], READ_TOKENS):
            numbers = [i for place in group for i in families[place]]
            for number, each in zip(numbers, log_likelihood(self.model, [rows[i] for i in numbers], by_prompt=True), strict=True):
                found[number] = each.total / each.tokens
        return found


def _tokens(rows: Sequence[Encoded]) -> int:
    """Tokens of rows with one prompt, that counted once."""
    return sum(map(len, rows)) - (len(rows) - 1) * (first_target(rows[0]) - 1)


def load_questioner(base: Base, device: str, dtype: torch.dtype) -> Questioner | None:
    """The questioner of a base; None where nobody taught that base to study. All that ask for the same one share it."""
    adapter = study_adapter(base)
    return _loaded(base, adapter, device, dtype) if adapter else None


@lru_cache(maxsize=1)
def _loaded(base: Base, adapter: Path, device: str, dtype: torch.dtype) -> Questioner:
    model = load_model(base, dtype=dtype, device=device)
    put_adapter_in(model, adapter)
    return Questioner(model, load_tokenizer(base))
