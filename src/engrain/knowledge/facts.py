"""Facts: what the documents say, each with a value that stands verbatim in its source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One thing the documents say about a subject.

    `value == section.text[start:end]` always holds. `kind` is the type of the value: money, time, date, duration,
    count, person, place, contact, name, yesno or text. `evidence` is the sentence, table row or list item it
    stands in.
    """

    id: str
    subject: str
    relation: str
    value: str
    kind: str
    evidence: str
    section: str
    start: int
    end: int
