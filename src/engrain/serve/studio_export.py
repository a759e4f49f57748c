"""Taking a run's model away: its files as they are, or merged into one plain model, with the command to use them there."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from io import RawIOBase
from pathlib import Path
from shlex import quote
from threading import Lock
from typing import IO, Any, Literal, cast

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from engrain.assistant import put_in
from engrain.files import staged
from engrain.models import BaseSettings, load_model, load_tokenizer, locate, on_disk
from engrain.run import Run
from engrain.serve.failures import ApiError
from engrain.serve.studio_workspace import Working, Workspace

router = APIRouter(prefix="/engrain/runs/{run}/exports", tags=["exports"])
CHUNK = 1 << 20
Target = Literal["adapter", "model"]
_one_at_a_time = Lock()


class Export(BaseModel):
    """Something to take away: `bytes` is about how large the download is, `command` what uses it there."""

    target: Target
    file: str
    bytes: int
    base: str
    command: str


class ExportList(BaseModel):
    """What can be taken away of a run."""

    exports: list[Export]


@router.get("")
def exports(space: Working, run: str) -> ExportList:
    """What can be taken away."""
    found = complete(space, run)
    base = str(found.info["settings"]["base"])
    model = f"{run}-model"
    made = [Export(target="model", file=f"{model}.zip", bytes=_model_bytes(found, base), base=base, command=_serve(model))]
    if (found.path / "adapter").is_dir():
        size = sum(path.stat().st_size for path in (found.path / "adapter").iterdir())
        name = f"{run}-adapter"
        made.append(Export(target="adapter", file=f"{name}.zip", bytes=size, base=base, command=_lay_over(found, base, name)))
    return ExportList(exports=made)


@router.get("/{target}", response_class=StreamingResponse, responses={200: {"content": {"application/zip": {}}}})
def download(space: Working, run: str, target: Target) -> StreamingResponse:
    """The files in one zip; a merged model is made at the first download, which takes a while."""
    found = complete(space, run)
    folder = found.path / target if (found.path / target).is_dir() else None
    if folder is None and target == "adapter":
        raise ApiError(404, f"{run!r} has no adapter: its method trains the model itself.", "no_adapter", "target")
    name = f"{run}-{target}"
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    return StreamingResponse(zipped(folder or merged(space, found), name), media_type="application/zip", headers=headers)


def complete(space: Workspace, name: str) -> Run:
    """The run of that name, once it holds a model. Raises ApiError 409 before."""
    run = space.run(name)
    if run.info.get("status") != "complete":
        raise ApiError(409, f"{name!r} is not complete; there is no trained model to take away.", "not_complete", "run")
    return run


def merged(space: Workspace, run: Run) -> Path:
    """The folder with the run's adapter merged into its base, as a plain model in Hugging Face layout; made once.

    Its numbers have the format that the run was trained in.
    """
    folder = space.folder / "exports" / run.path.name
    stamp = str(run.info.get("finished"))
    with _one_at_a_time:
        if not (folder / "made.txt").is_file() or (folder / "made.txt").read_text(encoding="utf-8") != stamp:
            chosen = BaseSettings(run.info["settings"]["base"], run.info["settings"].get("precision", "auto"), "cpu")
            base = locate(chosen.base)
            model = load_model(base, dtype=chosen.resolve()[1], device="cpu")
            put_in(model, run.path, run.info)
            with staged(folder) as temporary:
                model.save_pretrained(temporary)
                load_tokenizer(base).save_pretrained(temporary)
                (temporary / "made.txt").write_text(stamp, encoding="utf-8")
    return folder


def zipped(folder: Path, name: str) -> Iterator[bytes]:
    """A zip file of a folder's files, made while it is sent; weights do not compress, so nothing is."""
    sink = _Sink()
    with zipfile.ZipFile(cast(IO[bytes], sink), "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "made.txt"):
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


def _model_bytes(run: Run, base: str) -> int:
    """The size of the run's model, or of its base's weights where it is still to be merged."""
    whole = run.path / "model"
    found = on_disk(base)
    folder = whole if whole.is_dir() else found.folder if found else None
    return sum(path.stat().st_size for path in folder.glob("*.safetensors")) if folder else 0


def _serve(name: str) -> str:
    return f"vllm serve {quote(f'./{name}')}"


def _lay_over(run: Run, base: str, name: str) -> str:
    """The adapter needs its base, which has a name on the Hub or lies in a folder here."""
    found = on_disk(base)
    there = homely(found.folder) if found and found.source != "hub" else base
    rank = json.loads((run.path / "adapter" / "adapter_config.json").read_text(encoding="utf-8")).get("r", 0)
    return f"vllm serve {there} --enable-lora --max-lora-rank {rank} --lora-modules {quote(f'{run.path.name}=./{name}')}"


def homely(folder: Path) -> str:
    """A folder as a shell takes it, from the home folder where it lies in there."""
    inside = folder.is_relative_to(Path.home())
    return f"~/{quote(folder.relative_to(Path.home()).as_posix())}" if inside else quote(str(folder))
