"""Runs over HTTP, whoever made them: what they are, how training went, and what measuring them showed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import BaseModel

from engrain.by_heart import FILE as BY_HEART
from engrain.comparison import Comparison
from engrain.config import DEFAULT_TASK
from engrain.errors import RunError
from engrain.evaluate import UNANSWERABLE, Evaluation, Share, share
from engrain.files import delete
from engrain.report import NAMES, scores_table
from engrain.report.task_card import comparison_from
from engrain.run import Run
from engrain.serve.failures import ApiError
from engrain.serve.parts import Served
from engrain.serve.studio_workspace import Working, is_editable
from engrain.verdict import Verdict, by_itself, verdict_from_dict

router = APIRouter(prefix="/engrain/runs", tags=["runs"])


class RunRow(BaseModel):
    """A run; `status` is ready, running, complete, failed, interrupted or killed. `build` is what the page started for it."""

    name: str
    status: str
    created: str
    seconds: float | None
    documents: int
    facts: int
    task: str
    base: str
    method: str
    steps: int | None
    accuracy: float | None
    choice: str
    error: str
    editable: bool
    build: str | None


class RunList(BaseModel):
    """All runs, the newest first."""

    runs: list[RunRow]


class RunDetails(RunRow):
    """A run with its settings, what was not read of its documents, and its trained model's story."""

    settings: dict[str, Any]
    unread: list[dict[str, str]]
    private: list[dict[str, str]]
    trained: dict[str, Any]
    machine: dict[str, Any]
    versions: dict[str, str]
    updates: str


class Metrics(BaseModel):
    """Rows of `metrics.jsonl`: step, epoch, loss, learning_rate, tokens_per_second, memory_bytes, now and then heldout_accuracy."""

    rows: list[dict[str, Any]]


class ShareRow(BaseModel):
    """A share of right answers with its 95% interval."""

    value: float
    right: int
    count: int
    low: float
    high: float


class ScoreRow(BaseModel):
    """The shares of every way of answering on one kind of question."""

    kind: str
    count: int
    shares: dict[str, ShareRow | None]


class ComparisonRow(BaseModel):
    """What one way of answering wins and loses against another; `sure` says that chance does not explain it."""

    new: str
    old: str
    won: int
    lost: int
    difference: float
    low: float
    high: float
    sure: bool


class ReplyRow(BaseModel):
    """What one way of answering replied."""

    reply: str
    right: bool
    refused: bool


class QuestionRow(BaseModel):
    """A test question with its replies; `change` is won, lost or empty: tuned against untouched."""

    id: str
    question: str
    kind: str
    answers: list[str]
    source: str
    change: str
    replies: dict[str, ReplyRow]


class Measured(BaseModel):
    """What measuring a run showed; `names` are words for the ways of answering, in their order.

    `by_itself` says what an exported model answers and keeps; empty where it is what is measured anyway. `by_heart` is the share of
    facts that the tuned model says word for word when asked in the words it practised most; None where it learned none.
    """

    verdict: Verdict | None
    names: dict[str, str]
    overall: dict[str, ShareRow]
    table: list[ScoreRow]
    comparisons: list[ComparisonRow]
    retention: ShareRow | None
    perplexity_ratio: float | None
    by_itself: str
    by_heart: ShareRow | None
    questions: list[QuestionRow]


@router.get("")
def runs(served: Served, space: Working) -> RunList:
    """All runs in the folder, those started in the shell too."""
    builds = _builds(served)
    found = []
    for run in Run.list(space.runs):
        try:
            found.append(RunRow(**_values(run, builds)))
        except RunError:
            continue
    return RunList(runs=found)


@router.get("/{run}")
def run(served: Served, space: Working, run: str) -> RunDetails:
    """One run."""
    found = space.run(run)
    info = found.info
    more: dict[str, Any] = {name: info.get(name) or {} for name in ("settings", "trained", "machine", "versions")}
    more |= {name: info.get(name) or [] for name in ("unread", "private")}
    return RunDetails(**_values(found, _builds(served)), **more, updates=str(info.get("updates", "")))


@router.delete("/{run}", status_code=204)
def remove(served: Served, space: Working, run: str) -> None:
    """Remove a run with all that it holds, and what was made of it to be taken away."""
    found = space.run(run)
    waiting = [job for job in served.jobs.list() if job.out.resolve() == found.path.resolve() and not job.ended]
    if waiting or found.in_use():
        raise ApiError(409, f"Something works on {run!r} or waits to; stop that first.", "busy", "run")
    delete(space.exports(found))
    found.discard()


@router.get("/{run}/metrics")
def metrics(space: Working, run: str, after: int = 0) -> Metrics:
    """How training went, step by step."""
    return Metrics(rows=[row for row in space.run(run).read_rows("metrics.jsonl") if row.get("step", 0) > after])


@router.get("/{run}/evaluation")
def evaluation(space: Working, run: str) -> Measured:
    """The verdict, the scores, and every question with its answers."""
    found = space.run(run)
    if not (found.path / "evaluation.json").is_file() or (found.info.get("settings") or {}).get("task", DEFAULT_TASK) != DEFAULT_TASK:
        raise ApiError(404, f"{run!r} was not measured.", "not_measured", "run")
    measured = Evaluation.from_dict(found.read_json("evaluation.json"))
    noted = found.info.get("verdict")
    kept, known = measured.retention(), found.read_rows(BY_HEART)
    return Measured(
        verdict=verdict_from_dict(noted) if isinstance(noted, dict) else None,
        names={column: NAMES[column] for column in measured.columns},
        overall={column: _share(measured.accuracy(column)) for column in measured.columns if measured.accuracy(column).count},
        table=[_scores(row, measured.columns) for row in scores_table(measured)],
        comparisons=[_comparison(measured, c.new, c.old) for c in measured.comparisons()],
        retention=_share(kept) if kept.count else None,
        perplexity_ratio=measured.perplexity_ratio(),
        by_itself=by_itself(measured) if measured.alone else "",
        by_heart=_share(share([row["known"] for row in known])) if known else None,
        questions=_questions(measured),
    )


@router.get("/{run}/scores")
def scores(space: Working, run: str) -> Comparison:
    """The scores of a run whose task has its own, code or images: before, after, and the difference, with 95% intervals."""
    found = space.run(run)
    if not (found.path / "scores.json").is_file():
        raise ApiError(404, f"{run!r} was not measured by scores of its own.", "not_measured", "run")
    return comparison_from(found.read_json("scores.json")["comparison"])


@router.get("/{run}/report", response_class=FileResponse)
def report(space: Working, run: str) -> FileResponse:
    """The report as one file that needs nothing else."""
    file = space.run(run).path / "report.html"
    if not file.is_file():
        raise ApiError(404, f"{run!r} has no report.", "no_report", "run")
    return FileResponse(file, filename=f"{run}-report.html", media_type="text/html")


def _builds(served: Served) -> dict[str, str]:
    """Folder → the newest job that works on it and has not ended."""
    return {str(job.out.resolve()): job.id for job in reversed(served.jobs.list()) if not job.ended}


def _values(run: Run, builds: dict[str, str]) -> dict[str, Any]:
    info = run.info
    settings = info.get("settings") or {}
    status = str(info.get("status", ""))
    return {
        "name": run.path.name,
        "status": "killed" if status == "running" and not run.in_use() else status,
        "created": str(info.get("created", "")),
        "seconds": info.get("seconds") or _seconds(info),
        "documents": len(info.get("documents") or {}),
        "facts": len(run.read_rows("facts.jsonl")),
        "task": str(settings.get("task", DEFAULT_TASK)),
        "base": str(settings.get("base", "")),
        "method": str(settings.get("method", "")),
        "steps": (info.get("trained") or {}).get("steps"),
        "accuracy": info.get("heldout_accuracy"),
        "choice": (info.get("verdict") or {}).get("choice", ""),
        "error": str(info.get("error") or "") if status == "failed" else "",
        "editable": is_editable(run) and not run.in_use(),
        "build": builds.get(str(run.path.resolve())),
    }


def _seconds(info: dict[str, Any]) -> float | None:
    if not info.get("finished"):
        return None
    return (datetime.fromisoformat(info["finished"]) - datetime.fromisoformat(info["created"])).total_seconds()


def _share(found: Share) -> ShareRow:
    return ShareRow(value=found.value, right=found.right, count=found.count, low=found.low, high=found.high)


def _scores(row: dict[str, Any], columns: tuple[str, ...]) -> ScoreRow:
    shares = {column: _share(row[column]) if row[column] else None for column in columns}
    return ScoreRow(kind=row["kind"], count=row["count"], shares=shares)


def _comparison(measured: Evaluation, new: str, old: str) -> ComparisonRow:
    found = measured.compare(new, old)
    named = {name: getattr(found, name) for name in ("new", "old", "difference", "low", "high")}
    return ComparisonRow(**named, won=len(found.won), lost=len(found.lost), sure=found.is_better or found.is_worse)


def _questions(measured: Evaluation) -> list[QuestionRow]:
    won = {key for c in measured.comparisons() for key in c.won}
    lost = {key for c in measured.comparisons() for key in c.lost}
    replies: dict[str, dict[str, ReplyRow]] = {}
    for column in measured.columns:
        for o in measured.outcomes[column]:
            replies.setdefault(o.question.id, {})[column] = ReplyRow(reply=o.reply, right=o.right, refused=o.refused)
    return [
        QuestionRow(
            id=q.id,
            question=q.whole,
            kind=q.kind,
            answers=[] if q.kind == UNANSWERABLE else list(q.answers),
            source="" if q.source == "none" else q.source,
            change="lost" if q.id in lost else "won" if q.id in won else "",
            replies=replies[q.id],
        )
        for q in measured.questions
    ]
