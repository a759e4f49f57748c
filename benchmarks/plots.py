"""Plots as SVG files, the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

Points = Sequence[tuple[float, float]]


def over_time(seconds: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """Each step's value at the time when the step had ended."""
    return list(zip(accumulate(seconds), values, strict=True))


def curves(file: Path, series: Mapping[str, Points], x: str, y: str) -> None:
    """Lines over a shared axis; short ones with a mark at every point."""
    figure, axes = _canvas(1)
    for name, points in series.items():
        axes[0].plot(*zip(*points, strict=True), label=name, marker="o" if len(points) < 12 else None, markersize=3, linewidth=1.4)
    _finish(figure, axes[0], x, y)
    _save(figure, file)


def laws(file: Path, panels: Mapping[str, tuple[Points, Points, str, str]], logarithmic: bool = True) -> None:
    """A panel for each law: measured points, the fitted line, and what the axes show."""
    figure, axes = _canvas(len(panels))
    for axis, (title, (points, fitted, x, y)) in zip(axes, panels.items(), strict=True):
        axis.plot(*zip(*points, strict=True), "o", label="measured")
        axis.plot(*zip(*fitted, strict=True), "-", linewidth=1.2, label="fitted")
        axis.set_title(title, fontsize=10)
        if logarithmic:
            axis.set_xscale("log", base=2)
            axis.set_yscale("log", base=2)
            for one in (axis.xaxis, axis.yaxis):
                one.set_major_formatter("{x:g}")
        _finish(figure, axis, x, y)
    _save(figure, file)


def _canvas(count: int):  # type: ignore[no-untyped-def]
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "engrain", "font.size": 9})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, count, figsize=(max(7.0, 3.2 * count), 3.4), squeeze=False)
    return figure, list(axes[0])


def _finish(figure, axis, x: str, y: str) -> None:  # type: ignore[no-untyped-def]
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.grid(visible=True, alpha=0.3)
    axis.legend(fontsize=8, frameon=False)


def _save(figure, file: Path) -> None:  # type: ignore[no-untyped-def]
    from matplotlib import pyplot

    file.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
