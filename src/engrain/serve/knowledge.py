"""What a run knows of its documents, for prompts with passages and for what supports an answer; kept for the next question."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engrain.assistant import NUM_PASSAGES, Library, base_settings, check_base
from engrain.documents.base import Section
from engrain.gate import FILE, Gate
from engrain.models import Base, locate
from engrain.questioner import load_questioner
from engrain.retrieval import Retriever
from engrain.run import Run
from engrain.support import Index
from engrain.tokens import passage
from engrain.weighing import NUM_SIMILAR

FILES = ("documents.jsonl", "facts.jsonl", "superseded.jsonl", "examples", FILE, "adapter", "model")
"""What changes when a run is made anew in its folder."""
UNCHECKED = "unchecked"
"""The status of an answer that no document could support."""
MOST = 32
"""Runs whose documents are held in memory."""


@dataclass(frozen=True)
class Knowledge:
    """The index of a run's passages (None where it has no documents) and of what supports an answer.

    The `gate` tells questions on the documents from others.
    """

    retriever: Retriever | None
    index: Index
    gate: Gate | None = None
    sections: tuple[Section, ...] = ()

    def passages(self, question: str) -> tuple[str, ...]:
        """The passages that a question is answered from, the best first."""
        found = self.retriever.search(question, NUM_PASSAGES) if self.retriever else []
        return tuple(passage(section.place, section.text) for section in found)

    def similar(self, question: str) -> list[str]:
        """The answers of trained questions that are most like this one."""
        return self.retriever.answers(question, NUM_SIMILAR) if self.retriever else []

    def nearness(self, question: str, answers: Sequence[str]) -> list[float]:
        """How near in meaning the nearest trained question is that has each of these answers."""
        return self.retriever.nearness(question, answers) if self.retriever else [0.0] * len(answers)

    def fits(self, question: str, answers: Sequence[str]) -> list[float]:
        """How well each of these answers fits (log-odds against none of them)."""
        return self.retriever.fits(question, answers) if self.retriever else [0.0] * len(answers)

    def asks(self, question: str, answers: Sequence[str]) -> list[float]:
        """How likely the question is about what each of these answers answers, against the likeliest (nats a token)."""
        return self.retriever.asks(question, answers) if self.retriever else [0.0] * len(answers)

    def known_words(self, question: str, k: int) -> list[str]:
        """The trained questions that stand for this one, at most `k`; none where it is asked as it is."""
        return self.retriever.known_words(question, k) if self.retriever else []

    @property
    def has_meaning(self) -> bool:
        """Whether trained questions are found by what they mean, so that a tuned model can be asked in their words."""
        return self.retriever is not None and self.retriever.has_meaning

    def nearness_to(self, texts: Sequence[str]) -> list[float | None]:
        """How near the documents come to each text; None where that cannot be told."""
        return self.retriever.nearest(texts) if self.retriever else [None] * len(texts)

    def verdict(self, question: str, text: str) -> tuple[str, str]:
        """Source and status of an answer; `unchecked` where there are no documents."""
        if self.retriever is None:
            return "", UNCHECKED
        support = self.index.check(question, text)
        return support.source, support.status


NOTHING = Knowledge(None, Index((), {}))


class Shelf:
    """The knowledge of the runs that were asked last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Path, tuple[int, ...]], Knowledge] = OrderedDict()
        self._bases: dict[str, Base] = {}

    def get(self, run: Run | None) -> Knowledge:
        """What a run knows; read from its folder the first time, and when it has changed.

        Raises ModelError where the run's base is no longer the one that it was trained on.
        """
        if run is None:
            return NOTHING
        name = run.path, tuple(file.stat().st_mtime_ns for part in FILES if (file := run.path / part).exists())
        with self._lock:
            if name in self._known:
                self._known.move_to_end(name)
                return self._known[name]
        found = self._read(run)  # without the lock: others need not wait for it
        with self._lock:
            self._known[name] = found
            while len(self._known) > MOST:
                self._known.popitem(last=False)
        return found

    def _read(self, run: Run) -> Knowledge:
        info = run.info
        base = str(info["settings"]["base"])
        if base not in self._bases:  # its hashes are computed once
            self._bases[base] = locate(base)
        check_base(self._bases[base], info.get("base", {}))
        library = Library.of(run)
        device, dtype = base_settings(info["settings"]).resolve()
        retriever = library.retriever(load_questioner=partial(load_questioner, self._bases[base], device, dtype))
        return Knowledge(retriever, library.index(), Gate.load(run.path), library.sections)
