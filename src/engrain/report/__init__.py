"""The report of a run: one self-contained page that an owner of documents can read, from the verdict down to each answer."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from engrain.evaluate import BASE, BASE_RETRIEVAL, GENERAL, TUNED, TUNED_RETRIEVAL, UNANSWERABLE, Evaluation, Share
from engrain.files import write_text
from engrain.report import charts
from engrain.report.card import model_card
from engrain.report.learned import learned, mix
from engrain.run import Run
from engrain.verdict import Verdict, by_itself, decide, verdict_from_dict

__all__ = ["model_card", "scores_table", "write_report"]

FOLDER = Path(__file__).parent
NAMES = {
    BASE: "Untouched model",
    BASE_RETRIEVAL: "Untouched + retrieval",
    TUNED: "Tuned model",
    TUNED_RETRIEVAL: "Tuned + retrieval",
}
STYLES = {BASE: "c-base", BASE_RETRIEVAL: "c-base-retrieval", TUNED: "c-tuned", TUNED_RETRIEVAL: "c-tuned-retrieval"}
CURVES = (
    ("Loss", (("loss", "training", "c-tuned"), ("heldout_loss", "held-out wordings", "c-base-retrieval")), False),
    ("Right tokens on held-out wordings", (("heldout_accuracy", "held-out wordings", "c-base-retrieval"),), True),
    ("Learning rate", (("learning_rate", "learning rate", "c-tuned"),), False),
    ("Tokens per second", (("tokens_per_second", "tokens per second", "c-tuned"),), False),
)
LABELS = {UNANSWERABLE: "not in the documents (declined)", GENERAL: "general knowledge"}
SHOWN_ELSEWHERE = ("settings", "timings", "versions", "machine", "unread", "documents", "verdict", "mix", "rewriting", "questions")
NO_TABLES = ("verdict", "documents", "timings", "mix")


@dataclass(frozen=True)
class Row:
    """One question in the report; `change` is won, lost or empty: tuned against untouched, in either pair."""

    id: str
    question: str
    kind: str
    answers: str
    source: str
    change: str
    replies: tuple[tuple[str, str, bool, bool], ...]


def write_report(run: Run) -> Path:
    """Write `report.html` of a run and return its path; what the run lacks is left out of the page."""
    page = render(run)
    path = run.path / "report.html"
    write_text(path, page)
    return path


def render(run: Run) -> str:
    """The page as HTML; every text of documents, questions and answers is escaped."""
    evaluation, info = _evaluation(run), run.info
    verdict = _verdict(info, evaluation)
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"moment": _moment, "duration": _duration, "percent": "{:.0%}".format, "plain": _plain}
    return environment.get_template("page.html").render(
        run=run.path.resolve().name,
        info=info,
        details=_details(info),
        evaluation=evaluation,
        verdict=verdict,
        scores=scores_table(evaluation) if evaluation else [],
        score_bars=_bars(evaluation) if evaluation else "",
        names=NAMES,
        by_itself=by_itself,
        rows=_rows(evaluation) if evaluation else [],
        curves=_curves(run),
        coverage=_coverage(run),
        learned=learned(run, evaluation),
        mix=mix(info),
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def scores_table(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Rows for a table: `kind`, `count`, and a Share by column, or None where that column was not asked (see `Evaluation.table`)."""
    table = []
    for kind, shares in evaluation.table().items():
        asked: dict[str, Share | None] = {column: found if found.count else None for column, found in shares.items()}
        table.append({"kind": LABELS.get(kind, kind), "count": max(found.count for found in shares.values()), **asked})
    return table


def _evaluation(run: Run) -> Evaluation | None:
    return Evaluation.from_dict(run.read_json("evaluation.json")) if (run.path / "evaluation.json").is_file() else None


def _verdict(info: Mapping[str, Any], evaluation: Evaluation | None) -> Verdict | None:
    """The verdict as it was given; an evaluation without one is judged by the usual settings."""
    if isinstance(info.get("verdict"), dict):
        return verdict_from_dict(info["verdict"])
    return decide(evaluation) if evaluation and evaluation.accuracy(BASE).count else None


def _bars(evaluation: Evaluation) -> Markup:
    rows = []
    for column in evaluation.columns:
        found = evaluation.accuracy(column)
        rows.append(charts.Bar(NAMES[column], found.value, found.low, found.high, STYLES[column], f"{found.right}/{found.count}"))
    return charts.bars(rows)


def _rows(evaluation: Evaluation) -> list[Row]:
    compared = evaluation.comparisons()
    won, lost = {key for c in compared for key in c.won}, {key for c in compared for key in c.lost}
    replies: dict[str, list[tuple[str, str, bool, bool]]] = {}
    for column in evaluation.columns:
        for o in evaluation.outcomes[column]:
            replies.setdefault(o.question.id, []).append((NAMES[column], o.reply, o.right, o.refused))
    return [
        Row(
            q.id,
            q.whole,
            q.kind,
            "nothing: the documents do not say" if q.kind == UNANSWERABLE else " / ".join(q.answers),
            "" if q.source in ("none", "") else q.source,
            "lost" if q.id in lost else "won" if q.id in won else "",
            tuple(replies[q.id]),
        )
        for q in evaluation.questions
    ]


def _curves(run: Run) -> list[dict[str, Any]]:
    """Title, legend and drawing of each curve that the run has figures for."""
    metrics, found = run.read_rows("metrics.jsonl"), []
    for title, lines, percent in CURVES:
        series = [charts.Series(name, _points(metrics, key), style) for key, name, style in lines]
        series = [one for one in series if one.points]
        if series:
            found.append({"title": title, "series": series, "drawing": charts.lines(series, title, percent)})
    return found


def _points(metrics: list[dict[str, Any]], key: str) -> tuple[tuple[float, float], ...]:
    return tuple((float(row["step"]), float(row[key])) for row in metrics if isinstance(row.get(key), int | float) and "step" in row)


def _coverage(run: Run) -> list[dict[str, Any]]:
    """The rows of coverage.json (see knowledge/coverage.py); none where no documents were read."""
    return [row for row in run.read_json("coverage.json") if "facts" in row] if (run.path / "coverage.json").is_file() else []


def _details(info: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Everything else that run.json says, by heading."""
    general = {key: value for key, value in info.items() if key not in SHOWN_ELSEWHERE and not isinstance(value, dict | list)}
    tables = {key: value for key, value in info.items() if key not in NO_TABLES and isinstance(value, dict)}
    return {"run": general, **tables}


def _moment(value: Any) -> str:
    try:
        return f"{datetime.fromisoformat(str(value)):%d %B %Y, %H:%M} UTC"
    except ValueError:
        return str(value)


def _duration(seconds: Any) -> str:
    if not isinstance(seconds, int | float):
        return str(seconds)
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _plain(value: Any) -> str:
    """A value of run.json as people read it."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return charts.number(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "–"
    return ", ".join(f"{k}: {_plain(v)}" for k, v in value.items()) if isinstance(value, dict) else str(value)
