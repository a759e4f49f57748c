"""What was measured, as JSON in `benchmarks/results/MACHINE/`: one file for each part, a row for each of its cells."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = dict[str, Any]
FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Results:
    """The results under `folder`, all of one machine."""

    folder: Path

    @property
    def machine(self) -> str:
        """Where they were measured."""
        files = sorted(self.folder.glob("*.json"))
        return next(row["machine"] for file in files for row in self.read(file.stem).values())

    def read(self, part: str) -> dict[str, Row]:
        """Cell → what was measured; empty before anything was."""
        file = self.folder / f"{part}.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    def put(self, part: str, cell: str, values: Row) -> None:
        """Write what a cell measured, with when and where; nothing else of the part changes."""
        cells = self.read(part) | {cell: {"measured": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"), "machine": machine(), **values}}
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{part}.json.partial"
        rows = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(cells.items())]
        partial.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
        partial.replace(self.folder / f"{part}.json")


def here(folder: Path = FOLDER) -> Results:
    """The results of the machine at hand: no figure is held against another machine's limits."""
    return Results(folder / slug(machine()))


def everywhere(folder: Path = FOLDER) -> list[Results]:
    """The results of every machine, in the order of the folders' names."""
    return [Results(each) for each in sorted(folder.iterdir())]


def slug(name: str) -> str:
    """A machine's name as that of a folder."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def machine() -> str:
    """The processor, with family and model where others bear its name, and how many cores of it there are."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").split("\n\n")[0].splitlines() if info.is_file() else []
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    which = f" (family {told['cpu family']}, model {told['model']})" if "cpu family" in told else ""
    name = re.sub(r"\((R|TM)\)", "", told.get("model name", platform.machine()))
    return f"{name}{which}, {os.cpu_count()} cores"
