"""One model in memory and everything that is written with it, by one thread.

Each turn of the thread reads one chunk of one prompt (or of a row that is scored, see `scoring.py`) and writes one token
of every answer under way. The shape of the first depends on the prompt alone, that of the second is the same every time,
idle rows included: so an answer's numbers never depend on its neighbours.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from engrain.errors import ModelError
from engrain.serve.adapters import Adapter, Adapters, load_adapter
from engrain.serve.engine import Weights
from engrain.serve.failures import ApiError
from engrain.serve.settings import ServeSettings
from engrain.serve.slots import Prefixes, Rows, Slots, use_slots
from engrain.serve.tenant import Tenant
from engrain.serve.writing import Writing

SHORTEST = 16
"""A chunk is filled up to a power of two, and at least to this: few shapes, each computed fast."""
TOLERANCE = 0.05
"""How far logits in slots may be from plain ones, as a share of their spread: rounding is far below, a forgotten state far above."""


class Lane:
    """A model with its slots. `add` who needs one; `close` ends its thread. `holders` counts who is about to add, or waits."""

    def __init__(self, model: PreTrainedModel, settings: ServeSettings, context: int) -> None:
        self.model, self.settings, self.context = model, settings, context
        self.store = Slots(settings.slots, context)
        self.prefixes = Prefixes(settings.prefix_tokens)
        with torch.inference_mode():
            self._check()
        self.adapters = Adapters(model, settings.max_adapters)
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
                self.adapters.choose([])
                errand()
            self._guarded(self._read_chunk)
            self._guarded(self._write_tokens)

    def _guarded(self, step: Callable[[], None]) -> None:
        """Take a step; if it fails, the answers under way do, and the lane goes on."""
        try:
            step()
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
        loaded: Adapter | Exception
        try:
            loaded = load_adapter(folder, self.model)
        except Exception as error:
            loaded = error
        with self._changed:
            self._loading.discard(weights)
            if isinstance(loaded, Adapter):
                self.adapters.put(weights, loaded, {t.weights for t in self._under_way()})
            else:
                for tenant in [t for t in self._waiting if t.weights == weights]:
                    tenant.fail(loaded)
            self._changed.notify()

    def _read_chunk(self) -> None:
        """Compute the next chunk of the prompt that has waited longest; its last chunk gives the first token."""
        reading = [tenant for tenant in self._under_way() if tenant.reading and not tenant.left]
        if not reading:
            return
        tenant = min(reading, key=lambda t: t.deadline)
        if tenant.read == 0:
            self._reuse(tenant)
        prompt, start, chunk = tenant.prompt, tenant.read, self.settings.prefill_chunk
        end = next(end for end in tenant.chunk_ends(chunk) if end > start)
        assert tenant.slot is not None
        self.adapters.choose([tenant.weights])
        logits_KV = self._read(tenant.slot, start, prompt[start:end], [p - start for p in tenant.places() if start <= p < end])
        tenant.read = end
        if self.prefixes.most and end in tenant.reusable_ends(chunk):
            self.prefixes.keep(tenant.weights, prompt[:end], self.store.copy_out(tenant.slot, start, end))
        _hand_over(tenant, tenant.take, logits_KV)

    def _reuse(self, tenant: Tenant[Any]) -> None:
        """Take over what is known of the prompt's beginning."""
        assert tenant.slot is not None
        for end, block in self.prefixes.find(tenant.weights, tenant.prompt, tenant.reusable_ends(self.settings.prefill_chunk)):
            self.store.copy_in(tenant.slot, tenant.read, block)
            tenant.read = end
        tenant.cached = tenant.read

    def _read(self, slot: int, start: int, tokens: tuple[int, ...], places: Sequence[int]) -> Tensor:
        """The logits (K, V) at places of a chunk of a prompt, computed in a shape that its length alone decides."""
        length = min(self.settings.prefill_chunk, max(SHORTEST, 1 << (len(tokens) - 1).bit_length()))
        padded = [*tokens, *[0] * (length - len(tokens))]
        positions = range(start, start + len(padded))
        return self._pass([padded], [list(positions)], Rows((slot,), (start,), (len(tokens),)), places)[0]

    def _write_tokens(self) -> None:
        """One more token of every answer whose prompt is read."""
        rows = [t if isinstance(t, Writing) and not (t.reading or t.over or t.left) else None for t in self._slots]
        if not any(rows):
            return
        starts = [len(w.prompt) + len(w.ids) - 1 if w else 0 for w in rows]
        self.adapters.choose([w.weights if w else None for w in rows])
        chosen = Rows(tuple(range(len(rows))), tuple(starts), tuple(int(w is not None) for w in rows))
        logits_BV = self._pass([[w.ids[-1] if w else 0] for w in rows], [[start] for start in starts], chosen, [0])[:, 0]
        for writing, logits_V in zip(rows, logits_BV, strict=True):
            if writing is not None:
                _hand_over(writing, writing.next, logits_V)

    def _pass(self, ids: list[list[int]], positions: list[list[int]], rows: Rows, places: Sequence[int]) -> Tensor:
        """The logits (B, K, V) at these places of every row."""
        device = self.model.device
        output = self.model(
            input_ids=torch.tensor(ids, device=device),
            position_ids=torch.tensor(positions, device=device).clamp_(max=self.context - 1),
            use_cache=False,
            logits_to_keep=torch.tensor(places, dtype=torch.long, device=device),
            store=self.store,
            rows=rows,
        )
        return output.logits

    def _check(self) -> None:
        """Raise ModelError for a model that keeps a state beside keys and values: in slots it would say something else."""
        count = min(self.settings.prefill_chunk, self.context - 1)
        tokens = tuple((7 * i + 3) % self.model.config.get_text_config().vocab_size for i in range(count + 1))
        wanted = self.model(input_ids=torch.tensor([tokens], device=self.model.device), use_cache=False).logits[0, -1].float()
        use_slots(self.model)
        self._read(0, 0, tokens[:count], [])
        found = self._read(0, count, tokens[count:], [0])[0].float()
        if not float((found - wanted).abs().max()) <= TOLERANCE * float(wanted.max() - wanted.min()):
            raise ModelError(
                f"{type(self.model).__name__} keeps a state that the local engine does not know", "Serve it with --engine vllm."
            )


def _hand_over(tenant: Tenant[Any], take: Callable[[Tensor], None], logits: Tensor) -> None:
    """Let an answer go on with its logits; where it cannot, it fails, and nobody beside it."""
    try:
        take(logits)
    except Exception as error:
        tenant.fail(error)
