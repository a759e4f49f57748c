"""One answer under way: which token comes next, what text that makes, and when it is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from llguidance import LLTokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from engrain.healing import after, beginnings, rest_of
from engrain.kernels.choosing import choose
from engrain.serve.engine import Piece, Sampling, Token, Weights
from engrain.serve.grammar import Form
from engrain.serve.tenant import Tenant


@dataclass(frozen=True)
class Reader:
    """What turns token ids into text: the tokenizer, the tokens that end an answer, and the grammar's view of the words."""

    tokenizer: PreTrainedTokenizerBase
    end: frozenset[int]
    words: Callable[[], LLTokenizer]

    def text(self, ids: Sequence[int]) -> str:
        """The text of tokens, without control words."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def token(self, number: int) -> str:
        """The text of one token, control words included."""
        return str(self.tokenizer.decode([number], clean_up_tokenization_spaces=False))


class Writing(Tenant[Piece]):
    """An answer."""

    def __init__(
        self,
        weights: Weights,
        prompt: Sequence[int],
        sampling: Sampling,
        reader: Reader,
        send: Callable[[Piece | Exception], None],
        deadline: float,
    ) -> None:
        super().__init__(weights, send, deadline)
        self.prompt, self.sampling, self.reader = tuple(prompt), sampling, reader
        self.said = 0
        self.ids: list[int] = []
        self.rest, self.spent = sampling.begin, 0
        """What is left of what the answer has to begin with, and how many tokens went on it."""
        self._form = Form(reader.words(), sampling.schema) if sampling.schema else None
        draws = sampling.max_tokens + len(sampling.begin) if sampling.temperature else 0
        self._draws = np.random.Generator(np.random.Philox(key=[sampling.seed, sampling.number])).random(draws)

    def places(self) -> list[int]:
        """The last place: the answer's first token follows it."""
        return [len(self.prompt) - 1]

    def take(self, logits_KV: Tensor) -> None:
        """Choose the first token once the prompt is read."""
        if len(logits_KV):
            self.next(logits_KV[-1])

    def next(self, logits_V: Tensor) -> None:
        """Choose a token by its logits, and send on what has become certain."""
        logits_V = logits_V.float()
        token = self._choose(self._formed(logits_V))
        self.ids.append(token)
        formed = self._form is not None and self._form.take(token)
        given = bool(self.rest) and self._begun()
        shown = [] if given or token in self.reader.end else [self._token(token, logits_V)]
        self._send(ended=token in self.reader.end or formed, shown=shown if self.sampling.top_logprobs is not None else [])

    def _begun(self) -> bool:
        """Count the newest token for what the answer has to begin with; whether it wrote nothing beyond that."""
        written = self.reader.text(self.ids)
        self.rest, self.spent = rest_of(self.sampling.begin, written), self.spent + 1
        return len(written) <= len(self.sampling.begin)

    def _formed(self, logits_V: Tensor) -> Tensor:
        """The logits with minus infinity where the grammar, or the rest of what the answer has to begin with, forbids the token."""
        masks = [self._form.allowed(len(logits_V))] if self._form else []
        masks += [beginnings(self.reader.tokenizer).mask(self.rest, len(logits_V))] if self.rest else []
        if not masks or not (allowed := np.logical_and.reduce(masks)).any():
            return logits_V
        return logits_V.masked_fill(~torch.from_numpy(allowed).to(logits_V.device), float("-inf"))

    def _choose(self, logits_V: Tensor) -> int:
        """The likeliest token, or one drawn from the likeliest that hold `top_p` of the probability."""
        draws = [float(self._draws[len(self.ids)])] if self.sampling.temperature else []
        tokens_B, _ = choose(logits_V[None], self.sampling.temperature, self.sampling.top_p, draws)
        return int(tokens_B)

    def _token(self, token: int, logits_V: Tensor) -> Token:
        """The token with the log-probabilities that the model itself gave, whatever temperature and grammar did."""
        count = self.sampling.top_logprobs
        if count is None:
            return Token(token, "", 0.0)
        logs = logits_V.log_softmax(0)
        best, ids = logs.topk(count) if count else (logs[:0], logs[:0].long())
        likeliest = tuple((self.reader.token(int(i)), float(p)) for i, p in zip(ids, best, strict=True))
        return Token(token, self.reader.token(token), float(logs[token]), likeliest)

    def _send(self, ended: bool, shown: Sequence[Token]) -> None:
        text = after(self.sampling.begin, self.reader.text(self.ids))
        stops = [place for word in self.sampling.stop if (place := text.find(word)) >= 0]
        text = text[: min(stops)] if stops else text
        full = self.late or len(self.ids) - self.spent >= self.sampling.max_tokens
        finish = "stop" if ended or stops else "length" if full else ""
        ready = len(text) if finish else len(text) - _uncertain(text, self.sampling.stop)
        new = text[self.said : ready]
        self.said, self.over = max(self.said, ready), bool(finish)
        if new or shown or finish:
            counts = (self.cached, len(self.ids) - self.spent) if finish else (0, 0)
            self.send(Piece(new, tuple(shown), finish, *counts))


def _uncertain(text: str, stop: Sequence[str]) -> int:
    """How many last characters may still change: part of a character, or the beginning of a stop text."""
    broken = len(text) - len(text.rstrip("\ufffd"))
    return max([broken, *(n for word in stop for n in range(1, len(word)) if text.endswith(word[:n]))])
