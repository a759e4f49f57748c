"""What a run knows of its documents when it answers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from engrain.assistant import Library
from engrain.documents.base import read_documents
from engrain.knowledge.facts import find_facts
from engrain.run import Run


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
