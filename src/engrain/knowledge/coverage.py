"""Coverage: what of the documents became facts, and what did not: sections, sentences, items, cells, and each value in them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from engrain.documents.base import Document, Section
from engrain.knowledge.blocks import MARK, Block, blocks, plain
from engrain.knowledge.facts import Fact, names_in
from engrain.knowledge.values import Value, find_values
from engrain.words import canonical, holds

UNITS = {"cell": "table cell", "pair": "key and value", "answer": "answer", "sentence": "sentence"}
RULE = re.compile(
    r"\b(?:must|may not|cannot|can't|can’t|not allowed|forbidden|prohibited|required|compulsory|is free|are free)\b", re.IGNORECASE
)
NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?![\w.,]*\d|\w)")
LONGEST_SHOWN = 160
"""Characters shown of the sentence or row of a value that no fact holds."""

Counts = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Unit:
    """A sentence, item or cell of a section; `kind` in words for people, `row` the line that a cell stands in, else the text."""

    kind: str
    start: int
    text: str
    row: str


@dataclass(frozen=True)
class Coverage:
    """How much of a document became facts.

    `sentences` counts its sentences, items and cells, `covered` those that gave a fact; `characters` and
    `covered_characters` count their text; `missed` are the ones that gave none, in order. `units` and `values` say by
    kind how many there are and how many a fact holds: sentences, list items, table cells; prices, dates, names, rules.
    `missed_values` are those that none holds, each in its place, `missed_sections` the headings of sections without a fact.
    """

    file: str
    facts: int
    sentences: int
    covered: int
    characters: int
    covered_characters: int
    missed: tuple[str, ...]
    units: Counts = field(default_factory=dict)
    values: Counts = field(default_factory=dict)
    missed_values: tuple[str, ...] = ()
    missed_sections: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of the document's characters that stand in a sentence with a fact."""
        return self.covered_characters / self.characters if self.characters else 0.0


def coverage(documents: Sequence[Document], facts: Sequence[Fact]) -> list[Coverage]:
    """A row for each document, in order."""
    found: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        found[fact.section].append(fact)
    return [document_coverage(document, found) for document in documents]


def document_coverage(document: Document, facts: Mapping[str, Sequence[Fact]]) -> Coverage:
    """The row of one document."""
    units = [(unit, section, facts.get(section.id, ())) for section in document.sections for unit in units_of(section)]
    held = [any(overlaps(unit, fact) for fact in own) for unit, _, own in units]
    values = [(unit, section, value, covers(section, value, own)) for unit, section, own in units for value in values_of(unit)]
    rules = [(UNIT_RULE, yes) for (unit, _, _), yes in zip(units, held, strict=True) if RULE.search(unit.text)]
    return Coverage(
        file=document.file,
        facts=sum(len(facts.get(section.id, ())) for section in document.sections),
        sentences=len(units),
        covered=sum(held),
        characters=sum(len(unit.text) for unit, _, _ in units),
        covered_characters=sum(len(unit.text) for (unit, _, _), yes in zip(units, held, strict=True) if yes),
        missed=tuple(plain(unit.text) for (unit, _, _), yes in zip(units, held, strict=True) if not yes),
        units=counts([(unit.kind, yes) for (unit, _, _), yes in zip(units, held, strict=True)]),
        values=counts([*((value.kind, yes) for _, _, value, yes in values), *rules]),
        missed_values=tuple(in_place(unit, section, value) for unit, section, value, yes in values if not yes),
        missed_sections=tuple(section.place for section in document.sections if not facts.get(section.id)),
    )


UNIT_RULE = "rule"


def counts(found: Sequence[tuple[str, bool]]) -> dict[str, tuple[int, int]]:
    """Kind → how many there are, and how many of them are held."""
    kinds = dict.fromkeys(kind for kind, _ in found)
    return {kind: (sum(k == kind for k, _ in found), sum(yes for k, yes in found if k == kind)) for kind in kinds}


def overlaps(unit: Unit, fact: Fact) -> bool:
    """Whether a fact's value shares a character with a unit."""
    return fact.start < unit.start + len(unit.text) and unit.start < fact.end


def covers(section: Section, value: Value, facts: Sequence[Fact]) -> bool:
    """Whether a fact of the section holds a value: as its own, or in what it says about its own."""
    if any(fact.start < value.end and value.start < fact.end for fact in facts):
        return True
    words = canonical(section.text[value.start : value.end])
    return any(holds(canonical(f"{fact.subject}; {fact.relation}; {fact.business}"), words) for fact in facts)


def in_place(unit: Unit, section: Section, value: Value) -> str:
    """A value, and the sentence, item or row that it stands in."""
    around = " ".join(unit.row.split())
    return f"{value.kind} {section.text[value.start : value.end]}: {around[:LONGEST_SHOWN]}{'…' * (len(around) > LONGEST_SHOWN)}"


def values_of(unit: Unit) -> Iterator[Value]:
    """The typed values, names and other numbers of a unit, at their offsets in its section."""
    found = [*find_values(unit.text)]
    for name in names_in(unit.text):
        at = unit.text.find(name)
        found.append(Value(at, at + len(name), "name"))
    typed = list(found)
    for match in NUMBER.finditer(unit.text):
        number = Value(match.start(), match.end(), "number")
        if not any(number.overlaps(other) for other in typed):
            found.append(number)
    yield from (Value(unit.start + v.start, unit.start + v.end, v.kind) for v in sorted(found, key=lambda v: v.start))


def units_of(section: Section) -> list[Unit]:
    """The sentences, items and cells of a section, each once, with their offsets."""
    topic = section.headings[-1] if section.headings else ""
    found = {block.start: block for block in blocks(section.text, topic) if block.kind != "answer"}
    return [
        Unit(unit_kind(section.text, block), start, block.text, plain(block.evidence or block.text))
        for start, block in sorted(found.items())
    ]


def unit_kind(text: str, block: Block) -> str:
    """The kind of a block in words for people."""
    line = text[text.rfind("\n", 0, block.start) + 1 : block.start]
    item = block.kind == "sentence" and (match := MARK.match(line)) and match.group().strip(" >")
    return "list item" if item else UNITS[block.kind]
