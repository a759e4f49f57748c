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


def checked(schema: dict[str, Any], param: str = "response_format") -> str:
    """A JSON schema as text. Raises ApiError 400 for one that cannot be enforced, naming the parameter that brought it."""
    try:
        text = json.dumps(schema)
        fault = LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema(text))
    except (ValueError, RecursionError) as error:
        fault = str(error)
    if fault:
        raise ApiError(400, f"This JSON schema cannot be enforced: {fault}", "invalid_schema", param)
    return text


def words(tokenizer: PreTrainedTokenizerBase) -> LLTokenizer:
    """What llguidance needs to know of a tokenizer; takes about a second for a large vocabulary."""
    return from_tokenizer(tokenizer)


class Form:
    """How far an answer has followed its schema."""

    def __init__(self, tokenizer: LLTokenizer, schema: str) -> None:
        self.matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_json_schema(schema))

    def allowed(self, size: int) -> np.ndarray:
        """Which of `size` tokens may come next."""
        bits = np.unpackbits(np.frombuffer(self.matcher.compute_bitmask(), dtype=np.uint8), bitorder="little")[:size].astype(bool)
        return np.pad(bits, (0, size - len(bits)))

    def take(self, token: int) -> bool:
        """Follow one more token; whether the answer is complete (or can no longer be followed)."""
        followed = self.matcher.consume_token(token)
        return not followed or bool(self.matcher.is_stopped())
