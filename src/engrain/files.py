"""Writing that is whole or not there: staged beside its place, put on the disk, then renamed.

A name that ends in `.partial` is work under way, or what a killed process left of it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, TextIO

from engrain.errors import RunError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

NEW, OLD, GONE = ".new.partial", ".old.partial", ".gone.partial"


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A temporary name beside `target`, to be made a file or a folder, that takes the place of `target` on success.

    On failure it is removed and `target` stays as it was. Raises RunError when the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target, NEW)
    try:
        yield temporary
        sync(temporary)
        _put_in_place(temporary, target)
    except BaseException as error:
        delete(temporary)
        if is_disk_full(error):
            raise disk_full(target) from error
        raise


def write_text(path: Path, text: str) -> None:
    """Put `text` at `path`, whole or not at all. Raises RunError when the disk is full."""
    with staged(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Put lines, which bring their ends, at `path`, whole or not at all. Raises RunError when the disk is full."""
    with staged(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file and hand it to the system at once. A last line torn by a kill gives way.

    Raises RunError when the disk is full; the file then stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+", buffering=0) as file:
        _mend_end(file)
        size, data = file.seek(0, os.SEEK_END), line.encode() + b"\n"
        try:
            if file.write(data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            file.truncate(size)
            if is_disk_full(error):
                raise disk_full(path) from error
            raise


def whole_lines(path: Path) -> Iterator[str]:
    """The lines of a text file, one after the other, without a last one that a kill tore before its newline.

    A file edited by hand may lack the last newline: there a line that is whole JSON counts.
    """
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n") or _is_json(line):
                yield line.removesuffix(b"\n").decode("utf-8", errors="replace")


def sync(path: Path) -> None:
    """Wait until a file, or a folder with all that is in it, is on the disk."""
    for entry in sorted(path.rglob("*")) if path.is_dir() else ():
        _sync_one(entry)
    _sync_one(path)


def delete(path: Path) -> None:
    """Remove a file or a folder, if it is there. A folder is renamed first, so that half of it never bears its name."""
    with suppress(FileNotFoundError):
        if not path.is_dir():
            path.unlink()
            return
        doomed = path if path.name.endswith(".partial") else path.rename(_beside(path, GONE))
        shutil.rmtree(doomed)


def clear_partials(folder: Path) -> None:
    """Remove what a killed process left half-written directly in `folder`, and put back what it had only moved aside."""
    for old in sorted(folder.glob(f"*{OLD}")):
        target = folder / old.name.removesuffix(OLD).rpartition(".")[0]
        if not target.exists():
            old.rename(target)
    for path in sorted(folder.glob("*.partial")):
        delete(path)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold `path` against other processes; the system lets go of it however this process ends.

    Raises RunError that names the holder when another process has it.
    """
    with path.open("a+", encoding="utf-8") as file:
        if not _try_lock(file):
            raise RunError(f"{path.parent} is in use by {_holder(path)}.", "Wait until it is done, or choose another folder with --out.")
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}))
        file.flush()
        yield


def is_held(path: Path) -> bool:
    """Whether some process holds the lock at `path`."""
    if not path.is_file():
        return False
    with path.open("a+", encoding="utf-8") as file:
        return not _try_lock_once(file)


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_hash(content: bytes) -> int:
    """A hash of eight bytes, by which millions of things are told apart without keeping them."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON text; dataclasses become objects, paths strings, and numbers that are none (NaN, infinity) null."""
    return json.dumps(_plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def is_disk_full(error: BaseException) -> bool:
    """Writers in other languages (safetensors) give the system's words without its number."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return isinstance(error, Exception) and os.strerror(errno.ENOSPC) in str(error)


def disk_full(path: Path) -> RunError:
    """The error that says where there was no room, and how much there is."""
    free = shutil.disk_usage(path.parent).free
    return RunError(
        f"The disk is full: {path} could not be written ({free / 1e6:,.1f} MB free).",
        "Nothing half-written was left. Make room, then start again; a run continues with --resume.",
    )


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.as_posix() if isinstance(value, Path) else value


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}{ending}")


def _put_in_place(temporary: Path, target: Path) -> None:
    """Rename over `target`. A folder that is there steps aside first: no system renames over a full folder."""
    old = None
    if target.is_dir():
        old = target.rename(_beside(target, OLD))
    temporary.replace(target)
    _sync_one(target.parent)
    if old is not None:
        delete(old)


def _try_lock(file: TextIO, attempts: int = 5) -> bool:
    """Whether the lock was free. More than one attempt, because `is_held` holds it for a moment too."""
    for attempt in range(attempts):
        if _try_lock_once(file):
            return True
        time.sleep(0.02 * (attempt + 1 < attempts))
    return False


def _try_lock_once(file: TextIO) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(1 << 20)  # far past the text, so that others can read who holds it
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"process {holder['pid']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _mend_end(file: FileIO) -> None:
    """Give the last line its newline, or drop it where a kill tore it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 1, 0))
    if file.read(1) in (b"", b"\n"):
        return
    file.seek(0)
    rest = file.read().rpartition(b"\n")[2]
    file.truncate(size - len(rest))
    if _is_json(rest):
        file.write(rest + b"\n")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _sync_one(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open a folder
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
