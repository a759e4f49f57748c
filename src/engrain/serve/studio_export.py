"""Taking a run's model away: every form that fits it as one zip file, with the command to use it there."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from io import RawIOBase
from pathlib import Path
from threading import Lock
from typing import IO, Annotated, Any, cast
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from engrain import api
from engrain.export.base import Source
from engrain.files import delete, write_text
from engrain.run import Run
from engrain.serve.failures import ApiError
from engrain.serve.studio_workspace import Working, Workspace

router = APIRouter(prefix="/engrain/runs/{run}/exports", tags=["exports"])
CHUNK = 1 << 20
_one_at_a_time = Lock()


class Form(BaseModel):
    """A number format ("" is that of the training), about how large the download is (0: not known), and what uses it there."""

    type: str
    bytes: int
    command: str


class Export(BaseModel):
    """Something to take away as the zip `file`, the usual form first; for what, say `title` and `text`."""

    target: str
    title: str
    text: str
    file: str
    forms: list[Form]


class ExportList(BaseModel):
    """What can be taken away of a run, and what to know of a model that was."""

    exports: list[Export]
    notes: list[str]


@router.get("")
def exports(space: Working, run: str) -> ExportList:
    """What can be taken away."""
    found = complete(space, run)
    fitting = [offer for offer in api.exports(found) if not offer.obstacle]
    rows = [
        Export(
            target=offer.target,
            title=offer.title,
            text=offer.text,
            file=f"{name_of(found, offer.target)}.zip",
            forms=[Form(type=form.type, bytes=form.bytes, command=form.command) for form in offer.forms],
        )
        for offer in fitting
    ]
    return ExportList(exports=rows, notes=list(Source(found).notes))


@router.get("/{target}", response_class=StreamingResponse, responses={200: {"content": {"application/zip": {}}}})
def download(
    space: Working, run: str, target: str, type: Annotated[str, Query(max_length=20, description="The number format.")] = ""
) -> StreamingResponse:
    """The files in one zip. They are made and checked at the first download, which takes a while."""
    found = complete(space, run)
    offer = next((offer for offer in api.exports(found) if offer.target == target), None)
    if offer is None or offer.obstacle:
        raise ApiError(
            404, f"{run!r} cannot be taken away as {target!r}: {offer.obstacle if offer else 'there is no such form'}.", "no_export"
        )
    if type and type not in {form.type for form in offer.forms}:
        known = ", ".join(form.type for form in offer.forms if form.type) or "none"
        raise ApiError(400, f"type={type!r}: {target} has no such number format (it has: {known}).", "invalid_value", "type")
    name = name_of(found, target)
    headers = {"Content-Disposition": f"attachment; filename*=utf-8''{quote(name)}.zip"}
    return StreamingResponse(zipped(made(space, found, target, type), name), media_type="application/zip", headers=headers)


def complete(space: Workspace, name: str) -> Run:
    """The run of that name, once it holds a model. Raises ApiError 409 before."""
    run = space.run(name)
    if run.info.get("status") != "complete":
        raise ApiError(409, f"{name!r} is not complete; there is no trained model to take away.", "not_complete", "run")
    return run


def name_of(run: Run, target: str) -> str:
    """What the download and the folder in it are called."""
    return f"{run.path.name}-{target}"


def made(space: Workspace, run: Run, target: str, type: str = "") -> Path:
    """The folder with the run's model in that form; made once for each time that the run was finished."""
    folder = space.exports(run) / f"{target}{'-' * bool(type)}{type}"
    stamp, finished = folder.with_suffix(".made"), str(run.info.get("finished"))
    with _one_at_a_time:
        if not folder.is_dir() or not stamp.is_file() or stamp.read_text(encoding="utf-8") != finished:
            delete(folder)
            api.export(run, target, out=folder, type=type)
            write_text(stamp, finished)
    return folder


def zipped(folder: Path, name: str) -> Iterator[bytes]:
    """A zip file of a folder's files, made while it is sent; weights do not compress, so nothing is."""
    sink = _Sink()
    with zipfile.ZipFile(cast(IO[bytes], sink), "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo.from_file(path, f"{name}/{path.relative_to(folder).as_posix()}")
            with archive.open(entry, "w", force_zip64=True) as target, path.open("rb") as source:
                while data := source.read(CHUNK):
                    target.write(data)
                    yield sink.take()
    yield sink.take()


class _Sink(RawIOBase):
    """A file to write to that hands on what was written and forgets it."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        """It takes bytes."""
        return True

    def write(self, data: Any) -> int:
        """Keep the bytes until they are taken."""
        self.parts.append(bytes(data))
        return len(self.parts[-1])

    def take(self) -> bytes:
        """All that was written since the last time."""
        data, self.parts = b"".join(self.parts), []
        return data
