"""docs/performance.md, made from the results alone."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import parts
from benchmarks.results import Results, Row

DOCS = Path(__file__).parent.parent / "docs"
HEAD = """# Performance

This page is made by `make bench` from `benchmarks/results/`; do not edit it. `make bench-quick` measures engrain alone in a few
minutes and shows the figures of the run before beside the new ones; `make bench-gpu` measures on a CUDA device. Every part can be
measured alone (`python -m benchmarks --help`).
"""


def part(name: str) -> Any:
    """A part's module (see `benchmarks/parts`)."""
    return importlib.import_module(f"benchmarks.parts.{name}")


def text(results: Results, images: Path) -> str:
    """The page; its plots go into `images`. Parts without results are left out and named at the end."""
    sections, without = [HEAD], []
    for name in parts.NAMES:
        module = part(name)
        lines = module.section(results, images)
        if lines:
            about = " ".join([module.ABOUT, *occasion(results.read(name))])
            sections.append("\n".join([f"## {module.TITLE}", "", about, "", *lines]).rstrip() + "\n")
        else:
            without.append(name)
    if without:
        sections.append(f"Not measured yet: {', '.join(without)}.\n")
    return "\n".join(sections)


def occasion(rows: Mapping[str, Row]) -> list[str]:
    """A sentence that says on which days and machines these were measured, for parts are measured apart; none without any."""
    if not rows:
        return []
    found = sorted({row["measured"].partition(" ")[0] for row in rows.values()})
    machines = " and ".join(sorted({row["machine"] for row in rows.values()}))
    return [f"Measured {' to '.join(dict.fromkeys((found[0], found[-1])))} on {machines}."]


def write(results: Results, docs: Path = DOCS) -> Path:
    """Write the page into the folder of the documentation."""
    target = docs / "performance.md"
    target.write_text(text(results, docs / "images"), encoding="utf-8")
    return target
