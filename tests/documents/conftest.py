"""Reading one file that a test writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engrain.documents.base import Document, Reading, Unread, read_documents

Sections = dict[tuple[str, ...], str]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Document]:
    """Writes the file (unless `content` is None: it is there), reads its folder, returns the document."""

    def go(name: str, content: str | bytes | None = None) -> Document:
        write(tmp_path / name, content)
        reading = read_documents([tmp_path])
        assert reading.unread == ()
        return reading.documents[0]

    return go


@pytest.fixture
def sections(read: Callable[..., Document]) -> Callable[..., Sections]:
    """The text of each section by its heading path."""

    def go(name: str, content: str | bytes | None = None) -> Sections:
        return {section.headings: section.text for section in read(name, content).sections}

    return go


@pytest.fixture
def unread(tmp_path: Path) -> Callable[..., Unread]:
    """Writes the file beside a good one and returns what the report says of it."""

    def go(name: str, content: str | bytes | None = None) -> Unread:
        write(tmp_path / name, content)
        write(tmp_path / "zz-good.md", "# Good\n\nText.")
        reading: Reading = read_documents([tmp_path])
        assert [document.file for document in reading.documents] == ["zz-good.md"]
        (entry,) = reading.unread
        assert entry.file == name
        assert entry.remedy
        return entry

    return go


def write(path: Path, content: str | bytes | None) -> None:
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
