"""What a run knows of its documents when it answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engrain.assistant import Assistant, Library
from engrain.documents.base import Section, read_documents
from engrain.knowledge.facts import find_facts
from engrain.progress import Progress, Stage
from engrain.run import Run
from engrain.tokens import Shown

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def test_a_superseded_value_is_neither_shown_nor_a_support_and_the_others_stay_in_place(tmp_path: Path) -> None:
    (tmp_path / "prices.md").write_text("# Harbour Kites\n\nA Gannet costs £24. A Petrel costs £31.\n")
    documents = read_documents([tmp_path / "prices.md"]).documents
    old, kept = (next(f for f in find_facts(documents) if f.value == value) for value in ("£24", "£31"))
    run = Run.create(tmp_path / "run", "kites")
    run.write_rows("documents.jsonl", [asdict(s) | {"sha256": s.sha256} for d in documents for s in d.sections])
    run.write_rows("facts.jsonl", [kept])
    whole = Library.of(run).sections[0].text
    run.write_rows("superseded.jsonl", [old])
    (section,) = Library.of(run).sections
    assert "£24" in whole
    assert "£24" not in section.text
    assert section.text[kept.start : kept.end] == "£31"
    assert len(section.text) == len(whole)


class Recorder(Progress):
    """Notes every stage with how far it came once it has ended."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, float | None, float]] = []

    @contextmanager
    def stage(self, title: str, total: float | None = None, unit: str = "") -> Iterator[Stage]:
        counter = Counter()
        yield counter
        self.ended.append((title, total, counter.done))


class Counter(Stage):
    """Counts what is done."""

    done = 0.0

    def advance(self, amount: float = 1, **figures: float) -> None:
        self.done += amount


@pytest.mark.parametrize(("mode", "gone"), [("closed-book", 1), ("retrieval", 3), ("both", 3)])
def test_turns_that_passages_leave_no_room_for_are_forgotten(mode: str, gone: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assistant = Assistant.__new__(Assistant)
    assistant.mode = mode
    monkeypatch.setattr(assistant, "_fitted", lambda question, way, history: Shown((), [], (), {"closed-book": 1, "retrieval": 3}[way]))
    assert assistant.forgotten("And on Sundays?", [("Hello?", "Hi.")] * 4) == gone


def test_weighing_is_told_to_its_end(
    tiny_model: PreTrainedModel, tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = Section("prices.md", 0, ("Prices",), "A Gannet costs £24.", 0)
    opened, progress = Assistant(tiny_model, tiny_tokenizer, Library((prices,), ()), "both"), Recorder()
    monkeypatch.setattr(opened, "_likeliest", lambda question, said: question.upper())
    assert [a.text for a in opened.ask_many(["one", "two"], progress)] == ["ONE", "TWO"]
    assert progress.ended[-1] == ("Weighing answers", 2, 2)
