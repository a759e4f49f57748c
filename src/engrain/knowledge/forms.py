"""Forms: one fact in many wordings, each with the name of the pattern that made it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from engrain.knowledge import phrasing
from engrain.knowledge.asking import (
    gap_questions_at_last,
    in_place_questions,
    is_reason,
    plain_statement,
    rule_questions,
    statement_questions,
)
from engrain.knowledge.attributes import attribute_questions, faq_questions, slot_of
from engrain.knowledge.backwards import reverse_attributes, reverse_prices, reverse_wordings, slot_reversals
from engrain.knowledge.extract import GAP, leans, points_back
from engrain.knowledge.facts import Fact, people_in
from engrain.knowledge.grammar import capital
from engrain.knowledge.opening import open_wordings
from engrain.knowledge.parse import parse_all
from engrain.knowledge.ticks import tick_questions, tick_reversals
from engrain.knowledge.values import verdict
from engrain.knowledge.wording import QUESTION_WORD, Wording, answer, flipped, gap_answer, mentions, normal, said, small
from engrain.knowledge.words import GENERIC, ONE_THING

IN_CONTEXT = ("after-sentence", "with-sentence")
LONGEST_CONTEXT, MORE_WORDS = 30, 4
"""Words of a sentence that can stand before a question, and how many that its question lacks it must have to be worth saying."""
LONGEST_HEADING = 6
"""Words of a heading that can stand before a question."""
MOST_TOGETHER = 3
"""Answers of a backwards question that are told together; where there are more, it is not asked."""
LONGEST_PROMPT = 34
"""Words of a question; one with a sentence before it has that many more."""


def wordings(facts: Sequence[Fact]) -> list[list[Wording]]:
    """For each fact its wordings, the plainest first, no prompt twice within a fact.

    What several of a table lead back to is told in one answer. Where two facts answer a prompt differently, as one table and another about
    the same things do, it says under which heading it asks.
    """
    people = people_in(facts)
    docs = iter(parse_all(text for fact in facts for text in texts_of(fact)))
    found = []
    for fact in facts:
        parsed = [next(docs) for _ in texts_of(fact)]
        seen: set[str] = set()
        kept = []
        for wording in makers(fact, parsed, people):
            key = normal(wording.prompt)
            if sound(wording, fact) and key not in seen:
                seen.add(key)
                kept.append(wording)
        found.append(kept)
    return told_apart(facts, told_together(facts, found))


def told_together(facts: Sequence[Fact], found: Sequence[list[Wording]]) -> list[list[Wording]]:
    """The wordings, of backwards questions that a few facts of one table or list answer the first with all their answers.

    "Which boat has a toilet?" is answered "Heron and Plover." where these two have one.
    """
    asked = defaultdict[tuple[str, str, str], dict[str, int]](dict)
    for number, (fact, each) in enumerate(zip(facts, found, strict=True)):
        for wording in each:
            if wording.kind == "reverse" and fact.form == "attribute":
                asked[fact.section, fact.relation, normal(wording.prompt)].setdefault(wording.answer.rstrip("."), number)

    def together(number: int, wording: Wording) -> Iterator[Wording]:
        answers = asked.get((facts[number].section, facts[number].relation, normal(wording.prompt)), {})
        if wording.kind != "reverse" or not 2 <= len(answers) <= MOST_TOGETHER:
            yield wording
        elif number == next(iter(answers.values())):
            *some, last = answers
            yield replace(wording, answer=f"{', '.join(some)} and {last}.")

    return [[one for wording in each for one in together(number, wording)] for number, each in enumerate(found)]


def told_apart(facts: Sequence[Fact], found: Sequence[list[Wording]]) -> list[list[Wording]]:
    """The wordings, those that facts under different headings answer differently with the heading before them."""
    said = defaultdict[str, dict[str, set[str]]](lambda: defaultdict(set))
    for fact, each in zip(facts, found, strict=True):
        for wording in each:
            said[normal(wording.prompt)][fact.topic].add(normal(wording.answer))

    def is_open(topic: str, prompt: str) -> bool:
        answers = said[normal(prompt)]
        return len(answers[topic]) == 1 and len(set[str]().union(*answers.values())) > 1

    return [
        [below(fact.topic, wording) if is_open(fact.topic, wording.prompt) else wording for wording in each]
        for fact, each in zip(facts, found, strict=True)
    ]


def below(topic: str, wording: Wording) -> Wording:
    """A wording with the heading before it, where that is short enough and not said in it, and nothing else stands around it."""
    length = len(topic.split())
    if not 1 <= length <= LONGEST_HEADING or topic.endswith("?") or "+" in wording.form or normal(topic) in normal(wording.prompt):
        return wording
    return replace(wording, form=f"below+{wording.form}", prompt=f"{topic}: {small(wording.prompt)}")


def sound(wording: Wording, fact: Fact) -> bool:
    """Whether a wording is fit to learn from: of sensible length, and its prompt does not give the answer away."""
    prompt = normal(wording.prompt)
    length = len(prompt.split())
    longest = LONGEST_PROMPT + (LONGEST_CONTEXT if wording.form in IN_CONTEXT else 0)
    if not 1 <= length <= longest or not wording.answer.strip() or ("___" in wording.prompt and wording.kind != "cloze"):
        return False
    gives_away = fact.kind != "yesno" and wording.kind in {"question", "cloze"} and f" {normal(fact.value)} " in f" {prompt} "
    return not gives_away


def texts_of(fact: Fact) -> list[str]:
    """The texts that must be parsed to word a fact."""
    if fact.form == "statement":
        return [re.sub(rf" because {GAP}", "", fact.relation) if is_reason(fact) else plain_statement(fact)]
    return [fact.relation] if fact.form == "question" else []


def makers(fact: Fact, parsed: Sequence[Any], people: Collection[str]) -> Iterator[Wording]:
    """All wordings of a fact, good and doubtful; `people` are the names of persons and their parts."""
    if fact.kind == "yesno" and fact.form == "statement":
        reply, asked = rule_questions(fact, parsed[0])
        for form, text in around(fact, asked):
            yield Wording("question", "+".join(f"rule-{part}" for part in form.split("+")), text, reply)
        return
    open_end = fact.form == "statement" and leans(fact.subject, fact.relation)
    if fact.form == "attribute":
        ticked = bool(verdict(fact.value))
        asked = list(tick_questions(fact, people) if ticked else attribute_questions(fact, people))
        for form, text in tick_reversals(fact) if ticked else reverse_attributes(fact, people):
            yield Wording("reverse", form, text, capital(said(fact.subject, "")) + ".")
        if not ticked and (slot := slot_of(fact)):
            yield from (Wording("reverse", *reversal) for reversal in slot_reversals(fact, slot))
    elif fact.form == "question":
        asked = list(faq_questions(fact, parsed[0]))
    else:
        asked = list(statement_questions(fact, parsed[0])) or list(in_place_questions(fact)) or list(gap_questions_at_last(fact))
        yield from () if of_thing(fact) or open_end else list(reverse_wordings(fact, parsed[0], people)) or reverse_prices(fact)
        asked = within(fact, asked)
        context = list(in_context(fact, asked))
        alone = [(form, text) for form, text in asked if not points_back(text)]
        asked = (alone or context[-1:]) if open_end else [*asked[:1], *context, *asked[1:]]
    reply = answer(fact)
    for form, text in around(fact, asked):
        yield Wording("question", form, text, reply)
    yield from open_wordings(fact) if fact.form == "attribute" else ()
    yield from () if open_end and asked else cloze_wordings(fact)


def of_thing(fact: Fact) -> str:
    """What a fact with a subject that many things have is about, as its heading names it: "for the Sourdough course", or ""."""
    topic, subject = fact.topic.split(":")[-1].strip(), re.sub(r"^(?:an?|the|each|every|our) ", "", fact.subject.lower())
    heads = topic.split(" ")
    if subject not in GENERIC or not 2 <= len(heads) <= 5 or heads[-1].lower() not in ONE_THING or normal(topic) in normal(fact.relation):
        return ""
    link = "under" if heads[-1].lower() in {"plan", "scheme", "contract", "agreement"} else "of" if "member" in subject else "for"
    return f"{link} the {topic.removeprefix('The ').removeprefix('Our ')}"


def within(fact: Fact, asked: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The questions with what the fact's heading names, where they would be open without it; only those that it fits."""
    thing = of_thing(fact)
    if not thing:
        return asked
    return [(form, text.replace(fact.subject, f"{fact.subject} {thing}", 1)) for form, text in asked if fact.subject in text]


def in_context(fact: Fact, asked: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The plainest question as people ask who say first what it is about: after the sentence before it, and with its own sentence."""
    question, before = asked[0][1] if asked else "", fact.before
    if question and 3 <= len(before.split()) <= LONGEST_CONTEXT and not before.startswith("|") and not before.endswith("?"):
        yield "after-sentence", f"{ended(flipped(before))} {question}"
    own, more = fact.evidence.replace(fact.value, "…"), set(normal(fact.evidence).split())
    more -= {*normal(question).split(), *normal(fact.relation).split(), *normal(fact.value).split()}
    if question and len(more) >= MORE_WORDS and len(own.split()) <= LONGEST_CONTEXT and fact.evidence.count(fact.value) == 1:
        yield "with-sentence", f"{ended(flipped(own))} {question}"


def ended(sentence: str) -> str:
    """The sentence with a full stop where it has no mark at its end."""
    return sentence if sentence[-1:] in ".!?:…" else f"{sentence}."


def around(fact: Fact, asked: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The questions themselves, and each dressed: with the business's name, a greeting, careless typing, other nouns."""
    plain = [(form, text) for form, text in asked if text]
    yield from plain
    direct = [(form, text) for form, text in plain if is_direct(form, text)]
    for form, text in direct[:3]:
        yield f"named+{form}", anchored(fact, text)
    for n, (name, pattern) in enumerate(phrasing.OPENINGS.items()):
        if direct:
            form, text = direct[n % len(direct)]
            yield f"{name}+{form}", pattern.format(q=small(text))
    for n, (name, pattern) in enumerate(phrasing.PLACES.items()):
        if direct and fact.business and not mentions(fact, direct[n % len(direct)][1]):
            form, text = direct[n % len(direct)]
            yield f"{name}+{form}", pattern.format(q=text if ": {q}" in pattern else small(text), b=fact.business)
    for form, text in direct[:2]:
        yield f"typed+{form}", normal_typing(text)
        other = phrasing.with_other_noun(text)
        if other:
            yield f"noun+{form}", other


def is_direct(form: str, text: str) -> bool:
    """Whether a question stands alone: it opens with a question word and carries no other sentence."""
    opens = bool(QUESTION_WORD.match(text.split()[0]))
    return (
        opens
        and text.endswith("?")
        and not re.search(r"[:.!?]\s", text)
        and form not in IN_CONTEXT
        and not form.startswith(("wrap", "polar-", "attribute-give", "attribute-know"))
    )


def normal_typing(text: str) -> str:
    """The question as people type it in a hurry: small letters, no mark at its end."""
    return text.rstrip("?").lower() if not re.search(r"\b[A-Z]{2,}\d*\b", text) else text.rstrip("?")


def anchored(fact: Fact, text: str) -> str:
    """The question with the business's name, or "" where something in it says already what it is about."""
    named = re.search(r"\b(?!I\b|I’)[A-Z][\w’]+", text[1:]) or re.search(r"\byour?\b", text)
    return "" if mentions(fact, text) or named or len(text.split()) > 9 else f"{text[:-1]} at {fact.business}?"


def cloze_wordings(fact: Fact) -> Iterator[Wording]:
    """The statement with a gap to fill."""
    if fact.form == "statement" and not is_reason(fact) and len(fact.relation.split()) > 4:
        for form, text in phrasing.TEMPLATES["cloze"].items():
            yield Wording("cloze", form, text.format(g=capital(fact.relation)), gap_answer(fact))
