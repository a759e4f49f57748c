"""Office files, which are archives: whether they are whole and safe to unpack, and the date that their properties state."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from datetime import date, datetime
from pathlib import Path
from typing import Any

from engrain.documents.base import Unreadable

MAX_UNPACKED_BYTES = 500_000_000
MAX_RATIO = 200
"""An entry packed tighter than this, and larger than a few megabytes, is no text that somebody wrote."""
ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How the older container begins, in which office programs put encrypted files."""


def check_archive(path: Path) -> None:
    """Raise Unreadable for an archive that is encrypted, damaged, or would fill the memory when unpacked."""
    with path.open("rb") as file:
        if file.read(8) == ENCRYPTED:
            raise Unreadable("encrypted, or in the format from before 2007", f"save it as {path.suffix} without a password")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile as error:
        raise Unreadable(f"damaged: no {path.suffix} file, or not all of it", "open it in its program and save it again") from error
    bombs = [entry for entry in entries if entry.file_size > 5_000_000 and entry.file_size > MAX_RATIO * max(1, entry.compress_size)]
    if bombs or sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        raise Unreadable("unpacks to more than a document can hold", "do not trust this file; save its contents anew")


def stated_date(properties: Any, templates: Collection[datetime]) -> date | None:
    """When a file was changed last, or made; None where only the template it was made from (one of these times) says when."""
    return next((t.date() for t in (properties.modified, properties.created) if t and t.replace(tzinfo=None) not in templates), None)
