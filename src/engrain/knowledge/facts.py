"""Facts: what the documents say, each with a value that stands verbatim in its source."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engrain.documents.base import Document, Section
from engrain.errors import DocumentError
from engrain.knowledge.blocks import Block, blocks, plain
from engrain.knowledge.clauses import Clause, Memory, clauses, is_person, noun_phrase
from engrain.knowledge.parse import children, parse_all
from engrain.knowledge.values import MONTH, Value, find_values, kind_of

GAP = "___"
PLACE_PREPOSITIONS = {
    "in",
    "at",
    "on",
    "behind",
    "beside",
    "under",
    "above",
    "opposite",
    "near",
    "outside",
    "inside",
    "below",
    "by",
    "next",
}
RULE_WORDS = re.compile(
    r"\b(?:may|must|cannot|can|can't|not|never|no|free|allowed|forbidden|welcome|required|optional|permitted|prohibited|available|accepted|included|compulsory)\b"
)
VAGUE = {
    "it",
    "them",
    "us",
    "you",
    "me",
    "him",
    "her",
    "this",
    "that",
    "these",
    "those",
    "one",
    "anything",
    "something",
    "everything",
    "which",
    "what",
    "who",
    "all",
}
MAX_WORDS = 10


@dataclass(frozen=True)
class Fact:
    """One thing the documents say about a subject.

    `value == section.text[start:end]` always holds. `kind` is the type of the value: money, time, date, duration,
    count, measure, percent, person, place, contact, name, yesno or text. `evidence` is the sentence, table row or
    list item it stands in.

    `relation` is one of three things: a statement that holds `___` where the value belongs ("Reception is in
    ___."; a yes/no fact's statement has no gap), a question that the documents answer themselves ("Where can I
    park?"), or the name of an attribute ("price"). `topic` is the heading it stands under, `business` whose
    document it is.
    """

    id: str
    subject: str
    relation: str
    value: str
    kind: str
    evidence: str
    section: str
    start: int
    end: int
    topic: str = ""
    business: str = ""

    @property
    def form(self) -> str:
        """How the relation is written: statement, question or attribute."""
        if self.relation.endswith("?"):
            return "question"
        return "statement" if GAP in self.relation or self.relation.endswith(".") else "attribute"


def find_facts(documents: Sequence[Document], business: str = "") -> list[Fact]:
    """Every fact that the rules find, in reading order, each value once per relation.

    `business` overrides the name guessed from the documents. Raises DocumentError when there is nothing to learn.
    """
    name = business or business_name(documents)
    found: dict[str, Fact] = {}
    text = "\n".join(section.text for document in documents for section in document.sections)
    lowered = frozenset(re.findall(r"(?<=[a-z,] )[a-z][a-z’'-]+", text))
    named = frozenset(re.findall(r"(?<=[a-z,] )[A-Z][\w’'-]+", text))
    for document in documents:
        for section in document.sections:
            for fact in section_facts(section, Memory(topic=name, lowered=lowered, named=named), name):
                found.setdefault(fact.id, fact)
    if not found:
        files = [f"{d.file}: {sum(len(s.text.split()) for s in d.sections)} words" for d in documents] or ["no documents were given"]
        raise DocumentError(
            "No facts were found in the documents.",
            "Add documents with full sentences, lists, tables or questions and answers in English.",
            files,
        )
    return settle_people(list(found.values()))


def settle_people(facts: list[Fact]) -> list[Fact]:
    """The facts with one kind for each name: a person everywhere if anywhere, one word alone only as part of such a name."""
    people = {f.value for f in facts if f.kind == "person" and len(f.value.split()) > 1 and not NOT_PEOPLE.search(f.value)}
    people |= {f.value for f in facts if f.kind in {"name", "text"} and ROLE.search(f.relation) and full_name(f.value)}
    parts = {word for name in people for word in name.split()}

    def kind(fact: Fact) -> str:
        if fact.value in people or (fact.kind in {"person", "name"} and fact.value in parts):
            return "person"
        return "name" if fact.kind == "person" and fact.form == "statement" else fact.kind

    return [replace(f, kind=kind(f)) for f in facts]


NOT_PEOPLE = re.compile(
    r"\b(?:Street|Road|Lane|Lake|Hotel|Court|Library|Café|School|Hospital|Ltd|GmbH|Centre|Center|House|Hall|Room|Club|Inn|Park|Square|[Tt]he|and)\b|\d"
)
ROLE = re.compile(
    r"^___ is (?:an?|the|our|their|[A-Z][\w’' ]+) [\w -]*(?:er|or|ist|ian|ant|ent|man|woman|warden|chef|nurse|clerk|smith|partner|head|chair|nephew|niece|brother|sister)\b"
)


def full_name(text: str) -> bool:
    """Whether a text is two to four capitalised words that name no place or firm."""
    words = text.split()
    return 2 <= len(words) <= 4 and all(w[:1].isupper() for w in words) and not NOT_PEOPLE.search(text)


def business_name(documents: Sequence[Document]) -> str:
    """The name that the documents go by: the proper name that titles and texts repeat most, or "" where none stands out."""
    votes: Counter[str] = Counter()
    for document in documents:
        heads = {document.title, *(heading for section in document.sections for heading in section.headings)}
        body = "\n".join(section.text for section in document.sections)
        for name in names_in(body):
            votes[name] += 1
        for head in heads:
            for name in names_in(head):
                votes[name] += 2
        opening = NAME.match(document.sections[0].text.lstrip()) if document.sections else None
        if opening:
            votes[opening.group()] += 6
    whole = {
        name: count + sum(c for other, c in votes.items() if other != name and name.startswith(other)) for name, count in votes.items()
    }
    best = max(whole, key=lambda name: (whole[name], len(name)), default="")
    return best if best and whole[best] >= 3 else ""


NAME = re.compile(r"\b[A-Z][\w’'-]+(?: (?:& |and |of |the )?[A-Z][\w’'-]+)+")
OPENERS = re.compile(r"\b(?:Welcome to|About|Welcome|The|At|Our|Your|What|How|When|Where|If|In|For|On|We|It)\b")


def names_in(text: str) -> list[str]:
    """The proper names of two words and more in a text."""
    return [name for name in NAME.findall(OPENERS.sub(";", text)) if not re.search(rf"\b{MONTH}|day\b", name)]


def section_facts(section: Section, memory: Memory, business: str = "") -> Iterator[Fact]:
    """The facts of one section, in reading order; `memory` brings what all documents tell about words."""
    topic = plain(section.headings[-1]) if section.headings else ""
    memory = replace(memory, topic=business or topic)
    parts = blocks(section.text, topic)
    for block, doc in zip(parts, parse_all(block.text for block in parts), strict=True):
        maker = Maker(section, block, topic, business)
        if block.kind == "cell":
            yield from maker.cell()
        elif block.kind == "pair":
            yield from maker.pair(doc, memory)
        elif block.kind == "answer":
            yield from maker.answer()
        else:
            yield from maker.sentence(doc, memory)


@dataclass(frozen=True)
class Maker:
    """Makes the facts of one block."""

    section: Section
    block: Block
    topic: str
    business: str

    def fact(self, start: int, end: int, kind: str, subject: str, relation: str) -> Fact:
        """A fact whose value is the block's text from `start` up to `end`."""
        begin, stop = self.block.start + start, self.block.start + end
        value = self.section.text[begin:stop]
        key = f"{self.section.id}|{begin}|{stop}|{relation}"
        identity = hashlib.sha256(key.encode()).hexdigest()[:12]
        evidence = plain(self.block.evidence or self.block.text)
        return Fact(identity, subject, relation, value, kind, evidence, self.section.id, begin, stop, self.topic, self.business)

    def cell(self) -> Iterator[Fact]:
        """The fact of a table's cell: the row's subject, the column's attribute."""
        text = self.block.text
        yield self.fact(0, len(text), kind_of(text) or text_kind(text), self.block.key, self.block.column)

    def answer(self) -> Iterator[Fact]:
        """The answer that the documents give to their own question."""
        text = self.block.text.rstrip(" .!;")
        end = len(text) if len(text.split()) <= 28 else text.find(",") if 0 < text.find(",") < 160 else 0
        if end:
            kind = "yesno" if re.match(r"(?:Yes|No)\b", text) else kind_of(text[:end]) or "text"
            yield self.fact(0, end, kind, self.topic, self.block.key)

    def pair(self, doc: Any, memory: Memory) -> Iterator[Fact]:
        """The facts of a `Key: value` item: each typed value, the whole where it is short, and clauses in it."""
        text, seen = self.block.text, set()
        for value in find_values(text):
            if not fills_segment(text, value):
                continue
            noun = re.match(r" ([a-z]+)\b", text[value.end :]) if value.kind == "money" and seen else None
            relation = noun.group(1) if noun and noun.group(1) in {"deposit", "fee", "discount", "supplement", "surcharge"} else value.kind
            if relation not in seen:
                yield self.fact(value.start, value.end, value.kind, self.block.key, relation)
            seen.add(relation)
        whole = re.match(r"[^;(]+?(?=[.;(]*\s*(?:[;(].*|\.?)$)", text)
        if whole and len(whole.group().split()) <= 16 and not kind_of(whole.group()):
            yield self.fact(0, len(whole.group().rstrip(" .,")), text_kind(whole.group()), self.block.key, "details")
        if re.search(r"\b(?:is|are|was|were|may|must|can|will|has|have)\b", text):
            yield from self.statements(doc, memory)

    def sentence(self, doc: Any, memory: Memory) -> Iterator[Fact]:
        """The facts of a sentence: those of its statements, and the typed values that no statement holds."""
        found = list(self.statements(doc, memory))
        yield from found
        spans = [(f.start - self.block.start, f.end - self.block.start) for f in found]
        for value in find_values(self.block.text):
            if not any(value.overlaps(Value(a, b, "")) for a, b in spans):
                text = self.block.text
                relation = f"{plain(text[: value.start])} {GAP} {plain(text[value.end :])}".rstrip(" .") + "."
                yield self.fact(value.start, value.end, value.kind, memory.thing or self.topic, re.sub(r" ([,.;)])", r"\1", relation))

    def statements(self, doc: Any, memory: Memory) -> Iterator[Fact]:
        """The facts of each statement in a parsed block."""
        values = [(v, doc.char_span(v.start, v.end, alignment_mode="expand")) for v in find_values(self.block.text)]
        typed = [(span.start, span.end, v) for v, span in values if span is not None]
        done: set[tuple[int, int]] = set()
        for clause in clauses(doc, memory):
            for start, end, kind, begin, stop in spans_of(clause, doc, typed):
                if (begin, stop) not in done:
                    done.add((begin, stop))
                    yield self.fact(begin, stop, kind, clause.subject, clause.text(start, end, GAP))
            yield from self.reason(clause, doc)
            yield from self.rule(clause, doc)

    def reason(self, clause: Clause, doc: Any) -> Iterator[Fact]:
        """Why a statement holds, where the sentence says so."""
        if clause.reason:
            a, b = doc[clause.reason[0]], doc[clause.reason[1] - 1]
            relation = clause.text().rstrip(".") + f" because {GAP}."
            yield self.fact(a.idx, b.idx + len(b), "text", clause.subject, relation)

    def rule(self, clause: Clause, doc: Any) -> Iterator[Fact]:
        """What is allowed, forbidden, needed or free: the statement itself is the value."""
        kept = sorted(clause.kept)
        while kept and doc[kept[-1]].is_punct:
            kept.pop()
        statement = clause.text()
        if not kept or not RULE_WORDS.search(statement) or len(statement.split()) > 22:
            return
        gaps = [i for i in range(kept[0], kept[-1] + 1) if i not in clause.kept]
        if len(gaps) <= 1:
            yield self.fact(doc[kept[0]].idx, doc[kept[-1]].idx + len(doc[kept[-1]]), "yesno", clause.subject, statement)


def fills_segment(text: str, value: Value) -> bool:
    """Whether a value is most of what stands between two commas, and outside brackets."""
    start = max(text.rfind(mark, 0, value.start) for mark in ",;.(") + 1
    end = min(at for mark in ",;()" if (at := text.find(mark, value.end)) >= 0) if re.search(r"[,;()]", text[value.end :]) else len(text)
    outside = text.count("(", 0, value.start) == text.count(")", 0, value.start)
    return outside and (value.end - value.start) >= 0.45 * len(text[start:end].strip())


def text_kind(text: str) -> str:
    """Person or place for a short text that looks like one, else text."""
    words = text.split()
    capitals = [w for w in words if w[:1].isupper()]
    if 2 <= len(words) <= 4 and len(capitals) == len(words) and not re.search(r"\d|Street|Road|Lane|Hall|House|Room|Day|[a-z]ing\b", text):
        return "person" if any(span.label_ == "PERSON" for span in parse_all([f"{text} works here."])[0].ents) else "text"
    return "text"


def spans_of(clause: Clause, doc: Any, typed: Sequence[tuple[int, int, Value]]) -> Iterator[tuple[int, int, str, int, int]]:
    """The values of a statement: token span, kind, character span."""
    kept, taken = clause.kept, set()
    for start, end, value in typed:
        if all(i in kept for i in range(start, end)):
            taken |= set(range(start, end))
            yield start, end, value.kind, value.start, value.end
    for token in doc:
        if token.i not in kept or token.i in taken:
            continue
        if token.tag_ == "CD" and token.dep_ == "nummod" and not re.search(r"(?:19|20)\d\d", token.text):
            yield token.i, token.i + 1, "count", token.idx, token.idx + len(token)
        found = phrase_span(token, kept, taken)
        if found:
            a, b = doc[found[0]], doc[found[1] - 1]
            yield found[0], found[1], kind_of_noun(token), a.idx, b.idx + len(b)


def phrase_span(token: Any, kept: set[int], taken: set[int]) -> tuple[int, int] | None:
    """The token span of a noun phrase that answers something, or None."""
    if token.pos_ not in {"NOUN", "PROPN", "NUM"} or token.lower_ in VAGUE or token.dep_ not in {
        "dobj", "attr", "pobj", "nsubj", "nsubjpass", "oprd", "dative",
    }:  # fmt: skip
        return None
    if token.dep_ == "pobj" and (
        token.head.head.pos_ not in {"VERB", "AUX", "ADJ", "ADV"} or (token.head.lower_ in {"of"} and token.head.head.pos_ != "VERB")
    ):
        return None
    if token.dep_.startswith("nsubj") and not (token.pos_ == "PROPN" and (is_person(token) or children(token, "compound"))):
        return None
    indices = [i for i in noun_phrase(token) if i in kept]
    if not indices or indices != list(range(indices[0], indices[-1] + 1)) or len(indices) > MAX_WORDS:
        return None
    if token.doc[indices[0]].lower_ in {"no", "who", "which", "what", "whose"}:
        return None
    if token.dep_ in {"attr", "dobj"} and indices[0] > 0 and token.doc[indices[0] - 1].text == ",":
        return None
    if len(taken & set(indices)) > 0.7 * len(indices) or all(token.doc[i].is_stop for i in indices):
        return None
    return indices[0], indices[-1] + 1


def kind_of_noun(token: Any) -> str:
    """The kind of a noun phrase's value: person, place, name or text."""
    if is_person(token):
        return "person"
    if token.dep_ == "pobj" and token.head.lower_ in PLACE_PREPOSITIONS and token.ent_type_ not in {"DATE", "TIME", "CARDINAL"}:
        return "place" if token.ent_type_ in {"GPE", "LOC", "FAC"} or concrete_place(token) else "text"
    return "name" if token.pos_ == "PROPN" else "text"


PLACES = set(
    ["barn", "boathouse", "street", "building", "room", "office", "village", "town", "city", "hall", "yard", "floor", "lane", "factory", "workshop", "garden", "kitchen", "school", "shop", "house", "station", "island", "shore", "corner", "gate", "door", "entrance", "desk", "park", "square", "road", "cellar", "attic", "court", "reception", "lounge", "laundry", "basement", "library", "church", "museum", "store", "storeroom", "warehouse", "cabinet", "cupboard", "drawer", "shelf", "shed", "garage", "lobby", "studio", "hotel", "hospital", "harbour", "quay", "river", "lake", "wood", "hill", "bridge", "market", "mill", "malthouse", "stairs", "centre", "center", "site", "area", "wall", "counter", "lot", "caravan", "box", "rack", "pool", "gym", "theatre", "cafe", "café", "bar", "pub", "farm", "field", "valley"]
)


def concrete_place(token: Any) -> bool:
    """Whether a noun is one of the common words for places."""
    return token.lemma_.lower() in PLACES
