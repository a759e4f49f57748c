"""Documents over HTTP: drop them, see what was read and what not and why, what became facts, and where private data stands."""

from __future__ import annotations

import shutil
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, UploadFile
from pydantic import BaseModel

from engrain.documents.base import Document, Reading, Section, Unread, Unreadable, read_file, readers
from engrain.errors import DocumentError
from engrain.files import delete, staged
from engrain.knowledge.coverage import Coverage, coverage
from engrain.knowledge.facts import Fact, find_facts
from engrain.knowledge.superseded import supersede
from engrain.privacy import Private, find_private, spans
from engrain.serve.failures import ApiError
from engrain.serve.studio_workspace import Working, Workspace, is_plain

router = APIRouter(prefix="/engrain", tags=["documents"])
EXAMPLE = Path(__file__).parent.parent / "data" / "demo" / "docs"
CHUNK = 1 << 20
_one_at_a_time = Lock()

Fingerprint = tuple[tuple[str, int, int], ...]


class DocumentRow(BaseModel):
    """A file that was dropped: read into sections, or not, with the reason and what to do; `left_out` are the files within not read."""

    file: str
    size: int
    status: Literal["read", "unread"]
    title: str = ""
    sections: int = 0
    words: int = 0
    reason: str = ""
    remedy: str = ""
    left_out: list[str] = []


class DocumentList(BaseModel):
    """All files, by name; `suffixes` are the kinds that can be read."""

    documents: list[DocumentRow]
    suffixes: list[str]


class CoverageRow(BaseModel):
    """What of a document gives facts; `missed` are sentences that give none, `missed_values` prices, dates, names … that none holds."""

    file: str
    facts: int
    sentences: int
    covered: int
    share: float
    missed: list[str]
    missed_values: list[str]


class CoverageReport(BaseModel):
    """What all documents give; `problem` says why they give nothing, `superseded` lists what newer documents state otherwise."""

    facts: int
    coverage: list[CoverageRow]
    private: list[Private]
    superseded: list[dict[str, str]]
    problem: str = ""


class Mark(BaseModel):
    """A stretch of a section's text: a fact's value or private data."""

    start: int
    end: int
    kind: str
    label: str


class SectionText(BaseModel):
    """A section with what was found in it."""

    id: str
    place: str
    headings: list[str]
    page: int | None
    text: str
    marks: list[Mark]


class DocumentText(BaseModel):
    """A document as it was read."""

    file: str
    title: str
    sections: list[SectionText]


@router.get("/documents")
def documents(space: Working) -> DocumentList:
    """The files that were dropped, and what came of reading them."""
    reading = read_all(space)
    read = {document.file: document for document in reading.documents}
    unread = {entry.file: entry for entry in reading.unread}
    rows = [_row(path, read.get(path.name), unread.get(path.name)) for path in space.files()]
    return DocumentList(documents=rows, suffixes=sorted(readers()))


@router.post("/documents")
def upload(
    space: Working, files: Annotated[list[UploadFile], File(description="The documents; one of the same name is replaced.")]
) -> DocumentList:
    """Add documents."""
    bad = [file.filename or "(no name)" for file in files if not is_plain(file.filename or "")]
    if bad:
        raise ApiError(400, f"These names cannot be used for files: {', '.join(bad)}. Rename them.", "invalid_name", "files")
    for file in files:
        with staged(space.documents / str(file.filename)) as temporary, temporary.open("wb") as target:
            shutil.copyfileobj(file.file, target, CHUNK)
    return documents(space)


@router.post("/documents/example")
def add_example(space: Working) -> DocumentList:
    """Add the documents of the invented business that comes with engrain."""
    space.documents.mkdir(parents=True, exist_ok=True)
    for path in EXAMPLE.iterdir():
        with staged(space.documents / path.name) as temporary:
            shutil.copyfile(path, temporary)
    return documents(space)


@router.delete("/documents/{name}")
def remove(space: Working, name: str) -> DocumentList:
    """Remove a document. Runs that were made of it stay as they are."""
    delete(_path(space, name))
    return documents(space)


@router.get("/documents/{name}")
def text(space: Working, name: str) -> DocumentText:
    """What was read from a document, with the facts and the private data marked."""
    _path(space, name)
    document = next((d for d in read_all(space).documents if d.file == name), None)
    if document is None:
        raise ApiError(409, f"{name} could not be read; the list of documents says why.", "unread", "name")
    facts: dict[str, list[Fact]] = defaultdict(list)
    for fact in find_all(space)[0]:
        facts[fact.section].append(fact)
    sections = [_section(section, facts[section.id]) for section in document.sections]
    return DocumentText(file=name, title=document.title, sections=sections)


@router.get("/coverage")
def covered(space: Working) -> CoverageReport:
    """How much of the documents gives facts, and where private data stands; takes some seconds after a change."""
    reading = read_all(space)
    facts, problem = find_all(space)
    kept, old = supersede(facts, reading.documents)
    rows = coverage(reading.documents, facts) if facts else []
    private = find_private([section for document in reading.documents for section in document.sections])
    return CoverageReport(
        facts=len(kept),
        coverage=[_coverage(row) for row in rows],
        private=private,
        superseded=[entry.to_row() for entry in old],
        problem=problem,
    )


def read_all(space: Workspace) -> Reading:
    """All documents of the workspace, read once as long as none changes."""
    with _one_at_a_time:
        return _read(space.documents, space.fingerprint())


def find_all(space: Workspace) -> tuple[tuple[Fact, ...], str]:
    """The facts that the rules find, and why there are none."""
    with _one_at_a_time:
        return _find(space.documents, space.fingerprint())


@lru_cache(maxsize=2)
def _read(folder: Path, fingerprint: Fingerprint) -> Reading:
    found: list[Document] = []
    unread: list[Unread] = []
    hashes: dict[str, str] = {}
    for name, _, _ in fingerprint:
        try:
            found.append(read_file(folder / name, name, hashes))
        except Unreadable as error:
            unread.append(Unread(name, error.reason, error.remedy))
    return Reading(tuple(found), tuple(unread))


@lru_cache(maxsize=2)
def _find(folder: Path, fingerprint: Fingerprint) -> tuple[tuple[Fact, ...], str]:
    documents = _read(folder, fingerprint).documents
    if not documents:
        return (), ""
    try:
        return tuple(find_facts(documents)), ""
    except DocumentError as error:
        return (), f"{error.message} {error.next_step}"


def _row(path: Path, read: Document | None, unread: Unread | None) -> DocumentRow:
    size = path.stat().st_size
    if read is None:
        return DocumentRow(
            file=path.name, size=size, status="unread", reason=unread.reason if unread else "", remedy=unread.remedy if unread else ""
        )
    words = sum(len(section.text.split()) for section in read.sections)
    left_out = [f"{lost.file.removeprefix(f'{path.name} › ')}: {lost.reason}; {lost.remedy}" for lost in read.unread]
    return DocumentRow(
        file=path.name, size=size, status="read", title=read.title, sections=len(read.sections), words=words, left_out=left_out
    )


def _coverage(row: Coverage) -> CoverageRow:
    return CoverageRow(
        file=row.file,
        facts=row.facts,
        sentences=row.sentences,
        covered=row.covered,
        share=row.share,
        missed=list(row.missed),
        missed_values=list(row.missed_values),
    )


def _section(section: Section, facts: list[Fact]) -> SectionText:
    marks = [Mark(start=fact.start, end=fact.end, kind="fact", label=fact.relation.replace("___", "…")) for fact in facts]
    marks += [Mark(start=start, end=end, kind="private", label=kind) for start, end, kind in spans(section.text)]
    place: dict[str, Any] = {"id": section.id, "place": section.place, "headings": list(section.headings), "page": section.page}
    return SectionText(**place, text=section.text, marks=sorted(marks, key=lambda mark: (mark.start, mark.end)))


def _path(space: Workspace, name: str) -> Path:
    path = space.documents / name
    if not is_plain(name) or not path.is_file():
        raise ApiError(404, f"There is no document {name!r}.", "not_found", "name")
    return path
