"""Gapping: a verb that is said once for several values ("A place costs £65 and a repair kit £8.50"), said again for each.

Left as it is, such a statement asks for one value and names the other: "How much does a place cost and a repair kit £8.50?"
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engrain.knowledge.clauses import Clause
from engrain.knowledge.phrases import Piece
from engrain.knowledge.values import Value

JOINS = {",", ";", "and", "or", "but"}
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
    """The statement, or one statement for each of the parts that share its verb, in their order."""
    first, *others = _parts(clause, doc, typed)
    if not others or first is None:
        return [clause]
    said = [_said_again(clause, doc, first, other) if other else None for other in others]
    if any(found is None for found in said):
        return [clause]
    return [replace(clause, pieces=first.pieces), *(found for found in said if found)]


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
