"""One model in memory and everything that is written with it, by one thread.

Each turn of the thread reads a chunk of each of some prompts, as many as have the tokens of one chunk together, and writes one token of
every answer under way. How that is computed: `passes.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from engrain.serve.adapters import Adapters, load_adapter
from engrain.serve.engine import Weights
from engrain.serve.failures import ApiError
from engrain.serve.passes import Part, passes
from engrain.serve.settings import ServeSettings
from engrain.serve.slots import Prefixes, Slots
from engrain.serve.tenant import Tenant
from engrain.serve.writing import Writing


class Lane:
    """A model with its slots. `add` who needs one; `close` ends its thread. `holders` counts who is about to add, or waits."""

    def __init__(self, model: PreTrainedModel, settings: ServeSettings, context: int) -> None:
        self.model, self.settings, self.context = model, settings, context
        self.store = Slots(settings.slots, context)
        self.prefixes = Prefixes(settings.prefix_tokens)
        with torch.inference_mode():
            self.passes = passes(model, self.store, settings.prefill_chunk)
        self.adapters: Adapters[Any] = Adapters(settings.max_adapters)
        self.used, self.holders = time.monotonic(), 0
        self._slots: list[Tenant[Any] | None] = [None] * settings.slots
        self._waiting: list[Tenant[Any]] = []
        self._loading: set[Weights] = set()
        self._errands: list[Callable[[], None]] = []
        self._changed = threading.Condition()
        self._closing = False
        self._loader = ThreadPoolExecutor(1, "adapters")
        self._thread = threading.Thread(target=self._work, name="lane", daemon=True)
        self._thread.start()

    # --- called from other threads

    def add(self, tenant: Tenant[Any]) -> None:
        """Read and write this as soon as a slot is free and its adapter is in memory."""
        with self._changed:
            self.used = time.monotonic()
            self._waiting.append(tenant)
            self._changed.notify()

    def run(self, errand: Callable[[], None]) -> None:
        """Let the thread compute something else with the untouched model between two turns."""
        with self._changed:
            self._errands.append(errand)
            self._changed.notify()

    def wake(self) -> None:
        """Look at once whether an answer was left."""
        with self._changed:
            self._changed.notify()

    @property
    def waiting(self) -> int:
        """Answers that wait for a slot."""
        return len(self._waiting)

    @property
    def writing(self) -> int:
        """Slots in use."""
        return sum(tenant is not None for tenant in self._slots)

    def close(self) -> None:
        """End the thread; answers under way fail."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._loader.shutdown(cancel_futures=True)

    # --- the thread

    def _work(self) -> None:
        with torch.inference_mode():
            self._turns()
        for tenant in [*self._waiting, *self._under_way()]:
            tenant.fail(ApiError(503, "The server is stopping.", "unavailable", retry_seconds=5))

    def _turns(self) -> None:
        while True:
            with self._changed:
                self._tidy()
                if self._closing:
                    return
                self._admit()
                errands, self._errands = self._errands, []
                if not self.writing and not errands:
                    self._changed.wait(timeout=1.0 if self._waiting else None)
                    continue
            for errand in errands:
                errand()
            self._guarded_turn()

    def _guarded_turn(self) -> None:
        """Take a turn; if it fails, the answers under way do, and the lane goes on."""
        try:
            self._turn()
        except Exception as error:  # a thread that ended silently would leave everybody waiting
            for tenant in self._under_way():
                tenant.fail(error)

    def _under_way(self) -> list[Tenant[Any]]:
        return [tenant for tenant in self._slots if tenant is not None]

    def _tidy(self) -> None:
        """Free the slots of answers that are over or that nobody waits for."""
        self._slots = [None if t is None or t.over or t.left else t for t in self._slots]
        late = [t for t in self._waiting if t.late and not t.left]
        for tenant in late:
            tenant.fail(ApiError(503, "No slot became free in time.", "overloaded", retry_seconds=5))
        self._waiting = [t for t in self._waiting if not t.left and not t.over]

    def _admit(self) -> None:
        """Give free slots to those who wait, in their order; who waits for an adapter holds up nobody."""
        for tenant in list(self._waiting):
            if None not in self._slots:
                return
            if self._has_adapter(tenant):
                tenant.slot = self._slots.index(None)
                self._slots[tenant.slot] = tenant
                self._waiting.remove(tenant)

    def _has_adapter(self, tenant: Tenant[Any]) -> bool:
        weights = tenant.weights
        if weights.adapter is None or self.adapters.has(weights):
            return True
        if weights not in self._loading:
            self._loading.add(weights)
            self._loader.submit(self._load, weights, weights.adapter)
        return False

    def _load(self, weights: Weights, folder: Path) -> None:
        """Load an adapter (in another thread); those who wait for one that cannot be loaded are told."""
        try:
            loaded = self.passes.prepared(load_adapter(folder, self.model))
        except Exception as error:
            failed: Exception | None = error
        else:
            failed = None
        with self._changed:
            self._loading.discard(weights)
            if failed is None:
                self.adapters.put(weights, loaded, {t.weights for t in self._under_way()})
            else:
                for tenant in [t for t in self._waiting if t.weights == weights]:
                    tenant.fail(failed)
            self._changed.notify()

    def _turn(self) -> None:
        """Read some chunks, and write one more token of every answer whose prompt was read before."""
        writing = [t for t in self._under_way() if isinstance(t, Writing) and not (t.reading or t.over or t.left)]
        reading = self._chunks()
        if not writing and not reading:
            return
        found = self.passes.logits([chunk for _, chunk in reading], [_step(answer) for answer in writing], self.adapters.loaded)
        for (tenant, chunk), logits_KV in zip(reading, found, strict=False):
            self._read(tenant, chunk)
            _hand_over(tenant, tenant.take, logits_KV)
        for answer, logits_1V in zip(writing, found[len(reading) :], strict=True):
            _hand_over(answer, answer.next, logits_1V[0])

    def _chunks(self) -> list[tuple[Tenant[Any], Part]]:
        """What is read now: the next chunk of who has waited longest, and of more while one chunk's tokens are not exceeded."""
        chosen, room = list[tuple[Tenant[Any], Part]](), self.settings.prefill_chunk
        for tenant in sorted((t for t in self._under_way() if t.reading and not t.left), key=lambda t: t.deadline):
            if tenant.read == 0:
                self._reuse(tenant)
            chunk = self._chunk(tenant)
            room -= len(chunk.tokens)
            if chosen and room < 0:
                break
            chosen.append((tenant, chunk))
        return chosen

    def _chunk(self, tenant: Tenant[Any]) -> Part:
        """The next chunk of its prompt."""
        start = tenant.read
        end = next(end for end in tenant.chunk_ends(self.settings.prefill_chunk) if end > start)
        assert tenant.slot is not None
        places = tuple(place - start for place in tenant.places() if start <= place < end)
        return Part(tenant.weights, tenant.slot, start, tenant.prompt[start:end], places)

    def _read(self, tenant: Tenant[Any], chunk: Part) -> None:
        """Count a chunk as read, and keep it where other prompts may begin with it too."""
        tenant.read = end = chunk.start + len(chunk.tokens)
        if self.prefixes.most and end in tenant.reusable_ends(self.settings.prefill_chunk):
            self.prefixes.keep(tenant.weights, tenant.prompt[:end], self.store.copy_out(chunk.slot, chunk.start, end))

    def _reuse(self, tenant: Tenant[Any]) -> None:
        """Take over what is known of the prompt's beginning."""
        assert tenant.slot is not None
        for end, block in self.prefixes.find(tenant.weights, tenant.prompt, tenant.reusable_ends(self.settings.prefill_chunk)):
            self.store.copy_in(tenant.slot, tenant.read, block)
            tenant.read = end
        tenant.cached = tenant.read


def _step(answer: Writing) -> Part:
    """The newest token of an answer, after which the next one is wanted."""
    assert answer.slot is not None
    return Part(answer.weights, answer.slot, len(answer.prompt) + len(answer.ids) - 1, (answer.ids[-1],), (0,))


def _hand_over(tenant: Tenant[Any], take: Callable[[Tensor], None], logits: Tensor) -> None:
    """Let an answer go on with its logits; where it cannot, it fails, and nobody beside it."""
    try:
        take(logits)
    except Exception as error:
        tenant.fail(error)
