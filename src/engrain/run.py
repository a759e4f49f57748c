"""The run folder: everything that one piece of work leaves behind, and the only thing that persists.

Every write is whole or not there (`files.py`); a lock keeps a second process out; a checkpoint carries the sha256
of its files, so that one that was damaged is never resumed from.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from engrain.errors import RunError
from engrain.files import (
    append_line,
    clear_partials,
    delete,
    is_held,
    lock,
    sha256_of,
    staged,
    to_json,
    whole_lines,
    write_lines,
    write_text,
)

Row = dict[str, Any]
Rows = list[Row]  # inside the class, `list` is Run.list
Runs = list["Run"]
Notes = list[str]
ROOT = Path("runs")
FINISHED = ("complete", "failed", "interrupted")
LIBRARIES = ("engrain", "torch", "transformers", "tokenizers", "safetensors", "numpy", "spacy", "bm25s")


@dataclass(frozen=True)
class Mark:
    """How far a file of rows has been read: the number that the system gives the file, the byte after what was read, and its lines."""

    file: int = 0
    end: int = 0
    lines: int = 0


@dataclass(frozen=True)
class Run:
    """A run folder at `path`. Writing is meant to happen inside `lock()`."""

    path: Path

    # --- make and find

    @classmethod
    def create(cls, out: Path | None, name: str) -> Run:
        """A new run at `out`, or at `runs/YYYY-MM-DD-<name>` (with -2, -3 … where that is taken).

        Raises RunError when `out` holds something already.
        """
        if out is not None:
            _refuse_if_taken(out)
            out.mkdir(parents=True, exist_ok=True)
        run = cls(out if out is not None else _new_folder(ROOT / f"{date.today().isoformat()}-{name}"))
        run.write_json("run.json", {"name": name, "status": "running", "created": now(), "finished": None, **environment()})
        return run

    @classmethod
    def open(cls, path: Path | None = None) -> Run:
        """The run at `path`, or the newest under `runs/`. Raises RunError when there is none."""
        if path is None:
            runs = cls.list(ROOT)
            if not runs:
                raise RunError(f"There is no run under {ROOT}/.", "Make one with `engrain build PATH`, or name one with --run DIR.")
            return runs[0]
        if not (path / "run.json").is_file():
            step = "`engrain runs` lists the runs there are; a new one is begun without --resume."
            raise RunError(f"{path} is not a run: it has no run.json.", step)
        return cls(path)

    @classmethod
    def list(cls, root: Path = ROOT) -> Runs:
        """The runs directly under `root`, the newest first. A folder whose run.json cannot be read is left out."""
        found = []
        for file in sorted(root.glob("*/run.json")):
            try:
                found.append((str(cls(file.parent).info.get("created", "")), file.parent))
            except RunError:
                continue
        return [cls(path) for _, path in sorted(found, reverse=True)]

    # --- run.json

    @property
    def info(self) -> dict[str, Any]:
        """What `run.json` says now."""
        info = self.read_json("run.json")
        if not isinstance(info, dict):
            raise RunError(f"{self.path / 'run.json'} does not hold an object.", "The run was changed by hand: make a new one.")
        return info

    def update(self, **fields: Any) -> None:
        """Merge `fields` into `run.json`. A status that ends the run also sets `finished`; `running` clears it."""
        if "status" in fields:
            fields.setdefault("finished", now() if fields["status"] in FINISHED else None)
        self.write_json("run.json", {**self.info, **fields})

    # --- files of one value, files of rows, folders

    def read_json(self, name: str) -> Any:
        """The value in a JSON file of the run. Raises RunError when it is missing or broken."""
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(f"{path} is missing.", "The run did not get that far, or the file was removed.") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RunError(f"{path} is not valid JSON: {error}", "The file was changed or damaged: make a new run.") from None

    def write_json(self, name: str, value: Any) -> None:
        """Put a value (dataclasses allowed) into a JSON file of the run."""
        write_text(self.path / name, to_json(value, indent=2) + "\n")

    def read_rows(self, name: str) -> Rows:
        """The rows of a JSONL file; none when it is not there. A last line torn by a kill is dropped.

        Raises RunError that lists every other broken line.
        """
        return list(self.each_row(name))

    def each_row(self, name: str) -> Iterator[Row]:
        """The rows that `read_rows` gives, one after the other; RunError comes after the last."""
        path = self.path / name
        return _each(path, whole_lines(path) if path.is_file() else [])

    def count_rows(self, name: str) -> int:
        """How many rows a JSONL file has; none when it is not there."""
        path = self.path / name
        return sum(1 for line in whole_lines(path) if line.strip()) if path.is_file() else 0

    def read_on(self, name: str, mark: Mark) -> tuple[Rows, Mark]:
        """The rows of a JSONL file after `mark`, and the mark after them; a last line that is half written is left for the next time.

        A file that has been written anew since is read from its beginning. Raises RunError as `read_rows` does.
        """
        path = self.path / name
        if not path.is_file():
            return [], Mark()
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_ino != mark.file or found.st_size < mark.end:
                mark = Mark(found.st_ino)
            file.seek(mark.end)
            *lines, half = file.read().split(b"\n")
            end = file.tell() - len(half)
        rows = _each(path, [line.decode("utf-8", errors="replace") for line in lines], mark.lines)
        return list(rows), Mark(found.st_ino, end, mark.lines + len(lines))

    def write_rows(self, name: str, rows: Iterable[Any]) -> None:
        """Put rows (dataclasses or mappings) into a JSONL file of the run."""
        write_lines(self.path / name, (to_json(row) + "\n" for row in rows))

    def append_row(self, name: str, row: Any) -> None:
        """Add one row to a JSONL file and hand it to the system at once; a torn last line gives way."""
        append_line(self.path / name, to_json(row))

    def truncate_rows(self, name: str, keep: Callable[[dict[str, Any]], bool]) -> None:
        """Leave only the rows that `keep` accepts (those up to the step a resume starts from)."""
        if (self.path / name).is_file():
            self.write_rows(name, [row for row in self.read_rows(name) if keep(row)])

    @contextmanager
    def stage(self, name: str) -> Iterator[Path]:
        """An empty folder beside `name` that takes its place on success, and is removed on failure."""
        with staged(self.path / name) as folder:
            folder.mkdir()
            yield folder

    # --- one process at a time

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for writing, and clear away what a killed process left. Raises RunError when another process has it."""
        with lock(self.path / "run.lock"):
            for folder in (self.path, self.path / "checkpoints", self.path / "examples"):
                clear_partials(folder)
            yield

    def discard(self) -> None:
        """Remove all that the run holds, and its folder (which stays, empty, where something is mounted there)."""
        for path in self.path.iterdir():
            delete(path)
        with suppress(OSError):
            self.path.rmdir()

    def in_use(self) -> bool:
        """Whether a process holds the run now; a run that says `running` and is not in use was killed."""
        return is_held(self.path / "run.lock")

    # --- checkpoints

    def save_checkpoint(self, step: int, write: Callable[[Path], None], keep: int = 2) -> Path:
        """The folder `checkpoints/step-N`, filled by `write` and sealed with a manifest.

        Of the older ones the newest `keep - 1` stay, and the best (see `mark_best`).
        """
        assert keep >= 1
        with self.stage(f"checkpoints/step-{step}") as folder:
            write(folder)
            write_text(folder / "manifest.json", to_json({"step": step, "files": _manifest(folder)}, indent=2))
        best = self._best_step()
        older = [number for number in self._steps() if number < step]
        for number in older[keep - 1 :]:
            if number != best:
                delete(self._checkpoint(number))
        return self._checkpoint(step)

    def newest_checkpoint(self) -> tuple[int, Path] | None:
        """Step and folder of the newest checkpoint whose files are all as its manifest says."""
        for step in self._steps():
            if not _damage(self._checkpoint(step)):
                return step, self._checkpoint(step)
        return None

    def damaged_checkpoints(self) -> Notes:
        """One line for each checkpoint that cannot be resumed from, with the reason."""
        faults = {step: _damage(self._checkpoint(step)) for step in self._steps()}
        return [f"{self._checkpoint(step)}: {fault}" for step, fault in faults.items() if fault]

    def mark_best(self, step: int) -> None:
        """Keep the checkpoint of `step` whatever comes, as the best so far."""
        assert step in self._steps(), f"no checkpoint of step {step} to mark"
        self.write_json("checkpoints/best.json", {"step": step})

    def best_checkpoint(self) -> tuple[int, Path] | None:
        """Step and folder of the checkpoint marked as the best, if its files are whole."""
        step = self._best_step()
        if step is None or _damage(self._checkpoint(step)):
            return None
        return step, self._checkpoint(step)

    def _best_step(self) -> int | None:
        marked = (self.path / "checkpoints" / "best.json").is_file()
        return int(self.read_json("checkpoints/best.json")["step"]) if marked else None

    def _steps(self) -> tuple[int, ...]:
        names = [path.name.removeprefix("step-") for path in (self.path / "checkpoints").glob("step-*")]
        return tuple(sorted((int(name) for name in names if name.isdigit()), reverse=True))

    def _checkpoint(self, step: int) -> Path:
        return self.path / "checkpoints" / f"step-{step}"


def now() -> str:
    """The time as ISO text in UTC, to the microsecond (two runs made at once still have an order)."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def environment() -> Row:
    """What the work ran on: `versions` of Python and the libraries, `machine` in the system's words."""
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    machine = {
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
    }
    return {"versions": versions, "machine": machine}


def _new_folder(path: Path) -> Path:
    """A new folder at `path`, or with -2, -3 … where that is taken: also by a process that starts at the same moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        folder = path if number == 1 else path.with_name(f"{path.name}-{number}")
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise AssertionError("numbers do not end")


def _refuse_if_taken(path: Path) -> None:
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not (path / "run.json").is_file():
        raise RunError(f"{path} holds something else already, so no run was put there.", "Choose an empty or new folder with --out.")
    status = Run(path).info.get("status")
    if Run(path).in_use():
        raise RunError(f"{path} is in use by another process.", "Wait until it is done, or choose another folder with --out.")
    if status == "complete":
        raise RunError(f"{path} holds a complete run already.", "Choose another folder with --out, or remove this one.")
    raise RunError(f"{path} holds an unfinished run (status: {status}).", "Go on with it by --resume, or choose another folder with --out.")


def _each(path: Path, lines: Iterable[str], before: int = 0) -> Iterator[Row]:
    """The rows that these lines of a file hold, of which `before` more stand above.

    Raises, after the last, RunError that lists every broken one.
    """
    broken = []
    for number, line in enumerate(lines, before + 1):
        row = _row(line)
        if row is not None:
            yield row
        elif line.strip():
            broken.append(f"{path}:{number}: not a JSON object")
    if broken:
        raise RunError(f"{path} is damaged:", "The file was changed by hand: mend these lines or make a new run.", broken)


def _row(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row if isinstance(row, dict) else None


def _manifest(folder: Path) -> Row:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {path.relative_to(folder).as_posix(): {"sha256": sha256_of(path), "size": path.stat().st_size} for path in files}


def _damage(folder: Path) -> str:
    """What is wrong with a checkpoint, or an empty string."""
    try:
        expected = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return "its manifest.json is missing or broken"
    try:
        found = _manifest(folder)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    changed = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    return f"missing, added or changed: {', '.join(changed)}" if changed else ""
