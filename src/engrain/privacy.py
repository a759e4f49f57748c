"""Private data in documents: found before anything is trained, listed with its place, masked where that is asked for.

What a model has learned cannot be taken out of it again. Whether an address or a number is meant for the public is for
the owner to say: a shop's own telephone number is found like a customer's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from engrain.documents.base import Document, Section
from engrain.settings import setting

SHOWN = 3
"""Characters of a found text that a list repeats: enough to find it, too few to spread it."""


@dataclass(frozen=True)
class PrivacySettings:
    """What happens to private data."""

    redact: bool = setting(False, "Mask e-mail addresses, phone, card and bank numbers, keys and passwords before anything is learned.")


@dataclass(frozen=True)
class Private:
    """A piece of private data: what `kind` it is, its first characters (`hint`) and the place where it stands."""

    kind: str
    hint: str
    place: str


def find_private(sections: Sequence[Section]) -> list[Private]:
    """The private data of sections, in reading order, each once a section, and that of their headings, each once a file."""
    found: dict[tuple[str, str], Private] = {}
    for section in sections:
        place = with_masked_headings(section).place
        for home, text in (*((section.file, heading) for heading in section.headings), (section.id, section.text)):
            for start, end, kind in spans(text):
                found.setdefault((home, text[start:end]), Private(kind, f"{text[start : start + SHOWN]}…", place))
    return list(found.values())


def screened(documents: Sequence[Document], settings: PrivacySettings) -> tuple[tuple[Document, ...], list[Private]]:
    """The documents, masked where the settings say so, and the private data that stands in them as they are."""
    private = find_private([section for document in documents for section in document.sections])
    return tuple(map(redacted, documents)) if settings.redact else tuple(documents), private


def redacted(document: Document) -> Document:
    """The document with each piece of private data in its title, headings and texts replaced by its kind in brackets."""
    sections = tuple(replace(with_masked_headings(section), text=masked(section.text)) for section in document.sections)
    return replace(document, title=masked(document.title), sections=sections)


def with_masked_headings(section: Section) -> Section:
    """The section with the private data of its headings masked, so that its place spreads none."""
    return replace(section, headings=tuple(map(masked, section.headings)))


def masked(text: str) -> str:
    """The text with its private data masked."""
    for start, end, kind in reversed(list(spans(text))):
        text = f"{text[:start]}[{kind}]{text[end:]}"
    return text


def spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and kind of each piece of private data, in order, without overlaps; the earlier pattern wins a place."""
    found: list[tuple[int, int, str]] = []
    for kind, pattern, holds in PATTERNS:
        for match in pattern.finditer(text):
            start, end = match.span(match.lastindex or 0)
            if holds(text[start:end]) and not any(start < b and a < end for a, b, _ in found):
                found.append((start, end, kind))
    return iter(sorted(span for span in found if span[2] != HARMLESS))


def holds_secret(code: str) -> bool:
    """Whether source code holds a key, or a password that is written out: in quotes, or right after its sign as a shell has it."""
    return any(pattern.search(code) for pattern in (KEY, WRITTEN_OUT, WRITTEN_IN_SHELL))


def digits(text: str) -> list[int]:
    """The decimal digits of a text."""
    return [int(c) for c in text if c.isdigit()]


def is_card(text: str) -> bool:
    """Whether 13 to 19 digits end in the check digit of payment cards (Luhn, ISO/IEC 7812-1)."""
    row = digits(text)[::-1]
    doubled = [2 * d - 9 * (d > 4) for d in row[1::2]]
    return 13 <= len(row) <= 19 and (sum(row[::2]) + sum(doubled)) % 10 == 0


def is_account(text: str) -> bool:
    """Whether a text passes the check of international bank account numbers (ISO 13616: remainder 1 by 97)."""
    packed = re.sub(r"\s", "", text)
    return 15 <= len(packed) <= 34 and int("".join(str(int(c, 36)) for c in packed[4:] + packed[:4])) % 97 == 1


def is_phone(text: str) -> bool:
    """Whether a text has as many digits as telephone numbers have (ITU-T E.164: at most 15)."""
    return 9 <= len(digits(text)) <= 15


def anything(text: str) -> bool:
    """Every match counts."""
    return bool(text)


PASSWORD = (
    r"pass(?:word|wd|phrase|code)|pwd|secret(?:[ _-]?key)?|(?:api|private)[ _-]?key|access[ _-]?(?:key|token)|(?:auth|bearer)[ _-]?token"
)
NAMED = rf"(?:{PASSWORD}|PIN)"
SECRET = r"(?=[^\s`\",;]*\d)[^\s`\",;]{4,}[^\s`\",;.!?)]"
SAYS = r"[`*\"]*(?: is| was)?(?:\s?[:=|][`*\"]*\s?|\s)[`\"]?"
"""What stands between the name of a secret and the secret: a sign, the edge of a column, or a space."""
HARMLESS = ""
"""The kind of what looks like a telephone number and is none."""
DATE = r"(?<!\d)\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d(?![./-]?\d)"
LABELLED = (
    r"\b(?:ISBN(?:-1[03])?:?|EAN:?|(?:order|invoice|article|item|serial|part|reference|ref)[ .]{1,2}(?:(?:number|no|nr|code)\b[.:]?|#))"
    r"(?: is)? ?(\d(?:[ .-]?\d)+)"
)
ACCOUNT = (
    r"\b(?:sort[ -]?code|account (?:number|no\b\.?|nr\b\.?|#)|acct?\.? (?:number|no\b\.?)|(?:routing(?: transit)?|ABA) (?:number|no\b\.?)"
    r"|BLZ|Bankleitzahl|Kontonummer|Konto[- ]?Nr\b\.?)"
    r"(?: is| was| ist| lautet)?[\s:|*`]{1,5}(\d(?:[ -]?\d){5,16})(?![\d,.]?\d)"
)
"""Numbers of accounts and banks as countries write them, where they are called so: they have no check that tells them."""
NUMBER = (
    r"\+\d(?:[ ./()-]{0,2}\d){8,14}|(?:\(0?\d{1,5}\)|0\d{1,5})(?:[ ./-]{1,2}\d{2,8}){1,5}|(?<![a-z]/)(?<!#)0[1-9]\d{8,9}"
    r"|(?:1[ .-])?\d{3}[ .-]\d{3}[ .-]\d{4}"
)
TOKENS = (
    r"AKIA[0-9A-Z]{16}|gh[pousr]_\w{36,}|github_pat_\w{22,}|sk-[\w-]{20,}|xox[abprs]-[\w-]{10,}|AIza[\w-]{35}|glpat-[\w-]{20}"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]+?-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----"
)
KEY = re.compile(rf"(?<![\w-])(?:{TOKENS})")
WRITTEN_OUT = re.compile(
    rf"(?<![a-z0-9])(?:(?:{PASSWORD})\b[\"'`\])]*\s*(?:[:=]+>?|,)?\s*[bru]?[\"'`](?!\$\{{|[{{<])(?=[^\s\"'`]*\d)[^\s\"'`]{{5,}}[\"'`]"
    r"|PIN\b[\"'`\])]*\s*(?:[:=]+>?|,)?\s*[\"'`]\d{4,}[\"'`])",
    re.IGNORECASE,
)
WRITTEN_IN_SHELL = re.compile(rf"(?<![a-z0-9])(?:{PASSWORD})=(?=\S*\d)[\w!@#%^&*+/-]{{5,}}(?=\s|\Z)", re.IGNORECASE)
PATTERNS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("key or password", KEY, anything),
    ("key or password", re.compile(rf"(?<![a-z0-9]){NAMED}\b{SAYS}({SECRET})", re.IGNORECASE), anything),
    ("e-mail address", re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), anything),
    ("bank account", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8}\b"), is_account),
    ("bank account", re.compile(ACCOUNT, re.IGNORECASE), anything),
    ("card number", re.compile(r"(?<![\d.,-])\d(?:[ -]?\d){12,18}(?![\d,.]?\d)"), is_card),
    (HARMLESS, re.compile(rf"{DATE}|{LABELLED}", re.IGNORECASE), anything),
    ("phone number", re.compile(rf"(?<![\w.,£$€-])(?<!\d )(?:{NUMBER})(?![\w,.-]?\d)"), is_phone),
)
