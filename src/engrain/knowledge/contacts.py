"""Contacts: whose a phone number, an e-mail address or a website is that stands in a text, and by what it is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engrain.knowledge.items import DAYS, NAME, UPPER, is_role_name
from engrain.knowledge.parse import parse
from engrain.knowledge.values import Value, find_values, kind_of
from engrain.knowledge.words import VAGUE

REACHED = re.compile(
    r"\b(?:ring|call|phone|telephone|contact(?! (?:is|are))|text|message|e-?mail|reach|dial|notify|inform|try|ask for|see|tell|"
    r"(?:speak|talk|write|apply|report|go|quer(?:y|ies)|questions|complaints|enquiries|requests) to|get (?:hold of|in touch with|on to)) ",
    re.IGNORECASE,
)
"""What stands before whom one reaches."""
LINK = re.compile(
    r"(?:[\s,:;(/–—-]|\b(?:on|at|via|by|or|and|is|are|number|extension|e-?mail|phone|telephone|tel|mobile|ring|call|text|directly|now|free)\b\.?)*$",
    re.IGNORECASE,
)
"""What stands between whom one reaches and how."""
NUMBERED = re.compile(r"^\(?(?:\d{1,2}|[a-zA-Z])[.)]? (?=[A-Z])")
"""The number of a line in a list."""
PARTING = re.compile(r", (?!and )|:? \(|: | - | – ")
"""What parts what is reached from what else is said of it."""
OWN_NUMBER = re.compile(r"['’]s?(?: (?:own|direct|mobile|phone|telephone|e-?mail|number|line|address)){0,3}$")
"""What follows somebody's name in "the porter's number"."""
UNSAID = re.compile(r"\d|^(?:ring|call|phone|e-?mail|write|mail|text)$|\b(?:them|it|us|me|him|her|you|one|someone|anyone)\b", re.IGNORECASE)
"""Words that leave open what is meant."""
FIRM = re.compile(rf"{UPPER}(?: {UPPER})* (?:&|and) {UPPER}(?: {UPPER})*")
LONGEST = 5
"""Words of what is reached, at most."""


def called(contact: str) -> str:
    """What a contact is: a phone number, an extension, an e-mail address or a website."""
    if "@" in contact:
        return "e-mail address"
    if re.match(r"www|http", contact):
        return "website"
    return "extension" if re.match(r"ext", contact, re.IGNORECASE) else "phone number"


def owned(text: str) -> Iterator[tuple[Value, str, str]]:
    """Each contact of a text, with the person or thing named before it that it reaches, "" for neither, and what that is at or of.

    "Workshop, Stan Wickett, 01632 960470" reaches Stan Wickett and the workshop; a further contact right behind one reaches the same.
    """
    begin, last = 0, ("", "")
    for value in find_values(text):
        if value.kind != "contact":
            continue
        lead = text[begin : value.start]
        if not begin or LINK.sub("", lead):
            last = owners(lead)
        begin = value.end
        yield value, *last


def owners(lead: str) -> tuple[str, str]:
    """Whom or what a contact reaches that this text stands before, and what else it names there; "" where it names none."""
    lead = NUMBERED.sub("", LINK.sub("", re.split(r"[.;!?] ", lead)[-1])).strip()
    asked = list(REACHED.finditer(lead))
    parts = [part.strip() for part in PARTING.split(lead[asked[-1].end() :] if asked else lead)]
    named = [(name, part) for part in parts if (name := name_in(part))]
    if named:
        name, part = next((each for each in reversed(named) if not is_role_name(each[1].lower())), named[-1])
        return name, phrase(parts[0]) if part != parts[0] and not name_in(parts[0]) else ""
    return next(filter(None, map(phrase, parts if asked else reversed(parts))), ""), ""


def name_in(text: str) -> str:
    """The name of a person or a firm that a text begins or ends in; "" where it has none there."""
    found = FIRM.match(text) or NAME.match(text) or re.search(rf"(?:{FIRM.pattern}|{NAME.pattern})$", text)
    return found.group() if found and not DAYS.match(found.group()) else ""


def phrase(text: str) -> str:
    """A text that is a short noun phrase and says what is meant; "" for another."""
    text = OWN_NUMBER.sub("", text)
    if not 1 <= len(text.split()) <= LONGEST or text.lower() in VAGUE or UNSAID.search(text) or kind_of(text):
        return ""
    doc = parse(text)
    return "" if any(token.tag_ in {"VBZ", "VBP", "VBD", "VB", "MD"} for token in doc) or doc[-1].pos_ not in {"NOUN", "PROPN"} else text
