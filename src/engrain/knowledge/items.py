"""Items: how a list item `Key: text` is read: whom it is about, what its key is called in a sentence, whether its text tells or names."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from engrain.knowledge import phrasing
from engrain.knowledge.blocks import Block
from engrain.knowledge.grammar import article
from engrain.knowledge.parse import parse, parse_all
from engrain.knowledge.values import Value, find_values, kind_of
from engrain.knowledge.words import BEFORE_NOUNS, DETERMINERS, HUMANS, NO_ROLES, PROPER_TAILS, ROLE_ENDINGS, UNCOUNTED

CONTACT_KEY = re.compile(r"(?:tele)?phone$|tel$|e-?mail$|mail$|web(?:site)?$|fax$|mobile$|enquiries$|contact$|bookings?$", re.IGNORECASE)
DAYS = re.compile(r"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Week|Daily|Public hol|Bank hol|Holiday)", re.IGNORECASE)
UPPER = r"[^\W\d_a-zß-ÿ][\w’'-]+"
NAME = re.compile(rf"{UPPER}(?: (?:(?:de|du|van|von|der|den|da|di|del|della|bin|al|el|la|le|y|zu) )*{UPPER}){{1,3}}")
ROLE = re.compile(
    r"(?:the |our |an? )?((?:[\w-]+ ){0,4}?([a-z-]+)(?: and (?:[a-z-]+ )?([a-z-]+))?(?: (?:of|for) [^,;.()]+?)?)"
    r"(?=$|[,;.()]| since | at | in | who )"
)
PREDICATE = re.compile(
    r"(?:not|only|the only|the one|on|off|in(?! (?:full|one|two|three)\b)|at(?! most| least)|under|behind|beside|opposite|above|"
    r"near|next to|outside|inside|by appointment|away|back)\b"
)
"""How a text begins that says where, when or how something is: with "is" before it, it is a sentence."""
ADJECTIVE = re.compile(r"[a-z]+ (?:for|with|to|of|in|by|until|from|on|at|without)\b")
TELLING = re.compile(r"(?:(?:also|always|usually|mostly) )?[a-z]+s\b")
DID = re.compile(r"(?:[a-z]+ed|built|won|wrote|taught|led|ran|began|came) (?:the|an?|our|my|his|her|their) ")
CODE = re.compile(r"[A-Z]{1,5}-?\d{2,5}\b")
"""A key that is the number of an error or a message."""
PLACED = re.compile(r"(?:under|behind|beside|opposite|above|near|next to|outside|inside|between)\b")
WHEN = re.compile(
    r"(?:when|once|until|before|after|by|during|not before|every|each|[\w-]+ (?:minute|hour|day|week|month)s? (?:before|after|from))\b"
)
THINGS = ("ment", *(word for word in NO_ROLES if len(word) >= 5))
"""How nouns end that look like roles: newsletter, newspaper, document."""


@dataclass(frozen=True)
class Person:
    """Whom an item is about.

    `name` and `role` are spans of the item's line, `role` (0, 0) where none is said; `rest` is where its text goes on.
    """

    name: tuple[int, int]
    role: tuple[int, int]
    rest: int


def people_items(parts: Sequence[Block]) -> dict[int, Person]:
    """By start, whom each item of a section is about: where a role or the reader of names tells it of half of those that may be names."""
    found = {block.start: person for block in parts if block.kind == "pair" and (person := person_of(block))}
    lines = {block.start: block.evidence for block in parts if block.start in found}
    texts = [lines[start][slice(*person.name)] for start, person in found.items()]
    docs = parse_all(f"{text} works here." for text in texts)
    sure = {
        start
        for (start, person), doc in zip(found.items(), docs, strict=True)
        if person.role != (0, 0) or any(e.label_ == "PERSON" for e in doc.ents)
    }
    return found if 2 * len(sure) >= len(found) else {}


def person_of(block: Block) -> Person | None:
    """The person of "Name, role: text", "Name (role): text", "Name: role, text" or "Role: Name", or None."""
    line, key, offset = block.evidence, block.key, len(block.evidence) - len(block.text)
    at = line.find(key)
    if at < 0:
        return None
    match = NAME.match(key)
    if match is None:
        named, role = NAME.match(block.text), role_in(key)
        whole = named and re.match(r"$|[,;.(]", block.text[named.end() :])
        if not (named and whole and role == (0, len(key)) and is_name(named.group())):
            return None
        return Person((offset, offset + named.end()), (at, at + len(key)), offset + named.end())
    if not is_name(match.group()) or not re.match(r"$|, | \(", key[match.end() :]):
        return None
    name, begin = (at, at + match.end()), match.end() + 2
    role = role_in(key[begin:].rstrip(")")) if begin < len(key) else (0, 0)
    if role != (0, 0):
        return Person(name, (at + begin + role[0], at + begin + role[1]), offset)
    role = role_in(block.text)
    rest = offset + role[1]
    return Person(name, (offset + role[0], rest) if role != (0, 0) else role, rest)


def is_name(text: str) -> bool:
    """Whether capitalised words name no place, firm or day."""
    return not PROPER_TAILS & set(text.split()) and not DAYS.match(text)


def role_in(text: str) -> tuple[int, int]:
    """The span of the role that a text begins with, without its article; (0, 0) where it begins with none."""
    match = ROLE.match(text[:1].lower() + text[1:])
    if match is None or not all(is_role(noun) for noun in match.groups()[1:] if noun):
        return (0, 0)
    return match.span(1)


def is_role_name(value: str) -> bool:
    """Whether a value as a whole says what somebody is, so that it can stand after "the": "Saturday assistant", not "shop and post"."""
    return role_in(value.rstrip(".")) == (0, len(value.rstrip(".")))


def is_role(noun: str) -> bool:
    """Whether a noun says what somebody is."""
    return noun in HUMANS or bool(re.search(rf"(?:{ROLE_ENDINGS})$", noun) and noun not in NO_ROLES and not noun.endswith(THINGS))


def duties_in(text: str) -> int:
    """Where the nouns, what somebody looks after, end that a text begins with; 0 where it tells instead, or says when."""
    end, text = 0, text.split(";")[0]
    for begin, stop in segments(text):
        part = text[begin:stop]
        if (
            not re.match(r"[a-zA-Z]", part)
            or re.search(r"[@\d]", part)
            or kind_of(part) in {"date", "time"}
            or opening(text[begin:])
            or re.match(r"(?:who|whom|which|whose|and is|\w+ing)\b(?! \w+$)", part)
        ):
            break
        end = stop
    return end


def hours_in(text: str) -> int:
    """Where the days with their hours end that a text begins with; 0 where it begins with none."""
    end, kinds = 0, set[str]()
    for begin, stop in segments(text.split(";")[0]):
        part = text[begin:stop]
        values = find_values(part)
        rest = "".join(part[a.end : b.start] for a, b in itertools.pairwise([Value(0, 0, ""), *values, Value(len(part), len(part), "")]))
        if not values or not re.fullmatch(r"(?:\W|and|from|to|until|at|closed|daily)*", rest):
            break
        kinds |= {value.kind for value in values}
        end = stop if kinds == {"date", "time"} else end
    return end


def days_in(text: str) -> int:
    """Where the days or times end, with hours or without, that a text begins with; 0 where it begins with none."""
    return hours_in(text) or next((v.end for v in find_values(text) if v.start == 0 and v.kind in {"date", "time"}), 0)


def segments(text: str) -> Iterator[tuple[int, int]]:
    """The spans between a text's commas."""
    for match in re.finditer(r"[^,]+", text.rstrip(" .")):
        yield match.start() + len(match.group()) - len(match.group().lstrip()), match.end()


def opening(text: str) -> str:
    """What a subject needs before this text to make a sentence: " " before a verb, " is " before a predicate, "" where none can."""
    if TELLING.match(text):
        named, plain = parse_all([f"Harriet Boone {text}", f"She {text}"])
        first, *others = text.split()
        at = 1 if others and first.strip(",") in {"also", "always", "usually", "mostly"} else 0
        verb, other = named[2 + at], plain[1 + at]
        goes_on = len(named) > 3 + at and named[3 + at].text not in {",", "and", "."}
        listed = any(t.tag_ == "VBZ" and any(c.dep_ == "dobj" for c in t.children) for t in other.children if t.dep_ == "conj")
        if other.tag_ == "VBZ" and ((verb.tag_ == "VBZ" and goes_on) or listed):
            return " "
    if DID.match(text):
        (doc,) = parse_all([f"Harriet Boone {text}"])
        if doc[2].tag_ == "VBD" and any(child.dep_ == "dobj" for child in doc[2].children):
            return " "
    if PREDICATE.match(text):
        return " is "
    if ADJECTIVE.match(text):
        (doc,) = parse_all([f"The thing is {text}"])
        return " is " if doc[3].tag_ in {"VBN", "JJ"} and doc[3].dep_ in {"ROOT", "acomp"} else ""
    return ""


@cache
def listed_under(heading: str) -> str:
    """What a heading in the plural lists, one of it: "course" under "Writing courses at Osier"; "" under another."""
    doc = parse(heading if " " in heading else heading.lower())  # a word alone has its capital from where it stands
    end = next((t.i for t in doc if t.tag_ in {"IN", "TO", ",", ":", "CC"}), len(doc))
    last = doc[end - 1] if end else None
    return str(last.lemma_.lower()) if last is not None and last.tag_ in {"NNS", "NNPS"} and not last.ent_type_ else ""


def definite(key: str) -> str:
    """A key as the subject of a sentence: with its article, "the" where it goes with "a"."""
    return re.sub(r"^an? ", "the ", tidy_key(key))


def with_the(key: str) -> str:
    """A key as what one asks for the value of: "the weight", "the burrs"."""
    text = definite(key)
    name = re.match(r"(?:the|our|your)\b|\S*[\d_]|\S+.* [A-Z]|[A-Z]{2}", text)
    return text if name else f"the {text[:1].lower()}{text[1:]}"


def header(text: str) -> str:
    """A column's name inside a sentence: in small letters, but for abbreviations."""
    return " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in re.sub(r"\s*\(.*?\)", "", text).split())


def tidy_key(key: str) -> str:
    """A row's or item's name inside a question: brackets off, its first word small unless it looks like a name."""
    key = re.sub(r"\s*\([^)]*\)", "", key).strip(" .:") or key
    key = re.sub(r", (?=per\b)", " ", key)
    head = key.split()[0]
    rest = key[len(head) :]
    numbered = re.match(r" \d+(?: [a-z]|$)", rest) and head.lower() not in HUMANS and not phrasing.is_plural(head)
    name = (
        DAYS.match(head)
        or re.search(r"[A-Z]", head[1:])
        or re.search(r"\s[A-Z]", rest)
        or not head.replace("-", "").isalpha()
        or numbered
        or not rest
    )
    plain = head[:1].lower() + head[1:] + rest if not name else key
    countable = re.match(r"[a-z][^_]*$", plain) and not is_bare(plain)
    return f"{article(plain)} {plain}" if countable else plain


def is_bare(phrase: str) -> bool:
    """Whether a noun phrase goes without an article: plural, an -ing form, uncounted, or with one of its own."""
    head = re.split(r" (?:for|of|in|on|at|with|from|under|above|to|within|by|per|over)\b|[,(]", phrase)[0].split()[-1]
    gerund = re.match(r"\w+ing (?:an?|the|your|my|\w+s\b)", phrase)
    several = re.match(r"[a-z]+[^su]s (?!of\b)[a-z]+(?:ed|ing)\b", phrase)
    own = phrase.split()[0] in DETERMINERS | BEFORE_NOUNS or phrase.split()[-1] in {"out", "up", "off", "in", "over"}
    return (
        bool(several or gerund)
        or own
        or " and " in phrase
        or phrasing.is_plural(phrase)
        or head in UNCOUNTED
        or head.endswith(("ing", "ed"))
    )
