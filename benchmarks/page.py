"""docs/performance.md and a page for each machine, made from the results alone."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import parts
from benchmarks.results import Results, Row
from benchmarks.tables import table
from benchmarks.targets import Target

DOCS = Path(__file__).parent.parent / "docs"
HEAD = """# Performance

This page is made by `make bench` from `benchmarks/results/`; do not edit it. `make bench-quick` measures engrain alone in a few
minutes and shows the figures of the run before beside the new ones; `make bench-gpu` measures on a CUDA device. Every part can be
measured alone (`python -m benchmarks --help`). Each machine has a page of its own, with the peers, the losses, and how all of it was
measured.
"""


def part(name: str) -> Any:
    """A part's module (see `benchmarks/parts`)."""
    return importlib.import_module(f"benchmarks.parts.{name}")


def overview(machines: Sequence[Results]) -> str:
    """What was to be reached, and what each machine reached; with a link to the machine's page."""
    reached = [{target.what: target for target in targets(results)} for results in machines]
    head = [f"[{results.machine}](performance/{results.folder.name}/README.md)" for results in machines]
    firsts = {what: target for found in reversed(reached) for what, target in found.items()}
    ordered = dict.fromkeys(what for found in reached for what in found)
    rows = [[what, firsts[what].wish, *(_cell(found.get(what)) for found in reached)] for what in ordered]
    return "\n".join([HEAD, "## Targets", "", *table(["target", "wanted", *head], rows)]) + "\n"


def _cell(target: Target | None) -> str:
    if target is None:
        return "–"
    measured = target.shown(target.measured)
    return measured if target.met else f"{measured}, {target.verdict}"


def targets(results: Results) -> list[Target]:
    """All targets that a machine's results tell of, in the order of its page."""
    found = [getattr(part(name), "targets", None) for name in parts.NAMES]
    return [target for of in found if of for target in of(results)]


def text(results: Results, images: Path) -> str:
    """A machine's page; its plots go into `images`. Parts without results are left out and named at the end."""
    sections, without = [f"# Performance: {results.machine}\n\n[All machines](../../performance.md)\n"], []
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
    """A sentence that says on which days these were measured, for parts are measured apart; none without any."""
    if not rows:
        return []
    found = sorted({row["measured"].partition(" ")[0] for row in rows.values()})
    return [f"Measured {' to '.join(dict.fromkeys((found[0], found[-1])))}."]


def write(everywhere: Sequence[Results], docs: Path = DOCS) -> Path:
    """Write a page for each machine of which a part was measured, and the overview; the overview's path."""
    machines = [results for results in everywhere if any(map(results.read, parts.NAMES))]
    for results in machines:
        folder = docs / "performance" / results.folder.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "README.md").write_text(text(results, folder / "images"), encoding="utf-8")
    target = docs / "performance.md"
    target.write_text(overview(machines), encoding="utf-8")
    return target
