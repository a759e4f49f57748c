"""Shapes: the outline of a parsed statement, and the order of its words in a question."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from engrain.knowledge.grammar import capital, inflect
from engrain.knowledge.parse import source, subtree

SUBJECTS = {"nsubj", "nsubjpass", "expl", "csubj", "csubjpass"}
FLIP = {
    "we": "you", "us": "you", "our": "your", "ours": "yours", "ourselves": "yourselves",
    "you": "I", "your": "my", "yours": "mine", "yourself": "myself", "you’ll": "I’ll",
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """A parsed statement: what stands before the subject, the subject, the finite verb, and where the rest begins."""

    doc: Any
    root: Any
    subject: Any
    left: int
    right: int
    verb: Any

    @property
    def front(self) -> list[int]:
        """The tokens before the subject."""
        return [i for i in range(self.left) if i != self.verb.i]

    @property
    def rest(self) -> list[int]:
        """The tokens after the subject but the finite verb and the full stop."""
        last = len(self.doc) - (self.doc[-1].tag_ == ".")
        return [i for i in range(self.right, last) if i != self.verb.i]

    @property
    def tense(self) -> str:
        """The finite verb's tag; of several things a verb that is the same in both tenses ("tickets cost £16") is in the present."""
        same = self.verb.tag_ == "VBD" and self.verb.lower_ == self.verb.lemma_ and self.subject.tag_ in {"NNS", "NNPS"}
        return "VBP" if same else str(self.verb.tag_)

    @property
    def inverts(self) -> bool:
        """Whether the finite verb goes before the subject as it is, without do."""
        helper = self.verb.dep_ in {"aux", "auxpass"} and self.verb.lemma_ != "do"
        return bool(helper or self.verb.tag_ == "MD" or self.verb.lemma_ == "be")


def shape(doc: Any) -> Shape | None:
    """The outline of a statement, or None where the parse is doubtful."""
    roots = [t for t in doc if t.dep_ == "ROOT"]
    if len(roots) != 1 or roots[0].pos_ not in {"VERB", "AUX"}:
        return None
    root = roots[0]
    subject = next((c for c in root.children if c.dep_ in SUBJECTS), None)
    helpers = [c for c in root.children if c.dep_ in {"aux", "auxpass"}]
    verb = helpers[0] if helpers else root
    finite = {"MD", "VBZ", "VBP", "VBD"}
    if subject is None or verb.tag_ not in (finite | {"VB"} if subject.tag_ in {"NNS", "NNPS"} else finite):
        return None
    span = subtree(subject)
    if span != list(range(span[0], span[-1] + 1)) or span[-1] >= verb.i or verb.i - span[-1] > 2:
        return None
    if span[0] > 0 and doc[0].tag_ in {"NNS", "NNPS", "NN", "NNP", "CC", "CD", "WDT", "WP"}:
        return None
    return Shape(doc, root, subject, span[0], span[-1] + 1, verb)


def words(doc: Any, indices: list[int], swapped: dict[int, str] | None = None) -> str:
    """Tokens in words, the speaker's side turned to the asker's: we to you, you to I; `swapped` replaces tokens."""
    out = ""
    for n, i in enumerate(indices):
        word = (swapped or {}).get(i) or source(doc, i, i + 1)
        if doc[i].text.startswith("Kaaa"):
            word = re.sub(r"\b(?:your|our)\b", lambda m: FLIP[m.group()], word)
        lowered = word.lower().replace("'", "’")
        if lowered in FLIP and (doc[i].pos_ != "PROPN" or word in {"We", "You", "Our", "Your"}):
            word = "me" if lowered == "you" and doc[i].dep_ in {"dobj", "pobj", "dative"} else FLIP[lowered]
        elif lowered in {"are", "were", "’re"} and any(
            c.lower_ == "you" and c.dep_ in SUBJECTS for c in [*doc[i].children, *doc[i].head.children]
        ):
            word = {"are": "am", "were": "was", "’re": f"{word[0]}m"}[lowered]
        if re.match("['’]", doc[i].text) and word[:1].isalpha():  # "you" and "’ll" stand together, "you" and "will" apart
            out += " "
        out += word + (doc[i].whitespace_ if n + 1 < len(indices) and indices[n + 1] == i + 1 else " ")
    return re.sub(r"\s+([,.;:)])", r"\1", re.sub(r"\s+", " ", out)).strip(" ,")


def finite_word(s: Shape) -> str:
    """The finite verb as the asker says it: you are becomes am I."""
    short = {
        "ca": "can",
        "wo": "will",
        "sha": "shall",
        "’ll": "will",
        "’re": "are",
        "’ve": "have",
        "’s": "has" if s.verb.lemma_ == "have" else "is",
    }
    spoken = s.verb.lower_.replace("'", "’")
    word: str = short.get(spoken, s.verb.lower_)
    subject = s.subject.lower_
    if subject == "you":
        return {"are": "am", "were": "was"}.get(word, word)
    return word


def auxiliary(s: Shape) -> tuple[str, list[str]]:
    """What goes before the subject, and what of the verb stays behind it."""
    word = finite_word(s)
    if s.inverts:
        return word, []
    if s.verb.lemma_ == "do" and s.verb.dep_ == "aux":
        return word, []
    helper = {"VBZ": "does", "VBD": "did"}.get(s.tense, "do")
    return helper, [s.verb.lemma_]


def inverted(s: Shape, wh: str, gone: set[int], swapped: dict[int, str] | None = None) -> str:
    """A question with the finite verb before the subject."""
    helper, stays = auxiliary(s)
    rest = [i for i in s.rest if i not in gone]
    negated = rest and s.doc[rest[0]].lower_ in {"n't", "n’t"}
    if negated:
        helper, rest = {"can": "can’t", "will": "won’t"}.get(helper, helper + "n’t"), rest[1:]
    subject = words(s.doc, [i for i in range(s.left, s.right) if i not in gone])
    behind = words(s.doc, rest, swapped)
    lead = words(s.doc, [i for i in s.front if i not in gone])
    parts = [wh, helper, subject, *(stays if not lead_adverb(s, rest) else []), behind]
    if lead_adverb(s, rest) and stays:
        cut = lead_adverb(s, rest)
        parts = [wh, helper, subject, words(s.doc, rest[:cut]), *stays, words(s.doc, rest[cut:])]
    question = " ".join(p for p in parts if p).replace(" ,", ",")
    return capital(f"{lead}, {question}?" if lead else f"{question}?")


def lead_adverb(s: Shape, rest: list[int]) -> int:
    """How many tokens after the subject stood before the finite verb ("only", "usually")."""
    return sum(1 for i in rest if i < s.verb.i)


def indirect(s: Shape, wh: str, gone: set[int], swapped: dict[int, str] | None = None) -> str:
    """The same question inside another sentence: no inversion, no question mark."""
    before = [i for i in s.rest if i < s.verb.i and i not in gone]
    after = [i for i in s.rest if i > s.verb.i and i not in gone]
    lead = words(s.doc, [i for i in s.front if i not in gone])
    subject = words(s.doc, [i for i in range(s.left, s.right) if i not in gone])
    parts = [wh, subject, words(s.doc, before), finite_word(s), words(s.doc, after, swapped), lead]
    text = " ".join(p for p in parts if p).replace(" ,", ",")
    return re.sub(r" n['’]t\b", "n’t", text.replace(" can n't", " can’t").replace(" will n't", " won’t"))


def insitu(s: Shape, wh: str, gone: set[int]) -> str:
    """The statement with the question phrase where the answer stands, at its end."""
    last = max(gone)
    if any(i > last for i in s.rest):
        return ""
    keep = [i for i in range(len(s.doc)) if i not in gone and i <= last]
    text = words(s.doc, keep, {s.verb.i: finite_word(s)})
    return capital(f"{text} {wh}?")


def third(verb: Any) -> str:
    """The third person singular of a finite plural verb."""
    return inflect(verb.lemma_, "VBZ")
