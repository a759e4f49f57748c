from __future__ import annotations

from engrain.documents.base import Document, Section
from engrain.knowledge.coverage import coverage
from engrain.knowledge.facts import Fact, find_facts


def test_what_gave_no_fact_is_listed() -> None:
    text = "The kiln holds 120 litres. Well, well. Lovely indeed!"
    document = Document("a.md", "Kiln", (Section("a.md", 0, ("Kiln",), text, 0),), "0")
    (row,) = coverage([document], find_facts([document], "Fernlea Pottery"))
    assert (row.sentences, row.covered) == (3, 1)
    assert row.missed == ("Well, well.", "Lovely indeed!")
    assert 0 < row.share < 1


def test_every_document_has_a_row(documents: list[Document], facts: list[Fact]) -> None:
    rows = coverage(documents, facts)
    assert [row.file for row in rows] == ["guide.md", "rules.md"]
    assert all(row.share > 0.8 for row in rows)
