from __future__ import annotations

from collections.abc import Callable

import pytest

from engrain.documents._tables import sheet, table
from engrain.documents.base import Document, Unread


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_the_delimiter_is_found_out(read: Callable[..., Document], delimiter: str) -> None:
    rows = [["Item", "Price", "Notes"], ["Kayak", "12.50", '"two ""seats"""'], ["Boat", "20.00", '"a\nb"']]
    document = read("a.csv", "\n".join(delimiter.join(row) for row in rows))
    assert (
        document.sections[0].text
        == '| Item | Price | Notes |\n| --- | --- | --- |\n| Kayak | 12.50 | two "seats" |\n| Boat | 20.00 | a b |'
    )


def test_titles_marks_and_ragged_rows(read: Callable[..., Document]) -> None:
    content = "\ufeffPrice list;;\r\n\r\nItem;Price;Notes\r\nKayak;12,50;a|b\r\nBoat;20,00\r\nPipe;1;x;extra\r\n"
    section = read("a.csv", content).sections[0]
    assert section.headings == ("A", "Price list")
    assert section.text == (
        "| Item | Price | Notes | |\n| --- | --- | --- | --- |\n| Kayak | 12,50 | a\\|b | |\n| Boat | 20,00 | | |\n| Pipe | 1 | x | extra |"
    )


def test_tabs_and_an_older_encoding(read: Callable[..., Document]) -> None:
    assert (
        read("a.tsv", "Name\tRole\nZoë\tChef de café\n".encode("cp1252")).sections[0].text
        == "| Name | Role |\n| --- | --- |\n| Zoë | Chef de café |"
    )


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([["Phone", "1"], ["Email", "a@b.c"]], "- Phone: 1\n- Email: a@b.c"),
        (
            [["Notice given", "You pay"], ["A week", "30%"], ["Less", "All"]],
            "| Notice given | You pay |\n| --- | --- |\n| A week | 30% |\n| Less | All |",
        ),
        ([["Monday", "closed"], ["Tuesday", "open"]], "- Monday: closed\n- Tuesday: open"),
        ([["Item", "Cost now"], ["Tea", "£2"], ["Cake", "£3"]], "| Item | Cost now |\n| --- | --- |\n| Tea | £2 |\n| Cake | £3 |"),
        ([["Question", "Answer"], ["Dogs?", "No"]], "| Question | Answer |\n| --- | --- |\n| Dogs? | No |"),
        (
            [["Matter", "Ask for"], ["Bookings", "Ana Ruiz"], ["Invoices", "Jan Vries"]],
            "| Matter | Ask for |\n| --- | --- |\n| Bookings | Ana Ruiz |\n| Invoices | Jan Vries |",
        ),
        ([["Chair", "Ana Ruiz"], ["Treasurer", "Jan Oram"]], "- Chair: Ana Ruiz\n- Treasurer: Jan Oram"),
        ([["name", "working_days", "x"], ["Ana", "Mon", "y"]], "| name | working days | x |\n| --- | --- | --- |\n| Ana | Mon | y |"),
        ([["Tea", "£2", "£3"], ["Cake", "£4", "£5"]], "| | | |\n| --- | --- | --- |\n| Tea | £2 | £3 |\n| Cake | £4 | £5 |"),
        ([["", "2025", "2026"], ["Tea", "£2", "£3"]], "| | 2025 | 2026 |\n| --- | --- | --- |\n| Tea | £2 | £3 |"),
        ([["a"], ["", ""], ["b"]], "- a\n- b"),
        ([], ""),
    ],
)
def test_which_first_rows_are_headers(rows: list[list[str]], text: str) -> None:
    assert table(rows) == text.replace("| | | |", "|  |  |  |").replace("| | 2025", "|  | 2025")


def test_a_long_line_above_a_table_is_text() -> None:
    assert sheet([["Prices include everything."], [], ["A", "B", "C"], ["x", "y", "z"]]).startswith("Prices include everything.\n\n| A |")


def test_values_below_an_empty_row_have_the_columns_above_it() -> None:
    cake = [["T2", "Cake", "3", ""], ["T3", "Bun", "1"]]
    text = sheet([["Code", "Item", "Price", "Notes"], ["T1", "Tea", "2", "hot"], [], *cake, [], ["Ask us", "at the", "counter", "now"]])
    head = "| Code | Item | Price | Notes |\n| --- | --- | --- | --- |\n"
    assert text.startswith(f"{head}| T1 | Tea | 2 | hot |\n\n{head}| T2 | Cake | 3 |  |\n| T3 | Bun | 1 |  |\n\n")
    assert text.endswith("| Ask us | at the | counter | now |")


def test_rows_like_those_above_an_empty_row_have_their_columns_though_they_hold_words_alone() -> None:
    rows = [
        ["Code", "Meaning", "Retry"],
        ["FR-101", "wrong code", "yes"],
        [],
        ["FR-302", "refused card", "no"],
        [],
        ["Staff", "Role", "Phone"],
    ]
    assert sheet([*rows, ["Ana Ruiz", "Cook", "x 12"]]).split("\n\n") == [
        "| Code | Meaning | Retry |\n| --- | --- | --- |\n| FR-101 | wrong code | yes |",
        "| Code | Meaning | Retry |\n| --- | --- | --- |\n| FR-302 | refused card | no |",
        "| Staff | Role | Phone |\n| --- | --- | --- |\n| Ana Ruiz | Cook | x 12 |",
    ]


def test_blocks_below_empty_rows_may_be_of_any_width() -> None:
    rows = [["Code", "Item", "Price", "Notes"], ["T1", "Tea", "2", "hot"], [], ["T2", "Cake", "3"], [], ["Z", "Bun", "12.50", "sweet"]]
    assert sheet(rows).endswith("| Code | Item | Price | Notes |\n| --- | --- | --- | --- |\n| Z | Bun | 12.50 | sweet |")


def test_a_title_with_a_remark_is_above_the_columns() -> None:
    rows = [["Cattery 2025", "", "a night"], ["What", "£", "Comment"], ["Pen", "17.50", ""], ["Family pen", "38", "flat rate"]]
    assert sheet(rows) == (
        "### Cattery 2025\n\na night\n\n| What | £ | Comment |\n| --- | --- | --- |\n| Pen | 17.50 |  |\n| Family pen | 38 | flat rate |"
    )
    compared = [["", "Basic", "Team"], ["Support", "mail", "phone"], ["Backup", "daily", "hourly"]]
    assert sheet(compared).startswith("|  | Basic | Team |")


def test_broken_tables_are_refused(unread: Callable[..., Unread]) -> None:
    assert unread("a.csv", '"' + "x" * 200_000).reason.startswith("no table can be read")
