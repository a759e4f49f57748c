"""Phrases: the words of a parsed sentence, without the asides that make statements of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from engrain.knowledge.parse import children, source, subtree

REASON = {"because", "since", "as"}
CONDITION = {"if", "unless", "until", "when", "once", "provided"}
CONTRAST = {"although", "though", "while", "whereas", "so", "lest"}
FILLER = {
    "also",
    "still",
    "however",
    "therefore",
    "please",
    "too",
    "then",
    "gladly",
    "moreover",
    "otherwise",
    "instead",
    "already",
    "sorry",
    "now",
}


@dataclass(frozen=True)
class Piece:
    """A stretch of a statement; `index` is the sentence's token it came from, None where it was put in."""

    text: str
    index: int | None = None
    space: bool = True


def tidy(text: str) -> str:
    """The statement with clean spaces and commas and a full stop."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"\s+([,.;:?!)’']|n't\b)", r"\1", text)
    text = re.sub(r"^[\s,;:–-]+|[\s,;:–-]+$", "", text)
    text = re.sub(r",(?:\s*,)+", ",", text)
    text = re.sub(
        r"(?:[\s,;:]+(?:and|or|but|while|whereas|although|provided|as (?:long|soon)|that|which|if|when|unless|except|than|rather)\b)*"
        r"[\s,;:.]*$",
        "",
        text,
    )
    return text.rstrip(".") + "."


def noun_phrase(token: Any, skip: set[int] | None = None) -> list[int]:
    """The token indices of a noun phrase without relative clauses, appositions and brackets."""
    gone = asides(token) | (skip or set())
    kept = [i for i in subtree(token) if i not in gone]
    while kept and token.doc[kept[-1]].tag_ in {",", ":", ".", "CC"}:
        kept.pop()
    return kept


def phrase_text(doc: Any, indices: list[int]) -> str:
    """The words of some tokens, one space where tokens between them were left out."""
    out = ""
    for n, i in enumerate(indices):
        adjacent = n + 1 < len(indices) and indices[n + 1] == i + 1
        out += source(doc, i, i + 1) + (doc[i].whitespace_ if adjacent else " ")
    return re.sub(r"\s+([,.;:)’'])", r"\1", out).strip()


def asides(root: Any) -> set[int]:
    """The indices under a token that a short statement does without."""
    gone: set[int] = set()
    for token in root.subtree:
        if token != root and is_aside(token, root):
            gone |= set(subtree(token))
    indices = subtree(root)
    gone |= bracketed(root.doc, indices)
    for i in indices:
        token = root.doc[i]
        if token.dep_ in {"cc", "preconj"} and token.head.i not in gone and cut_conjunct(token.head, gone):
            gone.add(i)
        if token.text in {",", "–", "—", "-", ";", ":"} and (i - 1 in gone or i + 1 in gone or i in {indices[0], indices[-1]}):
            gone.add(i)
    return gone


def is_aside(token: Any, root: Any) -> bool:
    """Whether a dependant adds a statement of its own, or nothing at all."""
    left = min(token.subtree, key=lambda t: t.i).i
    comma = left > 0 and token.doc[left - 1].text in {",", "(", "–", "—", ";", ":"}
    if token.dep_ in {"relcl", "acl"}:
        return comma or len(subtree(token)) > 9 or any(t.text in {",", "("} for t in token.subtree)
    if token.dep_ == "appos":
        return comma
    if token.dep_ == "conj" and root.lemma_ == "cost" and token.pos_ != "VERB" and not any(t.is_currency for t in token.subtree):
        right = max(t.i for t in token.subtree) + 1
        return right < len(token.doc) and token.doc[right].tag_ in {"VBZ", "VBP", "MD"}
    if token.dep_ == "dobj" and comma:
        return any(t.dep_ == "dobj" and t.i < token.i for t in token.head.children)
    if token.dep_ == "advcl":
        marks = {t.lower_ for t in children(token, "mark")}
        opening = marks if comma else marks | {t.lower_ for t in children(token, "advmod")}
        if (token.head.lower_ in {"soon", "long"} and marks == {"as"}) or opening & CONDITION:
            return False
        return bool(marks & (REASON | CONTRAST)) or (comma and not marks) or len(subtree(token)) > 14
    if token.dep_ == "conj" and token.head.pos_ in {"VERB", "AUX"} and token.pos_ in {"VERB", "AUX"}:
        return True
    if token.dep_ in {"parataxis", "intj", "dep", "meta"} or (token.dep_ == "ccomp" and token.i < root.i):
        return True
    return token.dep_ == "advmod" and token.lower_ in FILLER and not list(token.children)


def cut_conjunct(head: Any, gone: set[int]) -> bool:
    """Whether every conjunct of a token was left out."""
    conjuncts = children(head, "conj")
    return (bool(conjuncts) and all(c.i in gone for c in conjuncts)) or (head.pos_ in {"VERB", "AUX"} and not conjuncts)


def bracketed(doc: Any, indices: list[int]) -> set[int]:
    """The indices inside round brackets, brackets included."""
    gone, depth = set(), 0
    for i in indices:
        depth += doc[i].text == "("
        if depth:
            gone.add(i)
        depth -= doc[i].text == ")" and depth > 0
    return gone


def trace(doc: Any, indices: list[int]) -> list[Piece]:
    """Pieces for tokens, with a space where tokens between two of them were left out."""
    pieces = []
    for n, i in enumerate(indices):
        adjacent = n + 1 < len(indices) and indices[n + 1] == i + 1
        pieces.append(Piece(source(doc, i, i + 1), i, bool(doc[i].whitespace_) if adjacent else True))
    return pieces
