"""What a model writes, and how likely it finds what others wrote: batched, with a key-value cache.

Shapes: B rows that are still growing, T tokens, V words of the vocabulary, C likeliest of them.
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from engrain.errors import ExampleError, SettingError
from engrain.healing import after, beginnings, rest_of
from engrain.kernels.choosing import choose, log_probabilities
from engrain.kernels.decoder import decoder
from engrain.kernels.lean import lean_steps
from engrain.kernels.plain_attention import plain, roomy_cache
from engrain.progress import SILENT, Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CHUNK = 128
"""How many tokens' logits are held at once when a text is scored."""
FEWEST, MOST = 32, 128
"""Prompts that are answered side by side: a step reads the weights once for all of them."""
ROOM = 2**29
"""Bytes that the keys and values of more than FEWEST may take."""


@dataclass(frozen=True)
class Completion:
    """What the model wrote after a prompt.

    `ids` are all the tokens it wrote, the end-of-turn token included; `scores` their log-probabilities under the model's own
    distribution, whatever the temperature; `finished` says that it ended by itself or at a stop text, not for want of tokens. The
    first `begun` tokens are what it had to begin with.
    """

    text: str
    ids: tuple[int, ...]
    scores: tuple[float, ...]
    finished: bool
    begun: int = 0

    @property
    def tokens(self) -> int:
        """How many tokens it wrote after what it had to begin with."""
        return len(self.ids) - self.begun


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    batch_size: int | None = None,
    progress: Progress = SILENT,
    title: str = "Answering",
    stop: Sequence[str] = (),
    begins: Sequence[str] = (),
) -> list[Completion]:
    """A completion of every prompt (token ids), in their order; the likeliest token each time where `temperature` is 0.

    Where `begins` has a text for a prompt, that is written first, in the model's own tokens, and counts neither as text of the
    completion nor among its `max_new_tokens`.

    A row's random numbers come from `seed` and its position in `prompts` alone, so neither the batches nor the global
    random state matter. What all prompts begin with is computed once. By itself `batch_size` is what there is room for.
    """
    how = _How.checked(model, tokenizer, max_new_tokens, temperature, top_p, seed, tuple(stop))
    _check_room(model, prompts, max_new_tokens, begins)
    if not prompts:
        return []
    done: list[tuple[int, Completion]] = []
    shared = _shared(prompts)
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), list(prompts[i])))  # equal ones side by side
    with _evaluating(model), progress.stage(title, len(prompts), "answers") as stage:
        prefix = _prefix_cache(model, prompts[0][:shared])
        size = batch_size or _batch_size(model, len(order), len(prompts[order[-1]]) + max_new_tokens)
        for start in range(0, len(order), size):
            rows = [_Row(i, how, begins[i] if begins else "") for i in order[start : start + size]]
            batch = _Batch(model, [prompts[row.number][shared:] for row in rows], how.pad, prefix)
            for row in _finish(batch, rows, how):
                done.append((row.number, row.completion()))
                stage.advance()
    return [completion for _, completion in sorted(done, key=lambda pair: pair[0])]


def stream(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Sequence[int],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    stop: Sequence[str] = (),
    begin: str = "",
) -> Iterator[str]:
    """The completion of one prompt piece by piece as it is written; the pieces joined are what `generate` returns."""
    how = _How.checked(model, tokenizer, max_new_tokens, temperature, top_p, seed, tuple(stop))
    _check_room(model, [prompt], max_new_tokens, [begin])
    row, said = _Row(0, how, begin), 0
    with _evaluating(model):
        batch = _Batch(model, [prompt], how.pad)
        while not row.over:
            _advance(batch, [row], how)
            text = row.text()
            ready = text if row.over else text[: len(text) - _held_back(text, how.stop)]
            if len(ready) > said:
                yield ready[said:]
                said = len(ready)


def perplexity(scores: Sequence[np.ndarray]) -> float:
    """The perplexity of a text whose windows have these log-probabilities (see `window_scores`)."""
    if not scores:
        raise ExampleError("the text is too short for a perplexity: it has fewer than two tokens", "Give a longer text.")
    return math.exp(-float(np.concatenate(scores).mean()))


def windows(tokenizer: PreTrainedTokenizerBase, text: str, *, window: int = 512, max_tokens: int | None = None) -> list[list[int]]:
    """The text's first `max_tokens` tokens in windows of at most `window` and at least two."""
    ids = tokenizer.encode(text, add_special_tokens=False, verbose=False)[:max_tokens]
    return [ids[start : start + window] for start in range(0, len(ids) - 1, window)]


def window_scores(model: PreTrainedModel, parts: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """The log-probabilities of each window's tokens but the first; windows know nothing of each other."""
    with _evaluating(model):
        return [_token_log_probabilities(model, part) for part in parts]


@dataclass(frozen=True)
class _How:
    """How to write, checked."""

    tokenizer: PreTrainedTokenizerBase
    max_new_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop: tuple[str, ...]
    end: frozenset[int]
    pad: int

    @classmethod
    def checked(cls, model: Any, tokenizer: Any, max_new_tokens: int, temperature: float, top_p: float, seed: int, stop: Any) -> _How:
        rules = {
            f"max_new_tokens={max_new_tokens}: it must be at least 1": max_new_tokens >= 1,
            f"temperature={temperature}: it must be 0 (the likeliest token) or above": temperature >= 0,
            f"top_p={top_p}: it must be above 0 and at most 1": 0 < top_p <= 1,
        }
        broken = [rule for rule, holds in rules.items() if not holds]
        if broken:
            raise SettingError("These settings cannot be used:", "Change them and start again.", broken)
        end, pad = _end_ids(model, tokenizer), tokenizer.pad_token_id or 0
        return cls(tokenizer, max_new_tokens, temperature, top_p, seed, stop, end, pad)

    def draws(self, number: int) -> np.ndarray:
        """One random number for each token of row `number`; none are needed where the likeliest token is taken."""
        count = self.max_new_tokens if self.temperature else 0
        return np.random.Generator(np.random.Philox(key=[self.seed, number])).random(count)


class _Row:
    """One completion under way; `over` once it ended by itself or reached its length. Its text comes after a `begin`."""

    def __init__(self, number: int, how: _How, begin: str = "") -> None:
        self.number, self.how, self.begin, self.rest = number, how, begin, begin
        self.draws = how.draws(number)
        self.ids: list[int] = []
        self.spent = 0
        """How many tokens went on the beginning."""
        self.scores: list[float] = []
        self.finished = self.over = False

    def append(self, token: int, score: float) -> None:
        self.ids.append(token)
        if self.rest:
            self.spent += 1
            self.rest = rest_of(self.begin, self._decoded())
        self.scores.append(score)
        self.finished = token in self.how.end or (bool(self.how.stop) and _cut(self._written(), self.how.stop) is not None)
        self.over = self.finished or len(self.ids) - self.spent >= self.how.max_new_tokens

    def next_draw(self) -> float:
        return float(self.draws[min(len(self.ids), len(self.draws) - 1)])

    def text(self) -> str:
        text = self._written()
        return text[: _cut(text, self.how.stop)]

    def allowed(self) -> NDArray[np.intp] | None:
        """The tokens that may come next; None where all may."""
        found = beginnings(self.how.tokenizer).allowed(self.rest) if self.rest else None
        return found if found is not None and len(found) else None

    def _written(self) -> str:
        return after(self.begin, self._decoded())

    def completion(self) -> Completion:
        return Completion(self.text(), tuple(self.ids), tuple(self.scores), self.finished, self.spent)

    def _decoded(self) -> str:
        return str(self.how.tokenizer.decode(self.ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


class _Batch:
    """Prompts that grow together, padded on the left, with the keys and values of all tokens so far; equal ones are read once."""

    def __init__(self, model: PreTrainedModel, prompts: Sequence[Sequence[int]], pad: int, prefix: Any = None) -> None:
        self.model, self.decoder = model, decoder(model)
        self.cache: Any = copy.deepcopy(prefix) or roomy_cache(model)
        given, prompts = [tuple(p) for p in prompts], list(dict.fromkeys(tuple(p) for p in prompts))
        self.copies = [prompts.index(p) for p in given] if len(prompts) < len(given) else []
        if prefix is not None:
            assert self.cache is not None
            self.cache.batch_repeat_interleave(len(prompts))
        shared = 0 if prefix is None else prefix.get_seq_length()
        gaps = [max(map(len, prompts)) - len(prompt) for prompt in prompts]
        self.ids_BT = torch.tensor([[pad] * gap + list(prompt) for gap, prompt in zip(gaps, prompts, strict=True)], device=model.device)
        self.mask_BT = torch.ones(len(prompts), shared + self.ids_BT.shape[1], dtype=torch.long, device=model.device)
        for row, gap in enumerate(gaps):
            self.mask_BT[row, shared : shared + gap] = 0
        self.positions_BT = (self.mask_BT.cumsum(1) - 1)[:, shared:].clamp(min=0)
        self.padded = any(gaps)

    def logits(self) -> torch.Tensor:
        """The logits (B, V) of every row's next token."""
        logits_BV = self._own() if self._has_own() else self._models()
        if self.copies:
            self.keep(self.copies)
            logits_BV, self.copies = logits_BV[self.copies], []
        return logits_BV

    def _has_own(self) -> bool:
        return self.decoder is not None and self.cache is not None and self.decoder.can(self.cache, self.ids_BT.shape[1])

    def _own(self) -> torch.Tensor:
        assert self.decoder is not None
        return self.decoder.read(self.model, self.ids_BT, self.positions_BT, self.mask_BT, self.cache)

    def _models(self) -> torch.Tensor:
        output = self.model(
            input_ids=self.ids_BT,
            attention_mask=self.mask_BT if self.padded else None,
            position_ids=self.positions_BT,
            cache=self.cache,
            use_cache=True,
            # An index, not a number: a slice of the hidden states would make the head's weight be copied once a row.
            logits_to_keep=torch.tensor([self.ids_BT.shape[1] - 1], device=self.ids_BT.device),
        )
        self.cache = output.cache
        return output.logits[:, -1]

    def append(self, tokens_B: torch.Tensor) -> None:
        self.ids_BT = tokens_B[:, None]
        self.mask_BT = torch.nn.functional.pad(self.mask_BT, (0, 1), value=1)
        self.positions_BT = self.positions_BT[:, -1:] + 1

    def keep(self, rows: list[int]) -> None:
        """Go on with these rows only."""
        chosen = torch.tensor(rows, device=self.ids_BT.device)
        self.ids_BT, self.mask_BT, self.positions_BT = self.ids_BT[chosen], self.mask_BT[chosen], self.positions_BT[chosen]
        self.cache.batch_select_indices(chosen)


def _finish(batch: _Batch, rows: list[_Row], how: _How) -> Iterator[_Row]:
    """Each row when it is over. The batch shrinks once half of it is: moving the cache costs more than a few idle rows."""
    growing = rows
    while growing:
        _advance(batch, rows, how)
        yield from (row for row in growing if row.over)
        growing = [row for row in growing if not row.over]
        if growing and len(growing) <= len(rows) // 2:
            batch.keep([rows.index(row) for row in growing])
            rows = growing


def _advance(batch: _Batch, rows: list[_Row], how: _How) -> None:
    """One more token for every row that is not over."""
    with torch.inference_mode():
        logits_BV = batch.logits()
        draws = [row.next_draw() for row in rows] if how.temperature else []
        allowed_BV, bound = _allowed(logits_BV, rows)
        tokens_B, scores_B = choose(allowed_BV, how.temperature, how.top_p, draws)
        if bound:
            scores_B[bound] = log_probabilities(logits_BV[bound], tokens_B[bound])
        batch.append(tokens_B)
    for row, token, score in zip(rows, tokens_B.tolist(), scores_B.tolist(), strict=True):
        if not row.over:
            row.append(token, score)


def _allowed(logits_BV: torch.Tensor, rows: Sequence[_Row]) -> tuple[torch.Tensor, list[int]]:
    """The logits, minus infinity for tokens that a row may not go on with, and the numbers of the rows that are so bound."""
    found = {number: allowed for number, row in enumerate(rows) if not row.over and (allowed := row.allowed()) is not None}
    if not found:
        return logits_BV, []
    only_BV = logits_BV.clone()
    for number, allowed in found.items():
        tokens = torch.from_numpy(allowed).to(logits_BV.device)
        only_BV[number] = float("-inf")
        only_BV[number, tokens] = logits_BV[number, tokens]
    return only_BV, list(found)


def _token_log_probabilities(model: PreTrainedModel, ids: Sequence[int]) -> np.ndarray:
    """The log-probability of every token but the first (T - 1), given those before it; CHUNK tokens of logits at a time."""
    scores: list[np.ndarray] = [np.zeros(0)]
    cache = None
    for start in range(0, len(ids) - 1, CHUNK):
        part = torch.tensor([ids[start : start + CHUNK + 1]], device=model.device)
        with torch.inference_mode():
            output = model(input_ids=part[:, :-1], cache=cache, use_cache=True)
            chosen = output.logits[0].float().log_softmax(-1).gather(1, part[0, 1:, None])[:, 0]
        cache = output.cache
        scores.append(chosen.double().cpu().numpy())
    return np.concatenate(scores)


def _batch_size(model: PreTrainedModel, prompts: int, tokens: int) -> int:
    """How many of the prompts are answered side by side, of which the longest has so many `tokens` with its answer; batches are alike."""
    config = model.config.get_text_config()
    heads: int = getattr(config, "num_attention_heads", 1)
    width: int = getattr(config, "head_dim", None) or config.hidden_size // heads
    each: int = 2 * config.num_hidden_layers * (getattr(config, "num_key_value_heads", None) or heads) * width * model.dtype.itemsize
    most = min(MOST, max(FEWEST, ROOM // (each * tokens)))
    return -(-prompts // -(-prompts // most))


def _prefix_cache(model: PreTrainedModel, prefix: Sequence[int]) -> Any:
    if not prefix:
        return None
    with torch.inference_mode():
        ids = torch.tensor([list(prefix)], device=model.device)
        return model(input_ids=ids, cache=roomy_cache(model), use_cache=True, logits_to_keep=1).cache


def _shared(prompts: Sequence[Sequence[int]]) -> int:
    """How many leading tokens all prompts share, short of the whole of any of them."""
    first, last = min(map(list, prompts)), max(map(list, prompts))
    limit = min(map(len, prompts)) - 1
    return next((i for i in range(limit) if first[i] != last[i]), limit)


def _end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    declared = getattr(model.generation_config, "eos_token_id", None)
    listed = declared if isinstance(declared, list) else [declared]
    return frozenset(int(token) for token in [*listed, tokenizer.eos_token_id] if token is not None)


def _cut(text: str, stop: Sequence[str]) -> int | None:
    """Where the first of the stop texts begins; None if there is none."""
    return min((text.index(word) for word in stop if word in text), default=None)


def _held_back(text: str, stop: Sequence[str]) -> int:
    """How many last characters may still change: half a character, or what may become a stop text."""
    broken = len(text) - len(text.rstrip("\ufffd"))
    lengths = [n for word in stop for n in range(1, len(word)) if text.endswith(word[:n])]
    return max([broken, *lengths])


def _check_room(model: PreTrainedModel, prompts: Sequence[Sequence[int]], max_new_tokens: int, begins: Sequence[str]) -> None:
    context = getattr(model.config, "max_position_embeddings", None) or sys.maxsize
    longest = max((len(prompt) + len(begin) for prompt, begin in zip(prompts, begins or [""] * len(prompts), strict=True)), default=0)
    if longest + max_new_tokens > context:
        raise SettingError(
            f"a prompt of {longest} tokens and max_new_tokens={max_new_tokens} exceed the model's context of {context} tokens",
            "Ask a shorter question, give fewer passages, or lower max_new_tokens.",
        )


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    """The model without dropout and with the parts that are quick for short rows; afterwards as it was."""
    training = model.training
    model.eval()
    try:
        with plain(model), lean_steps(model, kept=decoder(model) is None):
            yield
    finally:
        model.train(training)
