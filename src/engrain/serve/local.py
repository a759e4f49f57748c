"""The local engine: models in this process, each loaded once and shared by all its adapters."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeVar

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from engrain.assistant import put_in
from engrain.coding.completion import load_completer
from engrain.gate import mean_states
from engrain.kernels.packed_attention import with_attention
from engrain.models import BaseSettings, context_length, load_model, load_tokenizer, locate
from engrain.run import Run
from engrain.serve.engine import Engine, Piece, Sampling, Weights
from engrain.serve.failures import ApiError
from engrain.serve.gaps import is_code
from engrain.serve.grammar import words
from engrain.serve.lane import Lane
from engrain.serve.metrics import Metrics
from engrain.serve.settings import ServeSettings
from engrain.serve.tenant import Tenant
from engrain.serve.writing import Reader, Writing

T = TypeVar("T")


@dataclass(frozen=True)
class Loaded:
    """A base's tokenizer, its limits, and what reads its tokens."""

    tokenizer: PreTrainedTokenizerBase
    context: int
    reader: Reader


class LocalEngine(Engine):
    """Lanes by what is in them: a base (with any number of adapters), or a run whose result is a model of its own."""

    begins = True

    def __init__(self, settings: ServeSettings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        self.lanes: dict[Weights, Lane] = {}
        self._loading = asyncio.Lock()
        self._loads = set[asyncio.Task[None]]()
        self._awaited = list[Weights]()
        self._bases: dict[str, Loaded] = {}
        self._lock = threading.Lock()
        self._loader = ThreadPoolExecutor(1, "models")
        self.most_open = settings.max_queue + settings.slots
        metrics.waiting.set_function(lambda: sum(lane.waiting for lane in self.lanes.values()))
        metrics.writing.set_function(lambda: sum(lane.writing for lane in self.lanes.values()))
        metrics.adapters.set_function(lambda: sum(len(lane.adapters.loaded) for lane in self.lanes.values()))

    async def close(self) -> None:
        """End every lane, one that is still loading too."""
        self._loader.shutdown(wait=False, cancel_futures=True)
        await asyncio.gather(*self._loads, return_exceptions=True)
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for lane in self.lanes.values():
            lane.close()

    def tokenizer(self, base: str) -> PreTrainedTokenizerBase:
        """The base's tokenizer."""
        return self._base(base).tokenizer

    def context(self, base: str) -> int:
        """How many tokens a prompt and its answer may have together."""
        return self._base(base).context

    def _base(self, base: str) -> Loaded:
        with self._lock:
            if base not in self._bases:
                self._bases[base] = read_base(base, self.settings.context)
            return self._bases[base]

    async def write(self, weights: Weights, prompt: Sequence[int], sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """The answer piece by piece."""
        self.check_room()
        deadline = time.monotonic() + self.settings.max_seconds  # loading counts

        def writing(send: Callable[[Piece | Exception], None]) -> Writing:
            return Writing(weights, prompt, sampling, self._base(weights.base).reader, send, deadline)

        async with aclosing(self._held(weights, writing)) as pieces:
            async for piece in pieces:
                yield piece
                if piece.finish:
                    return

    async def _held(self, weights: Weights, make: Callable[[Callable[[T | Exception], None]], Tenant[T]]) -> AsyncGenerator[T, None]:
        """What somebody says who holds a slot; leaving it frees the slot at once."""
        self.open += 1
        lane: Lane | None = None
        tenant: Tenant[T] | None = None
        try:
            lane = await self._lane(weights)
            loop, said = asyncio.get_running_loop(), asyncio.Queue[T | Exception]()

            def send(one: T | Exception) -> None:
                loop.call_soon_threadsafe(said.put_nowait, one)

            tenant = await asyncio.to_thread(make, send)
            lane.add(tenant)
            while not isinstance(one := await said.get(), Exception):
                yield one
            raise one
        finally:
            self.open -= 1
            if lane is not None:
                lane.holders -= 1
                if tenant is not None:
                    tenant.leave()
                lane.wake()

    async def states(self, base: str, texts: Sequence[str]) -> Tensor:
        """The mean hidden state of each text in the untouched base (see `gate.py`)."""
        known, lane = await asyncio.to_thread(self._base, base), await self._lane(Weights(base))
        loop, told = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

        def compute() -> None:
            try:
                with with_attention(lane.model, "sdpa"):
                    states = mean_states(lane.model, known.tokenizer, texts)
            except Exception as error:
                loop.call_soon_threadsafe(_tell, told, None, error)
            else:
                loop.call_soon_threadsafe(_tell, told, states, None)

        try:
            lane.run(compute)
            return await told
        finally:
            lane.holders -= 1

    async def _lane(self, weights: Weights) -> Lane:
        """The lane for these weights, loaded first if need be, with one more holder; other lanes go on meanwhile."""
        self._awaited.append(weights.lane)
        try:
            if weights.lane not in self.lanes:
                task = asyncio.create_task(self._load(weights))
                self._loads.add(task)
                task.add_done_callback(self._loads.discard)
                await asyncio.shield(task)  # a load cannot be called off; who comes next finds what it gave
            self.lanes[weights.lane].holders += 1
            return self.lanes[weights.lane]
        finally:
            self._awaited.remove(weights.lane)

    async def _load(self, weights: Weights) -> None:
        """Put the lane for these weights into memory where it is not there yet; one load at a time, so that room is counted right."""
        async with self._loading:
            if weights.lane in self.lanes:
                return
            await self._make_room()
            context = self.context(weights.base)
            loop = asyncio.get_running_loop()
            self.lanes[weights.lane] = await loop.run_in_executor(self._loader, load_lane, weights, self.settings, context)

    async def _make_room(self) -> None:
        """Close the lane that was idle longest, where there are as many as there may be."""
        if len(self.lanes) < self.settings.max_models:
            return
        idle = {name: lane for name, lane in self.lanes.items() if not lane.holders and name not in self._awaited}
        if not idle:
            raise ApiError(503, "All models in memory are in use; ask again in a moment.", "overloaded", retry_seconds=self.retry_seconds)
        oldest = min(idle, key=lambda name: idle[name].used)
        await asyncio.to_thread(self.lanes.pop(oldest).close)


def _tell(told: asyncio.Future[Tensor], states: Tensor | None, error: Exception | None) -> None:
    """Give the result to who waits for it, if somebody still does."""
    if told.done():
        return
    if error is not None:
        told.set_exception(error)
    elif states is not None:
        told.set_result(states)


def read_base(base: str, most: int) -> Loaded:
    """What is needed of a base to make prompts for it, without its weights."""
    from transformers import AutoConfig, GenerationConfig

    located = locate(base)
    tokenizer = load_tokenizer(located)
    config = AutoConfig.from_pretrained(located.folder, trust_remote_code=False, local_files_only=True)
    limit = min(most, getattr(config.get_text_config(), "max_position_embeddings", None) or most)
    declared = config.get_text_config().eos_token_id
    if (located.folder / "generation_config.json").is_file():
        declared = GenerationConfig.from_pretrained(located.folder, local_files_only=True).eos_token_id
    listed = declared if isinstance(declared, list) else [declared]
    end = frozenset(int(token) for token in [*listed, tokenizer.eos_token_id] if token is not None)
    return Loaded(tokenizer, limit, Reader(tokenizer, end, cache(partial(words, tokenizer))))


def load_lane(weights: Weights, settings: ServeSettings, context: int) -> Lane:
    """A model in memory, ready to write."""
    located = locate(weights.base)
    where = BaseSettings(weights.base, settings.precision, settings.device)
    run = Run.open(weights.run) if weights.run else None
    if run and is_code(run.info):
        return Lane(load_completer(run, where=where).model, settings, context)
    device, dtype = where.resolve()
    model = load_model(located, dtype=dtype, device=device)
    if run:
        put_in(model, run.path, run.info)
    return Lane(model, settings, min(context, context_length(model)))
