"""`/v1/files`: files of training examples, checked line by line when they come."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from fastapi.responses import FileResponse

from engrain.errors import EngrainError
from engrain.examples import check_examples
from engrain.files import delete
from engrain.rows import READERS
from engrain.serve.catalogue import FINE_TUNE
from engrain.serve.database import Database, Row
from engrain.serve.failures import ApiError
from engrain.serve.job_store import Job
from engrain.serve.parts import Parts, Served
from engrain.serve.results import metrics_csv, result_id

router = APIRouter(prefix="/v1", tags=["files"])
TABLE = """CREATE TABLE IF NOT EXISTS files (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, filename TEXT NOT NULL, bytes INTEGER NOT NULL,
    created INTEGER NOT NULL
)"""
PIECE_BYTES = 1 << 20
Limit = Annotated[int, Query(ge=1, le=10000)]


@router.post("/files", response_model=None)
async def create_file(
    file: Annotated[UploadFile, File()], purpose: Annotated[Literal["fine-tune"], Form()], served: Served
) -> dict[str, Any]:
    """Keep a file of examples. One with rows that cannot be used is refused, and every such row is named with its reason."""
    files = Files(served)
    name = f"file-{uuid.uuid4().hex[:24]}"
    path = files.path(name, file.filename or "")
    path.parent.mkdir(parents=True, mode=0o700)
    try:
        with path.open("wb") as target:
            while piece := await file.read(PIECE_BYTES):
                target.write(piece)
        await asyncio.to_thread(_check, path)
    except BaseException:
        delete(path.parent)
        raise
    return files.add(name, path)


@router.get("/files")
def list_files(
    served: Served, purpose: str | None = None, limit: Limit = 10000, after: str | None = None, order: Literal["asc", "desc"] = "desc"
) -> dict[str, Any]:
    """The files there are, and the results of jobs."""
    found = [row for row in Files(served).all() if purpose in (None, row["purpose"])]
    return page(found if order == "desc" else found[::-1], after, limit)


@router.get("/files/{file_id}")
def get_file(file_id: str, served: Served) -> dict[str, Any]:
    """What is known of one file."""
    return Files(served).get(file_id)


@router.get("/files/{file_id}/content", response_class=Response)
def get_file_content(file_id: str, served: Served) -> Response:
    """The file itself."""
    files = Files(served)
    if (job := files.job_of(file_id)) is not None:
        return Response(metrics_csv(job), media_type="text/csv")
    found = files.get(file_id)
    return FileResponse(files.stored(found), filename=found["filename"])


@router.delete("/files/{file_id}")
def delete_file(file_id: str, served: Served) -> dict[str, Any]:
    """Remove a file that no job will still read."""
    return Files(served).remove(file_id)


class Files:
    """The uploaded files of a server, and the results of its jobs as files."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.database, self.folder = parts, parts.database, parts.settings.folder / "files"
        self.database.run(TABLE)

    def path(self, name: str, filename: str) -> Path:
        """Where a new file is to lie: under its id, and a name of which at most 60 harmless characters are kept (240 bytes)."""
        plain = re.sub(r"[^\w.-]+", "_", Path(filename).name)[-60:].lstrip(".-") or "examples.jsonl"
        return self.folder / name / (plain if Path(plain).suffix.lower() in READERS else f"{plain}.jsonl")

    def stored(self, row: Mapping[str, Any]) -> Path:
        """Where the file of a row, or of an object, lies."""
        return self.folder / str(row["id"]) / str(row["filename"])

    def add(self, name: str, path: Path) -> dict[str, Any]:
        """The object of a new file."""
        values = (name, path.name, path.stat().st_size, int(time.time()))
        self.database.run("INSERT INTO files (id, filename, bytes, created) VALUES (?, ?, ?, ?)", values)
        return self.get(name)

    def all(self) -> list[dict[str, Any]]:
        """The objects of all files, the newest first."""
        rows = [_uploaded(row) for row in self.database.rows("SELECT * FROM files ORDER BY number DESC")]
        results = [_result(job) for job in self.parts.jobs.list(FINE_TUNE) if job.status == "succeeded"]
        return sorted([*rows, *results], key=lambda row: -row["created_at"])

    def get(self, name: str) -> dict[str, Any]:
        """The object of one file. Raises ApiError 404."""
        if (job := self.job_of(name)) is not None:
            return _result(job)
        return _uploaded(_row(self.database, name))

    def location(self, name: str, param: str) -> Path:
        """Where an uploaded file lies. Raises ApiError 400 that names the parameter."""
        try:
            return self.stored(_row(self.database, name))
        except ApiError as error:
            raise ApiError(400, f"{param}: {error.message}", "invalid_value", param) from error

    def job_of(self, name: str) -> Job | None:
        """The job whose result a file is."""
        return next((job for job in self.parts.jobs.list(FINE_TUNE) if job.status == "succeeded" and result_id(job) == name), None)

    def remove(self, name: str) -> dict[str, Any]:
        """Remove an uploaded file. Raises ApiError 404, or 409 while a job needs it."""
        row = _row(self.database, name)
        users = [job.id for job in self.parts.jobs.list(FINE_TUNE) if not job.ended and name in _read_by(job)]
        if users:
            raise ApiError(409, f"{name} is needed by {', '.join(users)}; cancel the job first.", "in_use")
        delete(self.stored(row).parent)
        self.database.run("DELETE FROM files WHERE id = ?", (name,))
        return {"id": name, "object": "file", "deleted": True}


def page(rows: list[dict[str, Any]], after: str | None, limit: int) -> dict[str, Any]:
    """One page of a list, beginning behind the object with the id `after`."""
    names = [row["id"] for row in rows]
    if after is not None and after not in names:
        raise ApiError(400, f"after={after!r}: there is no such object", "invalid_value", "after")
    rest = rows[names.index(after) + 1 :] if after is not None else rows
    data = rest[:limit]
    ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
    return {"object": "list", "data": data, "has_more": len(rest) > limit, **ends}


def _check(path: Path) -> None:
    """Raise ApiError 400 with every row that cannot be used, by the file's own name."""
    try:
        check_examples(path)
    except EngrainError as error:
        raise ApiError(400, str(error).replace(str(path), path.name), "invalid_file", "file") from error


def _row(database: Database, name: str) -> Row:
    row = database.row("SELECT * FROM files WHERE id = ?", (name,))
    if row is None:
        raise ApiError(404, f"There is no file {name!r}.", "not_found", "file_id")
    return row


def _read_by(job: Job) -> tuple[Any, ...]:
    return job.meta.get("training_file"), job.meta.get("validation_file")


def _uploaded(row: Row) -> dict[str, Any]:
    return _object(row["id"], row["filename"], row["bytes"], row["created"], "fine-tune")


def _result(job: Job) -> dict[str, Any]:
    return _object(result_id(job), "metrics.csv", len(metrics_csv(job)), job.finished or job.created, "fine-tune-results")


def _object(name: str, filename: str, size: int, created: int, purpose: str) -> dict[str, Any]:
    fixed = {"object": "file", "status": "processed", "status_details": None, "expires_at": None}
    return {"id": name, "filename": filename, "bytes": size, "created_at": created, "purpose": purpose, **fixed}
