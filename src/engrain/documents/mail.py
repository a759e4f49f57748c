"""E-mails: .eml."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from engrain.documents._markdown import front_matter, headings, one_line, take_front_matter
from engrain.documents._plain import plain
from engrain.documents.base import Part, Reader, Unread, Unreadable, faults_told, readable, reader_of

REPLY = re.compile(r"^(?:(?:re|aw|fwd?|wg|antw|sv|tr)(?:\[\d+\])?:\s*)+", re.IGNORECASE)
QUOTED = re.compile(r"^>.*(?:\n|\Z)", re.MULTILINE)
QUOTING = re.compile(r"^[^\n>]{4,200}:[ \t]*\n(?:[ \t]*\n)*(?=>)", re.MULTILINE)
"""The line above what is quoted: "On Monday Ann wrote:"."""
SIGNATURE = re.compile(r"^-- ?$", re.MULTILINE)


class Mail(Reader):
    """Reads the message without what it quotes of others, and what is attached to it."""

    suffixes = (".eml",)

    def read(self, path: Path) -> list[Part]:
        """The message under its subject, then a part for each part of each attachment; its date is when it was sent."""
        message = message_from_bytes(path.read_bytes(), policy=default)
        subject = REPLY.sub("", one_line(message["subject"]))
        sent = message["date"].datetime if message["date"] is not None else None
        head = front_matter(subject, sent and sent.date())
        title = f"# {subject}\n\n" if subject else ""
        return [Part(head + title + written(message)), *(part for file in message.iter_attachments() for part in attached(file))]


def written(message: EmailMessage) -> str:
    """What the sender wrote, as Markdown."""
    body = message.get_body(("plain", "html"))
    if body is None:
        return ""
    text = str(body.get_content())
    if body.get_content_type() == "text/html":
        return "\n\n".join(part.text for part in read_as("message.html", unquoted(text).encode()))
    return plain(SIGNATURE.sub("", QUOTED.sub("", QUOTING.sub("", text.replace("\r\n", "\n")))))


def unquoted(page: str) -> str:
    """A message that is a page, without what it quotes."""
    import bs4

    tree = bs4.BeautifulSoup(page, "lxml")
    for quoted in tree.select("blockquote, .gmail_quote"):
        quoted.decompose()
    return str(tree)


def attached(file: EmailMessage) -> Iterator[Part]:
    """What an attachment says, as a document of its kind says it, or that it was not read; nothing for a picture within the message."""
    kind = file.get_content_type()
    name = Path(file.get_filename() or ("message.eml" if kind == "message/rfc822" else "")).name
    if kind.startswith("image/") and (file["content-id"] or not name):
        return
    try:
        parts = read_as(name, as_bytes(file.get_content()))
    except Unreadable as error:
        yield Part("", unread=Unread(name or f"({kind})", error.reason, error.remedy))
        return
    titled = any(level == 1 for part in parts for _, _, level, _ in headings(part.text))
    title = "" if titled else f"# {readable(Path(name).stem)}\n\n"
    for number, part in enumerate(parts):
        if part.unread:
            yield replace(part, unread=replace(part.unread, file=f"{name} › {part.unread.file}"))
        else:
            yield part if number else replace(part, text=title + part.text)


def read_as(name: str, data: bytes) -> list[Part]:
    """The parts that the reader of a file of this name makes of the data, without front matter. Raises Unreadable where it cannot."""
    reader = reader_of(name)
    with faults_told(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        return [replace(part, text=take_front_matter(part.text)[1]) for part in reader.read(path)]


def as_bytes(content: object) -> bytes:
    """What a file of this content holds: bytes as they are, a message in its own form, text in UTF-8."""
    if isinstance(content, EmailMessage):
        return content.as_bytes()
    return content if isinstance(content, bytes) else str(content).encode()
