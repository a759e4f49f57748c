"""The page of a comparison: one self-contained file with the table, the plots and the advice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

from engrain.files import write_text
from engrain.report import charts
from engrain.run import Run
from engrain.scoreboard import Score, Scoreboard

FOLDER = Path(__file__).parent
PAGE = "comparison.html"
STYLES = {True: "c-tuned", False: "c-base-retrieval"}
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 520, 260, 58, 16, 110, 40


@dataclass(frozen=True)
class Dot:
    """A method in a plot."""

    name: str
    x: float
    y: float


def write_comparison(run: Run, board: Scoreboard) -> Path:
    """Write `comparison.html` of a comparison and return its path."""
    path = run.path / PAGE
    write_text(path, render(run, board))
    return path


def render(run: Run, board: Scoreboard) -> str:
    """The page as HTML; every text in it is escaped."""
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": "{:.0%}".format, "size": size}
    shown = [
        charts.Bar(s.name, s.exact.value, s.exact.low, s.exact.high, STYLES[s.tuned], f"{s.exact.right}/{s.exact.count}")
        for s in board.scores
    ]
    return environment.get_template("compare.html").render(
        run=run.path.resolve().name,
        info=run.info,
        board=board,
        bars=charts.bars(shown) if shown else "",
        kinds=list(dict.fromkeys(kind for s in board.scores for kind in s.kinds)),
        plots=plots(board.scores),
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
    )


def plots(scores: Sequence[Score]) -> list[tuple[str, Markup]]:
    """Title and drawing: accuracy against memory, accuracy against time, forgetting against learning."""
    tuned = [s for s in scores if s.tuned and s.memory_bytes is not None and not s.name.endswith("+retrieval")]
    memory = [Dot(s.name, (s.memory_bytes or 0) / 2**20, s.exact.value) for s in tuned]
    time = [Dot(s.name, s.seconds or 0.0, s.exact.value) for s in tuned]
    forgotten = [Dot(s.name, s.exact.value, 1 - s.retention.value) for s in tuned if s.retention and s.retention.count]
    found = [
        ("Right answers against memory", scatter(memory, "memory in MiB")),
        ("Right answers against time", scatter(time, "seconds of training")),
        ("Forgotten against learned", scatter(forgotten, "right answers", percent=True)),
    ]
    return [(title, drawing) for title, drawing in found if drawing]


def scatter(dots: Sequence[Dot], across: str, percent: bool = False) -> Markup:
    """Dots with their names; y is a share, and x one too where `percent`. Empty without dots."""
    if not dots:
        return Markup("")
    x_ticks, y_ticks = (charts.ticks(0.0, max(values) or 1.0, 4) for values in ([d.x for d in dots], [d.y for d in dots]))
    wide, high = (WIDTH - LEFT - RIGHT) / x_ticks[-1], (HEIGHT - TOP - BOTTOM) / y_ticks[-1]
    floor = HEIGHT - BOTTOM
    parts = [f'<svg class="lines" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(across)}">']
    for tick in y_ticks:
        y = floor - tick * high
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:.0%}</text>')
    for tick in x_ticks:
        told = f"{tick:.0%}" if percent else charts.number(tick)
        parts.append(f'<text class="tick" x="{LEFT + tick * wide:.1f}" y="{floor + 18}" text-anchor="middle">{told}</text>')
    parts.append(f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{escape(across)}</text>')
    lowest = 0.0
    for dot in sorted(dots, key=lambda d: -d.y):
        x, y = LEFT + dot.x * wide, floor - dot.y * high
        lowest = max(y + 4, lowest + 14)  # names of dots at one height stand below each other
        parts.append(f'<g><title>{escape(dot.name)}</title><circle class="dot c-tuned" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
        parts.append(f'<text class="note" x="{x + 9:.1f}" y="{lowest:.1f}">{escape(dot.name)}</text></g>')
    return Markup("".join([*parts, "</svg>"]))


def size(value: float) -> str:
    """Bytes for people."""
    return f"{value / 2**30:.1f} GiB" if value >= 2**30 else f"{value / 2**20:.1f} MiB"
