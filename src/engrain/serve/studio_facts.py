"""The facts of a run over HTTP: browse, search, edit and remove them, each with its source passage."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from engrain.assistant import Library
from engrain.documents.base import Section
from engrain.edits import fact_of_row
from engrain.files import delete
from engrain.knowledge.facts import Fact
from engrain.knowledge.wording import full_statement
from engrain.measuring import each_example
from engrain.run import Run
from engrain.serve.bodies import without_surrogates
from engrain.serve.failures import ApiError
from engrain.serve.studio_workspace import Working, is_editable

router = APIRouter(prefix="/engrain/runs/{run}", tags=["facts"])
AROUND = 400
"""Characters of the source that are shown before and after a value."""


class Passage(BaseModel):
    """A piece of a document in which `text[start:end]` is what matters."""

    place: str
    text: str
    start: int
    end: int


class FactRow(BaseModel):
    """A fact; `statement` says it as a sentence, `passage` is where it stands, `examples` how often it is practised."""

    id: str
    subject: str
    relation: str
    value: str
    kind: str
    weight: float
    document: str
    statement: str
    passage: Passage
    examples: int


class FactPage(BaseModel):
    """Some of a run's facts; `total` counts those that fit the search, `kinds` and `documents` all there are."""

    total: int
    editable: bool
    kinds: dict[str, int]
    documents: dict[str, int]
    rows: list[FactRow]


class FactChange(BaseModel):
    """What to change of a fact; what is left out stays."""

    subject: str | None = Field(None, min_length=1, max_length=300)
    relation: str | None = Field(None, min_length=1, max_length=600)
    value: str | None = Field(None, min_length=1, max_length=2000)
    weight: float | None = Field(None, ge=0, le=1)


@router.get("/facts")
def facts(space: Working, run: str, q: str = "", document: str = "", kind: str = "", offset: int = 0, limit: int = 50) -> FactPage:
    """Facts whose subject, relation, value or source has the words `q`, in reading order."""
    found = space.run(run)
    library = Library.of(found)
    sections = {section.id: section for section in library.sections}
    times = Counter[str]()
    for example in each_example(found, "train"):
        times[example.fact] += example.repeats
    words = q.casefold().split()
    fitting = [
        fact
        for fact in library.facts
        if (not kind or fact.kind == kind)
        and (not document or sections[fact.section].file == document)
        and all(word in f"{fact.subject} {fact.relation} {fact.value} {fact.evidence}".casefold() for word in words)
    ]
    return FactPage(
        total=len(fitting),
        editable=is_editable(found) and not found.in_use(),
        kinds=dict(Counter(fact.kind for fact in library.facts).most_common()),
        documents=dict(Counter(sections[fact.section].file for fact in library.facts)),
        rows=[_row(fact, sections[fact.section], times[fact.id]) for fact in fitting[max(offset, 0) :][: max(limit, 0)]],
    )


@router.patch("/facts/{fact}")
def change(space: Working, run: str, fact: str, change: FactChange) -> FactRow:
    """Change a fact. Its value must stand in its source; its examples are written anew before training."""
    without_surrogates(change.model_dump())
    edited = space.editable(run)
    with edited.lock():
        library = Library.of(edited)
        old = _one(library.facts, fact)
        section = next(s for s in library.sections if s.id == old.section)
        new = _changed(old, section, change)
        save(edited, [new if other is old else other for other in library.facts])
    return _row(new, section, 0)


@router.delete("/facts/{fact}", status_code=204)
def remove(space: Working, run: str, fact: str) -> None:
    """Remove a fact, so that nothing is learned from it; examples are written anew before training."""
    edited = space.editable(run)
    with edited.lock():
        found = Library.of(edited).facts
        old = _one(found, fact)
        if len(found) == 1:
            raise ApiError(409, "This is the last fact; without it there would be nothing to learn.", "last_fact", "fact")
        save(edited, [other for other in found if other is not old])


def save(run: Run, facts: Sequence[Fact]) -> None:
    """Write the facts; what was made of the old ones is out of date, and a build sees that by its last file missing."""
    run.write_rows("facts.jsonl", map(asdict, facts))
    delete(run.path / "examples" / "replay.jsonl")


def around(section: Section, start: int, end: int) -> Passage:
    """The text around a place in a section, cut at words."""
    low, high = max(0, start - AROUND), min(len(section.text), end + AROUND)
    low = section.text.rfind(" ", 0, low) + 1 if low else 0
    return Passage(place=section.place, text=section.text[low:high], start=start - low, end=end - low)


def _changed(fact: Fact, section: Section, change: FactChange) -> Fact:
    """The fact with its changes under a new identity, so that nothing written for the old one is taken for it."""
    given: dict[str, Any] = {
        name: value.strip() if isinstance(value, str) else value for name, value in change.model_dump(exclude_none=True).items()
    }
    value = given.pop("value", fact.value)
    places = [at for at in range(len(section.text)) if section.text.startswith(value, at)] if value != fact.value else [fact.start]
    if not value or not places:
        why = f"{value!r} does not stand in {section.place}."
        raise ApiError(422, f"{why} An answer must be taken from the document letter by letter.", "not_in_source", "value")
    start = min(places, key=lambda at: abs(at - fact.start))
    made = replace(fact, **given, value=value, start=start, end=start + len(value))
    try:
        fact_of_row(asdict(made), {section.id: section}, made.edited)
    except ValueError as error:
        raise ApiError(422, f"The fact cannot be changed so: {error}.", "invalid_fact", "relation") from error
    content = f"{made.section}|{made.start}|{made.end}|{made.subject}|{made.relation}"
    return made if made == fact else replace(made, id=hashlib.sha256(content.encode()).hexdigest()[:12])


def _one(facts: Sequence[Fact], identifier: str) -> Fact:
    found = next((fact for fact in facts if fact.id == identifier), None)
    if found is None:
        raise ApiError(404, f"There is no fact {identifier!r} in this run.", "not_found", "fact")
    return found


def _row(fact: Fact, section: Section, times: int) -> FactRow:
    named = {name: getattr(fact, name) for name in ("id", "subject", "relation", "value", "kind", "weight")}
    passage = around(section, fact.start, fact.end)
    return FactRow(**named, document=section.file, statement=full_statement(fact), passage=passage, examples=times)
