from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import docx

from engrain.documents.base import Document, Unread, read_documents

Sections = dict[tuple[str, ...], str]


def message(subject: str = "Opening hours", text: str = "We open at 9:00.\n") -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["Date"] = subject, "Ann <ann@example.org>", datetime(2025, 3, 4, 9, 0, tzinfo=UTC)
    mail.set_content(text)
    return mail


def test_the_subject_is_the_title_and_the_day_of_sending_the_date(read: Callable[..., Document]) -> None:
    document = read("a.eml", message("RE: Fwd: Opening hours").as_bytes())
    assert (document.title, document.date) == ("Opening hours", "2025-03-04")
    assert [(section.headings, section.text) for section in document.sections] == [(("Opening hours",), "We open at 9:00.")]


def test_what_is_quoted_of_others_is_left_out_and_a_signature_stays(sections: Callable[..., Sections]) -> None:
    text = "Yes, from May on.\n\n-- \nAnn Bell\nPhone 0123 456789\n\nOn 3 March 2025 at 9:14, Tom wrote:\n\n> Are you open?\n> Tom\n"
    assert sections("a.eml", message("Re: Open?", text).as_bytes()) == {("Open?",): "Yes, from May on.\n\nAnn Bell\nPhone 0123 456789"}


def test_a_message_that_is_html_only(sections: Callable[..., Sections]) -> None:
    mail = message()
    mail.set_content("<p>A table:</p><table><tr><th>Day</th><th>Open</th></tr><tr><td>Monday</td><td>9:00</td></tr></table>"
                     "<blockquote>Old words.</blockquote>", subtype="html")  # fmt: skip
    assert sections("a.eml", mail.as_bytes()) == {("Opening hours",): "A table:\n\n| Day | Open |\n| --- | --- |\n| Monday | 9:00 |"}


def test_attachments_are_read_as_documents_of_their_kind(sections: Callable[..., Sections]) -> None:
    document = docx.Document()
    document.add_heading("Guide", 1)
    document.add_paragraph("Bring a towel.")
    buffer = io.BytesIO()
    document.save(buffer)
    mail, kind = message(), "vnd.openxmlformats-officedocument.wordprocessingml.document"
    mail.add_attachment(buffer.getvalue(), maintype="application", subtype=kind, filename="../guide.docx")
    mail.add_attachment("Item,Price\nTowel,£3\nLock,£4\n", subtype="csv", filename="prices.csv")
    mail.add_attachment(message("The car park", "It is behind the hall.\n"))
    assert sections("a.eml", mail.as_bytes()) == {
        ("Opening hours",): "We open at 9:00.",
        ("Opening hours", "Guide"): "Bring a towel.",
        ("Opening hours", "Prices"): "| Item | Price |\n| --- | --- |\n| Towel | £3 |\n| Lock | £4 |",
        ("Opening hours", "The car park"): "It is behind the hall.",
    }


def test_attachments_that_cannot_be_read_are_named_and_the_message_is_read(tmp_path: Path) -> None:
    mail = message()
    mail.add_attachment(b"no archive", maintype="application", subtype="octet-stream", filename="guide.docx")
    mail.add_attachment(b"BEGIN:VCALENDAR", maintype="application", subtype="ics", filename="date.ics")
    mail.add_attachment(b"\x00\x01", maintype="application", subtype="octet-stream")
    inner = message("The car park", "It is behind the hall.\n")
    inner.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="map.png")
    mail.add_attachment(inner)
    mail.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="logo.png", cid="<logo>")
    (tmp_path / "a.eml").write_bytes(mail.as_bytes())
    reading = read_documents([tmp_path])
    assert [section.text for section in reading.documents[0].sections] == ["We open at 9:00.", "It is behind the hall."]
    assert {entry.file: entry.reason.partition(":")[0].partition(",")[0] for entry in reading.unread} == {
        "a.eml › (application/octet-stream)": "unknown kind of file (no suffix)",
        "a.eml › date.ics": "unknown kind of file (.ics)",
        "a.eml › guide.docx": "damaged",
        "a.eml › message.eml › map.png": "unknown kind of file (.png)",
    }
    assert all(entry.remedy for entry in reading.unread)


def test_a_message_without_words_tells_what_could_not_be_read(unread: Callable[..., Unread]) -> None:
    mail = message("", "")
    mail.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="poster.png")
    assert unread("a.eml", mail.as_bytes()).reason == "holds no text; a.eml › poster.png: unknown kind of file (.png)"


def test_a_message_without_words_is_no_document(unread: Callable[..., Unread]) -> None:
    assert unread("a.eml", message("", "").as_bytes()).reason == "holds no text"
