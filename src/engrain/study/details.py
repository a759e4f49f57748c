"""Details: what a writer lists in the documents as facts, and how a fact is shown to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from engrain.documents.base import Section
from engrain.knowledge.blocks import Block, plain
from engrain.knowledge.dates import STAMP_KEY
from engrain.knowledge.extract import GAP, Detail, text_kind
from engrain.knowledge.facts import Fact, fact_of, facts_at
from engrain.knowledge.parse import parse_all
from engrain.knowledge.values import kind_of

UNNOTICED = 0.3
"""Weight of a fact in words that a writer does not list among its sentence's details."""
SHORTEST_SENTENCE = 4
"""Words of a sentence that can hold details."""
LEAST_LEFT = 3
"""Words of a sentence beside a listed detail."""
LEAST_STATED = 2
"""Words of its statement beside it."""
VERBS = ("VERB", "AUX")
SPACED = re.compile(r" ([,.;:)])")
"""A mark that a space before it was left of."""


def is_sentence(block: Block) -> bool:
    """Whether a block is a statement of some words: cells and short items are whole facts already."""
    return block.kind != "cell" and len(block.text.split()) >= SHORTEST_SENTENCE


def spans_in(text: str, details: Sequence[str]) -> list[tuple[int, int]]:
    """Where the details stand in a text, each once; one that does not stand there verbatim is left out."""
    found = [(text.find(detail), len(detail)) for detail in details]
    return [(start, start + length) for start, length in found if start >= 0 and length < len(text)]


def spans_by_section(listed: Sequence[tuple[Section, Block, tuple[int, int]]]) -> dict[str, list[tuple[int, int]]]:
    """Section id → where its listed details stand in its text."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for section, block, (start, end) in listed:
        spans.setdefault(section.id, []).append((block.start + start, block.start + end))
    return spans


def merged(facts: Sequence[Fact], listed: Sequence[tuple[Section, Block, tuple[int, int]]], business: str) -> list[Fact]:
    """The facts with less weight for those in words that are not listed, and new ones for each listed detail that none holds."""
    spans = spans_by_section(listed)
    known = [
        replace(f, weight=1.0 if overlaps(f, spans.get(f.section, ())) else UNNOTICED) if f.kind == "text" and f.form == "statement" else f
        for f in facts
    ]
    values: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.kind != "yesno":
            values.setdefault(fact.section, []).append(fact)
    missing = [
        (section, block, span)
        for section, block, span in listed
        if not any(overlaps(fact, [(block.start + span[0], block.start + span[1])]) for fact in values.get(section.id, ()))
    ]
    return list({f.id: f for f in [*known, *new_facts(constituents(missing), business)]}.values())


def constituents(listed: Sequence[tuple[Section, Block, tuple[int, int]]]) -> list[tuple[Section, Block, tuple[int, int]]]:
    """The listed details that are one part of their sentence, beside which some words are left to ask with."""
    long = [each for each in listed if len(f"{each[1].text[: each[2][0]]} {each[1].text[each[2][1] :]}".split()) >= LEAST_LEFT]
    docs = parse_all(block.text for _, block, _ in long)
    return [each for each, doc in zip(long, docs, strict=True) if is_constituent(doc.char_span(*each[2], alignment_mode="expand"))]


def is_constituent(span: Any) -> bool:
    """Whether one word of a parsed span, if any, is all that links it to what stands around it: "a cup and saucer", not "a cup and go"."""
    tops = [t for t in span or () if not (t.is_punct or t.is_space) and (t.head == t or not span.start <= t.head.i < span.end)]
    joined = [t for t in span or () if t.dep_ == "conj" and t.pos_ in VERBS and t.head.pos_ not in VERBS]
    return len(tops) == 1 and not joined


def new_facts(listed: Sequence[tuple[Section, Block, tuple[int, int]]], business: str) -> list[Fact]:
    """Listed details as facts: each with the statements that hold it, or else with its whole sentence; none that is all of it."""
    sections = list({section.id: section for section, _, _ in listed}.values())
    spans = spans_by_section(listed)
    stated = facts_at(spans, sections, business)
    held = {(fact.section, fact.start, fact.end) for fact in stated}
    loose = [
        whole_sentence(section, block, span, business)
        for section, block, span in listed
        if (section.id, block.start + span[0], block.start + span[1]) not in held
    ]
    return [replace(fact, weight=1.0) for fact in (*stated, *loose) if len(fact.relation.split()) > LEAST_STATED]


def whole_sentence(section: Section, block: Block, span: tuple[int, int], business: str) -> Fact:
    """A listed detail as a fact: what it says is its sentence with a gap."""
    start, end = span
    value = block.text[start:end]
    relation = f"{plain(block.text[:start])} {GAP} {plain(block.text[end:])}".strip(" .") + "."
    topic = plain(section.headings[-1]) if section.headings else ""
    detail = Detail(
        block.start + start, block.start + end, kind_of(value) or text_kind(value), "", SPACED.sub(r"\1", relation), plain(block.text)
    )
    return fact_of(detail, section, topic, business)


def in_order(facts: Sequence[Fact], sections: Sequence[Section]) -> list[Fact]:
    """The facts in the order in which they stand in the sections."""
    order = {section.id: i for i, section in enumerate(sections)}
    return sorted(facts, key=lambda fact: (order[fact.section], fact.start))


def overlaps(fact: Fact, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether a fact's value shares a character with any of the spans."""
    return any(fact.start < end and start < fact.end for start, end in spans)


STAMPED = re.compile(rf"(?:{STAMP_KEY.pattern}) {GAP}", re.IGNORECASE)
"""How a line begins that says when a text was written."""


def worth_asking(fact: Fact) -> bool:
    """Whether people would ask for the value; a model takes the day on which a notice was posted for that of what it tells."""
    stamp = STAMP_KEY.fullmatch(fact.subject) or (fact.kind == "date" and STAMPED.match(fact.relation))
    return fact.kind != "yesno" and fact.weight >= 0.5 and not stamp


def place(fact: Fact, sections: Mapping[str, Section]) -> tuple[str, str, str, str]:
    """A fact as the prompts of the skills name it: heading, sentence, value and what stands before the sentence."""
    return headed(fact.business, sections[fact.section]), fact.evidence, fact.value, fact.before


def headed(business: str, section: Section) -> str:
    """Business and section heading, as the lessons name a passage."""
    return " › ".join(part for part in (business, *section.headings[-1:]) if part)
