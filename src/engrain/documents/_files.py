"""Which files the given paths hold: folders walked in order, links that lead outside kept out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

MAX_BYTES = 50_000_000
CONVERT = {
    (".doc", ".odt", ".rtf", ".pages", ".wpd"): "save it as .docx or PDF",
    (".xls", ".ods", ".numbers", ".xlsb"): "save it as .xlsx or CSV",
    (".ppt", ".odp", ".key"): "save it as .pptx or PDF",
    (".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".webp", ".heic", ".bmp"): "make a PDF with a text layer of it by OCR",
    (".zip", ".gz", ".tar", ".7z", ".rar"): "unpack it into the folder",
    (".msg",): "save it as .eml, HTML or PDF",
    (".epub", ".mobi"): "save its text as HTML or PDF",
}

Problem = tuple[str, str, str]
"""File, reason, remedy."""


def convert(suffix: str) -> str:
    """What to do about a file of a kind that cannot be read."""
    return next((advice for suffixes, advice in CONVERT.items() if suffix in suffixes), "save it as text, HTML, PDF or CSV")


def files_under(given: Path, problems: list[Problem]) -> Iterator[tuple[str, Path]]:
    """Name and path of the file given, or of every file in the folder given, in sorted order.

    Hidden files and folders and the lock files of office programs (`~$…`) are passed over; a folder that cannot be
    opened and a link that leads outside are added to `problems`.
    """
    if not given.is_dir():
        yield given.name, given
        return
    root = given.resolve()

    def refused(error: OSError) -> None:
        name = Path(error.filename).relative_to(root).as_posix()
        problems.append((name, f"the folder cannot be opened: {error.strerror}", "give yourself the right to read it"))

    for folder, subfolders, names in os.walk(root, onerror=refused):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        links = [name for name in subfolders if (Path(folder) / name).is_symlink()]
        for name in sorted([*names, *links]):
            path = Path(folder) / name
            if name.startswith((".", "~$")):
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                problems.append((path.relative_to(root).as_posix(), "a link that leads outside the folder", "copy what it points to here"))
            elif not path.is_dir():
                yield path.relative_to(root).as_posix(), path


def find_files(paths: Sequence[Path]) -> tuple[list[tuple[str, Path]], list[Problem]]:
    """Name and path of every file, each file once, and what was refused.

    Names are relative to the folder given; where two of them would be the same, all are relative to the folder
    that holds everything given.
    """
    problems: list[Problem] = []
    found: dict[Path, tuple[str, Path]] = {}
    for given in paths:
        for name, path in files_under(given, problems):
            found.setdefault(path.resolve(), (name, path.absolute()))
    files = list(found.values())
    if len({name for name, _ in files}) < len(files):
        common = os.path.commonpath([path.parent for _, path in files])
        files = [(path.relative_to(common).as_posix(), path) for _, path in files]
    return files, problems


def refusal(path: Path) -> tuple[str, str] | None:
    """Reason and remedy where a file cannot be read whatever its kind; None where it can be tried."""
    try:
        status = path.stat()
    except OSError as error:
        return f"cannot be opened: {error.strerror}", "repair the link or the rights of the file"
    if not stat.S_ISREG(status.st_mode):
        return "not a file with contents", "remove it from the folder"
    if status.st_size == 0:
        return "the file is empty (0 bytes)", "save it again, or remove it"
    if status.st_size > MAX_BYTES:
        size = f"{status.st_size / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are read"
        return f"too large: {size}", "split it into smaller files"
    return None
