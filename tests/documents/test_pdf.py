from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import wrap

import pytest
from reportlab.lib import colors
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import ListFlowable, Paragraph, SimpleDocTemplate, Spacer, Table

from engrain.documents.base import Document, Unread
from engrain.documents.pdf import pdf_date

STYLES = getSampleStyleSheet()
LONG = "Every visitor signs the book at the kiosk before a boat leaves the quay, and a deposit is held until it is back. "
WORDS = ["".join("abcdefgh"[number >> shift & 7] for shift in (9, 6, 3, 0)) for number in range(0, 4000, 3)]
Sections = dict[tuple[str, ...], str]


def made(*flowables: object, running: bool = False, **properties: str) -> bytes:
    """A PDF of these flowables; strings are paragraphs, `(style, text)` ones of a style."""

    def edges(canvas: Canvas, document: SimpleDocTemplate) -> None:
        if running:
            canvas.setFont("Helvetica", 8)
            canvas.drawString(72, 20, "Harbour Lights Ltd, 01803 555 012")
            canvas.drawRightString(520, 20, f"Page {document.page} of 3")
            canvas.drawString(72, 820, "Handbook, edition 7")

    buffer = io.BytesIO()
    story = [Paragraph(item, STYLES["Normal"]) if isinstance(item, str) else Paragraph(item[1], STYLES[item[0]]) if isinstance(item, tuple)
             else item for item in flowables]  # fmt: skip
    SimpleDocTemplate(buffer, pagesize=(595, 842), **properties).build(story, onFirstPage=edges, onLaterPages=edges)
    return buffer.getvalue()


def drawn(*texts: tuple[float, float, str], size: float = 10, encrypt: str | None = None) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), encrypt=encrypt)
    canvas.setFont("Helvetica", size)
    for x, y, text in texts:
        canvas.drawString(x, y, text)
    canvas.save()
    return buffer.getvalue()


def test_headings_paragraphs_and_lists(sections: Callable[..., Sections]) -> None:
    bullets = ListFlowable([Paragraph(LONG, STYLES["Normal"]), Paragraph("No dogs", STYLES["Normal"])], bulletType="bullet")
    found = sections(
        "a.pdf",
        made(("Title", "Handbook"), "For the season.", ("Heading1", "Opening hours"), LONG * 2, ("Heading2", "Rules"), bullets,
             "<b>Contact</b>", "Harbour Lights Ltd<br/>12 Quay Street<br/>Brixham TQ5 8AW", "Coffee ............ £2.50"),
    )  # fmt: skip
    assert found == {
        ("Handbook",): "For the season.",
        ("Handbook", "Opening hours"): (LONG * 2).strip(),
        ("Handbook", "Opening hours", "Rules"): f"- {LONG.strip()}\n- No dogs",
        ("Handbook", "Opening hours", "Rules", "Contact"): "Harbour Lights Ltd\n12 Quay Street\nBrixham TQ5 8AW\n\n- Coffee: £2.50",
    }


def test_a_large_line_with_nothing_below_it_is_text(sections: Callable[..., Sections]) -> None:
    found = sections("a.pdf", made(("Title", "Shop"), LONG, ("Heading2", "Closed on Mondays"), ("Heading2", "Prices"), "All the same."))
    assert found == {("Shop",): f"{LONG.strip()}\n\nClosed on Mondays", ("Shop", "Prices"): "All the same."}


def test_ruled_tables_keep_cells_of_several_lines(read: Callable[..., Document]) -> None:
    cell = Paragraph("A kayak with paddle, vest and a dry bag for your phone", STYLES["Normal"])
    table = Table([["Boat", "What you get", "Price"], ["Kayak", cell, "£12.50"], ["Boat", "Seats", "£20"]], colWidths=[80, 120, 70],
                  style=[("GRID", (0, 0), (-1, -1), 0.5, colors.black)])  # fmt: skip
    assert read("a.pdf", made("Text before it.", Spacer(1, 9), table)).sections[0].text == (
        "Text before it.\n\n| Boat | What you get | Price |\n| --- | --- | --- |\n"
        "| Kayak | A kayak with paddle, vest and a dry bag for your phone | £12.50 |\n| Boat | Seats | £20 |"
    )


def test_aligned_columns_are_a_table(read: Callable[..., Document]) -> None:
    table = Table([["Day", "Opens", "Closes"], ["Monday", "9:00", "17:00"], ["Sunday", "closed", ""]])
    assert read("a.pdf", made(LONG, Spacer(1, 9), table)).sections[0].text == (
        f"{LONG.strip()}\n\n| Day | Opens | Closes |\n| --- | --- | --- |\n| Monday | 9:00 | 17:00 |\n| Sunday | closed | |"
    )
    pairs = Table([["Monday", "9:00"], ["Tuesday", "by appointment"]])
    assert read("a.pdf", made(LONG, Spacer(1, 9), pairs)).sections[0].text.endswith("- Monday: 9:00\n- Tuesday: by appointment")


def test_columns_of_text_are_read_one_after_the_other(read: Callable[..., Document]) -> None:
    columns = [(60 + 250 * number, f"{side} column. {LONG * 3}") for number, side in enumerate(("Left", "Right"))]
    lines = [(x, 700 - 12 * number, line) for x, text in columns for number, line in enumerate(wrap(text, 46))]
    assert read("a.pdf", drawn(*lines)).sections[0].text == f"Left column. {(LONG * 3).strip()}\n\nRight column. {(LONG * 3).strip()}"


def test_words_divided_at_the_end_of_a_line_are_whole_again(read: Callable[..., Document]) -> None:
    lines = [
        "The well-known rule is written for every visi-",
        "tor of the harbour, and it is a very well-",
        "known one, as everybody here can see now.",
    ]
    document = read("a.pdf", drawn(*((60, 700 - 12 * number, line) for number, line in enumerate(lines))))
    assert document.sections[0].text == (
        "The well-known rule is written for every visitor of the harbour, and it is a very well-known one, as everybody here can see now."
    )


def test_pages_carry_on(read: Callable[..., Document]) -> None:
    story = [
        ("Title", "Handbook"),
        ("Heading2", "Rules"),
        " ".join(WORDS),
        Spacer(1, 9),
        "Last.",
        ("Heading2", "End"),
        "Bye.",
    ]
    document = read("a.pdf", made(*story, running=True))
    assert {section.headings for section in document.sections} == {("Handbook", "Rules"), ("Handbook", "End"), ("Handbook", "Contact")}
    rules = [section for section in document.sections if section.headings[-1] == "Rules"]
    assert [(section.page, section.text[-5:]) for section in rules] == [(1, f" {WORDS[-1]}"), (2, "Last.")]
    assert rules[0].text == " ".join(WORDS)
    end = next(section for section in document.sections if section.headings[-1] == "End")
    assert (end.text, end.page) == ("Bye.", 2)


def test_running_lines_go_but_contact_details_stay_once(read: Callable[..., Document]) -> None:
    document = read("a.pdf", made(("Title", "Handbook"), *WORDS[::4], running=True))
    text = "\n".join(section.text for section in document.sections)
    assert "Page" not in text
    assert "edition 7" not in text
    assert text.count("01803 555 012") == 1


def test_title_and_date_come_from_the_file(read: Callable[..., Document], monkeypatch: pytest.MonkeyPatch) -> None:
    assert read("some_file.pdf", made(LONG, title="Price list")).title == "Price list"
    assert read("some_file.pdf", made(LONG, title="Microsoft Word - x.doc")).title == "Some file"
    assert len(read("some_file.pdf").date) == 10
    assert pdf_date("D:20260301120000+01'00'") == "2026-03-01"
    assert pdf_date("yesterday") == ""


@pytest.mark.parametrize(
    ("content", "reason", "remedy"),
    [
        (drawn((60, 700, "secret"), encrypt="password"), "encrypted", "password"),
        (drawn(), "no text layer", "ocrmypdf"),
        (b"%PDF-1.7\nbroken", "damaged", "save it again"),
        (made(LONG)[:400], "damaged", "save it again"),
        (b"plain text", "damaged", "save it again"),
    ],
    ids=["encrypted", "scanned", "broken", "cut off", "text"],
)
def test_files_that_cannot_be_read(unread: Callable[..., Unread], content: bytes, reason: str, remedy: str) -> None:
    entry = unread("a.pdf", content)
    assert entry.reason.startswith(reason)
    assert remedy in entry.remedy


def test_nothing_of_a_page_is_lost(tmp_path: Path, read: Callable[..., Document]) -> None:
    words = [f"word{number}" for number in range(200)]
    places = [(40 + 61 * (number * 7 % 8), 40 + 19 * (number * 3 % 40), word) for number, word in enumerate(words)]
    document = read("a.pdf", drawn(*{(x, y): (x, y, word) for x, y, word in places}.values()))
    kept = {(x, y): word for x, y, word in places}.values()
    text = " ".join(section.text for section in document.sections)
    assert [word for word in kept if word not in text] == []


def sheets(*pages: Sequence[tuple[float, float, str]], ruled: bool = False) -> bytes:
    """A PDF of pages that are drawn; `ruled` draws a grid of three columns and rows at their upper edge."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842))
    for texts in pages:
        canvas.setFont("Helvetica", 10)
        for x, y, text in texts:
            canvas.drawString(x, y, text)
        if ruled:
            for x in (60, 160, 260, 360):
                canvas.line(x, 760, x, 820)
            for y in (760, 780, 800, 820):
                canvas.line(60, y, 360, y)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def whole(document: Document) -> str:
    return "\n".join("\n".join([*section.headings, section.text]) for section in document.sections)


def test_prices_at_the_same_place_of_two_pages_stay(read: Callable[..., Document]) -> None:
    boats = ["Kayak", "Canoe", "Dinghy", "Cutter", "Barge", "Punt"]
    pages = []
    for page in (0, 1):
        rows = [(boat, str(4 + row + page), f"£{page + 8}.50") for row, boat in enumerate(boats[3 * page : 3 * page + 3])]
        pages.append([(60 + 120 * column, 60 + 20 * row, text) for row, cells in enumerate(rows) for column, text in enumerate(cells)])
    text = whole(read("a.pdf", sheets(*([(60, 400, LONG), *cells] for cells in pages))))
    assert [cell for cells in pages for _, _, cell in cells if cell not in text] == []


def test_each_page_keeps_its_own_title(read: Callable[..., Document]) -> None:
    pages = [[(60, 800, f"Kayak {number}00"), (60, 400, LONG), (60, 20, f"Boats of the harbour {number}")] for number in (1, 2, 3)]
    text = whole(read("a.pdf", sheets(*pages)))
    assert [title for title in ("Kayak 100", "Kayak 200", "Kayak 300") if title not in text] == []
    assert "Boats of the harbour" not in text


def test_running_lines_with_page_numbers_go(read: Callable[..., Document]) -> None:
    pages = [[(60, 400, f"{word} {LONG}"), (240 - 2.5 * (number > 9), 20, f"Members' Handbook, page {number} of 12")]
             for number, word in enumerate(WORDS[:12], 1)]  # fmt: skip
    text = whole(read("a.pdf", sheets(*pages)))
    assert "Handbook" not in text
    assert text.count("Every visitor") == 12


def test_running_lines_that_change_sides_go(read: Callable[..., Document]) -> None:
    pages = [[(60 + 300 * (number % 2), 800, "Handbook"), (60, 400, f"{number}. {LONG}"), (300, 20, str(number))] for number in range(1, 6)]
    text = whole(read("a.pdf", sheets(*pages)))
    assert "Handbook" not in text
    assert text.count("Every visitor") == 5
    assert not re.search(r"^\d$", text, re.MULTILINE)


def test_the_header_of_a_ruled_table_stays_on_every_page(read: Callable[..., Document]) -> None:
    head = [(65, 805, "Boat"), (165, 805, "Seats"), (265, 805, "Price")]
    pages = [[*head, *((65 + 100 * column, 785 - 20 * row, text) for row, cells in enumerate(rows) for column, text in enumerate(cells))]
             for rows in ([("Kayak", "1", "£12"), ("Canoe", "2", "£15")], [("Punt", "4", "£18"), ("Barge", "9", "£25")])]  # fmt: skip
    assert read("a.pdf", sheets(*pages, ruled=True)).sections[0].text == (
        "| Boat | Seats | Price |\n| --- | --- | --- |\n| Kayak | 1 | £12 |\n| Canoe | 2 | £15 |\n| Punt | 4 | £18 |\n| Barge | 9 | £25 |"
    )
