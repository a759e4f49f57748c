"""Attributes: questions for table cells, key-value items and the documents' own questions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from engrain.knowledge import phrasing
from engrain.knowledge.asking import contacts, wrapped
from engrain.knowledge.facts import PEOPLE_COLUMN, Fact, full_name
from engrain.knowledge.grammar import capital
from engrain.knowledge.items import DAYS, tidy_key, with_the
from engrain.knowledge.questions import how_many
from engrain.knowledge.values import NUMBER, kind_of
from engrain.knowledge.wording import mentions, small
from engrain.knowledge.words import PLACES, ROLE_ENDINGS

CONTACT_KEY = re.compile(r"(?:tele)?phone$|tel$|e-?mail$|mail$|web(?:site)?$|fax$|mobile$|enquiries$|contact$|bookings?$", re.IGNORECASE)

ROLES = {"role", "position", "job", "job title", "title", "function", "post"}
ITEM_RELATIONS = {"hours", "value", "duties", "work", "label", "notes", "role"}
NO_NOUN = re.compile(r"(?:and|also|by|for|from|how|in|on|of|per|to|until|what|when|where|which|who|why|with)\b|\S+ed$", re.IGNORECASE)
"""Column names that cannot stand after "whose" or "the … of"."""


COLUMN_VERBS = {
    "starts": "start", "begins": "begin", "ends": "end", "finishes": "finish", "opens": "open", "closes": "close", "leaves": "leave",
    "departs": "depart", "arrives": "arrive", "takes": "take", "lasts": "last", "sleeps": "sleep", "feeds": "feed", "holds": "hold",
    "seats": "seat", "costs": "cost", "weighs": "weigh", "includes": "include", "covers": "cover", "serves": "serve", "needs": "need",
}  # fmt: skip
TRAILING = re.compile(r"(made|kept|good|open|available|valid|sold|taught|run|led|due|[a-z]+ed) (by|for|from|until|since|with|in|on|at)")
NAMED_MEASURES = {
    "length": "how long", "height": "how high", "width": "how wide", "depth": "how deep", "thickness": "how thick", "size": "how big",
    "distance": "how far", "weight": "how heavy",
}  # fmt: skip
PRICE_COLUMN = re.compile(r"(?:price|cost|fee|charge|rate)s?\b")
"""How a column's name begins whose sums are what the rows cost."""
USUAL = r"(?:(?:base|full|normal|standard|daily|weekly|monthly|yearly|annual|hourly) )?"
"""What can stand before it."""
PRICE_NAME = re.compile(
    r"\b(?:price|costs?\b|fees?\b|charge|rates?\b|deposit|amount|sum\b|(?:sub)?total|limit|salary|value|excess|surcharge|supplement|"
    r"discount|rents?\b)|€|£|\$",
    re.IGNORECASE,
)
TIME_NAME = re.compile(
    r"(?:date|day|time|day and time|date and time|days|times|days and times|starting time|hours|opening hours|opening times)", re.IGNORECASE
)
TAKING = re.compile(r"time|duration|turnaround|time (?:in|at|on|needed|taken|required)\b.*", re.IGNORECASE)
PLAIN_PRICES = {"price-of", "price-charge", "price-pay", "price-how-much-is", "price-what-cost", "price-how-cost"}


def attribute_questions(fact: Fact) -> Iterator[tuple[str, str]]:
    """Questions for a table's cell or a `Key: value` item."""
    key, relation = tidy_key(fact.subject), fact.relation
    if relation in ITEM_RELATIONS or (relation.lower() in ROLES and full_name(fact.subject)):
        yield from item_questions(fact, key)
        return
    if DAYS.match(fact.subject) and fact.kind in {"time", "text", "date"}:
        day = "from " + key if re.search(r"\b(?:to|until)\b|[–-]", key) else "at weekends" if "eekend" in key else f"on {key}"
        if re.search(r"open|hour|time", f"{fact.topic} {relation}", re.IGNORECASE):
            yield from phrasing.asked("day_hours", day)
        return
    if CONTACT_KEY.match(fact.subject) and fact.kind == "contact":
        yield from contacts(fact)
        return
    if re.match(r"(?:address|location|where|find us)$", fact.subject, re.IGNORECASE):
        yield from phrasing.asked("place", fact.business or "the business")
        return
    relation = re.sub(r"\s*\([^)]*\)", "", relation).strip() or relation
    asks = {"who": "person", "when": "date", "where": "place", "contact": "person" if fact.kind == "person" else "contact"}
    relation = asks.get(relation.lower(), relation)
    if re.match(r"what to do|action|remedy|solution", relation, re.IGNORECASE):
        yield from phrasing.asked("remedy", key)
        return
    amount = re.match(r"how (?:many|much|long|often|far)\b.*", relation, re.IGNORECASE)
    if amount:
        yield from amount_questions(key, amount.group().rstrip("?"))
        return
    asking = re.match(r"(when|where|who)\b(?: is| are)? ?(.*)$", relation, re.IGNORECASE)
    if asking:
        yield from header_questions(key, asking.group(1).lower(), asking.group(2).rstrip("?"))
        return
    if fact.kind == "money" and relation.lower() in {"price", "cost", "fee", "charge", "amount"}:
        relation = "money"
    if relation == "details":
        relation = fact.kind if fact.kind in {"person", "place"} else "details"
    if relation in {"date", "time"} and full_name(fact.subject):
        yield from phrasing.asked("person_days", key)
        return
    if relation.lower() in {"value", "setting"} and "_" not in key:
        yield from phrasing.asked("value", with_the(fact.subject))
        return
    if relation.lower() in {*phrasing.KINDS, "details", "meaning", "setting"}:
        yield from phrasing.asked(relation.lower(), key)
        return
    yield from named_questions(fact, key, relation if relation.isupper() else relation[:1].lower() + relation[1:])


def named_questions(fact: Fact, key: str, name: str) -> Iterator[tuple[str, str]]:
    """Questions that name the attribute, and those in the words that go with it."""
    own = list(column_questions(fact, key, name))
    yield from own
    if own and (name in COLUMN_VERBS or NO_NOUN.match(name)):
        return
    if fact.kind == "money" and not PRICE_NAME.search(name):
        name += " price"
    yield from (pair for pair in phrasing.asked("attribute", key, name) if fits(pair[0], key, name))


def item_questions(fact: Fact, key: str) -> Iterator[tuple[str, str]]:
    """Questions for a person's role or duties, and for what only an item says: its value, hours, label or notes."""
    relation = fact.relation
    if relation == "hours":
        yield from hours_questions(with_the(fact.subject) if PLACES & set(key.lower().split()) else key)
    elif relation == "value":
        yield from phrasing.asked("value", with_the(fact.subject))
    elif relation in {"duties", "work"}:
        yield from phrasing.asked("duties", fact.subject)
        yield from phrasing.asked("name_role", fact.subject) if relation == "work" else ()
    elif relation in {"label", "notes"}:
        dated = relation == "label" and re.search(r"\d{4}|\d[./]\d", key)
        yield from phrasing.asked("label" if dated else "details", key)
    else:
        yield from phrasing.asked("name_role", fact.subject)


def hours_questions(key: str) -> Iterator[tuple[str, str]]:
    """Questions for the days and hours of something: a place is open, anything else is."""
    opens = " open" if PLACES & set(key.lower().split()) else ""
    be = "are" if phrasing.is_plural(key) else "is"
    yield "hours-is", f"When {be} {key}{opens}?"
    yield "hours-days", f"On which days and at what time {be} {key}{opens}?"
    yield "hours-say", f"Tell me when {key} {be}{opens}."
    yield from phrasing.asked("hours", key)


def column_questions(fact: Fact, key: str, name: str) -> Iterator[tuple[str, str]]:
    """Questions in the words that go with a column's name and the kind of its values."""
    verb, ending = COLUMN_VERBS.get(name), TRAILING.fullmatch(name)
    if verb:
        yield from phrasing.asked("column_verb", key, verb, column_word(fact))
    elif fact.kind == "money" and NO_NOUN.match(name):
        yield from phrasing.asked("column_price", key, name)
    elif ending:
        timed = fact.kind in {"date", "time", "duration"} and ending.group(2) in {"until", "from", "by", "since"}
        wh = f"{ending.group(2)} when" if timed else "who" if fact.kind == "person" else "what"
        yield from phrasing.asked("column_trailing", key, ending.group(1) if timed else name, wh)
    elif name in NAMED_MEASURES and fact.kind in {"measure", "duration"}:
        yield from phrasing.asked("column_measure", key, name, NAMED_MEASURES[name])
    elif fact.kind == "money" and PRICE_NAME.search(name):
        yield from phrasing.asked("column_much", key, name)
    elif fact.kind == "person" and not (PEOPLE_COLUMN.search(name) or re.search(rf"(?:{ROLE_ENDINGS})$", name)):
        return
    elif fact.kind in {"duration", "percent", "person"} or (fact.kind in {"date", "time"} and not TIME_NAME.fullmatch(name)):
        yield from phrasing.asked(f"column_{fact.kind}", key, name)
    elif fact.kind == "count" and phrasing.is_plural(name) and not re.match(r"[\d.,]+$", key):
        yield from phrasing.asked("column_count", key, name)
    if fact.kind in {"date", "time", "text"} and TIME_NAME.fullmatch(name) and "hours" not in name and "opening" not in name:
        yield from phrasing.asked("column_held", key, name)
    if fact.kind == "duration" and TAKING.fullmatch(name):
        yield from phrasing.asked("column_takes", key)
    elif fact.kind == "duration" and name.endswith(" time"):
        yield from phrasing.asked("column_doing", key, name.removesuffix(" time"))
    if fact.kind == "money" and PRICE_COLUMN.match(name) and lone(fact):
        yield from (pair for pair in phrasing.asked("money", key) if pair[0] in PLAIN_PRICES)


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
    return "" if fact.evidence.startswith(fact.subject) else fact.evidence.partition(":")[0].strip()


def header(text: str) -> str:
    """A column's name inside a sentence: in small letters, but for abbreviations."""
    return " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in re.sub(r"\s*\(.*?\)", "", text).split())


def reverse_attributes(fact: Fact) -> Iterator[tuple[str, str]]:
    """Questions from an item's value back to the item: what costs this much, who has this role, whose number this is."""
    value, relation = fact.value, fact.relation.lower()
    if len(value.split()) > 8 or fact.relation in ITEM_RELATIONS | {"details", "meaning"}:
        return
    if fact.kind == "money" and (relation == "money" or re.match(r"(?:price|cost|fee)s?\b", relation)):
        yield "reverse-costs", f"What costs {value}?"
        yield "reverse-get", f"What can I get for {value}?"
        yield "reverse-tell", f"Tell me what costs {value}."
    elif full_name(fact.subject) and re.search(r"role|position|job|title|function", relation):
        role = value if value.isupper() else value[:1].lower() + value[1:]
        yield "reverse-who", f"Who is the {role}?"
        yield "reverse-name", f"What is the name of the {role}?"
        yield "reverse-tell", f"Tell me who the {role} is."
    elif full_name(fact.subject) and len(relation.split()) <= 2 and relation not in phrasing.KINDS:
        yield "reverse-whose", f"Whose {relation} is {value}?"
        yield "reverse-who", f"Who has {value} as {relation}?"
        yield "reverse-the", f"Who has the {relation} {value}?"
    yield from which_rows(fact)


def which_rows(fact: Fact) -> Iterator[tuple[str, str]]:
    """Questions for the row of a table that has a value, where the table says what its rows are: which course costs £52."""
    kind, relation = header(first_column(fact)), header(fact.relation)
    if kind in ("", "name", relation) or len(kind.split()) > 3 or NO_NOUN.match(kind) or NO_NOUN.match(relation):
        return
    yield "reverse-which", f"Which {kind} has {fact.value} as {relation}?"
    if fact.kind in ("money", "count", "percent", "duration"):
        yield "reverse-of", f"Which {kind} has a {relation} of {fact.value}?"
    if fact.kind == "money" and re.match(USUAL + PRICE_COLUMN.pattern, relation):
        yield "reverse-at", f"Which {kind} costs {fact.value}?"


def fits(form: str, key: str, name: str) -> bool:
    """Whether a pattern suits the attribute's name: one that ends in a preposition only goes with the terse ones."""
    if re.search(r"\b(?:in|on|at|by|for|to|from|since|until|with|of)$", name):
        return form in {"attribute-colon", "attribute-keyword"}
    return form != "attribute-s" or len(key.split()) <= 3


def header_questions(key: str, wh: str, rest: str) -> Iterator[tuple[str, str]]:
    """Questions for a column whose header asks itself, such as "When due"."""
    be = "are" if phrasing.is_plural(key) else "is"
    end = f" {rest}" if rest else ""
    yield "header-direct", f"{capital(wh)} {be} {key}{end}?"
    yield "header-tell", f"Tell me {wh} {key} {be}{end}."
    yield "header-know", f"Do you know {wh} {key} {be}{end}?"
    yield "header-could", f"Could you tell me {wh} {key} {be}{end}?"
    yield "header-need", f"I need to know {wh} {key} {be}{end}."
    yield "header-colon", f"{capital(key)}: {wh}{end}?"
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
