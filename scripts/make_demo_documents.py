"""Write the PDF, DOCX and XLSX of the bundled demonstration business.

The business is invented. Its other five documents are written by hand and lie
beside these in src/engrain/data/demo/docs/. The same libraries give the same
bytes on every run.

    pip install reportlab python-docx openpyxl
    python scripts/make_demo_documents.py [FOLDER]
"""

from __future__ import annotations

import datetime as dt
import re
import sys
import zipfile
from pathlib import Path

from docx import Document
from openpyxl import Workbook
from openpyxl.styles import Font
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate

DOCS = Path(__file__).resolve().parents[1] / "src" / "engrain" / "data" / "demo" / "docs"
WRITTEN = dt.datetime(2026, 10, 20, 9, 0, 0)

# --- price-list.xlsx ---------------------------------------------------------

LAB_PRICES = [
    ("Service", "Price (GBP)", "Ready"),
    ("Colour negative developing, per roll", 8.40, "in 3 working days"),
    ("Black and white developing, per roll", 10.60, "in 6 working days"),
    ("Slide developing, per roll", 13.20, "the day after the slide run"),
    ("Hand print, 30 × 40 cm", 41.00, "in 10 working days"),
    ("Camera check (shutter, meter and seals)", 18.00, "in 2 weeks"),
]

OTHER_PRICES = [
    ("Item", "Price (GBP)"),
    ("Darkroom for members, per hour", 8.00),
    ("Darkroom membership, paid yearly", 285.00),
    ("Hire of a medium-format camera, per weekend", 38.00),
]

# --- handbook.pdf ------------------------------------------------------------

# Per page: (heading, paragraphs); the first heading of page one is the title.
HANDBOOK_PAGES = [
    [
        (
            "Wexlaby Darkroom: Members' Handbook",
            ["Please read this handbook before your first session in the darkroom."],
        ),
        (
            "Joining and leaving",
            [
                "Desmond gives every new member an induction. The induction lasts 75 minutes and "
                "is free. Each member is given a key tag made of brass. A lost key tag costs £15 to "
                "replace.",
                "Members may leave whenever they like. The notice to leave is 30 days, in writing.",
            ],
        ),
        (
            "Booking",
            [
                "Sessions at an enlarger are booked on the website, up to 21 days ahead. The "
                "shortest session is two hours. If you have not appeared after 20 minutes, your "
                "enlarger goes to whoever is waiting.",
                "Cancelling is free until 24 hours before the session. After that, the lab charges half the fee.",
            ],
        ),
    ],
    [
        (
            "Chemistry",
            [
                "Used fixer goes into the blue drum and never down the sink. Please put each pair "
                "of tongs back into the tray it came from.",
            ],
        ),
        (
            "Safety",
            [
                "Halvard is our trained first-aider. If you spill something and are not sure what "
                "it is, leave the room and fetch one of us; nobody will be cross.",
            ],
        ),
        (
            "Before you go",
            [
                "Please rinse the trays and wipe down. Prints may stay on the drying racks for "
                "seven days. After that, staff move the prints to the orphans' box.",
            ],
        ),
    ],
]

# --- courses.docx ------------------------------------------------------------

COURSE_TABLE = [
    ("Course", "Tutor", "When", "Fee"),
    ("First Roll", "Priya Fennimarsh", "Saturday 16 January 2027", "£78"),
    ("Printing in the Dark", "Desmond Thrapwick", "four Wednesdays from 3 February 2027", "£165"),
    ("Pinhole and Paper", "Priya Fennimarsh", "Sunday 14 March 2027", "£52"),
]

# (heading, paragraphs); the paragraph TABLE stands for the table above.
TABLE = "TABLE"
COURSES = [
    (
        "Courses and workshops, winter and spring 2027",
        [
            "We teach in small groups and at a walking pace. Bring old clothes; there will be tea.",
        ],
    ),
    ("Dates and fees", [TABLE]),
    (
        "What you will do",
        [
            "First Roll is for people who have never loaded a film. We lend you a camera, walk "
            "you round the harbour and develop what you shot.",
            "Printing in the Dark starts where First Roll ends. By the last evening you will "
            "have made a finished print that you would hang.",
            "In Pinhole and Paper you build a camera out of a tea tin and expose paper in it. "
            "Children may come from the age of nine, with a grown-up.",
        ],
    ),
    (
        "Booking",
        [
            "A deposit of £20 holds your place on a course. Members of the darkroom pay 10% less for every course.",
        ],
    ),
]


def write_price_list(path: Path) -> None:
    book = Workbook()
    book.remove(book.active)
    for title, rows in (("Lab", LAB_PRICES), ("Darkroom and hire", OTHER_PRICES)):
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
        for cell in sheet[1]:
            cell.font = Font(bold=True)
        for column, width in zip("ABC", (44, 13, 28), strict=True):
            sheet.column_dimensions[column].width = width
        for row in sheet.iter_rows(min_row=2, min_col=2, max_col=2):
            for cell in row:
                if isinstance(cell.value, float):
                    cell.number_format = "0.00"
        sheet.freeze_panes = "A2"
    book.properties.title = "Wexlaby price list"
    book.properties.creator = "Wexlaby Film Lab"
    book.properties.created = WRITTEN
    book.save(path)
    _settle_zip(path)


def write_handbook(path: Path) -> None:
    title = ParagraphStyle("title", fontName="Helvetica-Bold", fontSize=18, leading=24, spaceAfter=8)
    heading = ParagraphStyle("heading", fontName="Helvetica-Bold", fontSize=14, leading=18, spaceBefore=14, spaceAfter=4)
    body = ParagraphStyle("body", fontName="Helvetica", fontSize=12, leading=17.5, spaceAfter=7)
    story = []
    for number, page in enumerate(HANDBOOK_PAGES):
        if number:
            story.append(PageBreak())
        for head, paragraphs in page:
            story.append(Paragraph(head, heading if story else title))
            story.extend(Paragraph(text, body) for text in paragraphs)

    def footer(canvas, template):
        canvas.setFont("Helvetica", 9)
        canvas.drawCentredString(A4[0] / 2, 12 * mm, f"Members' Handbook, page {template.page} of {len(HANDBOOK_PAGES)}")

    SimpleDocTemplate(
        str(path),
        pagesize=A4,
        leftMargin=25 * mm,
        rightMargin=25 * mm,
        topMargin=22 * mm,
        bottomMargin=22 * mm,
        title="Wexlaby Darkroom: Members' Handbook",
        author="Wexlaby Film Lab",
        invariant=1,
    ).build(story, onFirstPage=footer, onLaterPages=footer)


def write_courses(path: Path) -> None:
    document = Document()
    for level, (head, paragraphs) in enumerate(COURSES):
        document.add_heading(head, level=min(level, 1))
        for text in paragraphs:
            if text is not TABLE:
                document.add_paragraph(text)
                continue
            table = document.add_table(rows=0, cols=len(COURSE_TABLE[0]), style="Table Grid")
            for row in COURSE_TABLE:
                for cell, value in zip(table.add_row().cells, row, strict=True):
                    cell.text = value
            for cell in table.rows[0].cells:
                cell.paragraphs[0].runs[0].bold = True
    properties = document.core_properties
    properties.title = COURSES[0][0]
    properties.author = properties.last_modified_by = "Wexlaby Film Lab"
    properties.comments = ""
    properties.created = properties.modified = WRITTEN
    document.save(str(path))
    _settle_zip(path)


def _settle_zip(path: Path) -> None:
    """Put fixed times where the Office libraries write the present one."""
    with zipfile.ZipFile(path) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    stamp = WRITTEN.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts:
            if name == "docProps/core.xml":
                data = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, data)
            part = zipfile.ZipInfo(name, WRITTEN.timetuple()[:6])
            part.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(part, data)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS
    folder.mkdir(parents=True, exist_ok=True)
    write_price_list(folder / "price-list.xlsx")
    write_handbook(folder / "handbook.pdf")
    write_courses(folder / "courses.docx")


if __name__ == "__main__":
    main()
