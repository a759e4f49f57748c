"""One model in memory and everything that is written with it, by one thread.

Each turn of the thread reads one chunk of one prompt and writes one token of every answer under way. Both passes
have the same shape every time, idle rows included, so that an answer's numbers never depend on its neighbours.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from engrain.errors import ModelError
from engrain.serve.adapters import Adapter, Adapters, load_adapter
from engrain.serve.engine import Weights
from engrain.serve.failures import ApiError
from engrain.serve.settings import ServeSettings
from engrain.serve.slots import Prefixes, Rows, Slots, use_slots
from engrain.serve.writing import Writing

TOLERANCE = 0.05
"""How far logits in slots may be from plain ones, as a share of their spread: rounding is far below, a forgotten state far above."""


class Lane:
    """A model with its slots. `add` answers to write; `close` ends its thread. `holders` counts who is about to add, or waits."""

    def __init__(self, model: PreTrainedModel, settings: ServeSettings, context: int) -> None:
        self.model, self.settings, self.context = model, settings, context
        self.store = Slots(settings.slots, context)
        self.prefixes = Prefixes(settings.prefill_chunk, settings.prefix_tokens)
        with torch.inference_mode():
            self._check()
        self.adapters = Adapters(model, settings.max_adapters)
        self.used, self.holders = time.monotonic(), 0
        self._slots: list[Writing | None] = [None] * settings.slots
        self._waiting: list[Writing] = []
        self._loading: set[Weights] = set()
        self._errands: list[Callable[[], None]] = []
        self._changed = threading.Condition()
        self._closing = False
        self._loader = ThreadPoolExecutor(1, "adapters")
        self._thread = threading.Thread(target=self._work, name="lane", daemon=True)
        self._thread.start()

    # --- called from other threads

    def add(self, writing: Writing) -> None:
        """Write this answer as soon as a slot is free and its adapter is in memory."""
        with self._changed:
            self.used = time.monotonic()
            self._waiting.append(writing)
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
        return sum(writing is not None for writing in self._slots)

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
        for writing in [*self._waiting, *self._under_way()]:
            writing.fail(ApiError(503, "The server is stopping.", "unavailable", retry_seconds=5))

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
            for writing in self._under_way():
                writing.fail(error)

    def _under_way(self) -> list[Writing]:
        return [writing for writing in self._slots if writing is not None]

    def _tidy(self) -> None:
        """Free the slots of answers that are over or that nobody waits for."""
        self._slots = [None if w is None or w.over or w.left else w for w in self._slots]
        late = [w for w in self._waiting if time.monotonic() > w.deadline and not w.left]
        for writing in late:
            writing.fail(ApiError(503, "No slot became free in time.", "overloaded", retry_seconds=5))
        self._waiting = [w for w in self._waiting if not w.left and not w.over]

    def _admit(self) -> None:
        """Give free slots to those who wait, in their order; who waits for an adapter holds up nobody."""
        for writing in list(self._waiting):
            if None not in self._slots:
                return
            if self._has_adapter(writing):
                writing.slot = self._slots.index(None)
                self._slots[writing.slot] = writing
                self._waiting.remove(writing)

    def _has_adapter(self, writing: Writing) -> bool:
        weights = writing.weights
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
                self.adapters.put(weights, loaded, {w.weights for w in self._under_way()})
            else:
                for writing in [w for w in self._waiting if w.weights == weights]:
                    writing.fail(loaded)
            self._changed.notify()

    def _read_chunk(self) -> None:
        """Compute the next chunk of the prompt that has waited longest; its last chunk gives the first token."""
        reading = [w for w in self._under_way() if w.reading and not w.left]
        if not reading:
            return
        writing = min(reading, key=lambda w: w.deadline)
        if writing.read == 0:
            self._reuse(writing)
        start, end = writing.read, min(writing.read + self.settings.prefill_chunk, len(writing.prompt))
        assert writing.slot is not None
        self.adapters.choose([writing.weights])
        logits_V = self._read(writing.slot, start, writing.prompt[start:end])
        writing.read = end
        if self.prefixes.most and end % self.settings.prefill_chunk == 0:
            self.prefixes.keep(writing.weights, writing.prompt[:end], self.store.copy_out(writing.slot, start, end))
        if not writing.reading:
            writing.next(logits_V)

    def _reuse(self, writing: Writing) -> None:
        """Take over what is known of the prompt's beginning."""
        assert writing.slot is not None
        for block in self.prefixes.find(writing.weights, writing.prompt):
            self.store.copy_in(writing.slot, writing.read, block)
            writing.read += self.settings.prefill_chunk
        writing.cached = writing.read

    def _read(self, slot: int, start: int, tokens: tuple[int, ...]) -> Tensor:
        """The logits (V) after a chunk of a prompt, computed in the shape of a whole chunk."""
        padded = [*tokens, *[0] * (self.settings.prefill_chunk - len(tokens))]
        positions = range(start, start + len(padded))
        return self._pass([padded], [list(positions)], Rows((slot,), (start,), (len(tokens),)), len(tokens) - 1)[0]

    def _write_tokens(self) -> None:
        """One more token of every answer whose prompt is read."""
        rows = [w if w is not None and not (w.reading or w.over or w.left) else None for w in self._slots]
        if not any(rows):
            return
        starts = [len(w.prompt) + len(w.ids) - 1 if w else 0 for w in rows]
        self.adapters.choose([w.weights if w else None for w in rows])
        chosen = Rows(tuple(range(len(rows))), tuple(starts), tuple(int(w is not None) for w in rows))
        logits_BV = self._pass([[w.ids[-1] if w else 0] for w in rows], [[start] for start in starts], chosen, 0)
        for writing, logits_V in zip(rows, logits_BV, strict=True):
            if writing is not None:
                writing.next(logits_V)

    def _pass(self, ids: list[list[int]], positions: list[list[int]], rows: Rows, place: int) -> Tensor:
        """The logits (B, V) at one place of every row."""
        device = self.model.device
        output = self.model(
            input_ids=torch.tensor(ids, device=device),
            position_ids=torch.tensor(positions, device=device).clamp_(max=self.context - 1),
            use_cache=False,
            logits_to_keep=torch.tensor([place], device=device),
            store=self.store,
            rows=rows,
        )
        return output.logits[:, -1]

    def _check(self) -> None:
        """Raise ModelError for a model that keeps a state beside keys and values: in slots it would say something else."""
        count = self.settings.prefill_chunk
        tokens = tuple((7 * i + 3) % self.model.config.get_text_config().vocab_size for i in range(count + 1))
        wanted = self.model(input_ids=torch.tensor([tokens], device=self.model.device), use_cache=False).logits[0, -1].float()
        use_slots(self.model)
        self._read(0, 0, tokens[:count])
        found = self._read(0, count, tokens[count:]).float()
        if not float((found - wanted).abs().max()) <= TOLERANCE * float(wanted.max() - wanted.min()):
            raise ModelError(
                f"{type(self.model).__name__} keeps a state that the local engine does not know", "Serve it with --engine vllm."
            )
