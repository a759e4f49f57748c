"""Extraction: the details of a section's text, each a value with what it says about which subject."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engrain.knowledge import unsaid
from engrain.knowledge.beside import dated, priced
from engrain.knowledge.blocks import LABEL, LONGEST_ANSWER, Block, plain
from engrain.knowledge.clauses import Clause, clauses
from engrain.knowledge.contacts import called, name_in, owned, owners
from engrain.knowledge.gapping import DENYING, apart
from engrain.knowledge.items import (
    CODE,
    DAYS,
    PLACED,
    WHEN,
    Person,
    days_in,
    definite,
    duties_in,
    hours_in,
    opening,
    people_items,
    segments,
)
from engrain.knowledge.memory import SMALL, Memory, is_person, settle, small_first
from engrain.knowledge.parse import children, first, parse, parse_all, source, subtree
from engrain.knowledge.phrases import noun_phrase
from engrain.knowledge.phrasing import is_plural
from engrain.knowledge.shapes import shape, words
from engrain.knowledge.values import BARE_SUM, CURRENCY, LED, POSTCODE, SIGN, SPAN, Value, find_values, kind_of, with_unit
from engrain.knowledge.words import (
    ABSTRACT,
    AFTER_VERBS,
    BANNED,
    CONTACT_VERBS,
    GENERIC,
    GROUPS,
    HUMANS,
    LIGHT,
    PARTS,
    PLACE_PREPOSITIONS,
    PLACES,
    PRICES,
    TIME_PREPOSITIONS,
    VAGUE,
    WHEN_NOUNS,
    listed,
)

GAP = "___"
UNTELLING = listed("no who which what whose everything anything nothing nobody this that these those such")
ALIKE = GROUPS | listed("sheep deer fish salmon trout aircraft series dozen hundred thousand")
"""Plurals that look like no plural."""
LOOSE = listed("as for of into over through within off like")
ARTICLE = re.compile(r"^(?:an?|the|each|every|one|our) ")
SPEAKER = re.compile(r"\b(?:I am|I['’]m|[Mm]y name is) ((?:[A-Z][\w’-]+ ?){1,3}\b)(?=[,.;]| and\b)")
"""Who it is that says "I"."""
NEW_PARAGRAPH = re.compile(r"\n\s*(?:\n|[-*+•]\s|\d{1,2}[.)]\s)")
MAX_WORDS = 10
MAX_DUTIES = 4
LONGEST_WHOLE = 16
"""Words of an item's text that can be a value as they stand."""
MAX_CHARACTERS = 1500
"""A longer sentence is no sentence but a data dump, and patterns take long on it."""
PRICED = re.compile(rf"\b(?:(?:price|cost|fee|charge|amount)s?\b|{CURRENCY})|{SIGN}", re.IGNORECASE)
FREE_COLUMN = re.compile(
    r"notes?|remarks?|comments?|also|and also|details?|description|about|info|information|more|other|duties|tasks", re.IGNORECASE
)
"""Columns that tell of their rows whatever there is to tell."""
BEFORE_VALUE = re.compile(r"(?:(?:up to|at most|at least|from|only|about|around|over|under|until|within|by|before|after) )?", re.IGNORECASE)
"""What can stand between an item's colon and its value."""
SAYING = re.compile(
    r"(?:an?|the|yes|no|not|only|never|always|also|closed|open|you|we|it|if|please|in|on|at|by|with|for|to|from|up)\b", re.IGNORECASE
)
"""How an item's text begins that does not simply name what its key asks for."""
STREET = re.compile(r"\d+[a-z]?(?:[-–]\d+)? (?:[A-Z][\w’'-]+ ?){1,4}")
TOWN = re.compile(rf"(?:[A-Z][\w’'-]+ ){{1,3}}{POSTCODE}")
"""Lines of an address: house number and street; town and postcode."""
OWN_ADDRESS = re.compile(
    r"(?:our |postal |full |street |visiting )*(?:address|location|where(?: we are| to find us)?|find us)", re.IGNORECASE
)
"""Keys under which the business says where it is."""
OUR = re.compile(r"\b(?:we|us|our)\b", re.IGNORECASE)
ALSO = re.compile(r"(?<=[\w%€])(?:,|;|,? and|, and) ((?:[Tt]he )?[A-Z][\w’'-]*(?: [A-Z][\w’'-]*){0,3}) (?=an? [a-z])")
"""A name after a comma or "and", with what it is but without a verb."""
MARKS = re.compile(r"[;()]|[,:](?=\s)\s*")
NO_SUCH = re.compile(
    r"No ((?!one\b|longer\b|matter\b|more\b|less\b|fewer\b|later\b)(?:[a-z-]+ ){0,2}?[a-z-]+) "
    r"((?:for|on|in|at|after|before|between|until|during|from|within|inside|near) [^,;.(]+)"
)
"""What is forbidden or missing, and when, where or how long."""
BIDDING = re.compile(r"(?!\w*[aeiouyAEIOUY]\w*ing\b)[A-Z][a-z]+ (?:the|your|our|every|each|any|it|them)\b")
"""How an imperative begins, if its first word is a verb: "bring", but not "bringing"."""
JOINED = re.compile(r"(?:and|but|so|while|whereas|though|although)\b ?", re.IGNORECASE)
CONDITIONAL = re.compile(r"(?:if|when|whenever|unless|whoever|once|until|where|in case|should|without)\b", re.IGNORECASE)
DEPENDENT = re.compile(
    r"\b(?:if|when|unless|whoever|once|because|that|which|who|whatever|whom|whose|where|them|it|they|he|she)\b", re.IGNORECASE
)
POINTING = re.compile(r"\b(?:after|until|since|before|by|from) (?:that|then)\b", re.IGNORECASE)
ACTING_ON_IT = re.compile(
    rf"(?:{GAP}|(?:[A-Z][\w’'-]+ )*[A-Z][\w’'-]+|you|we|they) "
    r"(?:(?:may|can|must|should|will|would|could|has|have|had|do|does|did|not|never|always|only|also) )*[a-z-]+ it\b"
)
"""How a statement goes that leaves open what "that", "then" or its object "it" stands for."""
FOR_WHAT = re.compile(r" (?:for(?: [\w’'-]+){1,4}|on top|extra)(?=[,;.(]|$)")
"""What a sum in an item is not without."""
REPLYING = re.compile(r"(?:Yes|No|Sorry)\b")
"""How a sentence opens that says nothing without the question before it."""
RESTRICTED = re.compile(r" (?:that|which|who|whose) [^,;:.()]+(?=\.?$)")
"""What a value at a sentence's end is not without: "every day that we open"."""
RULE_WORDS = re.compile(
    r"\b(?:may|must|cannot|can|can't|not|never|no|free|allowed|forbidden|welcome|required|optional|permitted|prohibited|available|"
    r"accepted|included|compulsory)\b"
)


@dataclass(frozen=True)
class Detail:
    """A value at `start` up to `end` of a section's text; the other fields as in Fact."""

    start: int
    end: int
    kind: str
    subject: str
    relation: str
    evidence: str


def details(text: str, found: Sequence[Block], topic: str, memory: Memory, listed: Sequence[tuple[int, int]] = ()) -> Iterator[Detail]:
    """The details of a section's text, whose blocks were `found`, in reading order; `memory` resolves its pronouns.

    The spans that are `listed` are values beside those that the rules find.
    """
    parts = [block for block in found if len(block.text) <= MAX_CHARACTERS]
    before, addresses, people = "", address_lines(parts), people_items(parts)
    speaker = SPEAKER.search(text)
    memory.speaker = speaker.group(1) if speaker else ""
    end, about = 0, ""
    for block, doc in zip(parts, parse_all(block.text for block in parts), strict=True):
        if opens := block.kind == "answer" or bool(NEW_PARAGRAPH.search(text, end, block.start)) or not end:
            memory.begin_paragraph()
            about = ""
        end = block.start + len(block.text)
        maker = Maker(block, topic, listed_in(block, listed))
        if before:
            yield from maker.explains(before, doc)
        before = leading_statement(block, doc, memory)
        if block.start in addresses:
            owner = f" of {memory.topic}" if memory.topic != topic else ""
            relation = f"the {addresses[block.start]}{owner} is {GAP}."
            yield maker.detail(0, len(block.text.rstrip(" ,.")), "place", memory.topic, relation)
        elif block.kind == "cell":
            yield from maker.cell(memory)
        elif block.start in people:
            yield from maker.person(people[block.start], memory)
        elif block.kind == "pair":
            yield from maker.pair(memory)
        elif block.kind == "answer":
            settle(memory, parse(block.key), replace(memory))
            yield from maker.answer()
        else:
            yield from (specific(each, about) for each in maker.sentence(doc, memory))
            about = name_of(doc, memory) if opens else about


def name_of(doc: Any, memory: Memory) -> str:
    """What a paragraph that begins with this sentence is about: a name that it speaks of, or what it is in place of a sentence.

    Nothing where that is the business, as everything is.
    """
    name = memory.thing or memory.things
    label = not any(t.dep_ == "ROOT" and t.pos_ in {"VERB", "AUX"} for t in doc) and len(name.split()) <= 5
    return name if name != memory.topic and (label or re.search(r"[A-Z]", name[1:])) else ""


def specific(found: Detail, about: str) -> Detail:
    """The detail with what its paragraph is about, where its subject is what every such thing has: "a place for the Summer School"."""
    noun = ARTICLE.sub("", found.subject)
    if not about or noun not in GENERIC or about.lower() in found.relation.lower() or not found.relation.startswith(found.subject):
        return found
    if found.kind == "money" and noun in PRICES and found.relation == f"{found.subject} is {GAP}.":
        return replace(found, subject=about, relation=f"{about} costs {GAP}.")
    subject = f"{found.subject} {'of' if noun in PARTS else 'for'} {about}"
    return replace(found, subject=subject, relation=f"{subject}{found.relation[len(found.subject) :]}")


def listed_in(block: Block, spans: Sequence[tuple[int, int]]) -> tuple[Value, ...]:
    """The values in a sentence's text at those of the section's spans that lie within it."""
    if block.kind != "sentence":
        return ()
    inside = [(a - block.start, b - block.start) for a, b in spans if block.start <= a and b <= block.start + len(block.text)]
    return tuple(Value(a, b, kind_of(block.text[a:b]) or text_kind(block.text[a:b])) for a, b in inside)


def address_lines(parts: Sequence[Block]) -> dict[int, str]:
    """Start → what it is, for the lines of an address: a town with its postcode, and the street right before it."""
    found = {}
    for block, following in itertools.pairwise([*parts, Block("", "", -1)]):
        text, after = block.text.rstrip(" ,."), following.text.rstrip(" ,.")
        if TOWN.fullmatch(text):
            found[block.start] = "town and postcode"
        elif STREET.fullmatch(text) and TOWN.fullmatch(after):
            found[block.start] = "address"
    return found


def leading_statement(block: Block, doc: Any, memory: Memory) -> str:
    """The one statement of a sentence part that ends in a colon, "" for others: what follows explains it."""
    if block.kind != "sentence" or not block.text.endswith(":"):
        return ""
    found = [clause.text() for clause in clauses(doc, replace(memory))]
    return found[0] if len(found) == 1 and RULE_WORDS.search(found[0] + " must") else ""


@dataclass(frozen=True)
class Maker:
    """Makes the details of one block."""

    block: Block
    topic: str
    listed: tuple[Value, ...] = ()

    def values(self) -> list[Value]:
        """The typed values of the block's text and those that are listed beside them, in order."""
        typed = [restricted(self.block.text, value) for value in find_values(self.block.text)]
        new = [value for value in self.listed if not any(value.overlaps(other) for other in typed)]
        return sorted([*typed, *new], key=lambda value: value.start)

    def detail(self, start: int, end: int, kind: str, subject: str, relation: str) -> Detail:
        """A detail whose value is the block's text from `start` up to `end`."""
        begin, stop = self.block.start + start, self.block.start + end
        return Detail(begin, stop, kind, subject, relation, plain(self.block.evidence or self.block.text))

    def cell(self, memory: Memory) -> Iterator[Detail]:
        """The facts of a table's cell: the row's subject, the column's attribute, and what a note tells that goes on like a sentence."""
        text = self.block.text
        priced = PRICED.search(self.block.column) and BARE_SUM.fullmatch(text)
        kind = "money" if priced else kind_of(with_unit(text, self.block.column)) or kind_of(LED.sub("", text, count=1)) or text_kind(text)
        yield self.detail(0, len(text), kind, self.block.key, self.block.column)
        yield from self.postcode(self.block.key)
        subject = definite(self.block.key)
        if FREE_COLUMN.fullmatch(self.block.column) and "," not in subject and opening(text) == " ":
            yield from self.tells(subject, 0, memory)

    def answer(self) -> Iterator[Detail]:
        """The answer that the documents give to their own question."""
        text = self.block.text.rstrip(" .!;")
        if text and len(text.split()) <= LONGEST_ANSWER and not text.endswith(":"):
            kind = "yesno" if re.match(r"(?:Yes|No)\b", text) else kind_of(text) or "text"
            yield self.detail(0, len(text), kind, self.topic, self.block.key)

    def pair(self, memory: Memory) -> Iterator[Detail]:
        """The facts of a `Key: value` item: each typed value, the whole where it is short, and what its text tells of the key."""
        text, key = self.block.text, self.block.key
        whole = re.match(r"[^;(#]+?(?=[.;(#]*\s*(?:[;(#].*|\.?)$)", text)
        if LABEL.match(key) and len(text.split()) > 3:
            if whole and len(whole.group().split()) <= LONGEST_WHOLE:
                yield self.detail(0, len(whole.group().rstrip(" .,")), "text", key, "label")
            return
        found = list(self.typed())
        rest = self.rest(whole.group().rstrip(" .,"), found) if whole else None
        yield from (each for each in found if rest is None or each.relation != rest.relation)
        head = text.split(",")[0].strip(" .")
        if "," in text and text_kind(head) == "person":
            yield self.detail(0, len(head), "person", key, "person")
        if rest:
            yield rest
        yield from self.reached(key)
        yield from self.postcode(memory.topic if OWN_ADDRESS.fullmatch(key) else key)
        yield from self.tells("" if DAYS.match(key) else definite(key), 0, memory)

    def reached(self, key: str = "") -> Iterator[Detail]:
        """Whom and what each phone number and address of the block reaches: who is named before it, or else the `key`."""
        in_key = owners(key) if name_in(key) else ("", "")
        for value, name, place in owned(self.block.text):
            owner = name or in_key[0] or key
            other = place or (key if name else in_key[1])
            if owner:
                yield self.contact(value.start, value.end, owner)
            if owner and other:
                yield self.detail(value.start, value.end, "contact", other, "contact")

    def contact(self, start: int, end: int, owner: str) -> Detail:
        """The number or address at `start` up to `end` of the block's text, of whom or what it reaches."""
        return self.detail(start, end, "contact", owner, called(self.block.text[start:end]))

    def postcode(self, owner: str) -> Iterator[Detail]:
        """The postcode in the address of the owner: what people ask for on their way."""
        code = re.search(POSTCODE, self.block.text)
        if code and owner and code.span() != (0, len(self.block.text)):
            yield self.detail(*code.span(), "text", owner, "postcode")

    def typed(self) -> Iterator[Detail]:
        """The typed values that an item's text begins with or that fill what stands between two commas, one of each attribute."""
        text, seen = self.block.text, set[str]()
        end = 0 if DAYS.match(self.block.key) else hours_in(text)
        if end:
            yield self.detail(0, end, "time", self.block.key, "hours")
        for value in joined_times(text):
            if value.start < end:
                continue
            value = priced_for(text, value)
            if value.kind == "contact":  # see `reached`
                continue
            relation = self.attribute(value, bool(seen))
            begins = BEFORE_VALUE.fullmatch(text[: value.start]) and not re.match(r" (?:before|after|from)\b", text[value.end :])
            if relation not in seen and (begins or fills_segment(text, value)):
                seen.add(relation)
                end = value.end
                yield self.detail(0 if begins else value.start, value.end, value.kind, self.block.key, relation)

    def rest(self, text: str, typed: Sequence[Detail]) -> Detail | None:
        """An item's text as one value where it is short and says more than the `typed` values; what one of these begins it takes in."""
        if len(text.split()) > LONGEST_WHOLE or kind_of(text) not in ("", "count"):
            return None
        opened = max((each.end - each.start for each in typed if each.start == self.block.start), default=0)
        detail = self.whole(text, bool(opened) or any(each.relation == "value" for each in typed))
        if detail.end - detail.start <= opened:
            return None
        timed = any(each.kind == "time" for each in typed) and (DAYS.match(self.block.key) or hours_in(self.block.text))
        return replace(detail, relation="notes") if timed else detail

    def whole(self, text: str, valued: bool) -> Detail:
        """An item's whole text as one value, of the kind that its first words tell; `valued` where a part of it is the key's value."""
        head = text.split(",")[0]
        kind, end = text_kind(text), len(text)
        short = len(text.split()) <= 5 and not SAYING.match(text) and not DAYS.match(self.block.key)
        relation = "meaning" if CODE.match(self.block.key) else "setting" if "_" in self.block.key else "details"
        relation = "value" if relation == "details" and short and kind == "text" and not valued else relation
        if relation in {"details", "value"} and re.match(r"(?:free\b|no charge|at no charge|without charge)", text):
            kind, relation, end = "money", "money", len(head)
        elif relation in {"details", "value"} and (
            PLACED.match(text) or (re.match(r"(?:in|at|on)\b", text) and PLACES & set(head.split()))
        ):
            kind, relation, end = "place", "place", len(head)
        elif relation in {"details", "value"} and WHEN.match(text):
            kind, relation = "date", "date"
        return self.detail(0, end, kind, self.block.key, relation)

    def person(self, who: Person, memory: Memory) -> Iterator[Detail]:
        """The facts of an item about a person: role, duties, how to reach them, and what its text tells of them."""
        text, line = self.block.text, self.block.evidence
        offset = len(line) - len(text)
        name, role = line[slice(*who.name)], line[slice(*who.role)]
        begin, end = who.name[0] - offset, who.name[1] - offset
        memory.meet(name)
        if role:
            yield self.detail(begin, end, "person", name, f"{GAP} is the {role[:1].lower()}{role[1:]}.")
            yield self.detail(who.role[0] - offset, who.role[1] - offset, "text", name, "role")
        at = who.rest - offset
        at += len(re.match(r"[\s,;.()]*", text[at:]).group())  # type: ignore[union-attr]
        length, days = duties_in(text[at:]), days_in(text[at:])
        if days:
            yield self.detail(at, at + days, "date", name, "date")
        if length:
            yield self.detail(at, at + length, "text", name, "duties" if role else "work")
            for duty in re.split(r", (?:and )?| and (?!other|every|any|what)", text[at : at + length])[:MAX_DUTIES]:
                yield self.detail(begin, end, "person", name, f"{GAP} is responsible for {duty[:1].lower()}{duty[1:]}.")
        for value in find_values(text[at:]):
            if value.kind == "contact":
                yield self.contact(at + value.start, at + value.end, name)
        end = len(text.split(";")[0].rstrip(" ."))
        if len(text[at:end].split()) in range(length and 2, LONGEST_WHOLE + 1) and end > at + length:
            yield self.detail(at, end, "text", name, "details")
        since = re.match(r"since [^,;]+", text[at:])
        if role and since:
            yield from self.told(name, f" has been the {role} ", at, at + since.end(), memory, begin)
        yield from self.tells(name, at + length, memory, begin)

    def tells(self, subject: str, start: int, memory: Memory, name: int | None = None) -> Iterator[Detail]:
        """What an item's text from `start` on tells of a subject: each stretch between semicolons that makes a sentence with it.

        `name` is where the subject's name stands, if it can be a value itself.
        """
        for part in re.finditer(r"[^;]+", self.block.text[start:]):
            starts = [start + part.start() + a for a, _ in segments(part.group())]
            end = start + part.start() + len(part.group().rstrip())
            openings = ((begin, opening(self.block.text[begin:end])) for begin in starts if subject)
            begin, verb = next((found for found in openings if found[1]), (starts[0] if starts else end, ""))
            if not verb and any(value.start == 0 for value in find_values(self.block.text[begin:end])):
                continue
            verb = " are " if verb == " is " and is_plural(subject) else verb
            yield from self.told(subject if verb else "", verb, begin, end, memory, name)

    def told(self, subject: str, verb: str, start: int, end: int, memory: Memory, name: int | None) -> Iterator[Detail]:
        """The facts of a stretch of an item's text, with a subject and perhaps a verb before it where it lacks them."""
        text = f"{subject}{verb}{self.block.text[start:end]}"
        lead = len(subject) + len(verb)
        begin = self.block.start + start
        block = replace(self.block, kind="sentence", text=text, start=begin - lead)
        (doc,) = parse_all([text])
        if not any(t.dep_ in {"nsubj", "nsubjpass", "expl"} and t.head.dep_ == "ROOT" for t in doc):
            return
        for found in replace(self, block=block).statements(doc, memory):
            if found.start >= begin:
                yield found
            elif name is not None and found.end - found.start == len(subject) and found.start == block.start:
                yield replace(found, start=self.block.start + name, end=self.block.start + name + len(subject), kind="person")

    def attribute(self, value: Value, later: bool) -> str:
        """The name of the attribute that a typed value of an item is: its kind, or the word after a price that says it is another sum."""
        noun = re.match(r" (?:refundable |cash )?(deposit|fee|discount|supplement|surcharge)\b", self.block.text[value.end :])
        if value.kind == "money" and noun and (later or noun.group(1) != "fee"):
            return noun.group(1)
        return "value" if value.kind == "measure" else value.kind

    def explains(self, statement: str, doc: Any) -> Iterator[Detail]:
        """Why a statement before a colon holds: what stands after it, where that is a clause."""
        text = self.block.text.rstrip(" .")
        if (
            self.block.kind == "sentence"
            and re.search(r"^[a-z].* (?:\w+s|\w+ed|are|were|can|will|would|nest|have|must|may)\b", text)
            and 3 <= len(text.split()) <= 16
            and shape(doc) is not None
        ):
            yield self.detail(0, len(text), "text", "", f"{statement.rstrip('.')} because {GAP}.")

    def sentence(self, doc: Any, memory: Memory) -> Iterator[Detail]:
        """The facts of a sentence: those of its statements, and the typed values that no statement holds."""
        stated = list(self.forbidden(memory)) or list(self.instruction(doc, memory)) or list(self.unsaid(memory))
        taken = [Value(f.start, f.end, "") for f in stated]
        parted = self.parted(list(self.statements(doc, memory)))
        made = [f for f in parted if not any(value.overlaps(Value(f.start, f.end, "")) for value in taken)]
        sums = list(self.sums(doc, memory))
        found = [*(f for f in made if f.start not in {s.start for s in sums}), *sums, *stated, *self.gapped(doc, memory)]
        yield from found
        yield from self.consequence(doc)
        reached = list(self.reached())
        yield from reached
        spans = [(f.start - self.block.start, f.end - self.block.start) for f in (*found, *reached)]
        text, typed = self.block.text, self.values()
        yield from self.postcode(memory.topic if OUR.search(text) or memory.topic in text else "")
        for value in [*typed, *(count for count in counts(doc) if not any(count.overlaps(other) for other in typed))]:
            if any(value.overlaps(Value(a, b, "")) for a, b in spans):
                continue
            subject, statement = own_statement(text, value)
            subject, statement = (subject, statement) if statement else self.said_again(found, value)
            if statement:
                yield self.detail(value.start, value.end, value.kind, subject, statement)
            elif value.kind != "count" and not REPLYING.match(text):
                relation = f"{plain(text[: value.start])} {GAP} {plain(text[value.end :])}".strip(" .") + "."
                yield self.detail(value.start, value.end, value.kind, "", re.sub(r" ([,.;)])", r"\1", relation))

    def parted(self, made: Sequence[Detail]) -> list[Detail]:
        """The facts of statements, one that goes on with what is said of another thing cut before that."""
        found, values = list(made), self.values()
        for fact in made:
            start, end = (at - self.block.start for at in (fact.start, fact.end))
            other = next((v for v in values if v.start >= end and v.kind == fact.kind), None)
            whole = replace(fact, relation=f"{fact.relation.partition(GAP)[0]}{GAP}.")
            if fact not in found or whole == fact or other is None or not self.said_again([whole], other)[0]:
                continue
            value = self.block.text[start:end]
            found = [whole if each == fact else each for each in found if each.end <= fact.end or value not in each.relation]
        return found

    def said_again(self, found: Sequence[Detail], value: Value) -> tuple[str, str]:
        """Subject and statement of a value that the last fact of its kind before it tells of another thing; "" for both where none does."""
        begin = self.block.start + value.start
        before = max((f for f in found if f.end <= begin and f.kind == value.kind), key=lambda f: f.end, default=None)
        if before is None or not before.relation.startswith(before.subject):
            return "", ""
        verb = before.relation[len(before.subject) :].partition(GAP)[0]
        thing, verb = unsaid.said_again(before.subject, verb, self.block.text[before.end - self.block.start : value.start])
        return thing, f"{thing}{verb}{GAP}." if thing else ""

    def sums(self, doc: Any, memory: Memory) -> Iterator[Detail]:
        """The prices and days of what they stand beside, and what is taken off prices."""
        for value, thing, costs in priced(doc, self.values(), memory):
            off = " off" * (value.kind == "percent")
            yield self.detail(value.start, value.end, value.kind, thing, f"{thing} {costs} {GAP}{off}.")
        for value, event in dated(doc, self.values(), memory):
            yield self.detail(value.start, value.end, value.kind, event, f"{event} is on {GAP}.")

    def forbidden(self, memory: Memory) -> Iterator[Detail]:
        """The facts of "No smoking for three days" and its like, as a statement of what is not allowed or not there."""
        match = NO_SUCH.match(self.block.text)
        if match:
            what = match.group(1)
            be, banned = "are" if is_plural(what) else "is", what.split()[-1] in BANNED or what.endswith("ing")
            subject, verb = (what, f" {be} not allowed ") if banned else ("there", f" {be} no {what} ")
            yield from self.told(subject, verb, match.start(2), match.end(2), replace(memory), None)
            yield self.detail(0, match.end(2), "yesno", subject, f"{subject}{verb}{match.group(2).strip()}.")

    def instruction(self, doc: Any, memory: Memory) -> Iterator[Detail]:
        """The facts of an imperative whose verb the parser takes for a noun."""
        text = self.block.text
        if len(doc) and doc[0].tag_ in {"NN", "NNP"} and BIDDING.match(text):
            block = replace(self.block, text=text[:1].lower() + text[1:])
            yield from replace(self, block=block).told("you", " should ", 0, len(text), replace(memory), None)

    def unsaid(self, memory: Memory) -> Iterator[Detail]:
        """The facts of a sentence that leaves out its verb, or its subject, which the heading names: see `unsaid`."""
        text = self.block.text
        what, verb, begin = unsaid.rule(text)
        if what:
            yield from self.told(what, verb, begin, len(text), replace(memory), None)
        subject, verb = unsaid.subject_of(text, "" if memory.thing else memory.heading)
        if subject:
            small = replace(self, block=replace(self.block, text=f"{text[:1].lower()}{text[1:]}"))
            yield from small.told(subject, verb, 0, len(text), replace(memory), None)

    def consequence(self, doc: Any) -> Iterator[Detail]:
        """What happens, or what to do, if a condition holds: the main clause of a sentence that opens with the condition."""
        condition = next((t for t in doc if t.dep_ == "advcl" and t.head.dep_ == "ROOT" and doc[0] in list(t.children)), None)
        if condition is None or doc[0].lower_ != "if":
            return
        inside, root = subtree(condition), condition.head
        end = inside[-1] + 1
        last = next((t.i for t in doc if t.i > end and t.text in {";", "(", ":", "."}), len(doc))
        subject = children(root, "nsubj", "nsubjpass", "expl")
        if inside != list(range(end)) or doc[end].text != "," or not end < root.i < last or len(inside) > 16 or not 2 < last - end <= 18:
            return
        if (not subject and (root.tag_ != "VB" or children(root, "aux"))) or DEPENDENT.search(doc[1:end].text):
            return
        asked = f"What {'happens' if subject else 'should I do'} {words(doc, inside)}?".replace(" If ", " if ")
        a, b = doc[end + 1], doc[last - 1]
        yield self.detail(a.idx, b.idx + len(b), "text", self.topic, asked)

    def gapped(self, doc: Any, memory: Memory) -> Iterator[Detail]:
        """The facts of further names in a sentence that says what a name is: "the Tern is a canoe at £20, the Gull a kayak at £25"."""
        if not any(t.lemma_ == "be" and says_what_a_name_is(t) for t in doc):
            return
        matches = list(ALSO.finditer(self.block.text))
        for match, following in itertools.zip_longest(matches, matches[1:]):
            subject, end = match.group(1), following.start() if following else len(self.block.text)
            yield from self.told(small_first(subject) if subject[:4] == "The " else subject, " is ", match.end(), end, memory, None)

    def statements(self, doc: Any, memory: Memory) -> Iterator[Detail]:
        """The facts of each statement in a parsed block."""
        values = [(v, doc.char_span(v.start, v.end, alignment_mode="expand")) for v in self.values()]
        typed = [(span.start, span.end, v) for v, span in values if span is not None]
        done: set[tuple[int, int]] = set()
        for clause in (each for found in clauses(doc, memory) for each in apart(found, doc, typed)):
            if crammed(clause, typed):
                continue
            for start, end, kind, begin, stop in spans_of(clause, doc, typed):
                if (begin, stop) not in done:
                    done.add((begin, stop))
                    yield self.detail(begin, stop, kind, clause.subject, clause.text(start, end, GAP))
            yield from self.reason(clause, doc)
            yield from self.rule(clause, doc)

    def reason(self, clause: Clause, doc: Any) -> Iterator[Detail]:
        """Why a statement holds, where the sentence says so."""
        if clause.reason:
            a, b = doc[clause.reason[0]], doc[clause.reason[1] - 1]
            relation = clause.text().rstrip(".") + f" because {GAP}."
            yield self.detail(a.idx, b.idx + len(b), "text", clause.subject, relation)

    def rule(self, clause: Clause, doc: Any) -> Iterator[Detail]:
        """What is allowed, forbidden, needed or free: the statement itself is the value."""
        kept = sorted(clause.kept)
        while kept and doc[kept[-1]].is_punct:
            kept.pop()
        statement = clause.text()
        if not kept or not RULE_WORDS.search(statement) or len(statement.split()) > 22:
            return
        if doc[kept[-1] + 1 :].text.startswith("(") or any(is_left_over(doc[i]) for i in kept):
            return
        gaps = [i for i in range(kept[0], kept[-1] + 1) if i not in clause.kept]
        begin = kept[0] if len(gaps) <= 1 else gaps[-1] + 1
        if begin == kept[0] or doc[begin].lower_ in DENYING:
            yield self.detail(doc[begin].idx, doc[kept[-1]].idx + len(doc[kept[-1]]), "yesno", clause.subject, statement)


def is_left_over(token: Any) -> bool:
    """Whether a word is the participle of a statement that lacks its verb ("bank holidays included"), taken for the past."""
    objects = [child for child in children(token, "dobj", "ccomp", "xcomp") if child.i > token.i]
    return token.tag_ == "VBD" and RULE_WORDS.fullmatch(token.lower_) is not None and not objects


def points_back(text: str) -> bool:
    """Whether a question holds a word that points at what was said before."""
    return bool(re.search(r"\b(?:it|that|then)\b", text, re.IGNORECASE))


def leans(subject: str, relation: str) -> bool:
    """Whether a statement says nothing without the sentence before it: "after that, we charge half", "Odo empties it at noon"."""
    named = relation.replace(subject, GAP, 1) if subject and relation.startswith(subject) else relation
    return bool(POINTING.search(relation) or ACTING_ON_IT.match(named))


def crammed(clause: Clause, typed: Sequence[tuple[int, int, Value]]) -> bool:
    """Whether two values of one kind stand side by side in a statement: what the second belongs to was lost."""
    kinds = {i: (value.kind, start) for start, end, value in typed for i in range(start, end)}
    told = [kinds.get(piece.index, ("", -1)) if piece.index is not None else ("", -1) for piece in clause.pieces]
    return any(a != b and a[0] == b[0] == "money" for a, b in itertools.pairwise(told))


def says_what_a_name_is(verb: Any) -> bool:
    """Whether a form of be has a name as subject and "a" with a noun as its complement."""
    subject, said = first(verb, "nsubj"), first(verb, "attr")
    return (
        subject is not None and subject.pos_ == "PROPN" and said is not None and any(t.lower_ in {"a", "an"} for t in children(said, "det"))
    )


def restricted(text: str, value: Value) -> Value:
    """The value with the relative clause that says which it is: of "every day that we open" not only "every day"."""
    more = RESTRICTED.match(text, value.end) if re.match(r"(?:every|each|any|all|the)\b", text[value.start :]) else None
    return replace(value, end=more.end()) if more else value


def joined_times(text: str) -> list[Value]:
    """The typed values of a text, times that only "and" or a mark parts as one: "9:00 to 12:00 and 14:00 to 18:00"."""
    found: list[Value] = []
    for value in find_values(text):
        last = found[-1] if found else None
        if last and last.kind == value.kind == "time" and re.fullmatch(r"[\s,;&/]*(?:and)?\s*", text[last.end : value.start]):
            value = replace(last, end=value.end)
            found.pop()
        found.append(value)
    return found


def priced_for(text: str, value: Value) -> Value:
    """A sum with what it is paid for, or that it comes on top, as far as the next mark: "£14 for two hours", "£5 a night on top"."""
    more = FOR_WHAT.match(text, value.end) if value.kind == "money" else None
    return replace(value, end=more.end()) if more else value


def fills_segment(text: str, value: Value) -> bool:
    """Whether a value is most of what stands between two commas, and outside brackets."""
    start = max(text.rfind(mark, 0, value.start) for mark in ",;.(") + 1
    end = min(at for mark in ",;()" if (at := text.find(mark, value.end)) >= 0) if re.search(r"[,;()]", text[value.end :]) else len(text)
    outside = text.count("(", 0, value.start) == text.count(")", 0, value.start)
    return outside and (value.end - value.start) >= 0.45 * len(text[start:end].strip())


def counts(doc: Any) -> list[Value]:
    """The numbers before nouns in a parsed block."""
    return [Value(t.idx, t.idx + len(t), "count") for t in doc if is_count(t)]


def is_count(token: Any) -> bool:
    """Whether a token is a number before the plural that it counts, no year, and no last group of a longer number ("1 200 visitors")."""
    if token.i and re.fullmatch(r"\d{1,3}[ \u00a0\u202f]\d{3}", token.doc[token.i - 1 : token.i + 1].text):
        return False
    counted = token.head.tag_ in {"NNS", "NNPS"} or token.lower_ in {"one", "1"} or token.head.lemma_.lower() in ALIKE
    return (
        token.tag_ == "CD" and token.dep_ == "nummod" and token.i < token.head.i and counted and not re.search(r"(?:19|20)\d\d", token.text)
    )


def own_statement(text: str, value: Value) -> tuple[str, str]:
    """Subject and statement of the words around a value, up to a comma on each side, where they stand alone; else ("", "")."""
    marks = [match for match in MARKS.finditer(text) if not value.start <= match.start() < value.end]
    start = max((match.end() for match in marks if match.end() <= value.start), default=0)
    end = min((match.start() for match in marks if match.start() >= value.end), default=len(text))
    before, after = text[start : value.start], text[value.end : end].rstrip(" .")
    begins = start == 0 or JOINED.match(before) or text[:start].rstrip()[-1] in ";:"
    before = JOINED.sub("", before, count=1)
    before = small_first(before) if before.split()[:1] and before.split()[0] in SMALL | {"Some", "About", "Most"} else before
    if not begins or CONDITIONAL.match(text) or DEPENDENT.search(before + after) or (start == 0 and end == len(text)):
        return "", ""
    (doc,) = parse_all([f"{before}{text[value.start : value.end]}{after}."])
    found = shape(doc)
    if found is None or found.subject.tag_ in {"WDT", "WP", "PRP", "DT", "EX"}:
        return "", ""
    return source(doc, found.left, found.right), re.sub(r" ([,.;)])", r"\1", f"{plain(before)} {GAP} {plain(after)}.").strip()


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
    within = {i for start, end, _ in typed for i in range(start, end)}
    for start, end, value in typed:
        while value.kind == "place" and start in kept and end > start and not all(i in kept for i in range(start, end)):
            end -= 1
            value = replace(value, end=doc[end - 1].idx + len(doc[end - 1]))
        if all(i in kept for i in range(start, end)) and not goes_on(doc[end - 1], value, typed):
            taken |= set(range(start, end))
            yield start, end, value.kind, value.start, value.end
    for token in doc:
        if token.i not in kept or token.i in taken:
            continue
        if is_count(token) and token.i not in within:
            yield token.i, token.i + 1, "count", token.idx, token.idx + len(token)
        found = phrase_span(token, kept, taken)
        if found:
            start = with_preposition(token, found[0], kept)
            kind = "text" if doc[start].lower_ in TIME_PREPOSITIONS else "place" if start < found[0] else kind_of_noun(token)
            a, b = doc[start], doc[found[1] - 1]
            yield start, found[1], kind, a.idx, b.idx + len(b)


def goes_on(last: Any, value: Value, typed: Sequence[tuple[int, int, Value]]) -> bool:
    """Whether a measure is the first of several things: "35 mm and roll film"."""
    joined = {i for t in children(last, "conj") if t.pos_ in {"NOUN", "PROPN"} for i in subtree(t)}
    return value.kind == "measure" and bool(joined) and not any(i in joined for start, end, _ in typed for i in range(start, end))


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
    if (token.lower_ in LIGHT and not children(token, "det", "amod")) or (token.pos_ == "NUM" and token.dep_ in {"attr", "pobj"}):
        return None
    indices = [i for i in noun_phrase(token) if i in kept]
    about = next((t.i for t in children(token, "prep") if t.lower_ == "about"), None)
    if about and token.dep_ == "dobj" and token.head.lemma_ in CONTACT_VERBS:
        indices = [i for i in indices if i < about]
    if not indices or indices != list(range(indices[0], indices[-1] + 1)) or len(indices) > MAX_WORDS:
        return None
    if token.doc[indices[0]].lower_ in UNTELLING or (token.dep_ == "pobj" and len(indices) == 2 and tells_nothing(token)):
        return None
    if len(indices) == 2 and is_count(token.doc[indices[0]]) and token.doc[indices[0]].lower_ not in {"one", "1"}:
        return None
    if token.dep_ in {"attr", "dobj"} and indices[0] > 0 and token.doc[indices[0] - 1].text == ",":
        return None
    if len(taken & set(indices)) > 0.7 * len(indices) or all(token.doc[i].is_stop for i in indices):
        return None
    return indices[0], indices[-1] + 1


def tells_nothing(token: Any) -> bool:
    """Whether a determiner and a plain noun after a preposition are a manner of speaking ("as a rule"), no answer to anything."""
    if token.pos_ != "NOUN" or token.lemma_.lower() in PLACES | HUMANS | WHEN_NOUNS or not children(token, "det"):
        return False
    definite = token.doc[token.i - 1].lower_ == "the"
    return token.lemma_.lower() in ABSTRACT or token.head.lower_ in (LOOSE if definite else LOOSE | {"in", "on", "at"})


def with_preposition(token: Any, start: int, kept: set[int]) -> int:
    """Where the value starts: at "behind" in "behind the bakery", since the place is not the bakery; so with "after" for times."""
    prep = token.head
    if prep.lower_ in TIME_PREPOSITIONS and (prep.head.lemma_ in AFTER_VERBS or re.fullmatch(SPAN, token.doc[max(prep.i - 1, 0)].text)):
        return start
    telling = token.dep_ == "pobj" and prep.lower_ in TIME_PREPOSITIONS | PLACE_PREPOSITIONS - {"in", "at", "on", "by", "next"}
    return prep.i if telling and prep.i == start - 1 and prep.i in kept and token.tag_ != "CD" and not children(token, "nummod") else start


def kind_of_noun(token: Any) -> str:
    """The kind of a noun phrase's value: person, place, name or text."""
    if is_person(token):
        return "person"
    if token.dep_ == "pobj" and token.head.lower_ in PLACE_PREPOSITIONS and token.ent_type_ not in {"DATE", "TIME", "CARDINAL"}:
        return "place" if token.ent_type_ in {"GPE", "LOC", "FAC"} or token.lemma_.lower() in PLACES else "text"
    return "name" if token.pos_ == "PROPN" else "text"
