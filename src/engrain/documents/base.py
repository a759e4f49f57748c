"""Documents: files of many kinds become Markdown text, cut into sections that remember where they came from.

Every reader turns its file into Markdown, because Markdown keeps what facts hang on (headings, tables, lists)
and people can read it. All later stages see sections only.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar

from engrain import registry
from engrain.documents._files import convert, find_files, refusal
from engrain.documents._markdown import cut, headings, iso_date, one_line, take_front_matter, tidy
from engrain.errors import DocumentError
from engrain.progress import SILENT, Progress


@dataclass(frozen=True)
class Unread:
    """A file that was not read: why, and what to do about it."""

    file: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class Part:
    """A stretch of Markdown with the page it stands on (None where the format has no pages), or a file within that was not read."""

    text: str
    page: int | None = None
    unread: Unread | None = None


@dataclass(frozen=True)
class Section:
    """The text under one heading of a document.

    `file` is the path relative to the folder that was given, with forward slashes; `headings` the path from the
    document's title down; `text` Markdown without the headings; `start` its offset in the document's whole text.
    """

    file: str
    number: int
    headings: tuple[str, ...]
    text: str
    start: int
    page: int | None = None

    @property
    def id(self) -> str:
        """`file#number`, unique within a run."""
        return f"{self.file}#{self.number}"

    @property
    def place(self) -> str:
        """How an answer names its source: file, page and heading path."""
        page = f", page {self.page}" if self.page is not None else ""
        return f"{self.file}{page}" + (f" › {' › '.join(self.headings)}" if self.headings else "")

    @cached_property
    def sha256(self) -> str:
        """The hash of headings and text: an unchanged section keeps it."""
        return hashlib.sha256("\n".join([*self.headings, self.text]).encode()).hexdigest()


@dataclass(frozen=True)
class Document:
    """A file that was read: its sections in order, the sha256 of its bytes, its date as ISO text (or "").

    `modified` is the day on which the file was changed last; `unread` are the files within that say nothing.
    """

    file: str
    title: str
    sections: tuple[Section, ...]
    sha256: str
    date: str = ""
    modified: str = ""
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What came of reading: the documents, and every file that is none, in the order of their names."""

    documents: tuple[Document, ...]
    unread: tuple[Unread, ...]


class Reader(ABC):
    """Reads one kind of file. `suffixes` are lower case with the dot."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def read(self, path: Path) -> list[Part]:
        """The file as Markdown, in reading order; it may begin with front matter that gives `title` and `date`.

        Raises Unreadable when the file is damaged, encrypted or holds no text.
        """


class Unreadable(Exception):
    """A reader's word that a file cannot be read: `reason` and `remedy` go into the report of unread files."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


CONTRACT = Reader


def decode(data: bytes) -> str:
    """The text of bytes: by their byte order mark, else UTF-8, else the encoding that makes the likeliest text.

    Raises Unreadable where no encoding gives text that can be trusted.
    """
    marks = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}
    marks |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    encoding = next((name for mark, name in marks.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = likeliest(data)
    if "\0" in text:
        raise Unreadable("wrong encoding: this is not text in any encoding that can be told", "save it as UTF-8")
    return text


ENCODINGS = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "shift_jis", "gb18030", "big5", "euc_kr", "euc_jp"]
MAX_CHAOS = 0.1


def likeliest(data: bytes) -> str:
    """The text in the encoding that fits best; a NUL where none fits, or two fit alike."""
    from charset_normalizer import from_bytes

    found = [match for match in from_bytes(data, cp_isolation=ENCODINGS) if match.chaos <= MAX_CHAOS]
    # A short text fits many encodings about as well: the one that most programs write wins wherever it fits.
    found.sort(key=lambda match: (match.encoding != "cp1252", match.chaos, -match.coherence))
    alike = len(found) > 1 and (found[0].chaos, found[0].coherence) == (found[1].chaos, found[1].coherence)
    if not found or (alike and found[0].encoding != "cp1252"):
        return "\0"
    return str(found[0])


# Reading files


@cache
def readers() -> dict[str, type[Reader]]:
    """The reader of every suffix."""
    found: list[type[Reader]] = [registry.find("documents", name) for name in registry.names("documents")]
    return {suffix: reader for reader in found for suffix in reader.suffixes}


def read_documents(paths: Sequence[Path], progress: Progress = SILENT) -> Reading:
    """Every document in the files and folders given, and every file that could not be read, those within a document too.

    Raises DocumentError for paths that do not exist, for folders without files, and when nothing could be read.
    """
    check_paths(paths)
    files, problems = find_files(paths)
    unread = [Unread(*problem) for problem in problems]
    documents: list[Document] = []
    hashes: dict[str, str] = {}
    with progress.stage("Reading documents", total=len(files), unit="files") as stage:
        for name, path in files:
            try:
                document = read_file(path, name, hashes)
                documents.append(document)
                unread += document.unread
            except Unreadable as error:
                unread.append(Unread(name, error.reason, error.remedy))
            stage.advance()
    unread.sort(key=lambda entry: entry.file)
    if not documents:
        faults = [f"{entry.file}: {entry.reason}; {entry.remedy}" for entry in unread]
        raise DocumentError("None of the files given could be read:", "Mend them or add others, then start again.", faults)
    return Reading(tuple(documents), tuple(unread))


def check_paths(paths: Sequence[Path]) -> None:
    """Raise DocumentError for every path that does not exist and every folder without a file."""
    faults = [f"{path}: there is no such file or folder" for path in paths if not path.exists()]
    faults += [f"{path}: the folder holds no files" for path in paths if path.is_dir() and find_files([path]) == ([], [])]
    if faults or not paths:
        raise DocumentError("There are no documents to read:", "Give files, or folders that hold files.", faults)


def read_file(path: Path, name: str, hashes: dict[str, str]) -> Document:
    """The document at `path`; its sha256 is entered into `hashes` under its name.

    Raises Unreadable for whatever keeps it from being one, a copy of a document in `hashes` included.
    """
    if fault := refusal(path):
        raise Unreadable(*fault)
    reader = reader_of(path.name)
    with faults_told():
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        if sha256 in hashes:
            raise Unreadable(f"duplicate of {hashes[sha256]}", "nothing to do: it was read once")
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()
        document = replace(as_document(name, reader.read(path), sha256), modified=changed)
    hashes[sha256] = name
    return document


def reader_of(name: str) -> Reader:
    """The reader of files with such a name. Raises Unreadable where there is none."""
    suffix = Path(name).suffix.lower()
    if suffix not in readers():
        raise Unreadable(f"unknown kind of file ({suffix or 'no suffix'})", convert(suffix))
    return readers()[suffix]()


@contextmanager
def faults_told() -> Iterator[None]:
    """Raises as Unreadable whatever is raised within: a damaged file makes its parser fail in any way; the other files must go on."""
    try:
        yield
    except Unreadable:
        raise
    except RecursionError as error:
        raise Unreadable("nested too deep", "save it with fewer levels") from error
    except Exception as error:
        reason = f"damaged, or not what its suffix says ({type(error).__name__}: {one_line(error)[:200]})"
        raise Unreadable(reason, "open it in its program and save it again") from error


def as_document(name: str, parts: Sequence[Part], sha256: str) -> Document:
    """The document that the parts of its Markdown make. Raises Unreadable when they hold no text."""
    lost = tuple(replace(part.unread, file=f"{name} › {part.unread.file}") for part in parts if part.unread)
    parts = [part for part in parts if not part.unread]
    texts = [tidy(part.text) for part in parts] or [""]
    fields, texts[0] = take_front_matter(texts[0])
    top = next((words for text in texts for _, _, level, words in headings(text) if level == 1), "")
    title = top or fields.get("title") or readable(Path(name).stem)
    sections: list[Section] = []
    path: list[tuple[int, str]] = []
    offset = 0
    for text, part in zip(texts, parts, strict=False):
        for above, body, start in cut(text, path):
            whole = above if above[:1] == (title,) else (title, *above)
            sections.append(Section(name, len(sections) + 1, whole, body, offset + start, part.page))
        offset += len(text) + 2  # Parts stand apart by an empty line.
    if not sections:
        within = "".join(f"; {entry.file}: {entry.reason}" for entry in lost)
        raise Unreadable(f"holds no text{within}", "nothing can be learned from it: add text, or remove it")
    date = iso_date(fields.get("date", "") or fields.get("updated", ""))
    return Document(name, title, tuple(sections), sha256, date, unread=lost)


def readable(stem: str) -> str:
    """A file's name as words: `price_list-2026` becomes `Price list 2026`."""
    words = re.sub(r"[\s_.+-]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", stem)).strip()
    return words[:1].upper() + words[1:] or stem
