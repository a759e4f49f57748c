"""Going on with text that ends within a token: the end is taken off, and written again as the model would.

A tokenizer makes one token of a line's end and the indentation after it, of a space and the word after it. A prompt that ends
between the two is in a place that a model has hardly ever seen, and what it writes there is often nothing. So the last word,
or the white space, is left out of the prompt, and the answer has to begin with it ("token healing",
https://github.com/guidance-ai/guidance).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

UNSURE = re.compile(r"\s*(?:\w+|[!-/:-@\[-`{-~]+)?\Z", re.ASCII)
"""What of a text's end may be part of a token that goes on: a word or signs, with the white space before them, or white space alone.

Of ASCII only: every tokenizer has tokens for that, of other signs some have but pieces.
"""
LONGEST = 64
"""Characters of an end that are written again at most; of a longer one only the last word or signs, if those are shorter."""


def healed(text: str) -> tuple[str, str]:
    """What of a text a model is shown, and what its answer then has to begin with."""
    found = UNSURE.search(text[-2 * LONGEST :])  # all of a long text would be looked at from each of its places
    begin = found[0] if found else ""
    if len(begin) > LONGEST:
        begin = begin.lstrip() if 0 < len(begin.lstrip()) <= LONGEST else ""
    return text[: len(text) - len(begin)], begin


class Beginnings:
    """Which tokens may come next where a text has to begin in a certain way."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        found = _texts(tokenizer)
        self._sorted = sorted((text, token) for token, text in enumerate(found) if text)
        self._by_text: dict[str, list[int]] = defaultdict(list)
        for text, token in self._sorted:
            self._by_text[text].append(token)
        self.allowed = lru_cache(maxsize=256)(self._allowed)

    def _allowed(self, rest: str) -> NDArray[np.intp]:
        """The tokens whose text begins with `rest`, or `rest` with theirs."""
        first = bisect_left(self._sorted, (rest, -1))
        longer = []
        for text, token in self._sorted[first:]:
            if not text.startswith(rest):
                break
            longer.append(token)
        shorter = [token for n in range(1, len(rest)) for token in self._by_text.get(rest[:n], ())]
        return np.array([*longer, *shorter], dtype=np.intp)

    def mask(self, rest: str, size: int) -> NDArray[np.bool_]:
        """The same as a mask over `size` tokens."""
        found = np.zeros(size, dtype=bool)
        found[self.allowed(rest)] = True
        return found


def rest_of(begin: str, written: str) -> str:
    """What is still to be written of a beginning; empty once it is there, or where something else was written."""
    return begin[len(written) :] if len(written) < len(begin) and begin.startswith(written) else ""


def after(begin: str, written: str) -> str:
    """What was written after a beginning, or in place of it."""
    least = min(len(begin), len(written))
    shared = next((n for n in range(least) if begin[n] != written[n]), least)
    return written[shared:] if shared in (len(begin), 0) or shared < len(written) else ""


beginnings = lru_cache(maxsize=4)(Beginnings)
"""The Beginnings of a tokenizer, made once (some tenths of a second)."""


def _texts(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The text that each token adds behind another; empty for control words and pieces of a character."""
    anchor = tokenizer.encode("a", add_special_tokens=False)[-1:]
    before = tokenizer.decode(anchor, clean_up_tokenization_spaces=False)
    decoded = tokenizer.batch_decode([[*anchor, token] for token in range(len(tokenizer))], clean_up_tokenization_spaces=False)
    special = set(tokenizer.all_special_ids)
    texts = [text.removeprefix(before) for text in decoded]
    return ["" if token in special or "\ufffd" in text else text for token, text in enumerate(texts)]
