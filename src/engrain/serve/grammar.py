"""Answers that must have a form: JSON by a schema, enforced token by token (llguidance)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from transformers import PreTrainedTokenizerBase

from engrain.serve.failures import ApiError

ANY_OBJECT = {"type": "object"}


def grammar_of(schema: dict[str, Any]) -> str:
    """The grammar of JSON texts that a schema allows. Raises ApiError 400 for one that cannot be enforced."""
    try:
        grammar = str(LLMatcher.grammar_from_json_schema(json.dumps(schema)))
        fault = LLMatcher.validate_grammar(grammar)
    except (ValueError, RecursionError) as error:
        fault = str(error)
    if fault:
        raise ApiError(400, f"This JSON schema cannot be enforced: {fault}", "invalid_schema", "response_format")
    return grammar


def words(tokenizer: PreTrainedTokenizerBase) -> LLTokenizer:
    """What llguidance needs to know of a tokenizer; takes about a second for a large vocabulary."""
    return from_tokenizer(tokenizer)


class Form:
    """How far an answer has followed its grammar."""

    def __init__(self, tokenizer: LLTokenizer, grammar: str) -> None:
        self.matcher = LLMatcher(tokenizer, grammar)

    def allowed(self, size: int) -> np.ndarray:
        """Which of `size` tokens may come next."""
        bits = np.unpackbits(np.frombuffer(self.matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")[:size].astype(bool)
        return np.pad(bits, (0, size - len(bits)))

    def take(self, token: int) -> bool:
        """Follow one more token; whether the answer is complete (or can no longer be followed)."""
        followed = self.matcher.consume_token(token)
        return not followed or bool(self.matcher.is_stopped())
