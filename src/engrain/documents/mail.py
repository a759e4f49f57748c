"""E-mails: .eml."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from engrain.documents import html
from engrain.documents._markdown import front_matter, headings, one_line, take_front_matter
from engrain.documents._plain import plain
from engrain.documents.base import Part, Reader, Unreadable, readable, readers

REPLY = re.compile(r"^(?:(?:re|aw|fwd?|wg|antw|sv|tr)(?:\[\d+\])?:\s*)+", re.IGNORECASE)
QUOTED = re.compile(r"^>.*(?:\n|\Z)", re.MULTILINE)
QUOTING = re.compile(r"^[^\n>]{4,200}:[ \t]*\n(?:[ \t]*\n)*(?=>)", re.MULTILINE)
"""The line above what is quoted: "On Monday Ann wrote:"."""
SIGNATURE = re.compile(r"^-- ?$", re.MULTILINE)


class Mail(Reader):
    """Reads the message without what it quotes of others, and what is attached to it in a kind that can be read."""

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
        tree = html.parse(text.encode())
        for quoted in tree.select("blockquote, .gmail_quote"):
            quoted.decompose()
        html.remove_junk(tree.body or tree)
        return "\n\n".join(html.Blocks().of(tree.body or tree))
    return plain(SIGNATURE.sub("", QUOTED.sub("", QUOTING.sub("", text.replace("\r\n", "\n")))))


def attached(file: EmailMessage) -> Iterator[Part]:
    """What an attachment says, as a document of its kind says it; nothing where its kind cannot be read."""
    name = Path(file.get_filename() or ("message.eml" if file.get_content_type() == "message/rfc822" else "")).name
    reader = readers().get(Path(name).suffix.lower())
    if reader is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(as_bytes(file.get_content()))
        try:
            parts = reader().read(path)
        except Unreadable as error:
            raise Unreadable(f"its attachment {name}: {error.reason}", f"save the message without it, or {error.remedy}") from error
    texts = [take_front_matter(part.text)[1] for part in parts]
    title = "" if any(level == 1 for text in texts for _, _, level, _ in headings(text)) else f"# {readable(Path(name).stem)}\n\n"
    for number, (text, part) in enumerate(zip(texts, parts, strict=True)):
        yield Part(text if number else title + text, part.page)


def as_bytes(content: object) -> bytes:
    """What a file of this content holds: bytes as they are, a message in its own form, text in UTF-8."""
    if isinstance(content, EmailMessage):
        return content.as_bytes()
    return content if isinstance(content, bytes) else str(content).encode()
