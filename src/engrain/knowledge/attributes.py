"""Attributes: questions for table cells, key-value items and the documents' own questions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from engrain.knowledge import phrasing
from engrain.knowledge.asking import contacts, wrapped
from engrain.knowledge.dates import STAMP_KEY
from engrain.knowledge.extract import FREE_COLUMN
from engrain.knowledge.facts import PEOPLE_COLUMN, Fact, columns, full_name, names_person
from engrain.knowledge.grammar import capital
from engrain.knowledge.items import CONTACT_KEY, DAYS, header, listed_under, tidy_key, with_the
from engrain.knowledge.opening import day_questions, hours_questions, is_hours, weekdays
from engrain.knowledge.parse import parse_all
from engrain.knowledge.questions import how_many
from engrain.knowledge.values import CURRENCY, NUMBER, SIGN, find_values, kind_of
from engrain.knowledge.wording import flipped, mentions, said, small
from engrain.knowledge.words import PLACES, ROLE_ENDINGS, SPANS, SUMS

ROLES = {"role", "position", "job", "job title", "title", "function", "post"}
ROLE_COLUMN = re.compile(r"\b(?:role|position|job|title|function|post)s?\b", re.IGNORECASE)
"""What columns are called that say what somebody is."""
ITEM_RELATIONS = {"hours", "value", "duties", "work", "label", "notes", "role"}
NO_NOUN = re.compile(
    r"(?:and|also|by|for|from|how|in|on|of|per|to|until|what|when|where|which|who|why|with)\b|\w{3,}[^\We]ed$", re.IGNORECASE
)
"""Column names that cannot stand after "the", whatever their tags say."""


COLUMN_VERBS = {
    "starts": "start", "begins": "begin", "ends": "end", "finishes": "finish", "opens": "open", "closes": "close", "leaves": "leave",
    "departs": "depart", "arrives": "arrive", "takes": "take", "lasts": "last", "sleeps": "sleep", "feeds": "feed", "holds": "hold",
    "seats": "seat", "costs": "cost", "weighs": "weigh", "includes": "include", "covers": "cover", "serves": "serve", "needs": "need",
    "expires": "expire",
}  # fmt: skip
NO_NOUN_TAGS = {"JJ", "JJR", "JJS", "VBN", "VBD", "RB", "IN", "RP", "TO", "CD", "WRB"}
CURRENCY_END = re.compile(rf"\s*(?:\bin )?(?:{SIGN}|\b{CURRENCY})$")
DOER = re.compile(r"who ([a-z]+s) (?:it|them|this)", re.IGNORECASE)
"""A column that says who does something with what its rows name."""
DUE = re.compile(r"(book|order|apply|pay|register|enrol|enroll|reply|collect|call|ask|sign up) by", re.IGNORECASE)
"""A column that says by when something has to be done for what its rows name."""
DEAL = re.compile(r"(?:what )?(you|we) (pay|get|need|charge|keep|refund|give|owe|lose)", re.IGNORECASE)
"""A column that says what the one side has of the other in the case that its rows name."""
OFF = re.compile(r"(?:days?|mornings?|afternoons?|evenings?|weekends?) off")
"""A column that says when somebody does not work."""
SINCE = re.compile(r"(?:(.+) )?since")
WHAT = re.compile(r"\b([Ww])hat (is|are)\b")
WHEN_VALUE = re.compile(
    r"(?:in|on|at|by|from|until|after|before|within|during|throughout|all (?:year|day|week)|every|each|next|not before|the day)\b",
    re.IGNORECASE,
)
"""How a cell begins that says when or where something is."""
TRAILING = re.compile(
    r"(made|kept|good|open|available|valid|sold|taught|run|led|set|built|held|drawn|written|given|due|[a-z]+ed) "
    r"(by|for|from|until|since|with|in|on|at)"
)
DONE = re.compile(r"\w{2,}ed|written|taught|led|run|made|sent")
"""Columns that say who did something."""
INNER_SIGN = re.compile(rf"\s+{SIGN}\s+(?=[a-z])")
NAMED_MEASURES = {
    "length": "how long", "height": "how high", "width": "how wide", "depth": "how deep", "thickness": "how thick", "size": "how big",
    "distance": "how far", "weight": "how heavy",
}  # fmt: skip
PRICE_COLUMN = re.compile(r"(?:price|cost|fee|charge|rate)s?\b")
"""How a column's name begins whose sums are what the rows cost."""
USUAL = r"(?:(?:base|full|normal|standard|daily|weekly|monthly|yearly|annual|hourly) )?"
"""What can stand before it."""
PRICE_NAME = re.compile(
    r"\b(?:price|RRP\b|costs?\b|fees?\b|charge|rates?\b|deposit|amount|sum\b|(?:sub)?total|limit|salary|pay\b|wages?\b|value|excess|surcharge|supplement|"
    r"discount|rents?\b)|€|£|\$",
    re.IGNORECASE,
)
TIME_NAME = re.compile(
    r"(?:date|day|time|day and time|date and time|days|times|days and times|starting time|hours|opening hours|opening times)", re.IGNORECASE
)
LENGTHS = {"day", "week", "weekend", "month", "year", "season", "half day", "full day", "whole day"}
TAKING = re.compile(r"time|duration|turnaround|time (?:in|at|on|needed|taken|required)\b.*", re.IGNORECASE)
SAID_OF = re.compile(
    r"(?P<noun>.+) (?P<said>allowed|permitted|welcome|accepted|catered for|needed|required|necessary|included|available|provided|possible|"
    r"compulsory|optional|extra|free|refundable)"
)
"""A column that says something of what it names: "Dogs allowed"."""
IN, WITH = ("allowed", "permitted", "welcome"), ("catered for", "included", "available", "provided")
"""What is said to be so in, or with, what a row names; other things are so for it."""
PLAIN_PRICES = {"price-of", "price-charge", "price-pay", "price-how-much-is", "price-what-cost", "price-how-cost"}


@dataclass(frozen=True)
class Thing:
    """What a row or an item is about: its name inside a question, whether that is several, and whether it is a person."""

    key: str
    many: bool
    person: bool

    @property
    def be(self) -> str:
        """The verb that goes with it."""
        return "are" if self.many else "is"

    @property
    def head(self) -> str:
        """Its name before a colon: with a capital, without article."""
        return capital(re.sub(r"^an? ", "", self.key))


def thing_of(fact: Fact, people: Collection[str]) -> Thing:
    """What an attribute is about; `people` are the names of persons."""
    listed = not columns(fact)
    one = fact.kind == "contact" and " " in fact.subject and listed  # there is one box office, not any
    key = with_the(fact.subject) if one else said(tidy_key(fact.subject), "")
    weekly = listed and full_name(fact.subject) and re.fullmatch(r"(?:[A-Z][a-z]+days?|and|to|,| )+", fact.value)
    person = fact.subject in people or names_person(fact) or bool(weekly)
    return Thing(key, not person and phrasing.is_plural(key), person)


@dataclass(frozen=True)
class Slot:
    """A field of a timetable: the day and the hour of what it holds."""

    day: str
    hour: str

    @property
    def told(self) -> str:
        """Both in a sentence."""
        return f"{self.day} at {self.hour}"


def slot_of(fact: Fact) -> Slot | None:
    """The field of a timetable that a cell is, whose rows are hours and whose columns days, or the other way round; None for others."""
    for day, hour in ((fact.relation, fact.subject), (fact.subject, fact.relation)):
        if columns(fact) and len(weekdays(day)) == 1 and re.fullmatch(r"\d{1,2}[:.]\d\d(?: ?[ap]m)?|\d{1,2} ?[ap]m", hour):
            return Slot(weekdays(day)[0], hour)
    return None


def asked_of(table: str, thing: Thing, attribute: str = "", wh: str = "") -> Iterator[tuple[str, str]]:
    """Each pattern of a table about a thing."""
    yield from phrasing.asked(table, thing.key, attribute, wh, many=thing.many)


def attribute_questions(fact: Fact, people: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Questions for a table's cell or a `Key: value` item; `people` are the names of persons."""
    thing, relation = thing_of(fact, people), fact.relation
    if relation in ITEM_RELATIONS or (relation.lower() in ROLES and thing.person):
        yield from item_questions(fact, thing)
    elif slot := slot_of(fact):
        yield from phrasing.asked("slot", slot.told)
    elif STAMP_KEY.fullmatch(fact.subject):
        yield from stamp_questions(fact)
    elif is_hours(fact):
        yield from day_questions(fact)
    elif CONTACT_KEY.match(fact.subject) and fact.kind == "contact":
        yield from contacts(fact)
    elif re.match(r"(?:address|location|where|find us)$", fact.subject, re.IGNORECASE):
        yield from phrasing.asked("place", fact.business or "the business")
    elif columns(fact) or not DAYS.match(fact.subject) or fact.kind not in {"time", "text", "date"}:
        relation = re.sub(r"\s*\([^)]*\)", "", relation).strip() or relation
        relation = without_sign(relation)
        asks = {"who": "person", "when": "date", "where": "place", "contact": "person" if fact.kind == "person" else "contact"}
        asks |= dict.fromkeys(("phone", "tel", "telephone"), "phone number") | {"mobile": "mobile number"}
        asks |= dict.fromkeys(("ask", "ask for", "see", "speak to", "talk to", "call"), "person") if full_name(fact.value) else {}
        yield from column_or_kind(fact, thing, asks.get(relation.lower(), relation))


def without_sign(relation: str) -> str:
    """A column's name without the sign of its currency, which may stand within it ("Dealer € net")."""
    return CURRENCY_END.sub("", INNER_SIGN.sub(" ", relation)) or relation


def column_or_kind(fact: Fact, thing: Thing, relation: str) -> Iterator[tuple[str, str]]:
    """Questions for a value by what its column's name asks for, the kind that it stands for, or the name itself."""
    if re.match(r"what to do|action|remedy|solution", relation, re.IGNORECASE):
        yield from asked_of("remedy", thing)
        return
    amount = re.match(r"how (?:many|much|long|often|far)\b.*", relation, re.IGNORECASE)
    if amount:
        yield from amount_questions(thing.key, amount.group().rstrip("?"))
        return
    kind = header(first_column(fact))
    if own := tuple(clause_questions(thing, relation, kind)):
        yield from own
        return
    if relation.lower() == "name" and kind and is_noun(kind):
        yield "named-called", f"What is the {kind} for {thing.key} called?"
        yield "named-use", f"Which {kind} do you use for {thing.key}?"
        yield "named-who", f"Who is the {kind} for {thing.key}?"
    asking = re.match(r"(when|where|who)\b(?: is| are)? ?(.*)$", relation, re.IGNORECASE)
    if asking:
        yield from header_questions(thing, asking.group(1).lower(), asking.group(2).rstrip("?"))
        return
    if fact.kind == "money" and relation.lower() in {"price", "cost", "fee", "charge", "amount"}:
        relation = "money"
    relation = said_by_heading(fact, relation) or relation
    if relation == "details":
        relation = fact.kind if fact.kind in {"person", "place"} else "details"
    if thing.person and TIME_NAME.fullmatch(relation):
        yield from asked_of("person_days", thing)
    elif relation.lower() in {"value", "setting"} and "_" not in thing.key:
        yield from phrasing.asked("value", with_the(fact.subject))
    elif relation == "money" and is_sum(fact.subject):
        yield from phrasing.asked("sum", with_the(fact.subject))
    elif relation == "duration" and last_word(fact.subject) in SPANS:
        yield from phrasing.asked("span", with_the(fact.subject))
    elif relation.lower() in {*phrasing.KINDS, "details", "meaning", "setting"}:
        yield from asked_of(relation.lower(), thing)
    else:
        yield from named_questions(fact, thing, relation if relation.partition(" ")[0].isupper() else relation[:1].lower() + relation[1:])


def named_questions(fact: Fact, thing: Thing, name: str) -> Iterator[tuple[str, str]]:
    """Questions that name the attribute, and those in the words that go with it."""
    if since := since_date(name):
        yield from since_questions(thing, since)
        return
    own = list(column_questions(fact, thing, name))
    yield from own
    yield from phrasing.usual(name.lower(), fact.kind, thing.key, people=thing.person, many=thing.many)
    if own and (name in COLUMN_VERBS or NO_NOUN.match(name) or (fact.kind == "money" and length_of(name))):
        return
    if fact.kind == "money" and not PRICE_NAME.search(name):
        name += " price"
    elif not is_noun(name):
        yield from loose_questions(fact, thing, name)
        return
    for form, text in asked_of("attribute", thing, name):
        if fits(form, thing.key, name):
            yield form, WHAT.sub(r"\1ho \2", text) if fact.kind == "person" and is_human(name) else text


def since_questions(thing: Thing, rest: str) -> Iterator[tuple[str, str]]:
    """Questions for a column such as "with us since" or "member since"."""
    has, rest = "have" if thing.many else "has", been(thing, rest)
    yield "since-when", f"Since when {has} {thing.key} been {rest}?"
    yield "since-tell", f"Tell me since when {thing.key} {has} been {rest}."
    yield "since-know", f"Do you know since when {thing.key} {has} been {rest}?"
    yield "since-insitu", f"{capital(thing.key)} {has} been {rest} since when?"
    yield "since-colon", f"{thing.head}: {rest} since when?"
    yield "since-date", f"From what date on {has} {thing.key} been {rest}?"


def since_date(name: str) -> str:
    """What rows are since the date below a column of this name: "with us", or "here" where it only says "since"; "" for other columns."""
    found = SINCE.fullmatch(name)
    return (found[1] or "here") if found else ""


def been(thing: Thing, rest: str) -> str:
    """What a row has been since the date in a column such as "with us since" or "member since"."""
    rest = flipped(rest)
    return f"a {rest}" if thing.person and is_noun(rest) and not re.search(r"\b(?:in|on|with|of|at)\b|s$", rest) else rest


def loose_questions(fact: Fact, thing: Thing, name: str) -> Iterator[tuple[str, str]]:
    """Questions for a column whose name is no noun ("ready", "born")."""
    if thing.person and OFF.fullmatch(name):
        yield from asked_of("person_off", thing, name)
        return
    if fact.kind == "duration" and len(name.split()) > 2:
        yield "loose-long", f"{thing.head}: {name} how long?"
        yield "loose-long-for", f"For {thing.key}, {name} how long?"
        yield "loose-long-by", f"How long is it that {name}, for {thing.key}?"
        return
    if fact.kind in {"date", "time"} or WHEN_VALUE.match(fact.value) or (fact.kind == "duration" and not is_noun(name)):
        was = name == "born" or name.startswith("last ")
        yield from header_questions(thing, "when", name, "was" if was else thing.be)
        return
    yield "loose-colon", f"{thing.head}: {name}?"
    yield "loose-given", f"What is given under “{name}” for {thing.key}?"
    yield "loose-says", f"For {thing.key}, what does it say under “{name}”?"


def stamp_questions(fact: Fact) -> Iterator[tuple[str, str]]:
    """Questions for when a text was written or changed, where its heading says which; the last change of "this" is nobody's question."""
    done, topic = re.sub(r" (?:on|at)$|^date ", "", fact.subject.lower()), fact.topic
    if fact.kind == "date" and topic and topic != fact.business:
        yield "stamp-when", f"When was “{topic}” {done}?"
        yield "stamp-tell", f"Tell me when “{topic}” was {done}."
        yield "stamp-colon", f"{topic}: when {done}?"


def item_questions(fact: Fact, thing: Thing) -> Iterator[tuple[str, str]]:
    """Questions for a person's role or duties, and for what only an item says: its value, hours, label or notes."""
    relation, key = fact.relation, thing.key
    if relation == "hours":
        yield from hours_questions(with_the(fact.subject) if PLACES & set(key.lower().split()) else key)
    elif relation == "value":
        yield from phrasing.asked("value", with_the(fact.subject))
    elif relation in {"duties", "work"}:
        yield from phrasing.asked("duties", fact.subject)
        yield from phrasing.asked("name_role", fact.subject) if relation == "work" else ()
    elif relation in {"label", "notes"}:
        dated = relation == "label" and re.search(r"\d{4}|\d[./]\d", key)
        yield from asked_of("label" if dated else "details", thing)
    elif fact.value.lower() != "author":  # of the text, which is nobody's work for the business
        yield from phrasing.asked("name_role", fact.subject)


def column_questions(fact: Fact, thing: Thing, name: str) -> Iterator[tuple[str, str]]:
    """Questions in the words that go with a column's name and the kind of its values."""
    if FREE_COLUMN.fullmatch(name):  # of a note of "15 minutes" nothing says what takes so long
        return
    verb, ending, noun = COLUMN_VERBS.get(name), TRAILING.fullmatch(name), is_noun(name)
    if verb:
        yield from asked_of("column_verb", thing, verb, column_word(fact))
    elif fact.kind == "person" and DONE.fullmatch(name):
        yield from asked_of("column_done", thing, name)
    elif fact.kind == "money" and NO_NOUN.match(name):
        yield from asked_of("column_price", thing, name)
    elif fact.kind == "money" and length_of(name):
        yield from asked_of("column_price", thing, length_of(name))
    elif ending:
        timed = fact.kind in {"date", "time", "duration"} and ending.group(2) in {"until", "from", "by", "since"}
        wh = f"{ending.group(2)} when" if timed else "who" if fact.kind == "person" else "what"
        yield from asked_of("column_trailing", thing, ending.group(1) if timed else name, wh)
    elif name in NAMED_MEASURES and fact.kind in {"measure", "duration"}:
        yield from asked_of("column_measure", thing, name, NAMED_MEASURES[name])
    elif fact.kind == "money" and PRICE_NAME.search(name):
        yield from asked_of("column_much", thing, name)
    elif fact.kind == "count" and (told := SAID_OF.fullmatch(name)) and phrasing.is_plural(told["noun"]):
        yield from asked_of("column_told", thing, told["noun"], f"{told['said']} {place_of(told['said'])}")
    elif not noun or (fact.kind == "person" and not is_human(name)):
        return
    elif fact.kind in {"duration", "percent", "person"} or (fact.kind in {"date", "time"} and not TIME_NAME.fullmatch(name)):
        yield from asked_of(f"column_{fact.kind}", thing, name)
    elif fact.kind == "count" and phrasing.is_plural(name) and not re.match(r"[\d.,]+$", thing.key):
        yield from asked_of("column_count", thing, name)
    counts = re.match(r"\d", fact.value) and not (weekdays(fact.value) or find_values(fact.value))
    if fact.kind == "text" and phrasing.is_plural(name) and counts:
        yield from asked_of("column_count", thing, name)
    elif fact.kind in {"date", "time", "text"} and TIME_NAME.fullmatch(name) and "hours" not in name and "opening" not in name:
        yield from asked_of("column_held", thing, name)
    if fact.kind == "duration" and TAKING.fullmatch(name):
        yield from asked_of("column_takes", thing)
    elif fact.kind == "duration" and name.endswith(" time") and name != "lead time":
        yield from asked_of("column_doing", thing, name.removesuffix(" time"))
    if fact.kind == "money" and PRICE_COLUMN.match(name) and lone(fact):
        yield from (pair for pair in asked_of("money", thing) if pair[0] in PLAIN_PRICES)


def length_of(name: str) -> str:
    """The length of time that a column's name is, for which something costs what stands below: "for 1 hour", "for a half day"; or ""."""
    if name in LENGTHS:
        return f"for a {name}"
    return f"for {name}" if kind_of(name) == "duration" else ""


def place_of(said: str, at: str = "in") -> str:
    """The preposition between what is said of a column's noun and the row; `at` is that of places."""
    return at if said in IN else "with" if said in WITH else "for"


def is_sum(key: str) -> bool:
    """Whether an item is an amount of money by itself, which has no price: a deposit, an entry fee."""
    return last_word(key) in SUMS


def said_by_heading(fact: Fact, relation: str) -> str:
    """What the heading above an item says that it is of what its key names: the "late fee" of books, 10p a day; "" where it says not.

    A price is that of what the key names anyway.
    """
    if relation not in ("money", "duration", "percent"):
        return ""
    sums, last, heading = SPANS | SUMS - {"price", "cost"}, last_word(fact.topic), header(fact.topic)
    one = listed_under(fact.topic) or last
    named = one in sums and last != "terms" and last_word(fact.subject) not in sums
    return heading.removesuffix(last) + one if named else ""


def last_word(key: str) -> str:
    """The last word of an item's key without brackets, in small letters; "" where it has none."""
    words: list[str] = re.findall(r"[a-z]+", re.sub(r"\([^)]*\)", "", key).lower())
    return words[-1] if words else ""


def is_human(name: str) -> bool:
    """Whether a column's name says that it holds people."""
    return bool(PEOPLE_COLUMN.search(name) or re.search(rf"(?:{ROLE_ENDINGS})$", name))


@cache
def is_noun(name: str) -> bool:
    """Whether a column's name can stand after "the": "fee" can, "ready", "closed" and "kept until" cannot."""
    if NO_NOUN.match(name) or not name.strip():
        return False
    if name.isupper() or PRICE_NAME.search(name) or PLACES & {name}:
        return True
    there, of = parse_all([f"The {name} is here.", f"What is the {name} for it?"])
    return not (there[-4].tag_ in NO_NOUN_TAGS or (len(name.split()) == 1 and of[-4].tag_ in NO_NOUN_TAGS))


def column_word(fact: Fact) -> str:
    """The question phrase for a value under a verb such as "starts"."""
    counted = re.fullmatch(rf"{NUMBER}(?: to {NUMBER})? ([a-z]+s|people|children)", fact.value)
    words = {"date": "when", "time": "when", "duration": "how long", "money": "how much", "count": "how many", "place": "where"}
    return f"how many {counted.group(1)}" if counted and fact.kind == "text" else words.get(fact.kind, how_many(fact.value) or "what")


def lone(fact: Fact) -> bool:
    """Whether a cell is the only one of its kind in its row."""
    return sum(kind_of(cell.partition(": ")[2]) == fact.kind for cell in fact.evidence.split("; ")) <= 1


def first_column(fact: Fact) -> str:
    """What a table calls its rows, "" for an item of a list."""
    return next(iter(columns(fact)), "")


def role_name(value: str) -> str:
    """A role inside a sentence: its first letter small, but for days and abbreviations."""
    head = value.partition(" ")[0]
    return value if head.isupper() or weekdays(head) else value[:1].lower() + value[1:]


def describes(fact: Fact) -> bool:
    """Whether a cell tells its row from others: its column is a noun, its value no yes or no and no time or place ("in winter")."""
    value = fact.value.lower()
    plain = value in {"yes", "no", "-", "–", "none"} or WHEN_VALUE.match(value) or re.match(r"(?:for|of|per|to|with|without)\b", value)
    return is_noun(header(fact.relation)) and not plain and not weekdays(fact.subject)


def is_possession(fact: Fact) -> bool:
    """Whether a row can be said to have a cell's value, as it has a fee; it has no "red" as its jacket."""
    return describes(fact) and (not re.fullmatch(r"[a-z]+", fact.value) or is_noun(fact.value))


def fits(form: str, key: str, name: str) -> bool:
    """Whether a pattern suits the attribute's name: one that ends in a preposition only goes with the terse ones."""
    if re.search(r"\b(?:in|on|at|by|for|to|from|since|until|with|of)$", name):
        return form in {"attribute-colon", "attribute-keyword"}
    return form != "attribute-s" or len(key.split()) <= 3


def clause_questions(thing: Thing, header: str, kind: str = "") -> Iterator[tuple[str, str]]:
    """Questions for a column whose header is a clause about its rows: "Who gets it", "Book by", "You pay"; `kind` is what rows are."""
    key = thing.key
    if doer := DOER.fullmatch(header):
        asks = f"who {doer.group(1).lower()} {key}"
        yield "clause-direct", f"{capital(asks)}?"
        yield "clause-tell", f"Tell me {asks}."
        yield "clause-know", f"Do you know {asks}?"
        yield "clause-could", f"Could you tell me {asks}?"
        yield "clause-colon", f"{thing.head}: who {doer.group(1).lower()} {'them' if thing.many else 'it'}?"
    elif due := DUE.fullmatch(header):
        verb = due.group(1).lower()
        yield "clause-direct", f"By when do I have to {verb} for {key}?"
        yield "clause-tell", f"Tell me by when I have to {verb} for {key}."
        yield "clause-latest", f"What is the latest that I can {verb} for {key}?"
        yield "clause-could", f"Could you tell me by when I have to {verb} for {key}?"
        yield "clause-colon", f"{thing.head}: {verb} by when?"
    elif deal := DEAL.fullmatch(header):
        who, verb = {"you": "I", "we": "you"}[deal.group(1).lower()], deal.group(2).lower()
        case = f"if the {kind} is {key}" if kind else f"for {key}"
        yield "clause-direct", f"What do {who} {verb} {case}?"
        yield "clause-tell", f"Tell me what {who} {verb} {case}."
        yield "clause-know", f"Do you know what {who} {verb} {case}?"
        yield "clause-could", f"Could you tell me what {who} {verb} {case}?"
        yield "clause-colon", f"{thing.head}: what do {who} {verb}?"


def header_questions(thing: Thing, wh: str, rest: str, be: str = "") -> Iterator[tuple[str, str]]:
    """Questions for a column whose header asks itself, such as "When due"."""
    key, be = thing.key, be or thing.be
    end = f" {rest}" if rest else ""
    yield "header-direct", f"{capital(wh)} {be} {key}{end}?"
    yield "header-tell", f"Tell me {wh} {key} {be}{end}."
    yield "header-know", f"Do you know {wh} {key} {be}{end}?"
    yield "header-could", f"Could you tell me {wh} {key} {be}{end}?"
    yield "header-need", f"I need to know {wh} {key} {be}{end}."
    yield "header-colon", f"{thing.head}: {wh}{end}?"
    yield "header-insitu", f"{capital(key)} {be}{end} {wh}?"


def amount_questions(key: str, header: str) -> Iterator[tuple[str, str]]:
    """Questions for a column whose header asks for a number, such as "How many at once"."""
    asks = header[:1].lower() + header[1:]
    yield "header-direct", f"{header} for {key}?"
    yield "header-colon", f"{capital(key)}: {asks}?"
    yield "header-insitu", f"For {key}, {asks}?"
    yield "header-tell", f"Tell me {asks} for {key}."
    yield "header-know", f"Do you know {asks} for {key}?"
    yield "header-need", f"I need to know {asks} for {key}."
    yield "header-could", f"Could you tell me {asks} for {key}?"


def faq_questions(fact: Fact, doc: Any) -> Iterator[tuple[str, str]]:
    """The documents' own question, and the same in other sentences."""
    question = fact.relation
    yield "faq", question
    yield "faq-named", anchored_always(fact, question)
    asked = uninverted(doc)
    if asked:
        yield from wrapped(asked, [w for w in phrasing.WRAPPERS if w != "explain" or asked.startswith(("why", "how"))])
    if re.match(r"(?:Do|Can|May|Is|Are|Will|Does|Must)\b", question):
        yield "faq-so", f"I’d like to ask: {small(question)}"
    yield "faq-want", f"People often ask: {question}"


def anchored_always(fact: Fact, text: str) -> str:
    """The question with the business's name, where it lacks it."""
    return "" if mentions(fact, text) else f"{text[:-1]} at {fact.business}?"


def uninverted(doc: Any) -> str:
    """A direct question as an indirect one: "Where can I park?" becomes "where I can park"; "" where that is not safe."""
    verbs = [t for t in doc if t.tag_ in {"MD", "VBZ", "VBP", "VBD"} and t.dep_ in {"aux", "auxpass", "ROOT"}]
    if not verbs or len([t for t in doc if t.dep_ == "ROOT"]) != 1 or doc[-1].text != "?":
        return ""
    verb, root = verbs[0], next(t for t in doc if t.dep_ == "ROOT")
    subject = next((c for c in root.children if c.dep_ in {"nsubj", "nsubjpass", "expl"}), None)
    if subject is None or (verb.head != root and verb != root):
        return ""
    span = sorted(t.i for t in subject.subtree)
    text = doc.user_data["source"]

    def part(a: int, b: int) -> str:
        return "" if a >= b else text[doc[a].idx : doc[b - 1].idx + len(doc[b - 1])]

    lead = part(0, verb.i)
    if span[0] < verb.i:
        return small(text.rstrip("?")) if span[0] == 0 else ""
    middle, tail = part(span[0], span[-1] + 1), part(span[-1] + 1, len(doc) - 1)
    begin = small(lead) if lead else "whether"
    if span[0] != verb.i + 1:
        return ""
    if "?" in middle or (verb == root and not tail):
        return ""
    if verb.lemma_ == "do" and verb != root:
        if verb.text.lower() != "do":
            return ""
        return f"{begin} {middle} {tail}".strip()
    return f"{begin} {middle} {verb.text.lower()} {tail}".strip()
