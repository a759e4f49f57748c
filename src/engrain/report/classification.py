"""The report of an image classifier: scores, calibration, confusions, and where the worst errors looked."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from engrain.comparison import Measured
from engrain.files import write_text
from engrain.imaging.backbones import Classifier
from engrain.imaging.classifier import NOTICE, heat_map
from engrain.imaging.pictures import Picture
from engrain.report.completion import loss_curve
from engrain.run import Run

FOLDER = Path(__file__).parent
WORST = 12
"""Errors that are shown, the surest first."""
CURVES = (("loss", "training", "c-tuned"), ("heldout_loss", "validation", "c-base-retrieval"))
PLOT = 260
"""Side of the reliability plot."""


def save_pictures(run: Run, model: Classifier, test: Sequence[Picture], chances: np.ndarray, classes: Sequence[str]) -> None:
    """Put the surest errors into `errors/`: each picture, and the same with what spoke for the wrong class."""
    predicted, confidence = chances.argmax(1), chances.max(1)
    wrong = [i for i in np.argsort(-confidence) if classes[predicted[i]] != test[i].label][:WORST]
    rows = []
    with run.stage("errors") as folder:
        for number, i in enumerate(wrong, 1):
            heat = heat_map(model, test[i].pixels, int(predicted[i]))
            (folder / f"{number}.png").write_bytes(png(test[i].pixels))
            (folder / f"{number}-seen.png").write_bytes(png(overlaid(test[i].pixels, heat)))
            rows.append(
                {"file": test[i].file, "label": test[i].label, "predicted": classes[predicted[i]], "probability": confidence[i].item()}
            )
    run.write_rows("errors.jsonl", rows)


def overlaid(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The picture (S, S, 3) in grey, with red where `heat` (S, S) is high."""
    grey = pixels.mean(2, keepdims=True).repeat(3, 2) * 0.7
    share = heat[..., None] * 0.75
    return np.asarray((grey * (1 - share) + np.array([255, 40, 0]) * share).clip(0, 255), np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """Pixels (S, S, 3) as a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_classification_report(run: Run) -> Path:
    """Write the run's `report.html`, one self-contained page, and return its path."""
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "percent": "{:.0%}".format,
        "share": lambda found: str(Measured(**found)),
        "signed": lambda found: Measured(**found).signed,
    }
    info, scores = run.info, run.read_json("scores.json")
    tuned = scores[scores["comparison"]["tuned"]]
    page = environment.get_template("classification.html").render(
        name=info.get("name", run.path.name),
        info=info,
        settings=info["settings"],
        notice=NOTICE,
        comparison=scores["comparison"],
        confusion=tuned["confusion"],
        classes=run.read_json("labels.json")["classes"],
        plot=reliability_plot(tuned["reliability"]),
        curve=loss_curve(run, CURVES),
        findings=sorted(run.read_rows("findings.jsonl"), key=lambda found: found["kind"] == "tiny"),  # often all are
        errors=[_error(run, number, row) for number, row in enumerate(run.read_rows("errors.jsonl"), 1)],
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
    )
    write_text(run.path / "report.html", page)
    return run.path / "report.html"


def reliability_plot(bins: Sequence[Mapping[str, Any]]) -> Markup:
    """Accuracy over confidence as SVG: on the diagonal, a model is as often right as it says."""
    parts = [f'<svg viewBox="0 0 {PLOT + 90} {PLOT + 50}" role="img" aria-label="Accuracy over confidence">']
    parts.append(f'<path class="grid" d="M50 {PLOT}L{PLOT + 50} 0" stroke-dasharray="5 5"/>')
    parts.append(f'<path class="grid" fill="none" d="M50 0V{PLOT}H{PLOT + 50}"/>')
    for share in (0, 0.5, 1):
        parts.append(f'<text class="tick" x="{50 + share * PLOT}" y="{PLOT + 18}" text-anchor="middle">{share:.0%}</text>')
        parts.append(f'<text class="tick" x="44" y="{PLOT - share * PLOT + 4}" text-anchor="end">{share:.0%}</text>')
    parts.append(f'<text class="tick" x="{50 + PLOT / 2}" y="{PLOT + 40}" text-anchor="middle">how sure it is</text>')
    points = [(50 + b["confidence"] * PLOT, PLOT - b["accuracy"] * PLOT, b) for b in bins]
    parts.append(f'<path class="line c-tuned" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y, _ in points)}"/>')
    for x, y, b in points:
        title = f"{b['count']} images: {b['confidence']:.0%} sure, {b['accuracy']:.0%} right"
        parts.append(f'<g><circle class="dot c-tuned" cx="{x:.1f}" cy="{y:.1f}" r="4"/><title>{title}</title></g>')
    return Markup("".join([*parts, "</svg>"]))


def _error(run: Run, number: int, row: dict[str, Any]) -> dict[str, Any]:
    files = {name: run.path / "errors" / f"{number}{end}.png" for name, end in (("picture", ""), ("seen", "-seen"))}
    return row | {name: "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode() for name, file in files.items()}
