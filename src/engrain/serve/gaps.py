"""Prompts for gaps in code, made by the functions that made the training rows."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from engrain.coding.completion import MOST_CONTEXT
from engrain.models import load_tokenizer, locate
from engrain.serve.failures import ApiError
from engrain.tasks._fim import Sentinels, find_sentinels, prompt

CODE = "code"


@dataclass(frozen=True)
class Marks:
    """A tokenizer that knows the sentinels of a gap."""

    tokenizer: PreTrainedTokenizerBase
    sentinels: Sentinels


class Gaps:
    """Makes prompts for runs of the task code; keeps one tokenizer for each base (it may have got sentinels)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._marks: dict[str, Marks] = {}

    def prompt(self, info: dict[str, Any], path: str, before: str, after: str, room: int, *, heal: bool) -> tuple[list[int], str]:
        """The tokens after which the gap's text follows, at most `room`, and what the answer has to begin with, if it may (`heal`).

        Raises ApiError 400 where the run knows no gaps.
        """
        settings = info["settings"]
        marks = self._of(str(settings["base"]))
        if after and not settings["fim_rate"] and marks.sentinels.added:
            raise ApiError(
                400, "suffix: this run was trained without gaps (fim_rate 0), on a base that knows none.", "invalid_value", "suffix"
            )
        return prompt(marks.tokenizer, marks.sentinels, path, before, after, min(room, MOST_CONTEXT), heal=heal)

    def _of(self, base: str) -> Marks:
        with self._lock:
            if base not in self._marks:
                tokenizer = load_tokenizer(locate(base))
                self._marks[base] = Marks(tokenizer, find_sentinels(tokenizer))
            return self._marks[base]


def is_code(info: dict[str, Any]) -> bool:
    """Whether a run was made for code."""
    return bool(info.get("settings", {}).get("task") == CODE)
