"""Collections over HTTP: code or images that a model shall learn from, brought as one ZIP archive and kept as a folder."""

from __future__ import annotations

import os
import shutil
import stat
import time
import zlib
from pathlib import Path, PurePosixPath
from typing import Annotated
from zipfile import BadZipFile, LargeZipFile, ZipFile, ZipInfo

from fastapi import APIRouter, File, UploadFile
from pydantic import BaseModel

from engrain.files import delete, staged
from engrain.imaging.pixels import DICOM, SUFFIXES
from engrain.serve.failures import ApiError
from engrain.serve.parts import Served
from engrain.serve.studio_workspace import Working, Workspace, is_plain

router = APIRouter(prefix="/engrain/collections", tags=["builds"])
MOST_FILES = 200_000
MOST_BYTES = 16 << 30
"""Unpacked; a small archive can hold any amount of nothing."""
CHUNK = 1 << 20
ENCRYPTED = 0x1
NO_DATA = ("__MACOSX", ".DS_Store", "Thumbs.db")
"""What systems put into archives beside the files."""
TOLD = 3


class Collection(BaseModel):
    """A folder of files; `task` is what most of them are for, `size` their bytes."""

    name: str
    task: str
    files: int
    size: int


class CollectionList(BaseModel):
    """All collections, by name."""

    collections: list[Collection]


@router.get("")
def collections(space: Working) -> CollectionList:
    """The collections there are."""
    return CollectionList(collections=[seen(path) for path in sorted(space.collections.glob("*")) if _is_whole(path)])


@router.post("", status_code=201)
def add(
    space: Working, archive: Annotated[UploadFile, File(description="A ZIP archive: a code base, or a folder of images for each class.")]
) -> Collection:
    """Unpack an archive; the collection bears its name without `.zip`, and takes the place of one that bears it already."""
    name = (archive.filename or "").removesuffix(".zip")
    if not is_plain(name):
        raise ApiError(400, f"{archive.filename!r} cannot be used as the name of a collection. Rename it.", "invalid_name", "archive")
    folder = space.collections / name
    try:
        with ZipFile(archive.file) as packed, staged(folder) as temporary:
            _unpack(packed, temporary)
    except (BadZipFile, LargeZipFile, NotImplementedError, EOFError, OSError, zlib.error) as error:
        why = f"{archive.filename} is no ZIP archive that can be read: {error}."
        raise ApiError(400, f"{why} Pack it anew.", "bad_archive", "archive") from error
    return seen(folder)


@router.delete("/{name}", status_code=204)
def remove(served: Served, space: Working, name: str) -> None:
    """Remove a collection. Runs that were made of it stay as they are."""
    folder = collection(space, name)
    if any(str(folder) in job.argv for job in served.jobs.list() if not job.ended):
        raise ApiError(409, f"Something is being trained on {name!r}; stop that first.", "busy", "name")
    delete(folder)


def collection(space: Workspace, name: str) -> Path:
    """The folder of that collection. Raises ApiError 404."""
    folder = space.collections / name
    if not is_plain(name) or not _is_whole(folder):
        raise ApiError(404, f"There is no collection {name!r}.", "not_found", "collection")
    return folder


def seen(folder: Path) -> Collection:
    """What a collection holds, and what it is for by what most of its files are."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    pictures = sum(path.suffix.lower() in (*SUFFIXES, *DICOM) for path in files)
    task = "image-classification" if 2 * pictures > len(files) else "code"
    return Collection(name=folder.name, task=task, files=len(files), size=sum(path.stat().st_size for path in files))


def _unpack(packed: ZipFile, folder: Path) -> None:
    """Write what the archive holds into `folder`, without a folder around everything. Raises ApiError 400 or 413, with every reason."""
    members = [member for member in packed.infolist() if not member.is_dir() and not _is_no_data(member)]
    _check(members)
    paths = [PurePosixPath(member.filename) for member in members]
    around = len({path.parts[0] for path in paths}) == 1 and all(len(path.parts) > 1 for path in paths)
    for member, path in zip(members, paths, strict=True):
        target = folder.joinpath(*path.parts[around:])
        target.parent.mkdir(parents=True, exist_ok=True)
        with packed.open(member) as source, target.open("wb") as written:
            shutil.copyfileobj(source, written, CHUNK)
        changed = time.mktime((*member.date_time, 0, 0, -1))  # the files of code that changed last are held out
        os.utime(target, (changed, changed))


def _check(members: list[ZipInfo]) -> None:
    if not members:
        raise ApiError(400, "There is no file in this archive.", "empty_archive", "archive")
    if len(members) > MOST_FILES or sum(member.file_size for member in members) > MOST_BYTES:
        why = f"This archive holds more than {MOST_FILES:,} files, or more than {MOST_BYTES >> 30} GiB."
        raise ApiError(413, f"{why} Use `engrain build` on this machine instead.", "too_large", "archive")
    if bad := [f"{member.filename}: {why}" for member in members if (why := _why_not(member))]:
        more = f" and {len(bad) - TOLD} more" if len(bad) > TOLD else ""
        raise ApiError(400, f"{'; '.join(bad[:TOLD])}{more}. Pack the archive anew.", "bad_archive", "archive")


def _why_not(member: ZipInfo) -> str:
    """Why a file of an archive is not unpacked; empty where it can be."""
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in member.filename or (path.parts and path.parts[0].endswith(":")):
        return "its place is outside of the archive"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "it is a link"
    return "it is encrypted" if member.flag_bits & ENCRYPTED else ""


def _is_no_data(member: ZipInfo) -> bool:
    return any(part in NO_DATA for part in PurePosixPath(member.filename).parts)


def _is_whole(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.endswith(".partial")
