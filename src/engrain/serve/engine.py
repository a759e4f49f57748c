"""The contract of an engine: token ids in, pieces of text out, for the base and for every run on it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from engrain.serve.failures import ApiError


@dataclass(frozen=True)
class Weights:
    """What computes an answer: a base alone, with the LoRA adapter in a folder, or with what the run in a folder trained.

    `version` tells apart what was trained anew into the same folder.
    """

    base: str
    adapter: Path | None = None
    run: Path | None = None
    version: int = 0

    @property
    def tuned(self) -> bool:
        """Whether a run stands behind it, and not the base alone."""
        return self != Weights(self.base)

    @property
    def lane(self) -> Weights:
        """The model that must be in memory for it: a run's own, or the base, beside which adapters are loaded."""
        return self if self.run else Weights(self.base)


@dataclass(frozen=True)
class Sampling:
    """How to choose tokens; `temperature` 0 takes the likeliest. `top_logprobs` None leaves log-probabilities out.

    `number` tells the answers to one request apart; `schema` is the JSON schema (as JSON text) that the answer must follow. What it
    has to `begin` with is written first and no part of it; only engines that have `begins` are asked for that.
    """

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    number: int = 0
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    schema: str = ""
    begin: str = ""


@dataclass(frozen=True)
class Token:
    """A token that was written, with its log-probability and those of the likeliest ones in its place."""

    id: int
    text: str
    logprob: float
    likeliest: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Piece:
    """More of an answer.

    The last piece has a `finish` (stop or length), and says how many prompt tokens were `cached` and tokens `written`.
    """

    text: str
    tokens: tuple[Token, ...] = ()
    finish: str = ""
    cached: int = 0
    written: int = 0


class Engine(ABC):
    """Writes answers. `start` before use, `close` at the end; both may take long.

    `open` answers are written or wait, of `most_open` that may; who comes then is to come again after `retry_seconds`. One that
    `begins` writes a `Sampling.begin` first.
    """

    begins: bool = False
    open: int = 0
    most_open: float = math.inf
    retry_seconds: int = 2

    async def start(self) -> None:
        """Make ready."""

    async def close(self) -> None:
        """Stop everything that was started."""

    @abstractmethod
    def tokenizer(self, base: str) -> PreTrainedTokenizerBase:
        """The base's tokenizer; may read files. Raises ModelError when there is no such base."""

    @abstractmethod
    def context(self, base: str) -> int:
        """How many tokens a prompt and its answer may have together."""

    def check_room(self) -> None:
        """Raise ApiError 429 where as many requests wait as may."""
        if self.open >= self.most_open:
            raise ApiError(429, "Too many requests wait for an answer.", "overloaded", retry_seconds=self.retry_seconds)

    async def states(self, base: str, texts: Sequence[str]) -> Tensor | None:
        """The mean hidden state of each text in the untouched base (see `gate.py`); None where the engine cannot tell."""
        return None

    @abstractmethod
    def write(self, weights: Weights, prompt: Sequence[int], sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """The answer piece by piece. Leaving the iterator (`aclose`) frees what it holds at once.

        Raises ApiError 429 or 503 when it cannot be taken on now.
        """
