"""Documents: files of many kinds become Markdown text, cut into sections that remember where they came from.

Every reader turns its file into Markdown, because Markdown keeps what facts hang on (headings, tables, lists)
and people can read it. All later stages see sections only.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar


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


class Reader(ABC):
    """Reads one kind of file. `suffixes` are lower case with the dot."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def read(self, path: Path) -> list[Part]:
        """The file as Markdown, in reading order.

        Raises Unreadable when the file is damaged, encrypted or holds no text.
        """


class Unreadable(Exception):
    """A reader's word that a file cannot be read: `reason` and `remedy` go into the report of unread files."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


CONTRACT = Reader
HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*\s*$", re.MULTILINE)
