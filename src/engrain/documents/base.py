"""Documents: files of many kinds become Markdown text, cut into sections that remember where they came from.

Every reader turns its file into Markdown, because Markdown keeps what facts hang on (headings, tables, lists)
and people can read it. All later stages see sections only.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import ClassVar

from engrain import registry
from engrain.documents._files import convert, find_files, refusal
from engrain.documents._markdown import cut, headings, iso_date, take_front_matter, tidy
from engrain.errors import DocumentError
from engrain.progress import SILENT, Progress


@dataclass(frozen=True)
class Part:
    """A stretch of Markdown with the page it stands on (None where the format has no pages)."""

    text: str
    page: int | None = None


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
    """A file that was read: its sections in order, the sha256 of its bytes, its date as ISO text (or "")."""

    file: str
    title: str
    sections: tuple[Section, ...]
    sha256: str
    date: str = ""


@dataclass(frozen=True)
class Unread:
    """A file that was not read: why, and what to do about it."""

    file: str
    reason: str
    remedy: str


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


# What readers share


def front_matter(title: object = "", date: object = "") -> str:
    """What a reader puts before its Markdown to hand on the title and the date that the file itself states."""
    fields = {"title": one_line(title), "date": one_line(date)}
    lines = [f"{key}: {value}" for key, value in fields.items() if value]
    return "\n".join(["---", *lines, "---", "", ""]) if lines else ""


def one_line(value: object) -> str:
    """The value as text on one line, "" for None."""
    return "" if value is None else " ".join(str(value).split())


def paragraph(text: str) -> str:
    """Text that is meant as it stands: a line that begins like a heading gets a backslash, so it becomes none."""
    return re.sub(r"^([ \t]*)(#{1,6}[ \t])", r"\1\\\2", text.strip(), flags=re.MULTILINE)


def decode(data: bytes) -> str:
    """The text of bytes: by their byte order mark, else UTF-8, else the encoding that makes the likeliest text.

    Raises Unreadable where no encoding gives text that can be trusted.
    """
    from charset_normalizer import from_bytes

    marks = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}
    marks |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    encoding = next((name for mark, name in marks.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        found = [match for match in from_bytes(data, cp_isolation=ENCODINGS) if match.chaos <= MAX_CHAOS]
        # A short text is likely in many encodings: then the one that most programs write wins.
        found.sort(key=lambda match: (-match.coherence, match.encoding != "cp1252"))
        text = str(found[0]) if found else "\0"
    if "\0" in text:
        raise Unreadable("wrong encoding: this is not text in any encoding that can be told", "save it as UTF-8")
    return text


ENCODINGS = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "shift_jis", "gb18030", "big5", "euc_kr", "euc_jp"]
MAX_CHAOS = 0.1
FIGURE = re.compile(r"\d")
VALUE = re.compile(r"^(?!(?:19|20)\d\d$)\D{0,2}\d[\d.,:/–-]*\D{0,3}$|@\w|^https?:")
COLUMN_NAMES = re.compile(
    r"name|item|key|value|field|setting|question|answer|term|meaning|definition|description|details?|days?|dates?|times?|hours|price|cost|role"
    r"|job|phone|e-?mail|address|notes?|product|service|topic|policy|rule|who|what|when|where|code|option",
    re.IGNORECASE,
)


def table(rows: Iterable[Sequence[object]], header: bool | None = None) -> str:
    """The rows as a GFM pipe table whose first row is the header; two columns without one as `- Key: value` items.

    `header` says whether the first full row names the columns; None leaves it to what stands in the rows. In a wide
    table a row of a single cell stands above the rows that follow it as a line of text, and they are a table anew.
    """
    cells = [[one_line(cell).replace("|", "\\|") for cell in row] for row in rows]
    cells = [row for row in cells if any(row)]
    width = max((len(row) for row in cells), default=0)
    cells = [row + [""] * (width - len(row)) for row in cells]
    full = [column for column in range(width) if any(row[column] for row in cells)]
    cells = [[row[column] for column in full] for row in cells]
    if len(full) < 2:
        return "\n".join(f"- {row[0]}" for row in cells)
    groups = row_groups(cells)
    first = next(row for _, group in groups for row in group)
    if header is None:
        header = has_header([row for _, group in groups for row in group])
    if not header and len(full) == 2:
        return "\n".join(f"- {key}: {value}" if key and value else f"- {key or value}" for key, value in cells)
    names = first if header else [""] * len(full)
    pieces = []
    for title, group in groups:
        body = [names, ["---"] * len(full), *(row for row in group if not header or row is not first)]
        pieces += [title] if title else []
        pieces += ["\n".join(f"| {' | '.join(row)} |" for row in body)] if len(body) > 2 or len(groups) == 1 else []
    return "\n\n".join(pieces)


def row_groups(cells: list[list[str]]) -> list[tuple[str, list[list[str]]]]:
    """The rows cut before every row that has a single cell and others below it; that cell is the group's title."""
    groups: list[tuple[str, list[list[str]]]] = [("", [])]
    for number, row in enumerate(cells):
        alone = row[0] and not any(row[1:])
        if alone and len(row) > 2 and number + 1 < len(cells):
            groups.append((row[0], []))
        else:
            groups[-1][1].append(row)
    return [(title, group) for title, group in groups if title or group]


def has_header(cells: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names columns: words at least half of the way, none of them a value.

    Two columns are pairs unless figures follow, or both names are such as columns have.
    """
    first, rest = cells[0], cells[1:]
    named = [cell for cell in first if cell]
    if not rest or len(named) < 2 or len(named) * 2 < len(first) or any(VALUE.search(cell) for cell in named):
        return False
    figures = all(FIGURE.search(row[1]) for row in rest if row[1]) and not any(FIGURE.search(cell) for cell in named)
    return len(first) > 2 or figures or all(map(COLUMN_NAMES.fullmatch, named))


def sheet(rows: Iterable[Sequence[object]], level: int = 3) -> str:
    """Rows of a spreadsheet as Markdown: blocks between empty rows are tables of their own.

    A row with a single cell above a wider block is its heading (at `level`), a block of single cells is text.
    """
    blocks: list[list[list[str]]] = [[]]
    for row in rows:
        cells = [one_line(cell) for cell in row]
        if any(cells):
            blocks[-1].append(cells)
        elif blocks[-1]:
            blocks.append([])
    blocks = [block for block in blocks if block]
    return "\n\n".join(piece for number, block in enumerate(blocks, 1) for piece in sheet_block(block, level, number == len(blocks)))


def sheet_block(block: list[list[str]], level: int, last: bool) -> Iterator[str]:
    """The Markdown pieces of one block of rows; a short line on its own titles what follows it."""
    filled = [[cell for cell in row if cell] for row in block]
    if max(map(len, filled)) == 1:
        titles = not last and len(filled[0][0]) <= 60 and filled[0][0][-1] not in ".!?;,"
        yield f"{'#' * level} {filled[0][0]}" if titles else paragraph(filled[0][0])
        yield from (paragraph(row[0]) for row in filled[1:])
        return
    top = next(number for number, row in enumerate(filled) if len(row) > 1)
    for number, row in enumerate(filled[:top]):
        yield f"{'#' * level} {row[0]}" if number == 0 and len(row[0]) <= 80 else paragraph(row[0])
    yield table(block[top:])


# Reading files


@cache
def readers() -> dict[str, type[Reader]]:
    """The reader of every suffix."""
    found: list[type[Reader]] = [registry.find("documents", name) for name in registry.names("documents")]
    return {suffix: reader for reader in found for suffix in reader.suffixes}


def read_documents(paths: Sequence[Path], progress: Progress = SILENT) -> Reading:
    """Every document in the files and folders given, and every file that could not be read.

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
                documents.append(read_file(path, name, hashes))
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
    reader = readers().get(path.suffix.lower())
    if reader is None:
        raise Unreadable(f"unknown kind of file ({path.suffix or 'no suffix'})", convert(path.suffix.lower()))
    try:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        if sha256 in hashes:
            raise Unreadable(f"duplicate of {hashes[sha256]}", "nothing to do: it was read once")
        document = as_document(name, reader().read(path), sha256)
    except Unreadable:
        raise
    except Exception as error:  # A damaged file makes its parser fail in any way; the other files must go on.
        reason = f"damaged, or not what its suffix says ({type(error).__name__}: {one_line(error)[:200]})"
        raise Unreadable(reason, "open it in its program and save it again") from error
    hashes[sha256] = name
    return document


def as_document(name: str, parts: Sequence[Part], sha256: str) -> Document:
    """The document that the parts of its Markdown make. Raises Unreadable when they hold no text."""
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
        raise Unreadable("holds no text", "nothing can be learned from it: add text, or remove it")
    return Document(name, title, tuple(sections), sha256, iso_date(fields.get("date", "") or fields.get("updated", "")))


def readable(stem: str) -> str:
    """A file's name as words: `price_list-2026` becomes `Price list 2026`."""
    words = re.sub(r"[\s_.+-]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", stem)).strip()
    return words[:1].upper() + words[1:] or stem
