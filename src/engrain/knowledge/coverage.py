"""Coverage: what of the documents became facts, and which sentences did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engrain.documents.base import Document, Section
from engrain.knowledge.blocks import blocks, plain
from engrain.knowledge.facts import Fact


@dataclass(frozen=True)
class Coverage:
    """How much of a document became facts.

    `sentences` counts its sentences, items and cells, `covered` those that gave a fact; `characters` and
    `covered_characters` count their text; `missed` are the ones that gave none, in order.
    """

    file: str
    facts: int
    sentences: int
    covered: int
    characters: int
    covered_characters: int
    missed: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share of the document's characters that stand in a sentence with a fact."""
        return self.covered_characters / self.characters if self.characters else 0.0


def coverage(documents: Sequence[Document], facts: Sequence[Fact]) -> list[Coverage]:
    """A row for each document, in order."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for fact in facts:
        spans.setdefault(fact.section, []).append((fact.start, fact.end))
    return [document_coverage(document, spans) for document in documents]


def document_coverage(document: Document, spans: dict[str, list[tuple[int, int]]]) -> Coverage:
    """The row of one document."""
    units = [(section, start, text) for section in document.sections for start, text in units_of(section)]
    held = [any(a < start + len(text) and start < b for a, b in spans.get(section.id, ())) for section, start, text in units]
    lengths = [len(text) for _, _, text in units]
    return Coverage(
        document.file,
        sum(len(spans.get(section.id, ())) for section in document.sections),
        len(units),
        sum(held),
        sum(lengths),
        sum(n for n, yes in zip(lengths, held, strict=True) if yes),
        tuple(plain(text) for (_, _, text), yes in zip(units, held, strict=True) if not yes),
    )


def units_of(section: Section) -> list[tuple[int, str]]:
    """The sentences, items and cells of a section, each once, with their offsets."""
    topic = section.headings[-1] if section.headings else ""
    found = {block.start: block.text for block in blocks(section.text, topic) if block.kind != "answer"}
    return sorted(found.items())
