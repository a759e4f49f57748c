"""What the page works on: the documents that were dropped there, the examples that people wrote, and the runs made of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends

from engrain.errors import RunError
from engrain.examples import Example, example_from_row, example_to_row
from engrain.files import to_json, write_text
from engrain.resuming import READY
from engrain.run import Run
from engrain.serve.failures import ApiError
from engrain.serve.parts import Served

LONGEST_NAME = 200


@dataclass(frozen=True)
class Workspace:
    """The folder of runs, and in it `.studio`, which holds everything that is not a run."""

    runs: Path

    @property
    def folder(self) -> Path:
        """What belongs to the page."""
        return self.runs / ".studio"

    @property
    def documents(self) -> Path:
        """The documents that were dropped on the page."""
        return self.folder / "documents"

    @property
    def collections(self) -> Path:
        """The code and images that were brought as archives, a folder each."""
        return self.folder / "collections"

    @property
    def own(self) -> Path:
        """Examples that people wrote: corrections of answers, and others."""
        return self.folder / "own.jsonl"

    @property
    def feedback(self) -> Path:
        """Which answers people found right and wrong."""
        return self.folder / "feedback.jsonl"

    def exports(self, run: Run) -> Path:
        """What was made of a run to be taken away."""
        return self.folder / "exports" / run.path.name

    def files(self) -> list[Path]:
        """The documents by name."""
        return sorted(path for path in self.documents.glob("*") if path.is_file() and not path.name.endswith(".partial"))

    def fingerprint(self) -> tuple[tuple[str, int, int], ...]:
        """Changes whenever a document does."""
        return tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in self.files())

    def run(self, name: str) -> Run:
        """The run of that name. Raises ApiError 404 where there is none."""
        try:
            if not is_plain(name):
                raise RunError(name)
            return Run.open(self.runs / name)
        except RunError as error:
            raise ApiError(404, f"There is no run {name!r}.", "not_found", "run") from error

    def editable(self, name: str) -> Run:
        """The run of that name, if nothing was trained on it yet and nothing works on it. Raises ApiError 409 otherwise."""
        run = self.run(name)
        if run.in_use() or not is_editable(run):
            why = "A model is trained on these facts and examples, so they stay as they are."
            raise ApiError(409, f"{why} Make a new version to change them.", "not_editable", "run")
        return run

    def new_folder(self, name: str, promised: Iterable[str] = ()) -> Path:
        """A folder for a new run, with -2, -3 … behind its name where that is taken, or promised to a run that waits."""
        plain = re.sub(r"[^\w-]+", "-", name).strip("-").lower()[:60] or "documents"
        taken = {path.name for path in self.runs.glob("*")} | set(promised)
        number = next(n for n in range(1, len(taken) + 2) if (plain if n == 1 else f"{plain}-{n}") not in taken)
        return self.runs / (plain if number == 1 else f"{plain}-{number}")


def workspace(served: Served) -> Workspace:
    """The workspace of the server that got the request."""
    return Workspace(served.settings.runs)


Working = Annotated[Workspace, Depends(workspace)]
"""A route's parameter of this type gets the workspace."""


def is_plain(name: str) -> bool:
    """Whether a name is that of something directly in a folder, not hidden, and no longer than every system takes."""
    return (
        0 < len(name.encode(errors="replace")) <= LONGEST_NAME
        and not name.startswith(".")
        and Path(name).name == name
        and "\\" not in name
        and "\0" not in name
    )


def base_of(run: Run) -> str:
    """The language model that a run is made from. Raises ApiError 409 where it looks at images and has none."""
    base = run.info.get("settings", {}).get("base")
    if base is None:
        raise ApiError(409, f"{run.path.name!r} looks at images; it can be shown pictures, and has no words.", "no_words", "run")
    return str(base)


def is_editable(run: Run) -> bool:
    """Whether a run holds facts and examples on which nothing was trained yet."""
    return run.info.get("status") == READY and not (run.path / "checkpoints").exists()


@dataclass(frozen=True)
class Own:
    """An example that somebody wrote; `origin` is correction, edit or own, `created` ISO text in UTC."""

    id: str
    example: Example
    origin: str
    created: str


def read_own(space: Workspace) -> list[Own]:
    """The examples that people wrote, the oldest first."""
    # Not splitlines(): a JSON text may hold U+2028, which ends a line there.
    lines = space.own.read_text(encoding="utf-8").split("\n") if space.own.is_file() else []
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines if line.strip()]
    return [Own(row["id"], example_from_row(row), row["origin"], row["created"]) for row in rows]


def write_own(space: Workspace, rows: Sequence[Own]) -> None:
    """Put the examples that people wrote where the next build finds them."""
    values = [{"id": own.id, "origin": own.origin, "created": own.created, **example_to_row(own.example)} for own in rows]
    write_text(space.own, "".join(to_json(value) + "\n" for value in values))
