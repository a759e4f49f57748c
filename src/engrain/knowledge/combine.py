"""Wordings over more than one fact: all that is known of a subject, right and wrong values, questions that need two facts."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from engrain.knowledge import phrasing
from engrain.knowledge.attributes import ITEM_RELATIONS, ROLES, WHEN_VALUE, is_noun, role_name, since_date
from engrain.knowledge.backwards import MANY
from engrain.knowledge.dates import STAMP_KEY
from engrain.knowledge.extract import GAP
from engrain.knowledge.facts import Fact, people_in, whole_name
from engrain.knowledge.grammar import capital
from engrain.knowledge.items import CONTACT_KEY, header, tidy_key
from engrain.knowledge.opening import weekdays
from engrain.knowledge.parse import parse_all
from engrain.knowledge.polar import polar_question
from engrain.knowledge.questions import wh_questions
from engrain.knowledge.wording import Wording, answer, flipped, full_statement, normal, said, small, whole_value
from engrain.knowledge.words import VAGUE

Pair = tuple[Fact, Wording]


def profiles(facts: Sequence[Fact], rng: random.Random) -> Iterator[Pair]:
    """Requests to tell about a subject, answered with up to three of its statements, each time in another order."""
    people = people_in(facts)
    groups: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        if fact.form != "question" and is_subject(fact.subject):
            groups[whole_name(fact.subject, people)].append(fact)
    for subject, group in groups.items():
        if all(fact.relation == "value" for fact in group):  # "Weight: 12 kg": a label, and not what it is about
            continue
        told = [capital(told_of(fact, subject in people)) for fact in group]
        statements = list(dict.fromkeys(statement for statement in told if len(statement.split()) <= 28))
        patterns = list(phrasing.asked("profile", flipped(subject)))
        for form, prompt in rng.sample(patterns, min(len(patterns), 1 + len(statements))):
            chosen = rng.sample(statements, min(3, len(statements)))
            if chosen:
                yield group[0], Wording("statement", form, prompt, " ".join(chosen))


NO_SUBJECT = re.compile(rf"{MANY.pattern}|(?:its|their|his|her|such|those|these)\b", re.IGNORECASE)
"""How a phrase begins that names nothing by itself."""


def is_subject(text: str) -> bool:
    """Whether one can ask what is known about it: a short phrase, no question, no day and no label, not what there is not."""
    label = CONTACT_KEY.match(text) or STAMP_KEY.fullmatch(text) or weekdays(text) or text.lower() in VAGUE
    vague = re.search(r"\b(?:we|you|us)\b|\?$", text) or NO_SUBJECT.match(text)
    return 0 < len(text.split()) <= 7 and not vague and not label


def told_of(fact: Fact, person: bool) -> str:
    """The fact as one whole sentence, that of a table's cell as well as its column's name allows."""
    subject, relation, value = fact.subject, header(fact.relation), said(fact.value, fact.relation).rstrip(".")
    if fact.form != "attribute":
        return full_statement(fact)
    since, be = since_date(relation), "are" if phrasing.is_plural(relation) else "is"
    if relation in {*phrasing.KINDS, *ITEM_RELATIONS, "details", "measure", "count", "name", "text"} - {"role"}:
        return f"{subject}: {value}."
    if since:
        return f"{subject} has been {since} since {value}." if not is_noun(since) else f"{subject}, {relation}: {value}."
    if not is_noun(relation) and WHEN_VALUE.match(value) and not phrasing.is_plural(subject):
        return f"{tidy_key(subject)} is {relation} {value}."
    if not is_noun(relation) or value.lower() in {"yes", "no"}:
        return f"{subject}, {relation}: {value}."
    if person:
        return f"{subject}’s {relation} {be} {role_name(value) if relation in ROLES else value}."
    return f"The {relation} for {tidy_key(subject)} {be} {value}."


def true_or_false(facts: Sequence[Fact], rng: random.Random) -> Iterator[Pair]:
    """Whether a value is right, asked once with the right and once with another subject's value of the same kind."""
    typed = [
        f
        for f in facts
        if f.form == "statement"
        and f.kind in {"money", "time", "date", "duration", "count", "person", "percent"}
        and "because" not in f.relation
    ]
    pools: dict[str, list[str]] = defaultdict(list)
    for fact in typed:
        pools[fact.kind].append(fact.value)
    held: dict[str, set[str]] = defaultdict(set)
    for fact in facts:
        held[normal(fact.subject)].add(fact.value)
    swaps = [swapped(fact, [v for v in pools[fact.kind] if v not in held[normal(fact.subject)]], rng) for fact in typed]
    chosen = [(fact, value) for fact, other in zip(typed, swaps, strict=True) for value in (fact.value, other) if value]
    docs = parse_all(fact.relation.replace(GAP, value) for fact, value in chosen)
    for (fact, value), doc in zip(chosen, docs, strict=True):
        polar = polar_question(doc)
        if polar is None or polar.answer == "No" or len(polar.direct.split()) > 18:
            continue
        right = value == fact.value
        reply = f"Yes, {spoken(fact)}." if right else f"No, {spoken(fact)}."
        yield fact, Wording("question", "check-right" if right else "check-wrong", polar.direct, reply)


def spoken(fact: Fact) -> str:
    """The answer inside a sentence: the value with what limits it, as people say it."""
    text = answer(fact).rstrip(".")
    return text[:1].lower() + text[1:] if whole_value(fact)[:1].islower() else text


def swapped(fact: Fact, pool: Sequence[str], rng: random.Random) -> str:
    """Another value of the same kind and shape, or "" where there is none."""
    shape = re.sub(r"\d", "0", re.sub(r"[a-z]+", "a", fact.value))
    others = sorted({v for v in pool if normal(v) not in normal(fact.value) and normal(fact.value) not in normal(v)})
    alike = [v for v in others if re.sub(r"\d", "0", re.sub(r"[a-z]+", "a", v)) == shape]
    alike = alike if alike or fact.kind in {"date", "time", "duration"} else others
    return rng.choice(alike) if alike else ""


def two_facts(facts: Sequence[Fact], found: Sequence[Sequence[Wording]], rng: random.Random) -> Iterator[Pair]:
    """Questions for two facts of one subject, and for a fact about somebody who is known from another fact."""
    asked = {
        fact.id: next((w.prompt for w in each if w.form.startswith(("wh-", "price-how", "attribute-what", "column-", "since-when"))), "")
        for fact, each in zip(facts, found, strict=True)
    }
    yield from joined(facts, asked, rng)
    yield from bridged(facts)


def joined(facts: Sequence[Fact], asked: dict[str, str], rng: random.Random) -> Iterator[Pair]:
    """Two questions about one subject in one sentence."""
    people = people_in(facts)
    groups: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        if asked[fact.id] and fact.subject.lower() not in {"", *VAGUE} and len(asked[fact.id].split()) <= 12:
            groups[whole_name(fact.subject, people)].append(fact)
    for group in groups.values():
        pairs = [(a, b) for n, a in enumerate(group) for b in group[n + 1 :] if a.value != b.value and apart(a, b, asked)]
        for a, b in rng.sample(pairs, min(2, len(pairs))):
            prompt = f"{asked[a.id].rstrip('?')}, and {small(asked[b.id])}"
            yield a, Wording("two", "two-joined", prompt, f"{answer(a).rstrip('.')}; {spoken(b)}.")


def apart(a: Fact, b: Fact, asked: dict[str, str]) -> bool:
    """Whether neither question gives the other's answer away."""
    return normal(a.value) not in normal(asked[b.id]) and normal(b.value) not in normal(asked[a.id])


def bridged(facts: Sequence[Fact]) -> Iterator[Pair]:
    """A question about a person who is only described; the answer names the person first."""
    people = people_in(facts)
    known: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        if fact.kind == "person" and fact.relation.startswith(f"{GAP} ") and len(fact.relation.split()) <= 12:
            known[whole_name(fact.value, people)].append(fact)
    todo = [
        (fact, described, fact.relation.replace(fact.subject, described, 1))
        for fact in facts
        for clue in known.get(whole_name(fact.subject, people), [])[:3]
        if (described := description(clue)) and is_bridge(fact, clue, described)
    ]
    docs = parse_all(text.replace(GAP, fact.value) for fact, _, text in todo)
    for (fact, described, text), doc in zip(todo, docs, strict=True):
        start = text.find(GAP)
        span = doc.char_span(start, start + len(fact.value), alignment_mode="expand")
        if span is None or says_it_twice(doc, len(described)):
            continue
        for one in wh_questions(doc, span.start, span.end, fact.kind)[:1]:
            if len(one.direct.split()) <= 22:
                yield fact, Wording("two", "two-bridged", one.direct, f"That is {whole_name(fact.subject, people)}: {spoken(fact)}.")


def is_bridge(fact: Fact, clue: Fact, described: str) -> bool:
    """Whether what another sentence says of a fact's subject can stand for it."""
    opens = fact.form == "statement" and fact.relation.startswith(fact.subject) and GAP in fact.relation
    return opens and clue.evidence != fact.evidence and normal(described) not in normal(fact.value)


def says_it_twice(doc: Any, length: int) -> bool:
    """Whether a verb of the sentence stands in the description that it begins with, as in "the person who keeps the keys keeps"."""
    verbs = [t for t in doc if t.tag_.startswith("VB") and t.lemma_ not in {"be", "have"}]
    return bool({t.lemma_ for t in verbs if t.idx < length} & {t.lemma_ for t in verbs if t.idx >= length})


def description(clue: Fact) -> str:
    """What a statement says of a person, as a noun phrase."""
    rest = clue.relation.removeprefix(f"{GAP} ").rstrip(".")
    role = re.match(r"is ((?:our|the|[\w’]+’s) .+)$", rest)
    return role.group(1) if role else f"the person who {rest}" if len(rest.split()) <= 7 else ""
