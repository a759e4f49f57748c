"""Numbers as SVG: bars with their intervals, and lines over steps. Colours are classes that the page defines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, LEFT, RIGHT = 520, 58, 14
LINE_HEIGHT, TOP, BOTTOM = 190, 12, 34
SCATTER_HEIGHT, SCATTER_TOP, SCATTER_BOTTOM, NAMES = 260, 16, 40, 110
"""Of a scatter: its height, and the room above, below and, for the names of dots, to the right."""
NAME_HEIGHT, LETTER = 14, 7
"""Height of a dot's name, and about the width of one of its letters."""
MOST_POINTS = 160
PERCENT: Callable[[float], str] = "{:.0%}".format


@dataclass(frozen=True)
class Bar:
    """One bar: a share between 0 and 1 with its interval; `style` names its colour, `note` stands beside the number."""

    name: str
    value: float
    low: float
    high: float
    style: str
    note: str = ""


@dataclass(frozen=True)
class Series:
    """One line: (x, y) points in order of x."""

    name: str
    points: tuple[tuple[float, float], ...]
    style: str


@dataclass(frozen=True)
class Dot:
    """A dot with its name beside it."""

    name: str
    x: float
    y: float
    style: str = "c-tuned"


@dataclass(frozen=True)
class Axis:
    """Ticks in order, each at its place with its label; the first and the last are the ends."""

    ticks: tuple[tuple[float, str], ...]

    @classmethod
    def of(cls, values: Sequence[float], told: Callable[[float], str]) -> Axis:
        """Round numbers around `values`, labelled by `told`."""
        return cls(tuple((tick, told(tick)) for tick in ticks(min(values), max(values) or 1.0, 4)))

    def share(self, value: float) -> float:
        """How far along the axis a value lies, from 0 to 1."""
        low, high = self.ticks[0][0], self.ticks[-1][0]
        return (value - low) / ((high - low) or 1)


def bars(rows: Sequence[Bar]) -> Markup:
    """A horizontal bar for each row, with a whisker over its interval."""
    left, width, step = 236, 720, 44
    scale = width - left - 96
    parts = [f'<svg class="bars" viewBox="0 0 {width} {len(rows) * step + 26}" role="img" aria-label="Share of right answers">']
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = left + share * scale
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{len(rows) * step}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{len(rows) * step + 18}" text-anchor="middle">{share:.0%}</text>')
    for number, row in enumerate(rows):
        y, low, high = number * step + 9, left + row.low * scale, left + row.high * scale
        title = escape(f"{row.name}: {row.value:.1%} ({row.low:.0%} to {row.high:.0%}) {row.note}")
        parts.append(
            f'<g><title>{title}</title><text class="name" x="{left - 12}" y="{y + 17}" text-anchor="end">{escape(row.name)}</text>'
        )
        parts.append(f'<rect class="fill {row.style}" x="{left}" y="{y}" width="{max(row.value * scale, 2):.1f}" height="26" rx="4"/>')
        parts.append(f'<path class="whisker" d="M{low:.1f} {y + 13}H{high:.1f}M{low:.1f} {y + 8}v10M{high:.1f} {y + 8}v10"/>')
        note = f'<tspan class="note" dx="8">{escape(row.note)}</tspan>'
        parts.append(f'<text class="value" x="{left + scale + 14}" y="{y + 17}">{row.value:.0%}{note}</text></g>')
    return Markup("".join([*parts, "</svg>"]))


def lines(series: Sequence[Series], label: str, percent: bool = False) -> Markup:
    """A chart of lines over steps with axes; each point says its numbers when hovered. Empty without points."""
    series = [Series(s.name, thinned(s.points), s.style) for s in series if s.points]
    if not series:
        return Markup("")
    xs, ys = [x for s in series for x, _ in s.points], [y for s in series for _, y in s.points]
    x_ticks, y_ticks = ticks(min(xs), max(xs), 5), ticks(min(0.0, *ys), max(ys), 4)
    frame = _Frame(min(xs), max(xs), y_ticks[0], max(y_ticks[-1], *ys))
    parts = [f'<svg class="lines" viewBox="0 0 {WIDTH} {LINE_HEIGHT}" role="img" aria-label="{escape(label)}">']
    for tick in y_ticks:
        y = frame.y(tick)
        shown = f"{tick:.0%}" if percent else number(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{shown}</text>')
    for tick in (t for t in x_ticks if min(xs) <= t <= max(xs)):
        parts.append(f'<text class="tick" x="{frame.x(tick):.1f}" y="{LINE_HEIGHT - 16}" text-anchor="middle">{number(tick)}</text>')
    parts.append(f'<text class="tick" x="{WIDTH - RIGHT}" y="{LINE_HEIGHT - 2}" text-anchor="end">step</text>')
    parts += [_line(one, frame, percent) for one in series]
    return Markup("".join([*parts, "</svg>"]))


def scatter(dots: Sequence[Dot], across: str, x_axis: Axis, y_axis: Axis) -> Markup:
    """Dots with their names; `across` says what the x axis is. Empty without dots."""
    if not dots:
        return Markup("")
    floor, end = SCATTER_HEIGHT - SCATTER_BOTTOM, WIDTH - NAMES
    parts = [f'<svg class="lines" viewBox="0 0 {WIDTH} {SCATTER_HEIGHT}" role="img" aria-label="{escape(across)}">']
    for tick, label in y_axis.ticks:
        y = floor - y_axis.share(tick) * (floor - SCATTER_TOP)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>')
    for tick, label in x_axis.ticks:
        x = LEFT + x_axis.share(tick) * (end - LEFT)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{floor + 18}" text-anchor="middle">{escape(label)}</text>')
    parts.append(f'<text class="tick" x="{end}" y="{SCATTER_HEIGHT - 4}" text-anchor="end">{escape(across)}</text>')
    named: list[tuple[float, float, float]] = []
    for dot in sorted(dots, key=lambda d: -d.y):
        x, y = LEFT + x_axis.share(dot.x) * (end - LEFT), floor - y_axis.share(dot.y) * (floor - SCATTER_TOP)
        begin, until, low = x + 9, x + 9 + LETTER * len(dot.name), y + 4
        while any(begin < right and left < until and abs(low - at) < NAME_HEIGHT for left, right, at in named):
            low += 1  # names that would cover each other stand below each other
        named.append((begin, until, low))
        parts.append(f'<g><title>{escape(dot.name)}</title><circle class="dot {dot.style}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
        parts.append(f'<text class="note" x="{begin:.1f}" y="{low:.1f}">{escape(dot.name)}</text></g>')
    return Markup("".join([*parts, "</svg>"]))


def alone(drawing: Markup, style: Markup) -> str:
    """A drawing as a file of its own, with the page's style in it."""
    head, _, rest = str(drawing).partition(">")
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return f"{head}><style>{style}svg {{ background: var(--card); }}</style>{rest}\n"


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from at most `low` to at least `high`, about so many."""
    span = (high - low) or abs(high) or 1.0
    raw = span / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    count = math.ceil(high / step - 1e-9) - first
    return [round((first + i) * step, 12) for i in range(max(count, 1) + 1)]


def thinned(points: Sequence[tuple[float, float]], most: int = MOST_POINTS) -> tuple[tuple[float, float], ...]:
    """At most `most` points: means of neighbours, so that a long curve stays readable."""
    size = math.ceil(len(points) / most)
    groups = [points[i : i + size] for i in range(0, len(points), size or 1)]
    return tuple((sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups)


def number(value: float) -> str:
    """A number with as many digits as say something: 12,000, 0.25, 3e-05."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.0e}".replace("e-0", "e-")


@dataclass(frozen=True)
class _Frame:
    """Where values of the plot's rectangle come to stand."""

    left: float
    right: float
    low: float
    high: float

    def x(self, value: float) -> float:
        return LEFT + (value - self.left) / ((self.right - self.left) or 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return LINE_HEIGHT - BOTTOM - (value - self.low) / ((self.high - self.low) or 1) * (LINE_HEIGHT - TOP - BOTTOM)


def _line(series: Series, frame: _Frame, percent: bool) -> str:
    path = "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in series.points)
    radius = 3 if len(series.points) <= 20 else 0
    dots = []
    for x, y in series.points:
        shown = f"{y:.1%}" if percent else f"{y:.4g}"
        place = f'cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}"'
        dot = f'<circle class="dot {series.style}" {place} r="{radius}"/>' if radius else ""
        dots.append(f'<g>{dot}<circle class="touch" {place} r="7"/><title>{escape(series.name)} {shown} at step {x:.0f}</title></g>')
    return f'<path class="line {series.style}" d="M{path}"/>' + "".join(dots)
