"""Superseded facts: of two that say the same thing with different values, the one of the clearly later date counts.

Careful on purpose: subject and attribute must be the same words, values of the same shape, headings alike, and neither
document may contradict itself about it. What belongs to one occasion (minutes, reports, invoices) supersedes nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

from engrain.documents.base import Document, Section
from engrain.knowledge.dates import Dated, document_date, effective, is_newer, section_date, without_dates
from engrain.knowledge.extract import GAP
from engrain.knowledge.facts import Fact
from engrain.words import canonical, holds, keywords

TYPED = frozenset(("money", "time", "date", "duration", "count", "measure", "percent", "person", "contact", "place", "yesno"))
SHAPELESS = frozenset(("person", "contact", "place", "text", "name", "yesno", "date"))
PRICE = re.compile(r"price|cost|fee|charge|amount|money|rate", re.IGNORECASE)
PRICED = re.compile(
    rf"^(?:price|cost|fee|charge) (?:of|for) (?P<of>.+?) (?:is|will be|(?:goes up|rises|falls|changes|increases) to) {GAP}$|"
    rf"^(?P<it>.+?) (?:costs?|is|are|will cost|goes up to|rises to|will be) {GAP}$"
)
PASSING = re.compile(r"\b(?:now|currently|new|newly|presently|at present)\b ?|\bfrom (?=(?:[A-Z]{0,3}[£$€]|\d)\S* to\b)", re.IGNORECASE)
YEAR = re.compile(r"(?<![\d.,£$€/-])(?:19|20)\d\d(?![.,]?\d)")
NEGATION = re.compile(r"\b(?:not|no|never|no longer)\b|n['’]t\b", re.IGNORECASE)
ONE_PERSON = re.compile(rf"^{GAP} (?:(?:is|was) (?:the|our) |(?:runs|manages|leads|heads|owns|chairs) )")
OCCASION = re.compile(
    r"(?:^|[^a-z])(?:minutes|meeting|agenda|report|log|diary|journal|invoice|receipt|order|newsletter|review|history)s?(?:$|[^a-z])",
    re.IGNORECASE,
)
EVERYWHERE = frozenset(
    keywords(
        "price prices list lists notice notices new news change changes update updates current valid from year season customers "
        "information about us our details general welcome announcement circular"
    )
)
"""Words of headings and names that say nothing about what the text below is about."""


@dataclass(frozen=True)
class Superseded:
    """A fact that no longer holds and the newer one that says otherwise, each with its place and the date it goes by ("": none).

    `gone` are other facts of the old sentence that say the old value too, and go with it.
    """

    old: Fact
    new: Fact
    old_place: str
    new_place: str
    old_date: str
    new_date: str
    gone: tuple[Fact, ...] = ()

    def to_row(self) -> dict[str, str]:
        """What `run.json` says of it: the matter, both values, both places and dates."""
        about = self.old.relation if self.old.form != "attribute" else f"{self.old.subject}: {self.old.relation}"
        texts = {"about": about, "old": self.old.value, "new": self.new.value}
        return texts | {name: getattr(self, name) for name in ("old_place", "new_place", "old_date", "new_date")}


@dataclass(frozen=True)
class Claim:
    """A fact beside what decides whether another supersedes it; `modified` is the day its file was changed last."""

    fact: Fact
    section: Section
    dated: Dated
    modified: str
    key: tuple[str, ...]

    @cached_property
    def value(self) -> str:
        """The value in its one spelling; of a rule whether it forbids."""
        return str(bool(NEGATION.search(self.fact.relation))) if self.fact.kind == "yesno" else canonical(self.fact.value)

    @cached_property
    def shape(self) -> str:
        """The value without its figures, so that a price an hour is not taken for one a day; names have no shape."""
        return "" if self.fact.kind in SHAPELESS else re.sub(r"[\d.,:/]+", "", self.value).strip()

    @cached_property
    def matter(self) -> frozenset[str]:
        """What its heading is about: its words without dates, business name and words that stand above anything."""
        words = keywords(without_dates(self.fact.topic))
        return frozenset(words) - EVERYWHERE - set(keywords(self.fact.business))


def supersede(facts: Sequence[Fact], documents: Sequence[Document], today: str = "") -> tuple[list[Fact], list[Superseded]]:
    """The facts that hold `today` (default: the machine's date), in order, and those that newer ones have superseded."""
    today = today or date.today().isoformat()
    groups: dict[tuple[str, ...], list[Claim]] = defaultdict(list)
    for claim in claims(facts, documents):
        groups[claim.key].append(claim)
    pairs = [pair for group in groups.values() if len({c.value for c in group}) > 1 for pair in overruled(group, today)]
    found = [replace(pair, gone=tuple(fact for fact in facts if goes_with(fact, pair.old))) for pair in pairs]
    gone = {fact.id for pair in found for fact in (pair.old, *pair.gone)}
    return [fact for fact in facts if fact.id not in gone], found


def goes_with(fact: Fact, old: Fact) -> bool:
    """Whether a fact says a superseded value in its own words, or stands within a superseded rule."""
    if fact.id == old.id or fact.section != old.section or fact.evidence != old.evidence:
        return False
    inside = old.kind == "yesno" and old.start <= fact.start and fact.end <= old.end
    return inside or (fact.form == "statement" and holds(canonical(fact.relation), canonical(old.value)))


def claims(facts: Sequence[Fact], documents: Sequence[Document]) -> list[Claim]:
    """The facts that could supersede or be superseded."""
    homes = {s.id: (s, document, document_date(document)) for document in documents for s in document.sections}
    found = []
    for fact in facts:
        key = key_of(fact)
        if not key or fact.section not in homes:
            continue
        section, document, written = homes[fact.section]
        if OCCASION.search(" ".join((document.file, *section.headings))):
            continue
        said = effective(fact.evidence, written.day[:4] or document.modified[:4])
        dated = said[0] if said else section_date(section, written)
        found.append(Claim(fact, section, dated, document.modified, key))
    return found


def key_of(fact: Fact) -> tuple[str, ...]:
    """Subject and attribute in words that are the same for the same thing; () where a fact can hold beside another."""
    if fact.kind not in TYPED and (fact.form == "statement" or len(fact.value.split()) > 4):
        return ()
    if fact.form == "attribute":
        subject, priced = same(fact.subject), fact.kind == "money" and PRICE.search(fact.relation)
        return (subject, "price" if priced else same(fact.relation)) if subject else ()
    if fact.form == "question":
        return ("?", same(fact.relation))
    relation = same(NEGATION.sub("", fact.relation) if fact.kind == "yesno" else fact.relation)
    if fact.kind == "yesno":
        return ("rule", relation)
    if relation.startswith(f"{GAP} ") and not (fact.kind == "person" and ONE_PERSON.match(fact.relation)):
        return ()
    priced = PRICED.match(relation) if fact.kind == "money" else None
    if priced:
        subject = same(priced["of"] or priced["it"])
        return (subject, "price") if subject else ()
    return ("statement", fact.kind, relation)


def same(text: str) -> str:
    """Words for comparison: without from when it holds, years, words that pass with time, articles and marks.

    Other dates stay: the walk on 30 May is not the walk on 20 June.
    """
    since = effective(text, "0000")
    text = f"{text[: since[1]]} {text[since[2] :]}" if since else text
    text = PASSING.sub("", " ".join(YEAR.sub("", text).split()))
    return " ".join(re.findall(r"[\w’'&/-]+", re.sub(r"\b(?:the|an?|our)\b", "", text.lower())))


def overruled(group: Sequence[Claim], today: str) -> list[Superseded]:
    """The claims of one thing that a later one overrules; each is listed once, beside the latest that does."""
    found = []
    for old in group:
        later = [new for new in group if overrules(new, old, today)]
        latest = [new for new in later if not any(overrules(other, new, today) for other in later)]
        if latest and len({new.value for new in latest}) == 1 and consistent(old, group):
            new = max(latest, key=lambda claim: claim.dated.day or claim.modified)
            by_file = not (new.dated.effect or old.dated.day)
            dates = (old.dated.day or (old.modified if by_file else ""), new.dated.day or new.modified)
            found.append(Superseded(old.fact, new.fact, old.section.place, new.section.place, *dates))
    return found


def consistent(claim: Claim, group: Sequence[Claim]) -> bool:
    """Whether no other claim of the same place and date gives the same thing another value: then it is not one thing."""
    beside = [c for c in group if c.section.file == claim.section.file and c.dated == claim.dated and c.matter == claim.matter]
    return len({c.value for c in beside}) == 1


def overrules(new: Claim, old: Claim, today: str) -> bool:
    """Whether one claim says otherwise than another about the same thing, and clearly later."""
    if new.value == old.value or new.shape != old.shape or not alike(new, old):
        return False
    if new.dated.day > today:
        return False
    if new.dated.day and old.dated.day:
        return is_newer(new.dated.day, old.dated.day)
    if new.dated.day:  # A file's date is the latest day on which its text can have been written.
        return (new.dated.effect and new.modified >= old.modified) or ("" < old.modified < new.dated.day)
    return not old.dated.day and "" < old.modified < new.modified


def alike(one: Claim, other: Claim) -> bool:
    """Whether two claims stand under headings of the same matter, or under one that has none of its own."""
    return not one.matter or not other.matter or bool(one.matter & other.matter)
