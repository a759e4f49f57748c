"""What was measured, as JSON in `benchmarks/results/`: one file for each part, a row for each of its cells."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = dict[str, Any]
FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Results:
    """The results under `folder`."""

    folder: Path = FOLDER

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


def machine() -> str:
    """The processor, with family and model where others bear its name, and how many cores of it there are."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").split("\n\n")[0].splitlines() if info.is_file() else []
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    which = f" (family {told['cpu family']}, model {told['model']})" if "cpu family" in told else ""
    return f"{told.get('model name', platform.machine())}{which}, {os.cpu_count()} cores"
