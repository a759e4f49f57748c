"""Clauses: a parsed sentence as short statements that stand alone, each word traced to where it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from engrain.knowledge.parse import children, first, source, subtree

REASON = {"because", "since", "as"}
CONTRAST = {"although", "though", "while", "whereas", "so", "lest"}
CONDITION = {"if", "unless", "until", "once", "before", "after", "when", "whenever", "that", "provided", "whether", "where", "till"}
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
SUBJECTS = ("nsubj", "nsubjpass", "expl", "csubj")
VERBAL = {"ROOT", "conj", "advcl", "relcl", "ccomp", "parataxis", "acl", "dep"}


@dataclass(frozen=True)
class Piece:
    """A stretch of a statement; `index` is the sentence's token it came from, None where it was put in."""

    text: str
    index: int | None = None
    space: bool = True


@dataclass(frozen=True)
class Clause:
    """A statement in pieces, in order; `subject` as text, `kept` the token indices, `reason` the span of the why."""

    pieces: tuple[Piece, ...]
    subject: str
    verb: Any
    reason: tuple[int, int] | None = None

    @property
    def kept(self) -> set[int]:
        """The indices of the sentence's tokens that the statement uses."""
        return {piece.index for piece in self.pieces if piece.index is not None}

    def text(self, start: int = -1, end: int = -1, gap: str = "___") -> str:
        """The statement, with the tokens from `start` up to `end` replaced by a gap where they are given."""
        pieces: list[Piece] = []
        for piece in self.pieces:
            inside = piece.index is not None and start <= piece.index < end
            if not inside:
                pieces.append(piece)
            elif piece.index == start:
                pieces.append(Piece(gap))
            if inside and piece.index == end - 1 and pieces:
                pieces[-1] = replace(pieces[-1], space=piece.space)
        return tidy("".join(p.text + (" " if p.space else "") for p in pieces))


@dataclass
class Memory:
    """What a pronoun can point to: the last thing, people and person named, and what the section is about.

    `lowered` are the words that the documents write small somewhere, `named` those with a capital inside a sentence.
    """

    topic: str = ""
    thing: str = ""
    things: str = ""
    person: str = ""
    lowered: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()

    def resolve(self, pronoun: str) -> str:
        """What a pronoun stands for, or "" where nothing fits."""
        word = pronoun.lower()
        if word in {"he", "she", "his", "her", "him"}:
            return self.person
        if word in {"it", "its", "this", "that"}:
            return self.thing or self.topic
        return self.things if word in {"they", "their", "these", "those", "them"} else ""


def tidy(text: str) -> str:
    """The statement with clean spaces and commas and a full stop."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"\s+([,.;:?!)’']|n't\b)", r"\1", text)
    text = re.sub(r"^[\s,;:–-]+|[\s,;:–-]+$", "", text)
    text = re.sub(r",(?:\s*,)+", ",", text)
    text = re.sub(r"[\s,;]+(?:and|or|but)?[\s,;.]*$", "", text)
    return text.rstrip(".") + "."


def noun_phrase(token: Any, skip: set[int] | None = None) -> list[int]:
    """The token indices of a noun phrase without relative clauses, appositions and brackets."""
    gone = asides(token) | (skip or set())
    kept = [i for i in subtree(token) if i not in gone]
    while kept and token.doc[kept[-1]].tag_ in {",", ":", "CC"}:
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
    if token.dep_ == "advcl":
        marks = {t.lower_ for t in children(token, "mark")}
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


def clauses(doc: Any, memory: Memory) -> Iterator[Clause]:
    """The statements of a sentence, common words small at their start; `memory` resolves pronouns and learns names."""
    for clause in capital_clauses(doc, memory):
        head, *tail = clause.pieces
        small = (head.index == 0 and is_common(doc[0], memory)) or (head.index is None and head.text.split()[0] in SMALL)
        subject = small_first(clause.subject) if small and clause.subject.startswith(head.text) else clause.subject
        yield replace(clause, pieces=(replace(head, text=small_first(head.text)), *tail), subject=subject) if small else clause


SMALL = {"You", "We", "Our", "Your", "The", "A", "An", "This", "These", "Each", "Every", "All", "Its", "Their", "My"}


def is_common(token: Any, memory: Memory) -> bool:
    """Whether a sentence's first word is no name: written small elsewhere, or never with a capital inside a sentence."""
    if token.lower_ in memory.lowered or token.is_stop or token.text.startswith("Kaaa"):
        return bool(token.text != "I")
    bare = token.tag_ == "NNP" and token.dep_ in SUBJECTS and not list(token.children)
    if bare and not re.search(r"(?:s|ing)$", token.text):
        return False
    following = token.doc[token.i + 1].text if token.i + 1 < len(token.doc) else ""
    person = token.ent_type_ == "PERSON" and token.pos_ == "PROPN"
    return token.text not in memory.named and not following[:1].isupper() and not token.text.isupper() and not person


def small_first(text: str) -> str:
    """The text with its first letter small."""
    return text[:1].lower() + text[1:]


def capital_clauses(doc: Any, memory: Memory) -> Iterator[Clause]:
    """The statements of a sentence, written as they stand."""
    if doc.text.rstrip().endswith("?"):
        return
    for token in doc:
        if is_person(token) and token.dep_ != "compound":
            memory.person = phrase_text(doc, [i for i in noun_phrase(token) if doc[i].pos_ == "PROPN"])
        if token.dep_ in VERBAL and token.pos_ in {"VERB", "AUX"}:
            if any(t.lower_ in CONDITION for t in children(token, "mark", "advmod")) and token.dep_ in {"advcl", "ccomp", "conj"}:
                continue
            clause = relative(token, memory) if token.dep_ in {"relcl", "acl"} else main(token, memory)
            if clause:
                yield clause
    yield from titles(doc)


def remember(memory: Memory, subject: Any, text: str) -> None:
    """Let a named subject become what later pronouns point to."""
    if subject.tag_ in {"PRP", "EX", "DT", "WP", "WDT"} or len(text.split()) > 8:
        return
    if is_person(subject):
        memory.person = text
    elif subject.tag_ in {"NNS", "NNPS"} or children(subject, "conj"):
        memory.things = text
    else:
        memory.thing = text


def is_person(token: Any) -> bool:
    """Whether a noun names a person, by the entity recogniser or by a relative clause with who."""
    who = any(t.lower_ == "who" for child in children(token, "relcl") for t in child.subtree)
    return token.pos_ == "PROPN" and (token.ent_type_ == "PERSON" or who)


def subject_of(verb: Any) -> tuple[Any | None, Any]:
    """The subject of a verb and the verb that carries it: its own, or that of the verb it is joined to."""
    seat = verb
    while True:
        subject = first(seat, *SUBJECTS)
        if subject is not None or seat.dep_ != "conj" or seat.head.pos_ not in {"VERB", "AUX"}:
            return subject, seat
        seat = seat.head


def subject_text(subject: Any, memory: Memory) -> str:
    """The subject in words, its pronoun or possessive resolved; "" where that fails."""
    if subject.tag_ == "PRP" and subject.lower_ not in {"we", "you", "i"}:
        return antecedent(subject, memory)
    if subject.tag_ in {"DT", "WDT", "WP"} or (subject.lower_ in {"those", "these", "one", "others", "both", "some", "most"}):
        return ""
    text = stands_for(phrase_text(subject.doc, noun_phrase(subject)), memory)
    owner = first(subject, "poss")
    if owner is not None and owner.lower_ in {"its", "their", "his", "her"}:
        name = memory.resolve(owner.text)
        return f"{name}’s {text[len(owner.text) :].strip()}" if name else ""
    return text


def stands_for(text: str, memory: Memory) -> str:
    """The phrase with the noun that "one" stands for: after "the old jetty", "the new one" is the new jetty."""
    if not text.lower().endswith(" one") or not memory.thing:
        return text
    return f"{text[:-3]}{memory.thing.split()[-1]}"


def antecedent(pronoun: Any, memory: Memory) -> str:
    """What a subject pronoun stands for: in an adverbial clause the main clause's subject, else what was named last."""
    verb = pronoun.head
    if verb.dep_ == "advcl" and pronoun.lower_ not in {"he", "she"}:
        subject, _ = subject_of(verb.head)
        if subject is None or is_person(subject) or subject.tag_ in {"PRP", "EX"}:
            return ""
        return phrase_text(subject.doc, noun_phrase(subject))
    people = [t for t in pronoun.doc if t.i < pronoun.i and t.ent_type_ == "PERSON" and t.dep_ != "compound" and t.pos_ == "PROPN"]
    if pronoun.lower_ in {"he", "she"} and people:
        return phrase_text(pronoun.doc, [i for i in noun_phrase(people[-1]) if pronoun.doc[i].pos_ == "PROPN"])
    return memory.resolve(pronoun.text)


def tokens_of(verb: Any, gone: set[int]) -> list[int]:
    """The indices of the statement around a verb."""
    return [i for i in subtree(verb) if i not in gone]


def main(verb: Any, memory: Memory) -> Clause | None:
    """The statement of a verb with a subject, its own or shared, or of an imperative."""
    subject, seat = subject_of(verb)
    if subject is None:
        return imperative(verb)
    text = subject_text(subject, memory)
    relative_word = subject.tag_ in {"WDT", "WP"}
    if relative_word and seat.dep_ in {"relcl"}:
        text = phrase_text(verb.doc, noun_phrase(seat.head))
    remember(memory, subject, text)
    if not text or not finite(verb, seat) or not agrees(subject, verb, seat) or text.lower().startswith(("whoever", "whatever", "what ")):
        return None
    gone = asides(verb) | set(subtree(subject)) | {t.i for t in children(verb, "mark", "cc", "punct") if t.text != ","}
    indices = tokens_of(verb, gone)
    place = subject.i if seat == verb else min([i for i in indices], default=verb.i)
    insert = [Piece(text)] if subject.tag_ == "PRP" or relative_word or not own(subject, text) else traced(subject)
    insert += [Piece(t.text) for t in shared_auxiliaries(verb, seat)]
    before = [i for i in indices if i < place]
    after = [i for i in indices if i >= place]
    pieces = [*trace(verb.doc, before), *insert, *trace(verb.doc, after)]
    return Clause(tuple(pieces), text, verb, reason_of(verb))


def agrees(subject: Any, verb: Any, seat: Any) -> bool:
    """Whether subject and verb agree in number: a sign that the parser paired them rightly."""
    bearer = next(
        iter(children(verb, "aux", "auxpass") or children(seat, "aux", "auxpass") if verb.tag_ in {"VBN", "VBG", "VB"} else [verb]), verb
    )
    if bearer.tag_ == "VBZ":
        return subject.lower_ not in {"we", "you", "they", "i"} and (subject.tag_ != "NNS" or bool(children(subject, "nummod")))
    return (
        bearer.tag_ != "VBP"
        or subject.tag_ != "NN"
        or bool(children(subject, "conj"))
        or subject.lower_ in {"staff", "team", "people", "half", "number"}
    )


def own(subject: Any, text: str) -> bool:
    """Whether a subject's words stand in the sentence as they are."""
    return phrase_text(subject.doc, noun_phrase(subject)) == text


def traced(subject: Any) -> list[Piece]:
    """A subject's pieces."""
    pieces = trace(subject.doc, noun_phrase(subject))
    pieces[-1] = replace(pieces[-1], space=True)
    return pieces


def trace(doc: Any, indices: list[int]) -> list[Piece]:
    """Pieces for tokens, with a space where tokens between two of them were left out."""
    pieces = []
    for n, i in enumerate(indices):
        adjacent = n + 1 < len(indices) and indices[n + 1] == i + 1
        pieces.append(Piece(source(doc, i, i + 1), i, bool(doc[i].whitespace_) if adjacent else True))
    return pieces


def finite(verb: Any, seat: Any) -> bool:
    """Whether the verb, with the auxiliaries it shares, makes a whole predicate."""
    helpers = children(verb, "aux", "auxpass") + shared_auxiliaries(verb, seat)
    return verb.tag_ in {"VBZ", "VBP", "VBD", "MD"} or any(t.tag_ in {"MD", "VBZ", "VBP", "VBD"} for t in helpers)


def shared_auxiliaries(verb: Any, seat: Any) -> list[Any]:
    """The auxiliaries that a joined verb takes from the one before it."""
    if seat == verb or verb.tag_ in {"VBZ", "VBP", "VBD"} or children(verb, "aux", "auxpass"):
        return []
    return children(seat, "aux", "auxpass", "neg")


def imperative(verb: Any) -> Clause | None:
    """What an imperative tells the reader to do, as a statement with you should or you must not."""
    seat = verb
    while seat.dep_ == "conj" and seat.head.pos_ == "VERB" and not children(seat, "aux"):
        seat = seat.head
    lowered = verb.doc[0].lower_ == verb.doc[0].text
    is_root = seat.dep_ in {"ROOT", "parataxis", "ccomp"} and not children(seat, *SUBJECTS)
    if not is_root or verb.tag_ not in {"VB", "VBP", "VBG" if lowered else "VB"} or (verb.i > 0 and seat.i > 6):
        return None
    negative = bool(children(verb, "neg")) or any(t.lower_ == "never" for t in children(verb, "advmod"))
    gone = asides(verb) | {t.i for t in children(verb, "aux", "neg", "cc", "mark") if t.i < verb.i}
    gone |= {t.i for t in children(verb, "advmod", "intj") if t.lower_ in {"never", "please", "always", "just"}}
    indices = tokens_of(verb, gone)
    before, after = [i for i in indices if i < verb.i], [i for i in indices if i >= verb.i]
    words = "You must not" if negative else "You should"
    first_word = Piece(source(verb.doc, verb.i, verb.i + 1).lower(), verb.i)
    lead = trace(verb.doc, before)
    pieces = [*lead, Piece(words.lower() if lead else words), first_word, *trace(verb.doc, after[1:])]
    return Clause(tuple(pieces), "you", verb, reason_of(verb))


def relative(verb: Any, memory: Memory) -> Clause | None:
    """The statement of a relative clause or a participle about the noun it hangs on."""
    noun = verb.head.head if verb.head.dep_ == "appos" and verb.head.head.pos_ == "PROPN" else verb.head
    left = min(verb.subtree, key=lambda t: t.i).i
    if verb.dep_ == "relcl" and (left == 0 or verb.doc[left - 1].text not in {",", "("}):
        return None
    if noun.pos_ not in {"NOUN", "PROPN"}:
        return None
    who = stands_for(phrase_text(verb.doc, noun_phrase(noun)), memory)
    if len(who.split()) > 9:
        return None
    if verb.dep_ == "acl":
        return participle(verb, noun, who)
    link = next((t for t in verb.subtree if t.tag_ in {"WDT", "WP", "WP$", "WRB"} and t.lower_ != "when"), None)
    if link is None or not finite(verb, verb):
        return None
    gone = asides(verb) | {t.i for t in children(verb, "cc", "mark")}
    indices = tokens_of(verb, gone)
    swapped = linked(verb, link, who, indices)
    subject = first(verb, *SUBJECTS)
    name = who if subject is None or subject == link or link.tag_ == "WP$" else subject_text(subject, memory)
    return Clause(tuple(swapped), name, verb, reason_of(verb)) if swapped and name else None


def linked(verb: Any, link: Any, who: str, indices: list[int]) -> list[Piece]:
    """The pieces of a relative clause with its relative word replaced by the noun, or [] where that is not safe."""
    doc = verb.doc
    if any(doc[i].tag_ in {"WRB", "WP", "WDT"} and i != link.i for i in indices):
        return []
    pieces = trace(doc, indices)
    at = next(n for n, piece in enumerate(pieces) if piece.index == link.i) if link.i in indices else -1
    if at < 0:
        return []
    if link.tag_ == "WP$":
        return [*pieces[:at], Piece(f"{who}’s"), *pieces[at + 1 :]]
    if link.dep_ in {"nsubj", "nsubjpass", "pobj"}:
        return [*pieces[:at], Piece(who), *pieces[at + 1 :]]
    rest = [piece for n, piece in enumerate(pieces) if n != at]
    if link.dep_ == "dobj":
        cut = 1 + next(n for n, piece in enumerate(rest) if piece.index == verb.i)
        return [*rest[:cut], Piece(who), *rest[cut:]]
    return [*rest, Piece(f"at {who}")] if link.lower_ == "where" else []


def participle(verb: Any, noun: Any, who: str) -> Clause | None:
    """The statement that a participle makes about its noun: "finished in August 2024" becomes "was finished"."""
    if verb.tag_ != "VBN" or verb.i < noun.i or len(subtree(verb)) < 3:
        return None
    plural = noun.tag_ in {"NNS", "NNPS"} or bool(children(noun, "conj"))
    done = bool(children(verb, "agent")) or any(re.fullmatch(r"(?:19|20)\d\d", t.text) for t in verb.subtree)
    be = ("were" if plural else "was") if done else ("are" if plural else "is")
    pieces = [Piece(who), Piece(be), *trace(verb.doc, tokens_of(verb, asides(verb)))]
    return Clause(tuple(pieces), who, verb)


def titles(doc: Any) -> Iterator[Clause]:
    """What an apposition or a title says: "Marguerite Ainscough, the office manager" and "our writer Saskia Thole"."""
    for token in doc:
        if token.dep_ == "appos" and token.head.pos_ in {"NOUN", "PROPN"}:
            yield from apposition(token.head, token)


def apposition(head: Any, token: Any) -> Iterator[Clause]:
    """The statement "name is role" of two noun phrases side by side, whichever way round they stand."""
    name, role = (token, head) if token.pos_ == "PROPN" and head.pos_ == "NOUN" else (head, token)
    if name.pos_ != "PROPN" or role.pos_ != "NOUN" or not children(role, "det", "poss", "amod", "compound"):
        return
    skip = set(subtree(token)) if name == token else set()
    left, right = noun_phrase(name), noun_phrase(role, skip)
    if not 1 <= len(left) <= 5 or not 1 < len(right) <= 10 or first(role, "nummod"):
        return
    plural = bool(children(name, "conj"))
    pieces = [*trace(name.doc, left), Piece("are" if plural else "is"), *trace(name.doc, right)]
    yield Clause(tuple(pieces), phrase_text(name.doc, left), name)


def reason_of(verb: Any) -> tuple[int, int] | None:
    """The token span of the clause that gives a statement's reason, or None."""
    for clause in children(verb, "advcl"):
        mark = next((t for t in children(clause, "mark") if t.lower_ in REASON), None)
        if mark is not None and first(clause, *SUBJECTS) is not None:
            gone = bracketed(verb.doc, subtree(clause))
            indices = [i for i in subtree(clause) if i > mark.i and i not in gone and verb.doc[i].tag_ != "."]
            if indices and indices == list(range(indices[0], indices[-1] + 1)):
                return indices[0], indices[-1] + 1
    return None
