"""Phrasing: what people say instead. A small lexicon of business English, read from `phrasing.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from typing import Any

from engrain.knowledge.grammar import capital, inflect
from engrain.knowledge.words import listed

LEXICON: dict[str, Any] = tomllib.loads(resources.files("engrain.knowledge").joinpath("phrasing.toml").read_text(encoding="utf-8"))
WRAPPERS: dict[str, str] = LEXICON["wrappers"]
OPENINGS: dict[str, str] = LEXICON["openings"]
PLACES: dict[str, str] = LEXICON["places"]
WH: dict[str, list[str]] = LEXICON["question_words"]
VERBS: dict[str, list[str]] = LEXICON["verbs"]
NOUNS: dict[str, str] = LEXICON["nouns"]
KINDS = frozenset(LEXICON["kinds"])
TEMPLATES: dict[str, dict[str, str]] = {**LEXICON["kinds"], **LEXICON["templates"]}
UNKNOWN: dict[str, list[str]] = LEXICON["unknown"]
USUAL = [
    (re.compile(each["column"]), frozenset(each.get("kinds", ())), each.get("people", False), each["ask"]) for each in LEXICON["usual"]
]
INTRANSITIVE = listed("open close shut start begin commence last reply respond expire arrive happen move")


def is_plural(phrase: str) -> bool:
    """Whether a noun phrase takes a plural verb."""
    head = re.split(r" (?:for|of|in|on|at|with|from|under|above|to|within|by|per|over)\b|[,(]", phrase.strip())[0].split()
    last = head[-1] if head else ""
    return (
        bool(re.search(r" and (?:the|an?|our|your|my|his|her|their) ", phrase))
        or (
            bool(re.search(r"(?<![sui’'])s$", last)) and last.lower() not in {"wales", "series", "news", "premises", "bus", "gas", "canvas"}
        )
        or last.lower() in {"children", "people", "men", "women"}
    )


def asked(name: str, subject: str, attribute: str = "", wh: str = "", *, many: bool | None = None) -> Iterator[tuple[str, str]]:
    """Each pattern of a table with its name, filled in."""
    for form, template in TEMPLATES[name].items():
        yield form, fill(template, subject, attribute, wh, many=many)


def usual(column: str, kind: str, subject: str, *, people: bool, many: bool) -> Iterator[tuple[str, str]]:
    """Questions that people ask in place of what a column is called, for its value of this kind; `people`: whether its rows are persons."""
    for pattern, kinds, of_people, templates in USUAL:
        named = pattern.fullmatch(column)
        if named and of_people == people and (not kinds or kind in kinds):
            for form, template in templates.items():
                yield f"usual-{form}", fill(template, subject, named[1] if pattern.groups else "", many=many)


def fill(template: str, subject: str, attribute: str = "", wh: str = "", *, many: bool | None = None) -> str:
    """A template with its noun phrases put in, verb and capital fitted to them; `many`: whether these are several things."""
    many = is_plural(subject) if many is None else many
    text = template
    if text.startswith(("{s}", "{a}")):
        subject = re.sub(r"^an? ", "", subject)
    if attribute and is_plural(attribute):
        text = text.replace("is the {a}", "are the {a}").replace("is given as", "are given as").replace("belongs", "belong")
    values = {
        "s": subject,
        "a": attribute,
        "wh": wh,
        "is": "are" if many else "is",
        "does": "do" if many else "does",
        "it": "they" if many else "it",
    }
    return capital(text.format(**values))


def with_other_verb(statement: str, verb: str, lemma: str, tag: str) -> list[str]:
    """The statement with its main verb replaced by each verb that can stand for it."""
    found = []
    for other in VERBS.get(lemma, ()):
        stem, _, tail = other.partition(" ")
        if tag == "VBN" and tail not in {"", "up"}:
            continue
        form = inflect(stem, tag) if stem != "be" else {"VBZ": "is", "VBP": "are", "VBD": "was", "VBN": "been"}.get(tag, "be")
        replaced = re.sub(rf"\b{re.escape(verb)}\b", f"{form} {tail}".strip(), statement, count=1)
        found.append(replaced)
    return found


def with_other_noun(question: str) -> str:
    """The question with its first common noun that has a substitute replaced, or ""."""
    for word, other in NOUNS.items():
        if re.search(rf"(?<! of) {word}\b", question) and not re.search(rf"\b{re.escape(other.split()[-1])}\b", question):
            other = other.removeprefix("the ") if re.search(rf"\b(?:the|a|an|your|my) {word}\b", question) else other
            return re.sub(rf"(?<! of) {word}\b", f" {other}", question, count=1)
    return ""
