from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engrain import registry
from engrain.documents import _files
from engrain.documents._markdown import cut, iso_date, take_front_matter, tidy
from engrain.documents.base import Document, Part, Unread, Unreadable, as_document, decode, read_documents, readable, readers
from engrain.errors import DocumentError

MARKUP = st.text(alphabet=st.sampled_from(list("ab#-|`~ \t\n\r.1é\u0301\xa0\xad\u200b\u200d\ud800\ufb01")), max_size=120)


# Cleaning and cutting


def test_tidy_makes_text_plain_once() -> None:
    messy = "Cafe\u0301\xa0opens\u2009at\t9\u200b:00\r\nso\xadft  and ﬁne\ufeff \n\n\n\nend\x00"
    assert tidy(messy) == "Café opens at 9:00\nsoft and fine\n\nend"


def test_tidy_keeps_the_joiners_of_emoji_and_indentation() -> None:
    assert tidy("- a\n    - 👩\u200d🍳") == "- a\n    - 👩\u200d🍳"


@given(st.text(alphabet=st.characters(), max_size=80) | MARKUP)
def test_tidy_twice_changes_nothing_more(text: str) -> None:
    once = tidy(text)
    assert tidy(once) == once
    assert unicodedata.is_normalized("NFC", once)
    once.encode()  # no lone surrogates


@given(st.lists(MARKUP, min_size=1, max_size=4))
def test_sections_are_slices_of_the_whole_text(texts: list[str]) -> None:
    parts = [Part(text, page) for page, text in enumerate(texts, 1)]
    tidied = [tidy(text) for text in texts]
    tidied[0] = take_front_matter(tidied[0])[1]
    whole = "\n\n".join(tidied)
    try:
        document = as_document("a.md", parts, "hash")
    except Unreadable:
        document = Document("a.md", "", (), "")
    for section in document.sections:
        assert whole[section.start : section.start + len(section.text)] == section.text
        assert section.text.strip()
        assert section.text == section.text.rstrip()
        assert section.headings[0] == document.title
    assert [section.number for section in document.sections] == list(range(1, len(document.sections) + 1))
    assert [section.start for section in document.sections] == sorted(section.start for section in document.sections)


@given(MARKUP)
def test_nothing_but_headings_and_space_is_lost(text: str) -> None:
    tidied = tidy(text)
    kept = "".join(body for _, body, _ in cut(tidied, []))
    lost = [line for line in tidied.splitlines() if not line.lstrip().startswith("#")]
    assert all(line.strip() in kept for line in lost)


def test_headings_make_a_path_that_carries_over_pages() -> None:
    parts = [Part("before\n\n# T\n\n## A\n\none", 1), Part("two\n\n### B\n\nthree\n\n## C\n\n## D ##\n\nfour", 2)]
    document = as_document("x.pdf", parts, "")
    assert [(section.headings, section.text, section.page) for section in document.sections] == [
        (("T",), "before", 1), (("T", "A"), "one", 1), (("T", "A"), "two", 2), (("T", "A", "B"), "three", 2), (("T", "D"), "four", 2),
    ]  # fmt: skip
    assert document.sections[2].place == "x.pdf, page 2 › T › A"


def test_lines_in_a_fenced_block_are_no_headings() -> None:
    (section,) = as_document("a.md", [Part("# T\n\n```\n# comment\n```\n\nend")], "").sections
    assert "# comment" in section.text


def test_title_is_the_first_heading_or_the_front_matter_or_the_file_name() -> None:
    front = "---\ntitle: 'From front'\ndate: 3 March 2026\n---\n"
    assert as_document("a.md", [Part(f"{front}# Top\n\ntext")], "").title == "Top"
    document = as_document("a.md", [Part(f"{front}text")], "")
    assert (document.title, document.date, document.sections[0].text) == ("From front", "2026-03-03", "text")
    assert as_document("docs/price_list-2026.md", [Part("text")], "").title == "Price list 2026"
    assert readable("openingHours") == "Opening Hours"


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    assert take_front_matter("---\nWe open at nine.\n---\n") == ({}, "---\nWe open at nine.\n---\n")


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2026-03-01T10:00:00Z", "2026-03-01"),
        ("March 1, 2026", "2026-03-01"),
        ("03/04/2026", ""),
        ("2026-13-01", ""),
        ("2000-01-01", ""),
        ("soon", ""),
    ],
)
def test_only_a_date_that_reads_one_way_is_one(text: str, date: str) -> None:
    assert iso_date(text) == date


# Encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_decode_finds_the_encoding(encoding: str) -> None:
    text = "Café “Löwe”: à la carte, naïve prices\nOpen every day from nine.\n"
    assert decode(text.encode(encoding)) == text


def test_decode_reads_other_scripts() -> None:
    text = "Мы открыты каждый день с девяти часов утра"
    assert decode(text.encode("cp1251")) == text


@pytest.mark.parametrize("data", [b"text\0with nul", bytes(range(256)) * 8, b"\xff\xfe\x00\xd8\x00", "abc".encode("utf-16-le")])
def test_decode_refuses_what_is_no_text(data: bytes) -> None:
    with pytest.raises(Unreadable, match="wrong encoding"):
        decode(data)


# Files and folders


def test_every_suffix_is_claimed_once() -> None:
    claimed = [suffix for name in registry.names("documents") for suffix in registry.find("documents", name).suffixes]  # type: ignore[attr-defined]
    assert len(claimed) == len(set(claimed))
    assert set(claimed) == set(readers())
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in claimed)
    assert {".md", ".txt", ".html", ".pdf", ".docx", ".xlsx", ".csv", ".json", ".jsonl", ".yaml", ".yml"} <= set(claimed)


def test_folders_are_read_in_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.md", "a/z.MD", "a/b/c.txt", ".hidden.md", ".git/x.md", "~$b.docx"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}")
    reading = read_documents([tmp_path])
    assert [document.file for document in reading.documents] == ["b.md", "a/z.MD", "a/b/c.txt"]
    assert reading.unread == ()


def test_a_file_given_itself_goes_by_its_name_and_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("text")
    reading = read_documents([tmp_path / "a.md", tmp_path])
    assert [document.file for document in reading.documents] == ["a.md"]
    assert reading.unread == ()


def test_files_of_two_folders_with_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.md").write_text(folder)
    reading = read_documents([tmp_path / "one", tmp_path / "two"])
    assert [document.file for document in reading.documents] == ["one/a.md", "two/a.md"]


def test_links_that_lead_outside_are_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "secret.md").write_text("secret")
    (inside / "a.md").write_text("text")
    (inside / "link.md").symlink_to(outside / "secret.md")
    (inside / "folder").symlink_to(outside)
    (inside / "same.md").symlink_to(inside / "a.md")
    (inside / "loop").symlink_to(inside)
    reading = read_documents([inside])
    assert [document.file for document in reading.documents] == ["a.md"]
    assert [(entry.file, entry.reason) for entry in reading.unread] == [
        ("folder", "a link that leads outside the folder"), ("link.md", "a link that leads outside the folder"),
    ]  # fmt: skip


def test_a_copy_is_read_once(tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text("the same")
    reading = read_documents([tmp_path])
    assert [document.file for document in reading.documents] == ["a.md"]
    assert [(entry.file, entry.reason) for entry in reading.unread] == [("b.md", "duplicate of a.md")]


def test_files_that_cannot_be_read_are_listed_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "MAX_BYTES", 50)
    contents = {"ok.md": "text", "empty.md": "", "blank.txt": " \n\n", "big.md": "x" * 51, "old.doc": "x", "noname": "x"}
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "broken.md").symlink_to(tmp_path / "gone.md")
    os.mkfifo(tmp_path / "pipe.md")
    reading = read_documents([tmp_path])
    assert [document.file for document in reading.documents] == ["ok.md"]
    reasons = {entry.file: entry.reason for entry in reading.unread}
    assert reasons["empty.md"] == "the file is empty (0 bytes)"
    assert reasons["blank.txt"] == "holds no text"
    assert reasons["big.md"].startswith("too large")
    assert reasons["old.doc"] == "unknown kind of file (.doc)"
    assert reasons["noname"] == "unknown kind of file (no suffix)"
    assert reasons["broken.md"].startswith("cannot be opened")
    assert reasons["pipe.md"] == "not a file with contents"
    assert set(reasons) == set(contents) - {"ok.md"} | {"broken.md", "pipe.md"}
    assert next(entry.remedy for entry in reading.unread if entry.file == "old.doc") == "save it as .docx or PDF"


def test_missing_paths_and_empty_folders_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DocumentError) as caught:
        read_documents([tmp_path / "gone", tmp_path / "empty", tmp_path / "gone2.md"])
    assert len(caught.value.problems) == 3
    assert "gone: there is no such file" in str(caught.value)
    assert "empty: the folder holds no files" in str(caught.value)


def test_nothing_readable_is_an_error_with_every_reason(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("x")
    (tmp_path / "b.md").write_text("")
    with pytest.raises(DocumentError) as caught:
        read_documents([tmp_path])
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["a.xyz", "b.md"]


def test_a_parser_that_fails_costs_one_file_only(unread: Callable[..., Unread], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, path: Path) -> list[Part]:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(readers()[".csv"], "read", fail)
    assert "ZeroDivisionError: by zero" in unread("a.csv", "a,b\n1,2\n").reason
