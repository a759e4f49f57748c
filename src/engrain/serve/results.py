"""What a fine-tuning job left: its metrics as OpenAI's CSV, its figures, and the name of its result file."""

from __future__ import annotations

import csv
import io
from typing import Any

from engrain.errors import RunError
from engrain.run import Run
from engrain.serve.job_store import Job

COLUMNS = {"train_loss": "loss", "valid_loss": "heldout_loss", "valid_mean_token_accuracy": "heldout_accuracy"}
"""OpenAI's name → ours; engrain's other figures follow under their own names."""
OTHERS = ("epoch", "learning_rate", "gradient_norm", "tokens", "tokens_per_second", "memory_bytes")


def result_id(job: Job) -> str:
    """The id under which the job's metrics are a file."""
    return f"file-result-{job.id.removeprefix('ftjob-')}"


def metrics_csv(job: Job) -> bytes:
    """A row for each step of training."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", *COLUMNS, *OTHERS])
    for row in metrics(job):
        writer.writerow([row["step"], *(row.get(name, "") for name in (*COLUMNS.values(), *OTHERS))])
    return text.getvalue().encode()


def metrics(job: Job) -> list[dict[str, Any]]:
    """The rows of the run's metrics.jsonl; none where there is no run."""
    return Run(job.out).read_rows("metrics.jsonl")


def info(job: Job) -> dict[str, Any]:
    """What the job's run says of itself; nothing where there is none yet."""
    try:
        return Run.open(job.out).info
    except RunError:
        return {}


def named(row: dict[str, Any]) -> dict[str, float]:
    """The figures of a step under OpenAI's names."""
    return {name: row[own] for name, own in {"step": "step", **COLUMNS}.items() if row.get(own) is not None}
