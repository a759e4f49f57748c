"""The report of a code completer: scores, and gaps with what was written into them before and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from engrain.comparison import Measured
from engrain.files import write_text
from engrain.report import charts
from engrain.run import Run

FOLDER = Path(__file__).parent
CURVES = (("loss", "training", "c-tuned"), ("heldout_loss", "held-out files", "c-base-retrieval"))
SHOWN_LINES = 6
"""Lines before and after a gap that are shown."""


def write_completion_report(run: Run) -> Path:
    """Write the run's `report.html`, one self-contained page, and return its path."""
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "share": lambda found: str(Measured(**found)),
        "signed": lambda found: Measured(**found).signed,
        "tail": lambda text: "\n".join(text.split("\n")[-SHOWN_LINES:]),
        "head": lambda text: "\n".join(text.split("\n")[: SHOWN_LINES + 1]),
    }
    info, scores = run.info, run.read_json("scores.json")
    spots = run.read_rows("spots.jsonl")
    page = environment.get_template("completion.html").render(
        name=info.get("name", run.path.name),
        info=info,
        settings=info["settings"],
        comparison=scores["comparison"],
        curve=loss_curve(run),
        skipped=run.read_rows("skipped.jsonl"),
        gaps=list(zip(spots, scores["before"]["replies"], scores["after"]["replies"], strict=True)),
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
    )
    write_text(run.path / "report.html", page)
    return run.path / "report.html"


def loss_curve(run: Run, curves: Sequence[tuple[str, str, str]] = CURVES) -> Markup:
    """The loss over the steps, in training and on what was held out."""
    metrics = run.read_rows("metrics.jsonl")
    points = {key: tuple((row["step"], row[key]) for row in metrics if row.get(key) is not None) for key, _, _ in curves}
    return charts.lines([charts.Series(name, points[key], style) for key, name, style in curves], "Loss")
