"""The page of a sweep: one self-contained file with what was tried, the best settings, and how each setting matters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from engrain.files import write_text
from engrain.report import charts
from engrain.report.charts import Axis, Dot, Series
from engrain.report.compare import size
from engrain.run import Run
from engrain.tried import Swept, Tried

FOLDER = Path(__file__).parent
PAGE = "sweep.html"
BEST, OTHER = "c-tuned", "c-base-retrieval"
WIDE = 4
"""From this ratio of the largest to the smallest number on, an axis is drawn by ratio."""


def write_sweep(run: Run, found: Swept) -> Path:
    """Write `sweep.html` of a sweep and return its path."""
    path = run.path / PAGE
    write_text(path, render(run, found))
    return path


def render(run: Run, found: Swept) -> str:
    """The page as HTML; every text in it is escaped."""
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"size": size, "shown": shown}
    curves = [Series(name_of(t), tuple((float(step), loss) for step, loss in t.losses), style(t, found)) for t in reversed(found.trials)]
    return environment.get_template("sweep.html").render(
        run=run.path.resolve().name,
        info=run.info,
        found=found,
        curves=charts.lines(curves, "Held-out loss over steps"),
        plots=[(name, drawing) for name in found.tuned if (drawing := against(found, name))],
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
    )


def against(found: Swept, name: str) -> Markup:
    """The held-out losses of all that ended against a setting; empty where nothing did."""
    ended = [(t, t.settings[name], t.loss) for t in found.trials if t.state == "complete" and t.loss is not None]
    if not ended:
        return Markup("")
    places, axis = placed([value for _, value, _ in ended])
    dots = [Dot(name_of(t), places[value], loss, style(t, found)) for t, value, loss in ended]
    return charts.scatter(dots, name, axis, Axis.of([loss for *_, loss in ended], charts.number))


def placed(values: Sequence[Any]) -> tuple[dict[Any, float], Axis]:
    """Where each value stands on an axis, and that axis: by ratio for numbers far apart, side by side for what is no number."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if numbers and min(values) > 0 and max(values) >= WIDE * min(values):
        low, high = math.log10(min(values)), math.log10(max(values))
        middle = [low + (high - low) * part / 3 for part in range(4)]
        return {v: math.log10(v) for v in values}, Axis(tuple((tick, f"{10**tick:.2g}") for tick in middle))
    if numbers:
        return {v: float(v) for v in values}, Axis.of(values, charts.number)
    order = sorted(set(values), key=str)
    return {v: float(order.index(v)) for v in values}, Axis(tuple((float(i), shown(v)) for i, v in enumerate(order)))


def name_of(tried: Tried) -> str:
    """What a training is called."""
    return f"{tried.number}"


def style(tried: Tried, found: Swept) -> str:
    """The colour of a training: the best stands out."""
    return BEST if tried == found.best else OTHER


def shown(value: Any) -> str:
    """The value of a setting, for people."""
    return "all" if value == "" else str(value)
