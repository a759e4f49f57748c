from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import docx
import openpyxl
import pytest
from docx.enum.text import WD_BREAK

from engrain.documents._cells import shown
from engrain.documents.base import Document, Unread

Sections = dict[tuple[str, ...], str]


def saved(document: Any) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def bold(document: Any, text: str) -> None:
    document.add_paragraph().add_run(text).bold = True


def add_table(document: Any, rows: Sequence[Sequence[str]]) -> Any:
    table = document.add_table(len(rows), len(rows[0]))
    for row, texts in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    return table


# Word


def test_headings_lists_and_breaks(sections: Callable[..., Sections]) -> None:
    document = docx.Document()
    document.add_heading("Courses", 0)
    document.add_paragraph("Intro with ").add_run("bold").bold = True
    document.add_heading("Sailing", 1)
    document.add_paragraph("one").add_run().add_break(WD_BREAK.LINE)
    for text, style in (("a", "List Bullet"), ("b", "List Bullet 2"), ("first", "List Number"), ("second", "List Number")):
        document.add_paragraph(text, style=style)
    bold(document, "Meeting point")
    document.add_paragraph("The kiosk.\xa0Early.")
    document.add_heading("Bring", 2)
    document.add_paragraph("# 5 pots")
    assert sections("a.docx", saved(document)) == {
        ("Courses",): "Intro with bold",
        ("Courses", "Sailing"): "one\n\n- a\n    - b\n1. first\n2. second",
        ("Courses", "Sailing", "Meeting point"): "The kiosk. Early.",
        ("Courses", "Sailing", "Bring"): "\\# 5 pots",
    }


def test_tables_stay_in_their_place(sections: Callable[..., Sections]) -> None:
    document = docx.Document()
    document.add_heading("Prices", 1)
    document.add_paragraph("before")
    table = add_table(document, [["Course", "Days", "Price"], ["", "", ""], ["Dinghy", "2", "£120"], ["Both", "", "£200\na head"]])
    table.cell(1, 0).merge(table.cell(1, 2)).text = "Beginners"
    table.cell(3, 0).merge(table.cell(3, 1))
    document.add_paragraph("after")
    add_table(document, [["Phone", "01803 555 012"], ["Email", "a|b@c.example"]])
    assert sections("a.docx", saved(document)) == {
        (
            "Prices",
        ): "before\n\nBeginners\n\n| Course | Days | Price |\n| --- | --- | --- |\n| Dinghy | 2 | £120 |\n| Both | Both | £200 a head |\n\n"
        "after\n\n- Phone: 01803 555 012\n- Email: a\\|b@c.example"
    }


def test_documents_made_without_styles(sections: Callable[..., Sections]) -> None:
    document = docx.Document()
    bold(document, "STAFF GUIDE")
    document.add_paragraph("")
    bold(document, "Opening")
    for text in ("Mon–Fri\t8:00–19:00", "Sat:\t9:00", "• typed", "1 Quay Street", "a\tb\tc"):
        document.add_paragraph(text)
    bold(document, "Closed on Mondays")
    assert sections("a.docx", saved(document)) == {
        ("STAFF GUIDE", "Opening"): "- Mon–Fri: 8:00–19:00\n- Sat: 9:00\n- typed\n\n1 Quay Street\n\na b c\n\nClosed on Mondays"
    }


def test_struck_out_and_hidden_text_is_gone(read: Callable[..., Document]) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("Tea ")
    paragraph.add_run("£3 ").font.strike = True
    paragraph.add_run("secret ").font.hidden = True
    paragraph.add_run("£2").font.strike = False
    assert read("a.docx", saved(document)).sections[0].text == "Tea £2"


def xml(text: str) -> Any:
    """WordprocessingML as an element; its namespaces need not be declared."""
    spaces = {
        "w": docx.oxml.ns.nsmap["w"],
        "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
        "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
        "v": "urn:schemas-microsoft-com:vml",
    }
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in spaces.items())
    return docx.oxml.parse_xml(f"<root {declared}>{text}</root>")[0]


def line(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_content_controls_are_read(sections: Callable[..., Sections]) -> None:
    document = docx.Document()
    document.add_heading("Prices", 1)
    deeper = f"<w:sdt><w:sdtContent>{line('Deeper.')}</w:sdtContent></w:sdt>"
    document.element.body.insert(1, xml(f"<w:sdt><w:sdtContent>{line('Inside.')}{deeper}</w:sdtContent></w:sdt>"))
    contents = '<w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj></w:sdtPr>'
    document.element.body.insert(0, xml(f"<w:sdt>{contents}<w:sdtContent>{line('Prices 1')}</w:sdtContent></w:sdt>"))
    empty = f"<w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent>{line('Click here.')}</w:sdtContent>"
    document.element.body.insert(3, xml(f"<w:sdt>{empty}</w:sdt>"))
    table = add_table(document, [["Phone", "none"], ["Email", "a@b.example"]])
    cell = table.cell(0, 1)._tc
    cell.addprevious(xml(f"<w:sdt><w:sdtContent><w:tc>{line('01803 555 012')}</w:tc></w:sdtContent></w:sdt>"))
    cell.getparent().remove(cell)
    assert sections("a.docx", saved(document)) == {("Prices",): "Inside.\n\nDeeper.\n\n- Phone: 01803 555 012\n- Email: a@b.example"}


def test_text_boxes_are_read_once(sections: Callable[..., Sections]) -> None:
    document = docx.Document()
    document.add_heading("Boats", 1)
    paragraph = document.add_paragraph("Before the box.")
    for words in ("No dogs.", "No cats."):
        box = f"<w:txbxContent>{line(words)}</w:txbxContent>"
        paragraph.add_run()._r.append(xml(
            f"<mc:AlternateContent><mc:Choice><wps:txbx>{box}</wps:txbx></mc:Choice>"
            f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent>"))  # fmt: skip
    paragraph.add_run()._r.append(xml(f"<w:pict><v:textbox><w:txbxContent>{line('An old box.')}</w:txbxContent></v:textbox></w:pict>"))
    document.add_paragraph("After it.")
    assert sections("a.docx", saved(document)) == {("Boats",): "Before the box.\n\nNo dogs.\n\nNo cats.\n\nAn old box.\n\nAfter it."}


def test_moved_text_stands_only_where_it_went(read: Callable[..., Document]) -> None:
    document = docx.Document()
    for kind in ("moveFrom", "moveTo"):
        document.add_paragraph()._p.append(xml(f'<w:{kind} w:id="1"><w:r><w:t>Closed on Mondays.</w:t></w:r></w:{kind}>'))
    assert read("a.docx", saved(document)).sections[0].text == "Closed on Mondays."


def test_title_and_date_come_from_the_properties(read: Callable[..., Document]) -> None:
    document = docx.Document()
    document.add_paragraph("text")
    assert read("a.docx", saved(document)).date == ""
    document.core_properties.title, document.core_properties.modified = "Terms", datetime(2026, 3, 4)
    result = read("a.docx", saved(document))
    assert (result.title, result.date) == ("Terms", "2026-03-04")


# Excel


def workbook(**sheets: list[list[object]]) -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        page = book.create_sheet(title)
        for row in rows:
            page.append(row)
    return book


def test_sheets_are_cut_into_tables(sections: Callable[..., Sections]) -> None:
    book = workbook(
        Prices=[["Prices 2026"], ["With VAT."], [], ["Item", "Price", "From"], ["Hot"], ["Tea", 2.5, date(2026, 4, 1)], [], [],
                [None, "Phone", "01803 5"],
                [None, "Email", "a@b.c"], [], ["The end."]],
        Staff=[["Name", "Role"], ["Ann", "Chef"]],
        Empty=[],
        Hidden=[["a", "b"]],
    )  # fmt: skip
    book["Hidden"].sheet_state = "hidden"
    book["Prices"]["B6"].number_format = '"£"#,##0.00'
    book["Prices"]["C6"].number_format = "d mmmm yyyy"
    assert sections("a.xlsx", saved(book)) == {
        (
            "A",
            "Prices",
            "Prices 2026",
        ): "With VAT.\n\nHot\n\n| Item | Price | From |\n| --- | --- | --- |\n| Tea | £2.50 | 1 April 2026 |\n\n"
        "- Phone: 01803 5\n- Email: a@b.c\n\nThe end.",
        ("A", "Staff"): "| Name | Role |\n| --- | --- |\n| Ann | Chef |",
    }


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (12.5, '"£"#,##0.00', "£12.50"),
        (1234.5, "#,##0.00", "1,234.50"),
        (-20, "[$€-407] #,##0.00;[Red]-[$€-407] #,##0.00", "-€ 20.00"),
        (-3, "0.00", "-3.00"),
        (-3, "0;(0)", "(3)"),
        (5.25, "#,##0.##", "5.25"),
        (5.0, "0.##", "5"),
        (0.125, "0.0%", "12.5%"),
        (0.2, "0%", "20%"),
        (3, "General", "3"),
        (0.1 + 0.2, "General", "0.3"),
        (7, '0 "kg"', "7 kg"),
        (1, "@", "1"),
        (12.5, "_-£* #,##0.00_-", "£12.50"),
        (5550123, "###\\-####", "555-0123"),
        (2025550123, "[<=9999999]###\\-####;\\(###\\)\\ ###\\-####", "(202) 555-0123"),
        (5550123, "[<=9999999]###\\-####;\\(###\\)\\ ###\\-####", "555-0123"),
        (2025550123, "###\\-####", "202555-0123"),
        (1234, "00000", "01234"),
        (1234.5, "00000.00", "01234.50"),
        (12345678, "000\\-00\\-0000", "012-34-5678"),
        (441803555012, '"+"00 0000 000000', "+44 1803 555012"),
        (1234.5, "#\\ ##0.00", "1 234.50"),
        (5, "#\\ ##0", "5"),
        (1, '[=1]0 "day";0 "days"', "1 day"),
        (3, '[=1]0 "day";0 "days"', "3 days"),
        (-3, "[>=1000]#,##0;0.0", "-3.0"),
        (1234, "#,##0", "1,234"),
        (True, "General", "yes"),
        ("a\nb", "General", "a b"),
        (date(2026, 3, 4), "mm-dd-yy", "2026-03-04"),
        (0.5, "# ?/?", "0.5"),
        (datetime(2026, 3, 4, 9, 5), "dd/mm/yyyy hh:mm", "04/03/2026 09:05"),
        (datetime(2026, 3, 4), "dddd d mmm yy", "Wednesday 4 Mar 26"),
        (time(13, 5), "h:mm AM/PM", "1:05 PM"),
        (time(9, 0), "h:mm", "9:00"),
        (time(9, 5), "h:mm:ss", "9:05"),
        (time(9, 5, 7), "h:mm:ss", "9:05:07"),
        (time(9, 5, 7), "mm:ss", "05:07"),
        (timedelta(hours=26), "[h]:mm", "26:00"),
        (datetime(2026, 3, 4), "[$-809]d mmmm yyyy;@", "4 March 2026"),
        (datetime(2026, 3, 4), "mmmm\\ yyyy", "March 2026"),
    ],
)
def test_values_are_shown_as_their_format_says(value: object, form: str, text: str) -> None:
    assert shown(value, form) == text


# Files that cannot be read


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * 20_000_000)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.docx", saved(docx.Document())[:900], "damaged"),
        ("a.xlsx", saved(openpyxl.Workbook())[:900], "damaged"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted"),
        ("a.docx", bomb(), "unpacks to more"),
        ("a.docx", saved(openpyxl.Workbook()), "damaged"),
        ("a.docx", saved(docx.Document()), "holds no text"),
        ("a.xlsx", saved(openpyxl.Workbook()), "holds no text"),
    ],
    ids=["docx cut off", "xlsx cut off", "encrypted", "bomb", "wrong suffix", "empty docx", "empty xlsx"],
)
def test_files_that_cannot_be_read(unread: Callable[..., Unread], name: str, content: bytes, reason: str) -> None:
    assert unread(name, content).reason.startswith(reason)
