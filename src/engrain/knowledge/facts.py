"""Facts: what the documents say, each with a value that stands verbatim in its source."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from engrain.documents.base import Document, Section
from engrain.errors import DocumentError
from engrain.knowledge.blocks import blocks, plain, sentence_before
from engrain.knowledge.extract import GAP, Detail, details
from engrain.knowledge.memory import Memory
from engrain.knowledge.sheets import BY, Sheets
from engrain.knowledge.values import MONTH
from engrain.knowledge.words import PROPER_TAILS, ROLE_ENDINGS


@dataclass(frozen=True)
class Fact:
    """One thing the documents say about a subject.

    `value == section.text[start:end]` always holds. `kind` is the type of the value: money, time, date, duration,
    count, measure, percent, person, place, contact, name, yesno or text. `evidence` is the sentence, table row or
    list item it stands in.

    `relation` is one of three things: a statement that holds `___` where the value belongs ("Reception is in
    ___."; a yes/no fact's statement has no gap), a question that the documents answer themselves ("Where can I
    park?"), or the name of an attribute ("price"). `topic` is the heading it stands under, `business` whose
    document it is. `weight` is how much it is practised: people ask for prices, times, names and what the documents
    themselves ask; less for the rest. `edited` marks what people changed or added by hand. `before` is what the evidence
    needs beside it: the sentence before it, or of a table row the table's header.
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
    weight: float = 1.0
    edited: bool = False
    before: str = ""

    @property
    def in_context(self) -> str:
        """The evidence, below its heading and after what it needs beside it."""
        return " ".join(part for part in (self.topic and f"{self.topic}.", self.before, self.evidence) if part)

    @property
    def form(self) -> str:
        """How the relation is written: statement, question or attribute."""
        if self.relation.endswith("?"):
            return "question"
        return "statement" if GAP in self.relation or self.relation.endswith(".") else "attribute"


VAGUE_KINDS = ("text", "yesno")
WEIGHTS = {"question": 1.0, "attribute": 0.7, "statement": 0.5}
"""Weights of facts whose value has no type, by the form of their relation."""


def find_facts(documents: Sequence[Document], business: str = "") -> list[Fact]:
    """Every fact that the rules find, in reading order, each value once per relation.

    `business` overrides the name guessed from the documents. Raises DocumentError when there is nothing to learn.
    """
    name = business or business_name(documents)
    found: dict[str, Fact] = {}
    sections = [section for document in documents for section in document.sections]
    memory = memory_of(sections, name)
    for section in sections:
        for fact in section_facts(section, memory, name):
            found.setdefault(fact.id, fact)
    if not found:
        files = [f"{d.file}: {sum(len(s.text.split()) for s in d.sections)} words" for d in documents] or ["no documents were given"]
        raise DocumentError(
            "No facts were found in the documents.",
            "Add documents with full sentences, lists, tables or questions and answers in English.",
            files,
        )
    return settle_people(list(found.values()))


def memory_of(sections: Sequence[Section], business: str) -> Memory:
    """What all sections tell about words before the first is read."""
    text = "\n".join(section.text for section in sections)
    lowered = frozenset(re.findall(r"(?<=[a-z,] )[a-z][a-z’'-]+(?![\w.]*[@/]|\.\w)", text))
    named = frozenset(re.findall(r"(?<=[a-z,] )[A-Z][\w’'-]+", text))
    return Memory(topic=business, lowered=lowered, named=named, sheets=Sheets.of(sections))


def facts_at(spans: Mapping[str, Sequence[tuple[int, int]]], sections: Sequence[Section], business: str) -> list[Fact]:
    """The facts whose values stand at these spans of the sections' texts, by section id; a value may have none."""
    memory = memory_of(sections, business)
    return [
        fact
        for section in sections
        if section.id in spans
        for fact in section_facts(section, memory, business, spans[section.id])
        if (fact.start, fact.end) in spans[section.id]
    ]


def settle_people(facts: list[Fact]) -> list[Fact]:
    """The facts with one kind for each name: a person everywhere if anywhere, one word alone only as part of such a name."""
    people = {
        f.value
        for f in facts
        if f.kind == "person" and len(f.value.split()) > 1 and not NOT_PEOPLE.search(f.value) and f.value not in f.business
    }
    named = [f for f in facts if full_name(f.value) and f.value not in f.business]
    people |= {f.value for f in named if does_what_people_do(f) or OF_PERSON.fullmatch(f.relation.lower())}
    people |= {f.subject for f in facts if names_person(f)}
    parts = {word for name in people for word in name.split()}

    def kind(fact: Fact) -> str:
        titled = re.match(
            r"(?:the|our|a|an|their) (?!.*\b(?:in|at|of|on|from|near|by|for|to|with|between) )[a-z -]+ ((?:[A-Z][\w’'-]+ ?){2,3})$",
            fact.value,
        )
        if titled and full_name(titled.group(1)):
            return "person"
        if all(name in people for name in re.split(r" and |, ", fact.value)) or (fact.kind in {"person", "name"} and fact.value in parts):
            return "person"
        return "name" if fact.kind == "person" and fact.form == "statement" else fact.kind

    return [replace(f, kind=kind(f)) for f in facts]


NOT_PEOPLE = re.compile(rf"\b(?:{'|'.join(sorted(PROPER_TAILS))})\b|\d")
ROLE = re.compile(rf"^{GAP} is (?:an?|the|our|their|[A-Z][\w’' ]+) [\w -]*(?:{ROLE_ENDINGS})\b")


def does_what_people_do(fact: Fact) -> bool:
    """Whether a statement gives its value a role or a human act, or a table's column holds people."""
    if fact.form == "attribute":
        return bool(PEOPLE_COLUMN.search(fact.relation))
    return bool(ROLE.search(fact.relation) or ACT.search(fact.relation))


ACT = re.compile(
    rf"^{GAP} (?:teaches|taught|leads|led|runs|ran|keeps|lives|looks after|handles|manages|founded|joined|wrote|works|worked|trained|"
    r"answers|drives|bakes|paints|mends|repairs|used to)\b|"
    rf"\b[a-z]+(?:ed|en|un|ht|lt|ld|ft|ng|de|nt) by {GAP}"
)
PEOPLE_COLUMN = re.compile(
    r"\b(?:teacher|tutor|leader|trainer|coach|driver|manager|contact|person|staff|who|name|host|instructor|owner|maker)s?\b", re.IGNORECASE
)


PERSON_NAME_COLUMN = re.compile(
    r"(?:teacher|tutor|leader|trainer|coach|driver|person|staff|employee|colleague|volunteer|instructor)s?(?: member)?(?: name)?"
)
NAME_COLUMN = re.compile(r"(?:full |first )?names?|who")
OF_PERSON = re.compile(rf"{PERSON_NAME_COLUMN.pattern}|{BY.pattern}|(?:\w+ed|made|led|run|taught) by")
OF_PERSON_COLUMN = re.compile(r"role|position|job|job title")
BESIDE_PERSON_COLUMN = re.compile(
    r"title|function|post|ext(?:ension|\.)?|born|joined|duties|department|responsib\w+|(?:with us|here|employed|member) since"
)
"""What columns are called, in small letters: names of people; of anything; whom a full name below is; what only people have; what has
a name if it is a person.
"""


WITHIN = ("postcode",)
"""Attributes that no column is called by: a part of what another column holds."""


def columns(fact: Fact) -> list[str]:
    """What the columns of a table's row are called, its name's first; nothing for an item of a list."""
    told = fact.relation in WITHIN and ": " in fact.evidence
    if fact.form != "attribute" or fact.evidence.startswith(fact.subject) or not (told or f"{fact.relation}: " in fact.evidence):
        return []
    cells = [cell.partition(":") for cell in fact.evidence.split("; ")]
    names = [name.strip() for name, _, _ in cells]
    at = next((n for n, (_, _, cell) in enumerate(cells) if f"{fact.subject}, ".startswith(f"{cell.strip()}, ")), 0)
    return [names[at], *names[:at], *names[at + 1 :]]


def names_person(fact: Fact) -> bool:
    """Whether a row or an item is a person's, as the table's columns or the item's role tell."""
    if fact.form != "attribute" or not full_name(fact.subject) or fact.subject in fact.business:
        return False
    first, *others = [name.lower() for name in columns(fact)] or [""]
    if not first:
        return fact.relation in {"duties", "work"} or bool(OF_PERSON_COLUMN.fullmatch(fact.relation.lower()))
    if PERSON_NAME_COLUMN.fullmatch(first) or any(OF_PERSON_COLUMN.fullmatch(name) for name in others):
        return True
    return bool(NAME_COLUMN.fullmatch(first)) and any(BESIDE_PERSON_COLUMN.fullmatch(name) for name in others)


def people_in(facts: Iterable[Fact]) -> frozenset[str]:
    """What the facts call people: the values that are persons, the rows and items that are a person's, and each word of these names."""
    names = {name for f in facts for name, known in ((f.value, f.kind == "person"), (f.subject, names_person(f))) if known}
    return frozenset({word for name in names for word in (name, *name.split())})


def whole_name(name: str, people: Collection[str]) -> str:
    """The full name of a person who is called by one of its words, where only one has it; any other name as it is."""
    whole = {other for other in people if full_name(other) and name in other.split()} if name in people else set()
    return whole.pop() if len(whole) == 1 else name


def full_name(text: str) -> bool:
    """Whether a text is two to four capitalised words that name no place or firm."""
    words = text.split()
    return 2 <= len(words) <= 4 and all(w[:1].isupper() for w in words) and not NOT_PEOPLE.search(text)


def business_name(documents: Sequence[Document]) -> str:
    """The name that the documents go by: the proper name that titles and texts repeat most, or "" where none stands out.

    Of several documents two name it, or one in its title or first of all; what else one of them repeats is what that is about.
    Where its addresses have a name in them, it is that one. Where there is none it may be one word: see `word_opening`.
    """
    votes: Counter[str] = Counter()
    named, opened = defaultdict[str, set[str]](set), set[str]()
    for document in documents:
        heads = {document.title, *(heading for section in document.sections for heading in section.headings)}
        body = "\n".join(ROWS.sub("", section.text) for section in document.sections)
        for name in names_in(body):
            votes[name] += 1
            named[name].add(document.file)
        for head in heads:
            for name in names_in(in_small(head)):
                votes[name] += IN_TITLE if head == document.title else IN_HEADING
                named[name].add(document.file)
        opening = NAME.match(document.sections[0].text.lstrip()) if document.sections else None
        if opening:
            votes[opening.group()] += IN_TITLE
            opened.add(opening.group())
    whole = {
        name: count + sum(c for other, c in votes.items() if other != name and name.startswith(other) and count * RARER >= c)
        for name, count in votes.items()
    }
    host = own_host(documents)
    addressed = [name for name in whole if host and in_letters(name).startswith(host)]
    best = max(addressed or whole, key=lambda name: (whole[name], len(name)), default="")
    if addressed:
        return best
    spread = len(documents) == 1 or len(named[best]) > 1 or best in opened or any(best in document.title for document in documents)
    return best if best and whole[best] >= OFTEN and spread else word_opening(documents)


def own_host(documents: Sequence[Document]) -> str:
    """What the host of most addresses in the documents is called, where they give it often enough; else ""."""
    found = Counter(host for document in documents for section in document.sections for host in HOST.findall(section.text.lower()))
    host, count = max(found.items(), key=lambda item: item[1], default=("", 0))
    return in_letters(host) if count >= OFTEN else ""


def in_letters(name: str) -> str:
    """A name as it stands in an address: small letters alone."""
    return re.sub(r"[^a-z]", "", re.sub(r"\b(?:the|and)\b", "", name.lower()))


def word_opening(documents: Sequence[Document]) -> str:
    """The capitalised word that a document begins with, and that headings or texts repeat, never small; "" where there is none."""
    text = "\n".join(ROWS.sub("", section.text) for document in documents for section in document.sections)
    heads = " | ".join(heading for document in documents for section in document.sections for heading in section.headings)
    small, said = set(re.findall(r"\b[a-z][\w’'-]+", text)), Counter(WORD_NAME.findall(text))
    firsts = {first[1] for d in documents if d.sections and (first := WORD_NAME.match(d.sections[0].text.lstrip()))}
    found = [word for word in sorted(firsts) if word.lower() not in small and (said[word] >= OFTEN or word in WORD_NAME.findall(heads))]
    return max(found, key=said.__getitem__, default="")


def names_of(facts: Iterable[Fact]) -> tuple[str, ...]:
    """What people call the one business that the facts are about: its name, and what that begins with; nothing where there are several."""
    names = {fact.business.removeprefix("The ") for fact in facts if fact.business}
    words = names.pop().split() if len(names) == 1 else []
    return tuple(" ".join(words[:count]) for count in range(len(words), 0, -1) if words[count - 1].lower() not in LINKING)


WORD_NAME = re.compile(r"(?<![\w’'-])(?<![A-Z]\w )([A-Z][^\W\d_][\w-]{2,})\b(?! [A-Z])")
HOST = re.compile(r"(?:@|https?://|\bwww\.)(?:www\.)?([a-z\d-]{4,})\.[a-z]")
OFTEN = 3
"""How often the documents say what they go by."""
IN_TITLE, IN_HEADING = 6, 2
"""How often a name counts that titles a document or begins its text, and one in a heading."""
RARER = 4
"""How much rarer a name can be than its own beginning, which is that name cut short: "Orrin Boats Ltd"."""
LINKING = ("&", "and", "of", "the", "at", "in", "for")
"""What no name ends in."""
ROWS = re.compile(r"^\|.*", re.MULTILINE)
"""Rows of tables, which repeat the names of what a business offers and not its own."""
NAME = re.compile(r"\b[A-Z][\w’'-]+(?: (?:& |and |of |the )?[A-Z][\w’'-]+)+")
OPENERS = re.compile(r"\b(?:Welcome to|About|Welcome|The|At|Our|Your|What|How|When|Where|If|In|For|On|We|It)\b")


CAPITALS = re.compile(r"\b[A-Z][A-Z’'&]+(?: (?:& )?[A-Z][A-Z’']+)+\b")


def in_small(heading: str) -> str:
    """A heading, words of it that are all in capitals as a name of its own, with a capital each."""
    return CAPITALS.sub(lambda found: f"{found.group().title()};", heading)


def names_in(text: str) -> list[str]:
    """The proper names of two words and more in a text."""
    return [name for name in NAME.findall(OPENERS.sub(";", text)) if not re.search(rf"\b{MONTH}|day\b", name)]


def section_facts(section: Section, memory: Memory, business: str = "", listed: Sequence[tuple[int, int]] = ()) -> Iterator[Fact]:
    """The facts of one section, in reading order; `memory` brings what all documents tell about words (see `extract.details`)."""
    topic = plain(section.headings[-1]) if section.headings else ""
    parts = memory.sheets.cells(blocks(section.text, topic), section.headings, business)
    thing = memory.sheets.name(section.headings)
    for found in details(section.text, parts, topic, replace(memory, topic=business or topic, heading=thing), listed):
        if found.relation.strip() == f"{GAP}." and found.kind in ALONE:
            found = said_alone(found, thing if thing != business else "")
        if found.relation.count(GAP) <= 1:  # "book ___ is ___" says nothing: the value is part of what it would be said of
            yield fact_of(found, section, topic, business)


ALONE = ("money", "date", "time", "duration", "place")
"""Kinds of values that say something of what a heading names where they stand below it alone: "£38 a month." """
OWN_PLACE = re.compile(r"(?:where|how to|find|finding|visit|visiting|contact|our|address|location|getting)\b", re.IGNORECASE)
"""How headings begin below which the business says where it is."""


def said_alone(found: Detail, thing: str) -> Detail:
    """A value that stands alone below a heading, as what is said of the thing that this names; an address may be the business's."""
    if found.kind == "place" and (not thing or OWN_PLACE.match(thing)):
        return replace(found, subject="Address", relation="place")
    return replace(found, subject=thing, relation=found.kind, evidence=f"{thing}: {found.evidence}") if thing else found


def fact_of(found: Detail, section: Section, topic: str, business: str) -> Fact:
    """A detail of a section as a fact, with an identity that lasts as long as its place and wording."""
    identity = hashlib.sha256(f"{section.id}|{found.start}|{found.end}|{found.relation}".encode()).hexdigest()[:12]
    value = section.text[found.start : found.end]
    before = sentence_before(section.text, found.evidence)
    told = (found.subject, found.relation, value, found.kind, found.evidence)
    fact = Fact(identity, *told, section.id, found.start, found.end, topic, business, before=before)
    return replace(fact, weight=WEIGHTS[fact.form]) if fact.kind in VAGUE_KINDS else fact
