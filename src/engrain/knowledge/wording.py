"""Wording: a question with its answer, and the small changes that every wording needs."""

from __future__ import annotations

import re
from calendar import month_name
from dataclasses import dataclass, replace
from functools import cache

from engrain.knowledge import phrasing
from engrain.knowledge.extract import GAP
from engrain.knowledge.facts import Fact
from engrain.knowledge.grammar import capital
from engrain.knowledge.parse import parse
from engrain.knowledge.shapes import FLIP, words
from engrain.knowledge.values import BARE_SUM, verdict, with_unit
from engrain.knowledge.words import CONTACT_VERBS
from engrain.words import CODES

REFUSAL = "I’m sorry, I don’t know that."
"""How a model is taught to decline: always in the same words, for several ways to say it would share what speaks for declining."""
SIGNS = {code.upper(): sign.upper() for code, sign in CODES.items()}
CURRENCY = re.compile(rf"\b(?:{'|'.join(SIGNS)})\b|(?:\b[A-Z]{{1,2}})?[£€$]")
STUDIED = "studied"
"""The form of a wording that a model wrote: each stands for itself, so it is no pattern."""
QUESTION_WORD = re.compile(
    r"(?:What|Who|Whom|Whose|When|Where|Why|How|Which|Is|Are|Was|Were|Do|Does|Did|Can|Could|May|Must|Should|Will|Would|Has|Have|At|On|In|By|From|"
    r"Until|Since|For|With|To|After|Within|Against|Between|During|Of|Over|Whereabouts|Till)$"
)


@dataclass(frozen=True)
class Wording:
    """A question or request and its answer; `kind` as in Example, `form` the pattern that made it."""

    kind: str
    form: str
    prompt: str
    answer: str


def normal(text: str) -> str:
    """Text for comparison: small letters, words and digits only."""
    return " ".join(re.findall(r"[\w£$€%]+", text.lower().replace("’", "'")))


def full_statement(fact: Fact) -> str:
    """The fact as one whole sentence."""
    if fact.form == "statement":
        return capital(fact.relation.replace(GAP, fact.value))
    if fact.form == "question":
        return capital(fact.value) + "."
    attribute = "" if fact.relation in {*phrasing.KINDS, "details", "measure", "count", "name", "text"} else f", {fact.relation}"
    return f"{capital(fact.subject)}{attribute}: {fact.value}."


LIMIT = "up to|at least|at most|no more than|more than|less than|about|around|roughly|some|over|under|above|below"
LEAD = {
    "date": re.compile(rf"\b((?:by|before|after|until|till|since|from|on) ){GAP}"),
    "time": re.compile(rf"\b((?:by|before|after|until|till|since|from|about|around) ){GAP}"),
    "duration": re.compile(rf"\b((?:(?:within|after|until|before) )?(?:(?:{LIMIT}) )?){GAP}"),
    **dict.fromkeys(("money", "measure", "percent", "count"), re.compile(rf"\b((?:{LIMIT}) ){GAP}")),
    **dict.fromkeys(
        ("text", "name", "place"),
        re.compile(
            rf"\b((?:between|behind|beside|under|above|below|opposite|near|next to|outside|beyond|along|across|through) ){GAP}(?! and\b)"
        ),
    ),
}
"""Kind → the words before a value that its answer keeps, since it says something else without them."""
COUNTED = re.compile(
    rf"{GAP}( (?:(?!(?:of|or|and|to|in|by|at|for|per)\b)[a-z-]*[a-rt-z] )?(?:[a-z]+[^s\W]s|people|children|men|women)\b)(?!-)"
)


def answer(fact: Fact) -> str:
    """The short canonical answer: the value with the word that it needs before it, as people say it."""
    return gap_answer(replace(fact, value=whole_value(fact)))


def whole_value(fact: Fact) -> str:
    """The value with what limits it ("within 30 days", "at least two") and, for a number, what it counts ("24 seats")."""
    lead = LEAD.get(fact.kind)
    before = lead.search(fact.relation) if lead and fact.form == "statement" else None
    counted = COUNTED.search(fact.relation) if fact.kind == "count" else None
    return (before.group(1) if before else "") + fact.value + (counted.group(1) if counted else "")


def gap_answer(fact: Fact) -> str:
    """The value alone, as people say it: as it stands in the documents, or in words where it stands there for machines."""
    return spelled(said(re.sub(r"\*\*|__|`", "", fact.value), fact.relation))


def spelled(value: str) -> str:
    """A value as an answer: with a capital, unless it is an address or written like one, and a full stop."""
    return (value if re.match(r"[a-z]+[A-Z]|\S+@|www\.|https?:", value) else capital(value)).rstrip(".") + "."


def said(value: str, relation: str) -> str:
    """A bare amount with the currency or unit of its column, a date of numbers and a mark in words; any other value as it is."""
    currency = CURRENCY.search(relation)
    if currency and BARE_SUM.fullmatch(value):
        return re.sub(r"\d", lambda m: f"{SIGNS.get(currency.group(), currency.group())}{m.group()}", value, count=1)
    date = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", value)
    if date and 1 <= int(date.group(2)) <= 12:
        return f"{int(date.group(3))} {month_name[int(date.group(2))]} {date.group(1)}"
    return verdict(value) or with_unit(value, relation)


def mentions(fact: Fact, text: str) -> bool:
    """Whether a text already says which business it is about."""
    first_words = " ".join(fact.business.split()[:2])
    return not fact.business or fact.business in text or first_words in text


def small(text: str) -> str:
    """A question inside a sentence: its first letter small unless it is a name or I."""
    head = text.split()[0]
    return text if head in {"I", "I’m", "I’d"} or not re.match(QUESTION_WORD, head) else text[:1].lower() + text[1:]


@cache
def flipped(text: str) -> str:
    """A phrase from the speaker's side turned to the asker's; only grammar tells whether "you" becomes I or me."""
    if re.search(r"\byou\b", text, re.IGNORECASE):
        doc = parse(text)
        turned = re.sub(r"\bI(['’])re\b", r"I\1m", words(doc, list(range(len(doc)))))
        turned = re.sub(r"(?<!am )\bI(?= (?:round|around|an?|the|your)\b)", "me", turned)
    else:
        turned = re.sub(r"\b(?:[Ww]e|us|[Oo]urs?|[Yy]ours?)\b", lambda m: FLIP[m.group().lower()], text)
    return capital(turned) if text[:1].isupper() else turned


RELAYED = {
    "I am": "they are", "I was": "they were", "I’m": "they’re", "I": "they", "me": "them", "my": "their", "mine": "theirs",
    "you": "we", "your": "our", "yours": "ours",
}  # fmt: skip
TO_US = f"to|for|from|with|of|by|at|on|about|without|than|reach|pay|owe|give|send|bring|show|{'|'.join(sorted(CONTACT_VERBS))}"
"""The words after which "you" is no subject."""


def relayed(asked: str) -> str:
    """An indirect question of a customer as a colleague passes it on: I becomes they, you becomes we."""
    asked = re.sub(rf"\b({TO_US}) you\b", r"\1 us", asked)
    return re.sub(rf"\b(?:{'|'.join(RELAYED)})\b", lambda m: RELAYED[m.group()], asked)
