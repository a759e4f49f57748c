"""Polar: yes/no questions, and the active counterpart of a passive statement."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from engrain.knowledge.grammar import article, inflect, past
from engrain.knowledge.parse import children, first, source, subtree
from engrain.knowledge.shapes import indirect, inverted, shape
from engrain.knowledge.words import UNCOUNTED


@dataclass(frozen=True)
class Polar:
    """A yes/no question about a statement taken positively; `answer` is Yes where the statement says so."""

    direct: str
    indirect: str
    answer: str


def polar_question(doc: Any) -> Polar | None:
    """The yes/no question that a statement answers, its negation removed."""
    s = shape(doc)
    if s is None or (s.root.lemma_ == "be" and s.subject.dep_ == "expl" and len(doc) < 4):
        return None
    negations = {t.i for t in doc if t.dep_ == "neg" and t.head == s.root}
    swapped = {
        t.i: "any" if uncounted(t.head) else article_of(t.head)
        for t in doc
        if t.dep_ == "det" and t.lower_ == "no" and t.head.head == s.root and t.head.dep_ in {"attr", "dobj"}
    }
    if len(negations) + len(swapped) > 1 or any(t.lower_ == "no" and t.i not in swapped for t in doc):
        return None
    direct = inverted(s, "", negations, swapped)
    asked = indirect(s, "whether", negations, swapped)
    if negations and s.verb.lemma_ == "do" and s.verb != s.root:
        main = s.root.lemma_ if s.verb.tag_ == "VBP" else inflect(s.root.lemma_, s.verb.tag_)
        asked = re.sub(rf"\b{s.verb.text} (.*?)\b{s.root.text}\b", rf"\1{main}", asked, count=1)
    if negations and s.verb.lower_ == "must":
        direct, asked = direct.replace("Must ", "May ", 1), asked.replace(" must ", " may ", 1)
    negations |= set(swapped)
    return Polar(direct, asked, "No" if negations else "Yes")


def uncounted(noun: Any) -> bool:
    """Whether a noun takes "any" where another takes "a"."""
    return noun.tag_ != "NN" or noun.lemma_.lower() in UNCOUNTED


def article_of(noun: Any) -> str:
    """The indefinite article for a noun phrase."""
    return article(noun.doc[min(t.i for t in noun.subtree if t.dep_ != "det")].text)


def active(doc: Any) -> str:
    """The active counterpart of a passive statement with an agent: "Ines Calloway teaches canoeing.", or "".

    Its verb is singular, as after who or what.
    """
    s = shape(doc)
    agent = first(s.root, "agent") if s else None
    target = first(agent, "pobj") if agent is not None else None
    if (
        s is None
        or agent is None
        or target is None
        or s.subject.dep_ != "nsubjpass"
        or s.front
        or len(children(s.root, "aux", "auxpass")) != 1
    ):
        return ""
    if any(not children(prep, "pobj", "pcomp") for prep in children(s.root, "prep")):
        return ""
    tense = {"is": "VBZ", "are": "VBZ", "was": "VBD", "were": "VBD"}.get(s.verb.text.lower(), "")
    phrase = subtree(target)
    verb = past(s.root.lemma_) if tense == "VBD" else inflect(s.root.lemma_, "VBZ")
    rest = [i for i in s.rest if i > s.root.i and i != agent.i and i not in phrase]
    subject = source(doc, s.left, s.right)
    tail = " ".join(p for p in (verb, subject, source(doc, rest[0], rest[-1] + 1) if rest else "") if p)
    return (
        f"{source(doc, phrase[0], phrase[-1] + 1)} {tail}." if tense and rest == list(range(rest[0], rest[-1] + 1) if rest else []) else ""
    )
