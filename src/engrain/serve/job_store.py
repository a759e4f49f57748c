"""Jobs and their events, as the database keeps them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engrain.serve.database import Database, Row
from engrain.serve.failures import ApiError

STATUSES = ("validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled")
ENDED = ("succeeded", "failed", "cancelled")
TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL, argv TEXT NOT NULL, out TEXT NOT NULL,
    meta TEXT NOT NULL, status TEXT NOT NULL, created INTEGER NOT NULL, started INTEGER, finished INTEGER,
    error TEXT, progress TEXT NOT NULL DEFAULT '{}', pid INTEGER, pid_created REAL, log_offset INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, created INTEGER NOT NULL, type TEXT NOT NULL, level TEXT NOT NULL,
    message TEXT NOT NULL, data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_job ON events (job, number);
"""


@dataclass(frozen=True)
class Job:
    """A piece of work for `engrain ARGV...` in a process of its own, leaving a run in `out`. Times are Unix seconds.

    `meta` is what its owner wants to know later; `progress` what it said last (title, done, total, unit, remaining,
    figures); `error` says why it failed (code, message, param).
    """

    id: str
    kind: str
    argv: tuple[str, ...]
    out: Path
    meta: dict[str, Any]
    status: str
    created: int
    started: int | None
    finished: int | None
    error: dict[str, Any] | None
    progress: dict[str, Any]

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED


@dataclass(frozen=True)
class Event:
    """Something that happened in a job; `number` grows. `type` is status, stage, progress, done, note or line."""

    number: int
    job: str
    created: int
    type: str
    level: str
    message: str
    data: dict[str, Any]


Events = list[Event]  # inside the class, `list` is JobStore.list


class JobStore:
    """What is known of all jobs, past and present."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.script(TABLES)

    def add(self, kind: str, argv: Sequence[str], out: Path, meta: Mapping[str, Any], status: str, most_waiting: int) -> Job:
        """A new job. Raises ApiError 429 where `most_waiting` wait already."""
        name = f"ftjob-{uuid.uuid4().hex[:24]}"
        with self.database.together():
            waiting = self.database.rows("SELECT 1 FROM jobs WHERE status IN ('validating_files', 'queued')")
            if len(waiting) >= most_waiting:
                raise ApiError(429, f"{len(waiting)} jobs wait already; cancel one, or let one end.", "overloaded", retry_seconds=60)
            self.database.run(
                "INSERT INTO jobs (id, kind, argv, out, meta, status, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (name, kind, json.dumps(list(argv)), str(out), json.dumps(dict(meta)), status, _now()),
            )
            self.note(name, "status", f"Created: {kind}", {"status": status})
        return self.get(name)

    def get(self, name: str) -> Job:
        """The job of that id. Raises ApiError 404."""
        return _job(self._row(name))

    def list(self, kind: str | None = None) -> list[Job]:
        """All jobs (of one kind), the newest first."""
        rows = self.database.rows("SELECT * FROM jobs WHERE ? IS NULL OR kind = ? ORDER BY number DESC", (kind, kind))
        return [_job(row) for row in rows]

    def first(self, *statuses: str) -> Job | None:
        """The oldest job in one of these statuses."""
        marks = ", ".join("?" * len(statuses))
        row = self.database.row(f"SELECT * FROM jobs WHERE status IN ({marks}) ORDER BY number LIMIT 1", statuses)
        return _job(row) if row else None

    def move(self, name: str, status: str, allowed: Sequence[str], message: str, error: Mapping[str, Any] | None = None) -> bool:
        """Give a job another status if it is in one of those `allowed`; whether it was."""
        assert status in STATUSES
        marks = ", ".join("?" * len(allowed))
        with self.database.together():
            changed = self.database.run(f"UPDATE jobs SET status = ? WHERE id = ? AND status IN ({marks})", (status, name, *allowed))
            if not changed:
                return False
            if status == "running":
                self.database.run("UPDATE jobs SET started = coalesce(started, ?) WHERE id = ?", (_now(), name))
            if status in ENDED:
                self.database.run("UPDATE jobs SET finished = ?, error = ? WHERE id = ?", (_now(), _json_or_none(error), name))
            self.note(name, "status", message, {"status": status}, "error" if status == "failed" else "info")
        return True

    def note(self, name: str, kind: str, message: str, data: Mapping[str, Any], level: str = "info") -> None:
        """Add an event to a job."""
        self.database.run(
            "INSERT INTO events (job, created, type, level, message, data) VALUES (?, ?, ?, ?, ?, ?)",
            (name, _now(), kind, level, message, json.dumps(dict(data))),
        )

    def events(self, name: str, after: int = 0, limit: int = 1000) -> Events:
        """The job's events numbered above `after`, the oldest first. Raises ApiError 404 where there is no such job."""
        self._row(name)
        rows = self.database.rows("SELECT * FROM events WHERE job = ? AND number > ? ORDER BY number LIMIT ?", (name, after, limit))
        return [_event(row) for row in rows]

    def latest_events(self, name: str, before: int | None, limit: int) -> Events:
        """The job's last events (numbered below `before`), the newest first."""
        values = (name, before, before, limit)
        rows = self.database.rows("SELECT * FROM events WHERE job = ? AND (? IS NULL OR number < ?) ORDER BY number DESC LIMIT ?", values)
        return [_event(row) for row in rows]

    # --- the process that does the work

    def set_progress(self, name: str, progress: Mapping[str, Any]) -> None:
        """Remember what the job said last."""
        self.database.run("UPDATE jobs SET progress = ? WHERE id = ?", (json.dumps(dict(progress)), name))

    def process(self, name: str) -> tuple[int | None, float, int]:
        """The job's process: its id and when it was created; and up to where its log was read."""
        row = self._row(name)
        return row["pid"], row["pid_created"] or 0.0, row["log_offset"]

    def set_process(self, name: str, pid: int | None, created: float) -> None:
        """Remember the job's process; its log begins anew."""
        self.database.run("UPDATE jobs SET pid = ?, pid_created = ?, log_offset = 0 WHERE id = ?", (pid, created, name))

    def set_offset(self, name: str, offset: int) -> None:
        """Remember up to where the job's log was read."""
        self.database.run("UPDATE jobs SET log_offset = ? WHERE id = ?", (offset, name))

    def _row(self, name: str) -> Row:
        row = self.database.row("SELECT * FROM jobs WHERE id = ?", (name,))
        if row is None:
            raise ApiError(404, f"There is no job {name!r}.", "not_found")
        return row


def _job(row: Row) -> Job:
    values = {key: row[key] for key in ("id", "kind", "status", "created", "started", "finished")}
    error = json.loads(row["error"]) if row["error"] else None
    return Job(
        argv=tuple(json.loads(row["argv"])), out=Path(row["out"]), meta=json.loads(row["meta"]), error=error,
        progress=json.loads(row["progress"]), **values,
    )  # fmt: skip


def _event(row: Row) -> Event:
    return Event(**{**row, "data": json.loads(row["data"])})


def _json_or_none(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(dict(value))


def _now() -> int:
    return int(time.time())
