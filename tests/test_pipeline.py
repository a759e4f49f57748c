"""Stages of a build by themselves, from run folder to run folder, without a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tiny
from engrain import pipeline
from engrain.config import settings_from
from engrain.documents.base import read_documents
from engrain.errors import ModelError
from engrain.examples import Example, Message, example_to_row
from engrain.knowledge.dataset import Dropped, Studied
from engrain.measuring import guiding
from engrain.models import load_tokenizer, locate
from engrain.progress import Progress
from engrain.run import Run
from engrain.tokens import Encoded

PRICES = "# Prices 2025\n\nA gift card costs £20. The shop has 4 looms.\n"
NOTICE = "# Notice of 3 March 2026\n\nA gift card costs £25.\n"


class Notes(Progress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pipeline, "studying_model", lambda settings, progress: None)
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "prices.md").write_text(PRICES)
    return folder


def found(run: Path, docs: Path, earlier: Run | None = None, notes: Progress | None = None) -> Run:
    """A run that got as far as its facts."""
    made, settings = Run.create(run, "test"), settings_from({})
    documents = pipeline.keep_documents(made, settings, read_documents([docs]), notes or Notes())
    pipeline.find(made, settings, documents, notes or Notes(), earlier)
    return made


def test_a_question_that_stands_alone_leans_neither_on_a_text_nor_on_a_talk() -> None:
    ask, tell, on = Message("user", "What is a loom?"), Message("assistant", "£90."), Message("user", "And a wheel?")
    assert pipeline.stands_alone(Example((Message("system", "Be brief."), ask, tell), "question", "wh-0"))
    assert not pipeline.stands_alone(Example((ask, tell), "read", "wh-0"))
    assert not pipeline.stands_alone(Example((ask, tell, on, tell), "follow-up", "follow-0"))


def test_a_row_that_the_chat_template_refuses_is_named(tmp_path: Path) -> None:
    tiny.build(tmp_path, template="{% if messages[1]['role'] == 'user' %}{{ raise_exception('roles must alternate') }}{% endif %}")
    example = Example((Message("user", "Hello."), Message("user", "Hi?"), Message("assistant", "Hi.")), place="talks.jsonl:7")
    with pytest.raises(ModelError, match=r"talks\.jsonl:7: .*roles must alternate"):
        pipeline.encoded(load_tokenizer(locate(str(tmp_path))), example)


def values(run: Run) -> list[str]:
    return [row["value"] for row in run.read_rows("facts.jsonl")]


def test_what_a_newer_document_supersedes_is_listed_and_not_learned(docs: Path, tmp_path: Path) -> None:
    (docs / "notice.md").write_text(NOTICE)
    notes = Notes()
    run = found(tmp_path / "run", docs, notes=notes)
    assert "£25" in values(run)
    assert "£20" not in values(run)
    (row,) = run.info["superseded"]
    assert (row["old"], row["old_place"], row["old_date"]) == ("£20", "prices.md › Prices 2025", "2025")
    assert (row["new"], row["new_place"], row["new_date"]) == ("£25", "notice.md › Notice of 3 March 2026", "2026-03-03")
    assert [row["value"] for row in run.read_rows("superseded.jsonl")] == ["£20"]
    assert any(text.startswith("Superseded: £20 (prices.md") for text in notes.texts)
    assert {row["file"]: row["facts"] for row in run.read_json("coverage.json")} == {"notice.md": 1, "prices.md": 2}


def test_what_was_superseded_holds_again_without_the_newer_document(docs: Path, tmp_path: Path) -> None:
    before = found(tmp_path / "before", docs)
    (docs / "notice.md").write_text(NOTICE)
    first = found(tmp_path / "first", docs, before)
    assert "£20" not in values(first)
    (docs / "notice.md").unlink()
    second = found(tmp_path / "second", docs, first)
    assert values(second) == values(before)
    assert second.info["superseded"] == []


def test_what_a_writer_dropped_is_kept_and_taken_over(docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "write_replay", lambda *_: None)
    wrote = Studied({}, {"prices.md#1": []}, [Dropped("prices.md#1", "too long", "Why?"), Dropped("gone.md#1", "too long", "Who?")])
    monkeypatch.setattr(pipeline, "studied", lambda facts, sections, settings, progress, known: known if known.absent else wrote)
    first = found(tmp_path / "first", docs)
    pipeline.write_examples(first, settings_from({}), pipeline.facts_of(first), Notes())
    assert [row["text"] for row in first.read_rows("dropped.jsonl")] == ["Why?", "Who?"]
    second = found(tmp_path / "second", docs, first)
    pipeline.write_examples(second, settings_from({}), pipeline.facts_of(second), Notes(), first)
    assert [row["text"] for row in second.read_rows("dropped.jsonl")] == ["Why?"]


def test_a_pass_practises_an_example_as_often_as_it_says(tmp_path: Path, tiny_folder: Path) -> None:
    run, settings = Run.create(tmp_path / "run", "test"), settings_from({"base": str(tiny_folder)})
    often, once, never = (asked(f"What is {n}?", "A number.", repeats=n) for n in (3, 1, 0))
    for name, rows in {"train": [often, once, never], "own": [], "heldout": [once], "replay": []}.items():
        run.write_rows(f"examples/{name}.jsonl", map(example_to_row, rows))
    assert len(pipeline.encode(run, settings, Notes()).train) == 4
    assert run.info["mix"]["question"]["examples"] == 4
    run.write_rows("examples/own.jsonl", [example_to_row(asked("What is 3?", "A prime."))])
    assert len(pipeline.encode(run, settings, Notes()).train) == 2, "what people say stands for what was trained, however often"


def test_what_guides_is_no_question_that_measures_where_a_row_is_never_practised(tmp_path: Path, tiny_folder: Path) -> None:
    run, settings = Run.create(tmp_path / "run", "test"), settings_from({"base": str(tiny_folder)})
    heldout = [asked("Never?", "No.", repeats=0), *(asked(f"{'When ' * n}?", "Now.") for n in range(1, 4))]
    for name, rows in {"train": [asked("Who?", "Ada.")], "own": [], "heldout": heldout, "replay": []}.items():
        run.write_rows(f"examples/{name}.jsonl", map(example_to_row, rows))
    (guides,) = pipeline.encode(run, settings, Notes()).heldout
    (wanted,) = guiding(heldout)
    assert guides.ids.tolist() == pipeline.encoded(load_tokenizer(locate(str(tiny_folder))), wanted).ids.tolist()


def test_what_the_system_usually_says_is_noted_for_who_asks_later(tmp_path: Path, tiny_folder: Path) -> None:
    run, settings = Run.create(tmp_path / "run", "test"), settings_from({"base": str(tiny_folder)})
    told = [
        replace(e, messages=(Message("system", "You mend kites."), *e.messages)) for e in (asked("Who?", "Ada."), asked("Where?", "Here."))
    ]
    everyday = [asked(f"And {i}?", "So.") for i in range(9)]
    for name, rows in {"train": [*told, asked("When?", "Now.")], "own": [], "heldout": everyday, "replay": everyday}.items():
        run.write_rows(f"examples/{name}.jsonl", map(example_to_row, rows))
    pipeline.encode(run, settings, Notes())
    assert run.info["system"] == "You mend kites."


def asked(question: str, answer: str, repeats: int = 1) -> Example:
    return Example((Message("user", question), Message("assistant", answer)), "question", repeats=repeats)


def test_the_mix_counts_tokens_that_loss_is_taken_on() -> None:
    rows = [Encoded(np.arange(4, dtype=np.int32), np.array([False, False, True, True])) for _ in range(3)]
    mix = pipeline.Mix()
    for kind, row, repeats in zip(("question", "question", "replay"), rows, (1, 2, 1), strict=True):
        mix.count(kind, row, repeats)
    assert mix.kinds == {
        "question": {"examples": 3, "tokens": 12, "graded": 6},
        "replay": {"examples": 1, "tokens": 4, "graded": 2},
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "lora (rank 64)"),
        ({"rank": 8, "layers": "20:29"}, "lora (rank 8, layers 20:29)"),
        ({"method": "full"}, "full"),
        ({"method": "full", "block_steps": 5}, "full (block_steps 5)"),
    ],
)
def test_a_method_is_told_with_what_is_not_as_usual(options: dict[str, object], words: str) -> None:
    assert pipeline.described(settings_from(options)) == words
