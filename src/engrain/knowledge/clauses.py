"""Clauses: a parsed sentence as short statements that stand alone, each word traced to where it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from engrain.knowledge.grammar import past
from engrain.knowledge.memory import (
    SMALL,
    SUBJECTS,
    Memory,
    in_sentence,
    is_common,
    is_expletive,
    is_full_name,
    is_human,
    is_person,
    mark_people,
    no_business,
    own,
    possessive,
    proper,
    remember,
    remember_object,
    settle,
    small_first,
    stands_for,
    subject_of,
    subject_text,
    uncapitalised,
)
from engrain.knowledge.parse import children, first, source, subtree
from engrain.knowledge.phrases import REASON, Piece, asides, bracketed, noun_phrase, phrase_text, tidy, trace

CONDITION = {"if", "unless", "until", "once", "before", "after", "when", "whenever", "that", "provided", "whether", "where", "till"}
OPEN = re.compile(r"\b(?:them|him|these|those(?! (?:who|with|on|in|of)\b)|she|he|which|whom|whose)\b")
"""Words that leave open what they stand for."""
RINGING = re.compile(r"(?:r|br|s|sw)ing")
"""Base forms that the tagger takes for participles."""
VERBAL = {"ROOT", "conj", "advcl", "relcl", "ccomp", "parataxis", "acl", "dep"}


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


def clauses(doc: Any, memory: Memory) -> Iterator[Clause]:
    """The statements of a sentence, common words small at their start; `memory` resolves pronouns and learns names."""
    for clause in capital_clauses(doc, memory):
        if lacks_conjunction(doc, clause.kept):
            continue
        if OPEN.search(clause.text()):
            clause = without_end(clause)
        if OPEN.search(clause.text()):
            continue
        head, *tail = clause.pieces
        if head.index is not None and doc[head.index].tag_ in {"WRB", "WP"}:
            continue
        small = (
            head.text in SMALL or (head.index == 0 and is_common(doc[0], memory)) or (head.index is None and head.text.split()[0] in SMALL)
        )
        subject = small_first(clause.subject) if small and clause.subject.startswith(head.text) else clause.subject
        yield replace(clause, pieces=(replace(head, text=small_first(head.text)), *tail), subject=subject) if small else clause


def without_end(clause: Clause) -> Clause:
    """The statement up to the comma before the first word that leaves open what it stands for."""
    first_open = next((n for n, piece in enumerate(clause.pieces) if OPEN.fullmatch(piece.text)), 0)
    verb = next((n for n, piece in enumerate(clause.pieces) if piece.index == clause.verb.i), len(clause.pieces))
    comma = max((n for n in range(verb, first_open) if clause.pieces[n].text == ","), default=0)
    return replace(clause, pieces=clause.pieces[:comma]) if comma > verb + 1 else clause


def lacks_conjunction(doc: Any, kept: set[int]) -> bool:
    """Whether nouns that "and" joined stand side by side because the word was left out."""
    joined = [t for t in doc if t.i in kept and t.dep_ == "conj" and t.pos_ in {"NOUN", "PROPN"} and t.head.i in kept]
    return any(not any(i in kept and doc[i].tag_ in {"CC", ","} for i in range(t.head.i, t.i)) for t in joined)


def capital_clauses(doc: Any, memory: Memory) -> Iterator[Clause]:
    """The statements of a sentence, written as they stand."""
    was = replace(memory)
    mark_people(doc, memory)
    if not doc.text.rstrip().endswith("?"):
        yield from told(doc, memory)
    settle(memory, doc, was)


def told(doc: Any, memory: Memory) -> Iterator[Clause]:
    """What each verb of a sentence and each title in it says."""
    for token in doc:
        if token.dep_ != "compound" and (is_person(token) or is_full_name(token)):
            memory.meet(phrase_text(doc, proper(token)))
        if token.dep_ in VERBAL and token.pos_ in {"VERB", "AUX"}:
            if any(t.lower_ in CONDITION for t in children(token, "mark", "advmod")) and token.dep_ in {"advcl", "ccomp", "conj"}:
                continue
            clause = relative(token, memory) if token.dep_ in {"relcl", "acl"} else main(token, memory)
            if clause:
                yield clause
    yield from titles(doc)


def tokens_of(verb: Any, gone: set[int]) -> list[int]:
    """The indices of the statement around a verb."""
    return [i for i in subtree(verb) if i not in gone]


def main(verb: Any, memory: Memory) -> Clause | None:
    """The statement of a verb with a subject, its own or shared, or of an imperative."""
    subject, seat = subject_of(verb)
    if subject is None or is_told_so(verb):
        return imperative(verb)
    if seat != verb and not agrees(subject, verb, seat):
        subject, seat = misjoined(verb) or (subject, seat)
    if seat != verb and seat.dep_ != "relcl" and has_own_subject(verb):
        return None
    text = "it" if is_expletive(subject, verb, memory) else subject_text(subject, memory)
    relative_word = subject.tag_ in {"WDT", "WP"}
    if relative_word and seat.dep_ in {"relcl"}:
        text = stands_for(in_sentence(verb.doc, noun_phrase(seat.head), memory), memory)
    it = memory.thing
    remember(memory, subject, text)
    if subject.tag_ in {"NNS", "NNPS"} or is_person(subject) or text == memory.person:
        remember_object(memory, verb)
    if (
        not text
        or (text == memory.topic and no_business(subject, verb))
        or verb.tag_ == "MD"
        or not (finite(verb, seat) or set_off(verb, subject))
        or not agrees(subject, verb, seat)
        or text.lower().startswith(("whoever", "whatever", "what "))
    ):
        return None
    gone = (
        asides(verb)
        | set(subtree(seat if seat.head == verb != seat else subject))
        | {t.i for t in children(verb, "mark", "cc", "punct") if t.text != ","}
    )
    if verb.doc[0].lower_ in {"yes", "no", "sorry"} and len(verb.doc) > 1 and verb.doc[1].text == ",":
        gone |= {0, 1}
    indices = tokens_of(verb, gone)
    place = subject.i if seat == verb else min(indices, default=verb.i)
    insert = [Piece(text)] if subject.tag_ == "PRP" or relative_word or not own(subject, text) else traced(subject)
    insert += [Piece(t.text) for t in shared_auxiliaries(verb, seat)]
    before = [i for i in indices if i < place]
    after = [i for i in indices if i >= place]
    if set_off(verb, subject):
        insert.append(Piece("were" if subject.tag_ in {"NNS", "NNPS"} else "was"))
        after = [i for i in after if i >= verb.i]
    pieces = [*trace(verb.doc, before), *insert, *trace(verb.doc, after)]
    return Clause(tuple(with_object(pieces, verb.doc, it)), text, verb, reason_of(verb))


def with_object(pieces: list[Piece], doc: Any, it: str) -> list[Piece]:
    """The pieces with an object "it" named, where one thing alone can be meant: the sentence's only one, or else the last one named."""
    kept = {piece.index for piece in pieces}
    for n, piece in enumerate(pieces):
        token = doc[piece.index] if piece.index is not None else None
        if token is None or token.lower_ != "it" or token.dep_ not in {"dobj", "pobj"}:
            continue
        things = [
            t
            for t in doc[: token.i]
            if is_thing(t) and not is_human(t) and not (t.dep_ == "nsubj" and t.head in token.ancestors and t.i in kept)
        ]
        name = it if not things else the_thing(things[0]) if len(things) == 1 and things[0].i not in kept else ""
        if name:
            pieces[n] = replace(piece, text=uncapitalised(name))
    return pieces


def is_thing(noun: Any) -> bool:
    """Whether a noun can be what "it" stands for: no person, no day."""
    return (
        noun.pos_ in {"NOUN", "PROPN"}
        and noun.dep_ != "compound"
        and noun.ent_type_ not in {"DATE", "TIME"}
        and not (is_person(noun) or is_full_name(noun))
    )


def the_thing(noun: Any) -> str:
    """A thing that a sentence named, as it is called from then on: "the box" for "a box"; "" for several."""
    if noun.tag_ not in {"NN", "NNP"} or noun.dep_ not in {"nsubj", "nsubjpass", "dobj"}:
        return ""
    return re.sub(r"^(?:an?|each|every) ", "the ", uncapitalised(phrase_text(noun.doc, noun_phrase(noun))))


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


def traced(subject: Any) -> list[Piece]:
    """A subject's pieces."""
    pieces = trace(subject.doc, noun_phrase(subject))
    pieces[-1] = replace(pieces[-1], space=True)
    return pieces


def finite(verb: Any, seat: Any) -> bool:
    """Whether the verb, with the auxiliaries it shares, makes a whole predicate."""
    helpers = children(verb, "aux", "auxpass") + shared_auxiliaries(verb, seat)
    return verb.tag_ in {"VBZ", "VBP", "VBD", "MD"} or any(t.tag_ in {"MD", "VBZ", "VBP", "VBD"} for t in helpers) or plural_present(verb)


def set_off(verb: Any, subject: Any) -> bool:
    """Whether a comma alone parts a past tense from its subject: then it is a participle ("the hall, finished in 2024, holds")."""
    bare = verb.tag_ in {"VBD", "VBN"} and not children(verb, "aux", "auxpass") and past(verb.lemma_, True) == verb.lower_
    return bare and verb.i >= 2 and verb.doc[verb.i - 1].text == "," and noun_phrase(subject)[-1:] == [verb.i - 2]


def has_own_subject(verb: Any) -> bool:
    """Whether a noun that is not the joined verb's stands between it and what joins it: a subject that the parser missed."""
    start = next((t.i for t in reversed(verb.doc[: verb.i]) if t.tag_ == "CC" or t.text in {",", ";"}), verb.i)
    within = set(subtree(verb))
    return any(t.pos_ in {"NOUN", "PROPN", "PRON"} and t.i not in within for t in verb.doc[start : verb.i])


def plural_present(verb: Any) -> bool:
    """Whether a verb that is tagged as an infinitive is the present tense of its own plural subject."""
    subject = first(verb, "nsubj")
    return verb.tag_ == "VB" and subject is not None and subject.tag_ in {"NNS", "NNPS"} and not children(verb, "aux")


def misjoined(verb: Any) -> tuple[Any, Any] | None:
    """Subject and verb of the relative clause that a verb goes on from, where the parser joined it to the main clause.

    In "You take a test, which lasts an hour, costs £9" it is the test that costs.
    """
    found = [(first(t, *SUBJECTS), t) for t in verb.head.subtree if t.dep_ == "relcl" and t.tag_ == "VBZ" and t.i < verb.i]
    subject, seat = found[-1] if found else (None, None)
    return (subject, seat) if verb.tag_ == "VBZ" and subject is not None and subject.tag_ in {"WDT", "WP"} else None


def shared_auxiliaries(verb: Any, seat: Any) -> list[Any]:
    """The auxiliaries that a joined verb takes from the one before it."""
    modal = any(t.tag_ == "MD" for t in children(seat, "aux"))
    if seat == verb or verb.tag_ in {"VBZ", "VBP"} or (verb.tag_ == "VBD" and not modal):
        return []
    if any(t.lower_ in {"have", "be"} for t in children(verb, "aux", "auxpass")[:1]):
        return [t for t in children(seat, "aux") if t.tag_ == "MD"]
    if children(verb, "aux", "auxpass"):
        return []
    found = children(seat, "aux", "auxpass", "neg")
    fits = {"VB": {"MD", "do"}, "VBN": {"be", "have"}, "VBD": {"be", "have"}, "VBG": {"be"}}.get(verb.tag_, set())
    return found if any(t.tag_ in fits or t.lemma_ in fits for t in found) else []


def imperative(verb: Any) -> Clause | None:
    """What an imperative tells the reader to do, as a statement with you should or you must not."""
    seat = verb
    while seat.dep_ == "conj" and seat.head.pos_ == "VERB" and not children(seat, "aux"):
        seat = seat.head
    told_so = is_told_so(verb)
    is_root = told_so or (seat.dep_ in {"ROOT", "parataxis", "ccomp"} and not children(seat, *SUBJECTS) and (verb.i == 0 or seat.i <= 6))
    form = "VBG" if RINGING.fullmatch(verb.lower_) else "VB"
    if not is_root or verb.tag_ not in {"VB", "VBP", form} or verb.lower_ in {"are", "am"}:
        return None
    gone = asides(verb) | {t.i for t in children(verb, "aux", "neg", "cc", "mark") if t.i < verb.i}
    gone |= set(range(verb.i)) if told_so else set()
    gone |= {t.i for t in children(verb, "advmod", "intj") if t.lower_ in {"never", "please", "always", "just"}}
    indices = tokens_of(verb, gone)
    before, after = [i for i in indices if i < verb.i], [i for i in indices if i >= verb.i]
    words = "You must not" if is_forbidden(verb) else "You should"
    first_word = Piece(source(verb.doc, verb.i, verb.i + 1).lower(), verb.i)
    lead = trace(verb.doc, before)
    pieces = [*lead, Piece(words.lower() if lead else words), first_word, *trace(verb.doc, after[1:])]
    return Clause(tuple(pieces), "you", verb, reason_of(verb))


def is_told_so(verb: Any) -> bool:
    """Whether a bare verb right after ", so" is an imperative: "few can come, so put your name down"."""
    return verb.tag_ in {"VB", "VBP"} and bool(
        re.search(r", so (?:please )?(?:do not |don[’']t )?$", verb.doc[: verb.i].text_with_ws, re.IGNORECASE)
    )


def is_forbidden(verb: Any) -> bool:
    """Whether an imperative says what not to do, by its own "not" or by that of an earlier one that "or" joins it to."""
    if children(verb, "neg") or any(t.lower_ == "never" for t in children(verb, "advmod")):
        return True
    earlier = [t.head.i for t in verb.doc[: verb.i] if t.dep_ == "neg" and not children(t.head, *SUBJECTS)]
    joints = [t for t in verb.doc[max(earlier) :] if t.dep_ == "cc" and t.head.pos_ == "VERB"] if earlier else []
    before = [t for t in joints if t.i < verb.i]
    return any(t.lower_ in {"or", "nor"} for t in before[-1:] or joints[:1])


def relative(verb: Any, memory: Memory) -> Clause | None:
    """The statement of a relative clause or a participle about the noun it hangs on."""
    noun = verb.head.head if verb.head.dep_ == "appos" and verb.head.head.pos_ == "PROPN" else verb.head
    while noun.dep_ == "conj" and says_of_several(verb):
        noun = noun.head
    left = min(verb.subtree, key=lambda t: t.i).i
    if verb.dep_ == "relcl" and noun == verb.head and (left == 0 or verb.doc[left - 1].text not in {",", "("}):
        return None
    if noun.pos_ not in {"NOUN", "PROPN"}:
        return None
    who = stands_for(in_sentence(verb.doc, noun_phrase(noun), memory), memory)
    if len(who.split()) > 9:
        return None
    if verb.dep_ == "acl":
        return participle(verb, noun, who)
    link = next((t for t in verb.subtree if t.tag_ in {"WDT", "WP", "WP$", "WRB"} and t.lower_ != "when"), None)
    if link is None and noun != verb.head and not children(verb, "dobj"):
        link = next((t for t in children(verb, "mark") if t.lower_ == "that"), None)
    if link is None or not finite(verb, verb):
        return None
    gone = asides(verb) | {t.i for t in children(verb, "cc", "mark") if t != link}
    indices = tokens_of(verb, gone)
    swapped = linked(verb, link, who, indices)
    subject = first(verb, *SUBJECTS)
    name = who if subject is None or subject == link or link.tag_ == "WP$" else subject_text(subject, memory)
    return Clause(tuple(swapped), name, verb, reason_of(verb)) if swapped and name else None


def says_of_several(verb: Any) -> bool:
    """Whether a relative clause can only be about several: "who each have a boat"."""
    return (
        verb.tag_ == "VBP"
        or any(t.tag_ == "VBP" for t in children(verb, "aux", "auxpass"))
        or any(t.lower_ in {"each", "both", "all", "were"} for t in verb.children if t.i < verb.i)
    )


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
        return [*pieces[:at], Piece(possessive(who)), *pieces[at + 1 :]]
    if link.dep_ == "pobj" and link.head.lower_ not in {"in", "at", "on", "from"}:
        return []
    if link.dep_ in {"nsubj", "nsubjpass", "pobj"}:
        return [*pieces[:at], Piece(who), *pieces[at + 1 :]]
    rest = [piece for n, piece in enumerate(pieces) if n != at]
    if link.dep_ in {"dobj", "mark"}:
        cut = 1 + next(n for n, piece in enumerate(rest) if piece.index == verb.i)
        return [*rest[:cut], Piece(who), *rest[cut:]]
    return [*rest, Piece(f"at {who}")] if link.lower_ == "where" else []


def participle(verb: Any, noun: Any, who: str) -> Clause | None:
    """The statement that a participle makes about its noun: "finished in August 2024" becomes "was finished"."""
    if verb.tag_ != "VBN" or verb.i < noun.i or len(subtree(verb)) < 3:
        return None
    plural = noun.tag_ in {"NNS", "NNPS"} or (noun.tag_ == "NN" and bool(children(noun, "conj")))
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
        if mark is not None and mark.lower_ == "since" and any(t.lemma_ == "have" for t in children(verb, "aux")):
            continue
        if mark is not None and first(clause, *SUBJECTS) is not None:
            gone = bracketed(verb.doc, subtree(clause))
            indices = [i for i in subtree(clause) if i > mark.i and i not in gone and verb.doc[i].tag_ != "."]
            if indices and indices == list(range(indices[0], indices[-1] + 1)):
                return indices[0], indices[-1] + 1
    return None
