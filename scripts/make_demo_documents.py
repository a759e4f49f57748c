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
    ("Code", "Service", "Detail", "Price (GBP)", "Ready in"),
    ("D1", "Colour negative developing", "per roll, 35 mm or 120", 8.40, "3 working days"),
    ("D2", "Black and white developing", "per roll, 35 mm or 120", 10.60, "6 working days"),
    ("D3", "Slide developing", "per roll, 35 mm or 120", 13.20, "the day after the slide run"),
    ("D4", "Push or pull", "per stop, on top of developing", 2.30, None),
    (
        "D5",
        "Next-day service",
        "per roll, on top of developing; colour negative only, handed in by 11:00",
        7.00,
        "1 working day",
    ),
    ("S1", "Standard scan", "per roll, JPEG, 3,000 pixels on the long edge", 5.50, "with the film"),
    ("S2", "Large scan", "per roll, TIFF, 6,400 pixels on the long edge", 11.90, "with the film"),
    ("P1", "Hand print, 20 × 25 cm", "from one negative", 24.00, "10 working days"),
    ("P2", "Hand print, 30 × 40 cm", "from one negative", 41.00, "10 working days"),
    (
        "R1",
        "Camera check",
        "shutter, meter and seals; taken off the bill if you go ahead with a repair",
        18.00,
        "2 weeks",
    ),
]

OTHER_PRICES = [
    ("Code", "Item", "Unit", "Price (GBP)", "Deposit (GBP)"),
    ("M1", "Darkroom, visitors", "hour, while the shop is open", 14.50, None),
    ("M2", "Darkroom, members", "hour", 8.00, None),
    ("M3", "Membership, paid monthly", "month", 27.00, None),
    ("M4", "Membership, paid yearly", "year", 285.00, None),
    ("H1", "Hire of a 35 mm camera", "weekend", 16.00, 60.00),
    ("H2", "Hire of a medium-format camera", "weekend", 38.00, 250.00),
    ("G1", "Tarnblack developer", "500 ml bottle", 13.80, None),
    ("G2", "Gullstone 200 colour film", "36 exposures", 11.20, None),
]

# --- handbook.pdf ------------------------------------------------------------

# Per page: (heading, paragraphs); the first heading of page one is the title.
HANDBOOK_PAGES = [
    [
        (
            "Wexlaby Darkroom: Members' Handbook",
            [
                "Third edition, September 2026. Please read it before your first session.",
            ],
        ),
        (
            "Joining and leaving",
            [
                "Membership is open to anyone aged 16 or over. Before you print on your own, "
                "Desmond takes you through an induction, which lasts 75 minutes and is free. At "
                "the end of it you are given a brass key tag; a lost tag costs £15 to replace.",
                "You may leave whenever you like by writing to us 30 days ahead.",
            ],
        ),
        (
            "When the darkroom is open",
            [
                "Members may work from Tuesday to Saturday between 10:00 and 21:30, long after "
                "the shop has shut, and also on Sundays from 12:00 to 18:00. Mondays are for "
                "cleaning. The code on the street door changes on the first of each "
                "month, and we send you the new one the evening before.",
            ],
        ),
        (
            "Booking",
            [
                "Sessions are booked on the website, up to 21 days ahead, and are never shorter "
                "than two hours. At weekends, so that everyone gets a turn, nobody may book more "
                "than four hours in a day. If you have not appeared after 20 minutes, your "
                "station goes to whoever is waiting.",
                "Cancelling is free until 24 hours before the session. After that we charge half "
                "the fee.",
            ],
        ),
        (
            "Guests",
            [
                "You may bring one guest at a time. A guest watches or helps but does not have a "
                "station, and is in your care from the street door onwards. Somebody who finds "
                "that they enjoy it is, of course, very welcome to join.",
            ],
        ),
    ],
    [
        (
            "Light",
            [
                "Only the red lamps may burn while paper is out. Telephones and watches with lit "
                "faces go into the felt-lined rack outside the door. To come in, knock twice and "
                "wait until somebody calls “clear”.",
            ],
        ),
        (
            "Enlargers",
            [
                "The stations are numbered from 1 to 7. Station 7 is the only one that takes "
                "4 × 5 inch negatives, so please leave it free if you are printing from anything "
                "smaller. When something breaks, chalk it on the slate beside the sink and move "
                "to another station; do not open a lamp house yourself.",
            ],
        ),
        (
            "Chemistry",
            [
                "Paper chemistry is included in your hourly fee, paper is not. Wear the "
                "gloves that hang by the door, and put each pair of tongs back into the tray it "
                "came from. Used fixer goes into the blue drum and never down the sink.",
                "You may bring a developer of your own, provided that the bottle carries your "
                "name and the date on which it was mixed. Staff throw out anything older than "
                "eight weeks.",
            ],
        ),
        (
            "Safety",
            [
                "If you spill something and are not sure what it is, leave the room and fetch one "
                "of us; nobody will be cross. Halvard is our trained first-aider. Outside "
                "shop hours, ring Desmond on 07700 900318.",
                "Food stays upstairs, and so do drinks, including water in a closed bottle.",
            ],
        ),
        (
            "Before you go",
            [
                "The last 15 minutes of every session are for rinsing trays and wiping down. "
                "Prints may stay on the drying racks for seven days, after which we move them to "
                "the orphans' box.",
            ],
        ),
        (
            "If it goes wrong",
            [
                "Anyone who breaks these rules is first told so in writing. The second time, "
                "their tag is blocked for six weeks, and the third time the membership ends.",
            ],
        ),
    ],
]

# --- courses.docx ------------------------------------------------------------

COURSE_TABLE = [
    ("Course", "Tutor", "When", "Fee", "Places"),
    ("First Roll", "Priya Fennimarsh", "Saturday 16 January 2027, 10:30–15:30", "£78", "8"),
    (
        "Printing in the Dark",
        "Desmond Thrapwick",
        "four Wednesdays from 3 February 2027, 18:30–21:00",
        "£165",
        "6",
    ),
    ("Pinhole and Paper", "Priya Fennimarsh", "Sunday 14 March 2027, 11:00–16:00", "£52", "10"),
    ("Know Your Camera", "Corin Stallowby", "Thursday 22 April 2027, 18:00–20:30", "£36", "12"),
]

# (heading, paragraphs); the paragraph TABLE stands for the table above.
TABLE = "TABLE"
COURSES = [
    (
        "Courses and workshops, winter and spring 2027",
        [
            "We teach in small groups and at a walking pace. Film, paper and chemistry are "
            "included in every fee, and so is the tea. Bring old clothes.",
        ],
    ),
    ("Dates and fees", [TABLE]),
    (
        "What you will do",
        [
            "First Roll is for people who have never loaded a film. We lend you a camera, walk "
            "you round the harbour before lunch and develop what you shot in the afternoon, so "
            "that you take your own negatives home the same day.",
            "Printing in the Dark starts where First Roll ends. By the last evening you will "
            "have made a finished print that you would hang. Bring five negatives that you care "
            "about. The course uses six enlargers, which leaves one for members.",
            "In Pinhole and Paper you build a camera out of a tea tin and expose paper in it. "
            "Children are welcome from the age of nine if a grown-up comes too.",
            "Know Your Camera is an evening at the repair bench: Corin opens up a shutter, "
            "explains what wears out, and looks over one camera for each of you.",
        ],
    ),
    (
        "Booking and cancelling",
        [
            "A deposit of £20 holds your place, and the rest is due 14 days before the course "
            "begins. Members of the darkroom pay 10% less.",
            "Cancel at least ten days ahead and you get everything back, deposit included. Later "
            "than that we cannot refund you, though you may send a friend in your place. We need "
            "four bookings for a course to run; if it falls short, you will hear from us a week "
            "beforehand and be repaid in full.",
        ],
    ),
    (
        "Free places",
        [
            "On each course two of the places are kept, free of charge, for people between 16 and "
            "21. There is no form. Write a page to Ottilie about a picture you would like to "
            "make, and let it reach her by 31 December 2026.",
        ],
    ),
    (
        "Private groups",
        [
            "Families, clubs and offices can have the Salt Room and a tutor to themselves for half "
            "a day. That costs £240 for up to six people, on a date that we agree with you.",
        ],
    ),
]


def write_price_list(path: Path) -> None:
    book = Workbook()
    book.remove(book.active)
    for title, rows in (("Lab", LAB_PRICES), ("Darkroom, hire, shop", OTHER_PRICES)):
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
        for cell in sheet[1]:
            cell.font = Font(bold=True)
        for column, width in zip("ABCDE", (7, 34, 44, 13, 26), strict=True):
            sheet.column_dimensions[column].width = width
        for row in sheet.iter_rows(min_row=2, min_col=4, max_col=5):
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
    title = ParagraphStyle(
        "title", fontName="Helvetica-Bold", fontSize=18, leading=24, spaceAfter=8
    )
    heading = ParagraphStyle(
        "heading", fontName="Helvetica-Bold", fontSize=14, leading=18, spaceBefore=14, spaceAfter=4
    )
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
        canvas.drawCentredString(
            A4[0] / 2, 12 * mm, f"Members' Handbook, page {template.page} of {len(HANDBOOK_PAGES)}"
        )

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
