"""Backwards: the questions from a fact's value to what it is about, of statements and of what tables and items say."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from engrain.knowledge import phrasing
from engrain.knowledge.asking import BROKEN, is_reason, value_span
from engrain.knowledge.attributes import (
    ITEM_RELATIONS,
    OFF,
    PRICE_COLUMN,
    PRICE_NAME,
    ROLE_COLUMN,
    ROLES,
    USUAL,
    Slot,
    been,
    first_column,
    is_noun,
    is_possession,
    is_sum,
    length_of,
    role_name,
    since_date,
    slot_of,
    thing_of,
    without_sign,
)
from engrain.knowledge.blocks import CODE, plain
from engrain.knowledge.contacts import called
from engrain.knowledge.dates import STAMP_KEY
from engrain.knowledge.extract import FREE_COLUMN, GAP
from engrain.knowledge.facts import Fact, columns
from engrain.knowledge.grammar import article, capital
from engrain.knowledge.items import CONTACT_KEY, header, is_role_name, listed_under, opening
from engrain.knowledge.opening import weekdays
from engrain.knowledge.parse import children
from engrain.knowledge.questions import wh_questions
from engrain.knowledge.shapes import Shape, shape
from engrain.knowledge.wording import Wording, normal, said
from engrain.knowledge.words import GENERIC, HUMANS, SUMS, VAGUE

PRICED = re.compile(
    rf"(?:costs?|(?:is|are)(?: sold| priced| available| offered)?(?: at| for)?|go(?:es)? for|sells? (?:at|for)) {GAP}"
    r"((?: (?:an?|per|each|for)\b[^,;:.]*)?)\."
)
"""What a statement says of something that it gives the price of, to the end."""
MANY = re.compile(r"(?:(?:each|every|any|no|all|both|one|some|only)(?:one|body|thing)?|none|whoever)\b(?!-)", re.IGNORECASE)
"""How a subject begins that names nothing by itself."""
BEGINNINGS = {"joined": "joined", "started": "started", "born": "was born"}
"""Column → what is said of a person with a year in it."""
BEGAN = re.compile(r"(?:first |last )?(?:built|made|bought|\w{2,}ed)")
"""Columns that say when something was done to what their rows name."""
NUMBERED = re.compile(r"(?:.* )?(?:no|nr|number|id|code|ref|reference)\.?", re.IGNORECASE)
"""Columns of the numbers by which their rows are called."""
LINKS = ("for", "from", "with", "by")
"""Columns that say how a row goes with what they hold."""
SETTINGS = re.compile(r"(?:settings?|config(?:uration)?|param(?:eter)?s?|defaults?|options)[^/#]*\.(?:json|ya?ml)#", re.IGNORECASE)
"""The sections of files that hold settings."""
LONGEST_NOTE = 4
"""Words of a note on a person that names what that person is or has."""
MEANT = re.compile(r"(?:meaning|description|message|error|fault|problem|cause)s?")
"""Columns that say what a code stands for."""
EXTENSION = re.compile(r"(?:phone |telephone |tel\.? )?ext(?:ension)?\.?(?: (?:number|no\.?))?")
"""Columns of the numbers by which people ring each other within a business."""
DATED = re.compile(r"when|(?:starting |start )?(?:date|day|time)s?|(?:date|day)s? and times?", re.IGNORECASE)
"""Columns that say when their rows take place."""


def reverse_wordings(fact: Fact, doc: Any, people: Collection[str]) -> Iterator[Wording]:
    """Questions from the value back to the subject, such as "What costs £26?"."""
    s = shape(doc)
    if (
        s is None
        or is_reason(fact)
        or fact.relation.startswith(GAP)
        or s.subject.lower_ in {"we", "you", "i", "it", "there", "they", "he", "she"}
    ):
        return
    subject = doc[s.left : s.right].text if "Kaaa" not in doc[s.left : s.right].text else fact.subject
    if len(subject.split()) > 8 or normal(subject) != normal(fact.subject) or not is_asked_backwards(fact, doc, s):
        return
    person = subject in people
    for one in wh_questions(doc, s.left, s.right, "person" if person else "text")[:1]:
        if BROKEN.search(one.direct):
            return
        yield Wording("reverse", "reverse-wh", one.direct, capital(subject) + ".")
        yield Wording("reverse", "reverse-tell", f"Tell me {one.indirect}.", capital(subject) + ".")
        yield Wording("reverse", "reverse-know", f"Do you know {one.indirect}?", capital(subject) + ".")
        sort = sort_of(s.subject, fact.topic)
        if sort and one.direct.startswith("What "):
            yield Wording("reverse", "reverse-which", f"Which {sort} {one.direct.removeprefix('What ')}", capital(subject) + ".")


def reverse_prices(fact: Fact) -> Iterator[Wording]:
    """Questions from a price that a statement gives back to what has it; none where that is a sum itself, or pays it, or is left open.

    No parse is needed: of "the Bowline costs £3.25" a parser easily makes a noun.
    """
    told = PRICED.fullmatch(fact.relation.removeprefix(f"{fact.subject} "))
    if fact.kind == "money" and told is not None and has_price(fact.subject):
        for form, text in phrasing.asked("priced", f"{fact.value}{told[1]}"):
            yield Wording("reverse", form, text, capital(fact.subject) + ".")


def has_price(name: str) -> bool:
    """Whether what a phrase names can have a price: no pronoun, not who pays it, no sum itself and no part that everything has."""
    words = name.lower().split()
    vague = not 1 <= len(words) <= 8 or name.lower() in VAGUE or is_payer(name)
    return not vague and not set(words) & SUMS and words[-1] not in GENERIC


def is_payer(subject: str) -> bool:
    """Whether what has a price pays it, being people."""
    return bool(HUMANS & {word.removesuffix("s") for word in re.split(r"\W+", subject.lower())[:2]} or "children" in subject.lower())


def sort_of(subject: Any, topic: str) -> str:
    """The sort of thing that a subject is: its noun, where it says which one, or for a name what its heading lists; else ""."""
    if subject.tag_ == "NN" and children(subject, "amod", "compound", "nmod", "prep", "acl") and subject.lower_ not in GENERIC:
        return str(subject.lower_)
    return listed_under(topic) if subject.tag_ == "NNP" else ""


def is_asked_backwards(fact: Fact, doc: Any, s: Shape) -> bool:
    """Whether a statement's value leads back to its subject: it names one thing, and says more of it than "is two hours"."""
    span = value_span(fact, doc)
    if span is None or s.left <= span.start < s.right or MANY.match(fact.subject):
        return False
    value = {t.i for t in span}
    more = [t for t in doc[s.right :] if t.i not in value and not t.is_stop and not t.is_punct and t.lemma_ not in {"be", "have", "do"}]
    named = s.subject.pos_ == "PROPN" or re.match(r"(?:the|our|your) ", fact.value)
    return bool(more or s.root.lemma_ != "be" or (named and fact.kind in {"text", "name", "person", "place"}))


def reverse_attributes(fact: Fact, people: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Questions from an item's value back to the item: what costs this much, who has this role, whose number this is."""
    value, relation, thing = said(fact.value, fact.relation).rstrip("."), fact.relation.lower(), thing_of(fact, people)
    if slot_of(fact):
        return
    if SETTINGS.search(fact.section) and not columns(fact) and re.search(r"\d", value) and fact.kind not in ("contact", "place", "date"):
        yield "reverse-setting", f"Which setting has the value {value}?"
        yield "reverse-set", f"What is set to {value}?"
    unasked = fact.relation in ITEM_RELATIONS - ROLES | {"details", "meaning"}
    if len(value.split()) > 8 or unasked or STAMP_KEY.fullmatch(fact.subject):
        return
    if fact.kind == "contact" or (EXTENSION.fullmatch(relation) and re.fullmatch(r"[\d /-]+", value)):
        yield from reverse_contacts(fact, value)
        return
    since = since_date(relation)
    priced = relation == "money" or re.match(r"(?:price|cost|fee)s?\b", relation)
    if fact.kind == "money" and priced and re.search(r"\d", value) and not (is_payer(fact.subject) or is_sum(fact.subject)):
        yield from phrasing.asked("priced", value)
    elif thing.person and relation in BEGINNINGS and re.fullmatch(r"(?:19|20)\d\d", value):
        yield "reverse-who", f"Who {BEGINNINGS[relation]} in {value}?"
        yield "reverse-tell", f"Tell me who {BEGINNINGS[relation]} in {value}."
    elif thing.person and since and fact.kind == "date":
        yield "reverse-who", f"Who has been {been(thing, since)} since {value}?"
    elif thing.person and OFF.fullmatch(relation):
        yield "reverse-who", f"Who has {value} off?"
        yield "reverse-whose", f"Whose {relation} is {value}?"
    elif thing.person and ROLE_COLUMN.search(relation) and is_role_name(value):
        role = role_name(value)
        yield "reverse-who", f"Who is the {role}?"
        yield "reverse-name", f"What is the name of the {role}?"
        yield "reverse-tell", f"Tell me who the {role} is."
    elif thing.person and FREE_COLUMN.fullmatch(relation) and len(value.split()) <= LONGEST_NOTE and not opening(value):
        what = f"is the {role_name(value)}" if is_role_name(value) else f"has {value}"
        yield "reverse-who", f"Who {what}?"
        yield "reverse-tell", f"Tell me who {what}."
    elif thing.person and len(relation.split()) <= 2 and relation not in phrasing.KINDS and is_possession(fact):
        value = role_name(value) if relation in ROLES else value
        be = "are" if phrasing.is_plural(relation) else "is"
        yield "reverse-whose", f"Whose {relation} {be} {value}?"
        yield "reverse-who", f"Who has {value} as {relation}?"
        yield "reverse-the", f"Who has the {relation} {value}?"
    yield from which_rows(fact, value, "" if thing.person else compared(fact))


def reverse_contacts(fact: Fact, value: str) -> Iterator[tuple[str, str]]:
    """Questions from a phone number or an address to whom or what it reaches; none where its key says only that it is one."""
    what = called(value) if fact.kind == "contact" else "extension"
    if CONTACT_KEY.match(fact.subject) or weekdays(fact.subject):
        return
    if what == "extension":
        number = re.sub(r"^[^\d]+", "", value)
        yield from phrasing.asked("reached_inside", f"extension {number}", number)
    else:
        yield from phrasing.asked({"e-mail address": "reached_by_mail", "website": "reached_online"}.get(what, "reached"), value, what)
    yield from which_rows(fact, value)


def compared(fact: Fact) -> str:
    """What people call things that the columns of a comparing table name ("Which one weighs 2 kg?"); "" for other facts."""
    return "one" if fact.evidence == f"{fact.subject}; {fact.relation}: {plain(fact.value)}" else ""


def which_rows(fact: Fact, value: str, other: str = "") -> Iterator[tuple[str, str]]:
    """Questions for the row of a table that has a value, where the table says what its rows are: which course costs £52.

    `other` is what things are called of which no table says what they are.
    """
    kind, relation = header(first_column(fact)) or other, header(without_sign(fact.relation))
    if NUMBERED.fullmatch(kind):  # nobody asks "which fleet no"
        kind = other = listed_under(fact.topic) or "one"
    if not kind or len(kind.split()) > 3 or not (kind in ("what", other) or is_noun(kind)):
        return
    which = "What" if kind in ("what", "title") else f"Which {kind}"
    if relation in LINKS and fact.kind in {"text", "name", "person", "place"}:
        yield "reverse-link", f"{which} is {relation} {value}?"
    if CODE.fullmatch(value) and MEANT.fullmatch(kind):
        yield "reverse-means", f"What does {value} mean?"
        yield "reverse-is", f"What is {value}?"
    if fact.kind in {"date", "time"} and DATED.fullmatch(relation) and (lead := lead_of(value)):
        yield "reverse-when", f"{which} is {lead} {value}?"
    if BEGAN.fullmatch(relation) and (lead := "in" if re.fullmatch(r"(?:19|20)\d\d", value) else lead_of(value)):
        yield "reverse-began", f"{which} was {relation} {lead} {value}?"
        yield "reverse-from", f"{which} is from {value}?"
        return
    vague = kind == "what" and (fact.kind == "count" or not re.search(r"\d", value))  # "What has 0 as nights?"
    if fact.kind == "money" and length_of(relation):
        yield "reverse-at", f"{which} costs {value} {length_of(relation)}?"
        return
    if kind in ("name", "title", relation) or vague or not is_possession(fact):
        return
    if fact.kind == "count" and phrasing.is_plural(relation) and value != "1":
        yield "reverse-count", f"{which} has {value} {relation}?"
        return
    if fact.kind == "money" and not PRICE_NAME.search(relation):
        relation += " price"
    yield "reverse-which", f"{which} has {value} as {relation}?"
    if fact.kind in ("money", "count", "percent", "duration", "measure") and not phrasing.is_plural(relation):
        yield "reverse-of", f"{which} has {article(relation)} {relation} of {value}?"
    if fact.kind == "money" and re.match(USUAL + PRICE_COLUMN.pattern, relation):
        yield "reverse-at", f"{which} costs {value}?"


def lead_of(value: str) -> str:
    """What stands before a day, a date or an hour that says when something is; "" before what is more than one of these."""
    if re.fullmatch(r"\d{1,2}[:.]\d\d", value):
        return "at"
    named = value[:1].isupper() and weekdays(value)
    return "on" if named or re.fullmatch(r"(?:[A-Z][a-z]+day,? )?\d{1,2} [A-Z][a-z]+(?: \d{4})?", value) else ""


def slot_reversals(fact: Fact, slot: Slot) -> Iterator[tuple[str, str, str]]:
    """Questions for when something takes place that a timetable lists: form, text and answer."""
    what, be = fact.value, "are" if phrasing.is_plural(fact.value) else "is"
    yield "reverse-when", f"When {be} {what}?", f"{slot.told}."
    yield "reverse-hour", f"At what time {be} {what} on {slot.day}?", f"{slot.hour}."
    yield "reverse-day", f"On which day {be} {what} at {slot.hour}?", f"{slot.day}."
