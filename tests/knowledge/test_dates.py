from __future__ import annotations

import pytest

from engrain.documents.base import Document, Section
from engrain.knowledge.dates import Dated, document_date, effective, find_date, is_newer, section_date, without_dates


def document(title: str, text: str = "Text.", file: str = "a.md", date: str = "") -> Document:
    return Document(file, title, (Section(file, 1, (title,), text, 0),), "0", date)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("prices-2026-03-01.md", "2026-03-01"),
        ("from 1st of March 2026", "2026-03-01"),
        ("March 7, 2026", "2026-03-07"),
        ("17.04.2026", "2026-04-17"),
        ("Prices in June 2025", "2025-06"),
        ("price_list_2025", "2025"),
        ("2024 and 3 May 2025", "2025-05-03"),
        ("on 4 May", "-----05-04"),
        ("£2025 for 12.99", None),
        ("41 kites", None),
    ],
)
def test_the_most_exact_date_of_a_text(text: str, day: str | None) -> None:
    found = find_date(text)
    assert (found.day if found else None) == day


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("From 1 March 2026 the price is £5.", "2026-03-01"),
        ("With effect from 1 March the price is £5.", "2025-03-01"),
        ("The price is £5 as of May 2026.", "2026-05"),
        ("Valid from 2026-03-01.", "2026-03-01"),
        ("From 1 March to 30 June entry costs £5.", None),
        ("From April to October entry costs £5.", None),
        ("We open from 9:00.", None),
        ("The price is from £5.", None),
    ],
)
def test_from_when_a_sentence_holds(text: str, day: str | None) -> None:
    found = effective(text, "2025")
    assert (found[0] if found else None) == (Dated(day, effect=True) if day else None)


def test_a_document_is_dated_by_title_line_name_or_front_matter() -> None:
    assert document_date(document("Prices from 1 May 2026")) == Dated("2026-05-01", effect=True)
    assert document_date(document("Prices", "Last updated: 3 June 2025\n\nThe kite costs £5.")) == Dated("2025-06-03")
    assert document_date(document("Prices", file="2024/list 2023-11.csv")) == Dated("2023-11")
    assert document_date(document("Prices", date="2022-02-02")) == Dated("2022-02-02")
    assert document_date(document("Prices", "The shop opened on 3 June 2025.")) == Dated()


def test_the_nearest_heading_dates_its_text() -> None:
    section = Section("a.md", 1, ("Prices 2024", "From 1 May"), "The kite costs £5.", 0)
    assert section_date(section, Dated("2024")) == Dated("2024-05-01", effect=True)
    assert section_date(Section("a.md", 1, ("Prices",), "", 0), Dated("2024")) == Dated("2024")


def test_a_date_is_newer_only_as_far_as_both_can_tell() -> None:
    assert is_newer("2026-03-01", "2025")
    assert is_newer("2026-03-02", "2026-03-01")
    assert not is_newer("2026-03-01", "2026")
    assert not is_newer("2026", "2026-03-01")
    assert not is_newer("", "2025")


def test_dates_are_taken_out() -> None:
    assert without_dates("From 1 March 2026, the clinic opens at ten") == ", the clinic opens at ten"
    assert without_dates("Prices 2025") == "Prices"
