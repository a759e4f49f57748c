"""Gapping: a verb that is said once for several values ("A place costs £65 and a repair kit £8.50"), said again for each.

Left as it is, such a statement asks for one value and names the other: "How much does a place cost and a repair kit £8.50?"
So it does where "and" joins two objects or two places that the parser hung on the verb.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engrain.knowledge.clauses import Clause
from engrain.knowledge.parse import children, subtree
from engrain.knowledge.phrases import Piece
from engrain.knowledge.values import Value

JOINS = {",", ";", "and", "or", "but"}
DENYING = {"not", "never"}
LEADS = {"on", "from", "at", "in", "for"}
"""Prepositions that go with a value where it takes another one's place."""

Typed = Sequence[tuple[int, int, Value]]


@dataclass(frozen=True)
class Part:
    """A stretch of a statement: its pieces, and where among them its values lie, each with its preposition, by their kind."""

    pieces: tuple[Piece, ...]
    values: dict[str, tuple[int, int]]

    @property
    def start(self) -> int:
        """Where the first value begins."""
        return min(start for start, _ in self.values.values())

    @property
    def end(self) -> int:
        """Where the last value ends."""
        return max(end for _, end in self.values.values())


def apart(clause: Clause, doc: Any, typed: Typed) -> list[Clause]:
    """The statement, or one statement for each of the parts that share its verb, in their order; none where they cannot be parted."""
    first, *others = _parts(clause, doc, typed)
    said = [_said_again(clause, doc, first, other) if first and other else None for other in others]
    if first is None or not said or any(found is None for found in said):
        return _at_joint(clause, doc)
    return [replace(clause, pieces=first.pieces), *(found for found in said if found)]


def _at_joint(clause: Clause, doc: Any) -> list[Clause]:
    """The statement, cut where an "and" stood that it lost, or where it goes on with what is not so; a lost "but" is put back."""
    kept, pieces = clause.kept, clause.pieces
    joint = next((t.i for t in doc[clause.verb.i :] if t.tag_ == "CC" and _joins(t, kept)), None)
    if joint is None:
        return [clause]
    end = next(n for n, piece in enumerate(pieces) if (piece.index or 0) >= joint)
    start = next(n for n, piece in enumerate(pieces) if (piece.index or 0) > joint)
    first, rest = replace(clause, pieces=pieces[:end]), pieces[start:]
    if doc[joint].lower_ == "but":
        return [replace(clause, pieces=(*first.pieces, Piece("but", joint), *rest))]
    if doc[joint + 1].lower_ in DENYING:
        return [first, *_denied(first, rest)]
    item = next((t for t in children(clause.verb, "conj") if t.i > joint and t.pos_ in {"NOUN", "PROPN", "NUM"}), None)
    thing = next((t for t in children(clause.verb, "dobj") if t.i < joint), None)
    whole = item is not None and set(subtree(item)) == {piece.index for piece in rest}
    if doc[joint].lower_ != "and" or thing is None or not whole:
        return []
    lead = next((n for n, piece in enumerate(pieces) if piece.index in subtree(thing)), None)
    if lead is None:  # the thing was said before, and only a pronoun stood for it here
        return []
    return [first, replace(clause, pieces=(*pieces[:lead], *rest), reason=None)]


def _joins(token: Any, kept: set[int]) -> bool:
    """Whether a conjunction between two words of a statement was lost, or leads to what is not so."""
    before = token.i - 1 if token.nbor(-1).text != "," else token.i - 2
    return before in kept and token.i + 1 in kept and (token.i not in kept or token.nbor().lower_ in DENYING)


def _denied(clause: Clause, rest: tuple[Piece, ...]) -> Iterator[Clause]:
    """The statement of what is not so: "goes into the drum and never down the sink" is "never goes down the sink" as well."""
    verb = next((n for n, piece in enumerate(clause.pieces) if piece.index == clause.verb.i), 0)
    helped = bool(children(clause.verb, "aux", "auxpass"))
    if rest[0].text == "never" or helped or clause.verb.lemma_ == "be":
        at = verb + 1 if clause.verb.lemma_ == "be" else verb
        yield replace(clause, pieces=(*clause.pieces[:at], rest[0], *clause.pieces[at : verb + 1], *rest[1:]), reason=None)


def _parts(clause: Clause, doc: Any, typed: Typed) -> list[Part | None]:
    """The statement cut at its joins after the first value that follows the verb; None for a part without clear values."""
    held = [v for v in typed if v[0] > clause.verb.i and clause.kept.issuperset(range(v[0], v[1]))]
    if not held:
        return [None]
    within = {i for start, end, _ in typed for i in range(start, end)}
    runs: list[list[Piece]] = [[]]
    last = None
    for piece in clause.pieces:
        skipped: Sequence[Any] = doc[last + 1 : piece.index + 1] if last is not None and piece.index is not None else []
        last = piece.index
        joined = any(token.i >= held[0][1] and token.i not in within and token.lower_ in JOINS for token in skipped)
        if joined and runs[-1]:
            runs.append([])
        if not (joined and piece.text.lower() in JOINS):
            runs[-1].append(piece)
    return [_part(tuple(run), typed) for run in runs]


def _part(pieces: tuple[Piece, ...], typed: Typed) -> Part | None:
    places = {piece.index: n for n, piece in enumerate(pieces) if piece.index is not None}
    found = [(value.kind, places[start], places[end - 1] + 1) for start, end, value in typed if start in places and end - 1 in places]
    if not found or len({kind for kind, _, _ in found}) < len(found):
        return None
    return Part(pieces, {kind: (_with_preposition(pieces, start), end) for kind, start, end in found})


def _with_preposition(pieces: Sequence[Piece], start: int) -> int:
    return start - 1 if start and pieces[start - 1].text.lower() in LEADS else start


def _said_again(clause: Clause, doc: Any, first: Part, other: Part) -> Clause | None:
    """The statement with the other part's values, and its subject where it names one; None where it is no mere list of them."""
    if not set(other.values) <= set(first.values) or any(p.index is None or doc[p.index].pos_ in {"VERB", "AUX"} for p in other.pieces):
        return None
    named, between, tail = other.pieces[: other.start], list(_between(other)), other.pieces[other.end :]
    alone = len(other.values) == 1
    if between or alone != bool(named or tail):  # a second value that nothing tells from the first is asked for with it
        return None
    pieces = _exchanged(first, other, tail)
    if not named:
        return replace(clause, pieces=pieces)
    verb = next((n for n, piece in enumerate(pieces) if piece.index == clause.verb.i), 0)
    subject = " ".join(piece.text for piece in pieces[:verb])
    nouns = [doc[p.index].pos_ in {"NOUN", "PROPN"} for p in named if p.index is not None]
    # With an object between verb and value ("serves soup until 14:00") it is open which of the two is named anew.
    if subject.lower() != clause.subject.lower() or not nouns or not nouns[-1] or first.start != verb + 1:
        return None
    return replace(clause, pieces=(*named, *pieces[verb:]), subject=" ".join(piece.text for piece in named))


def _between(part: Part) -> Iterator[Piece]:
    """What stands between a part's values."""
    taken = {n for start, end in part.values.values() for n in range(start, end)}
    return (piece for n, piece in enumerate(part.pieces) if part.start <= n < part.end and n not in taken)


def _exchanged(first: Part, other: Part, tail: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """The first part's pieces with the other's values, and with its `tail` in place of what follows the last of them."""
    pieces = list(first.pieces)
    for kind, (start, end) in sorted(first.values.items(), key=lambda item: -item[1][0]):
        if kind in other.values:
            begin, stop = other.values[kind]
            pieces[start : len(pieces) if tail else end] = [*other.pieces[begin:stop], *tail]
    return tuple(pieces)
