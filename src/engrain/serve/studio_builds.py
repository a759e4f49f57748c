"""Builds over HTTP: what one would take, starting it, watching it, and stopping it for a while or for good."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from engrain import api, registry
from engrain.config import DEFAULT_TASK, TASK, USED, catalogue, json_schema, settings_from
from engrain.files import delete, write_text
from engrain.plan import Plan
from engrain.run import Mark, Run
from engrain.serve.bodies import without_surrogates
from engrain.serve.failures import ApiError
from engrain.serve.job_store import Job
from engrain.serve.jobs import Jobs
from engrain.serve.parts import Parts, Served
from engrain.serve.studio_collections import collection, seen
from engrain.serve.studio_documents import Fingerprint
from engrain.serve.studio_examples import snapshot
from engrain.serve.studio_workspace import Working, Workspace
from engrain.train import METRICS

router = APIRouter(prefix="/engrain", tags=["builds"])
KIND = "studio"
PRESETS: dict[str, dict[str, Any]] = {"quick": {"minutes": 5.0}, "thorough": {"epochs": 3.0}}
"""Settings behind the plain choice; thorough is every setting's default."""
BEFORE_TRAINING = ("model", "privacy", "knowledge", "study", "chat")
"""Parts whose settings decide which examples are written."""
_one_at_a_time, _starting = Lock(), Lock()

Preset = Literal["quick", "thorough"]
Task = Literal["chat", "code", "image-classification"]
Number = Annotated[int, Query(ge=0, le=2**53)]


class Choices(BaseModel):
    """All settings as JSON schema, and those that the plain choices set."""

    schema_: dict[str, Any] = Field(serialization_alias="schema")
    presets: dict[str, dict[str, Any]]
    base: str


class Wanted(BaseModel):
    """A plain choice, and settings that win over it; `run` is one that is ready, to go on with."""

    preset: Preset = "quick"
    settings: dict[str, Any] = Field(default_factory=dict)
    run: str | None = None


class NewBuild(Wanted):
    """A build until its examples can be looked at, or until the verdict.

    Without a `run` a new one is made, called `name`. What an `earlier` one holds of
    unchanged sections is taken over. With a `collection`, it is that which is learned, not the documents: code or images.
    """

    goal: Literal["examples", "verdict"] = "verdict"
    name: str = Field("", max_length=80)
    earlier: str | None = None
    collection: str | None = None


class Build(BaseModel):
    """A build; `progress` is what it said last (title, done, total, unit, remaining in seconds, figures)."""

    id: str
    run: str
    goal: str
    preset: str
    status: str
    created: int
    started: int | None
    finished: int | None
    error: str
    progress: dict[str, Any]


class BuildList(BaseModel):
    """All builds that were started on the page, the newest first."""

    builds: list[Build]


@router.get("/settings", response_model_by_alias=True)
def settings(served: Served, task: Task = "chat") -> Choices:
    """What can be chosen for a model of documents, code or images."""
    found, usable = json_schema(), {*USED[task], *registry.names("methods")} - {TASK}
    found["properties"] = {name: entry for name, entry in found["properties"].items() if usable & set(entry["x-owners"])}
    return Choices(schema_=found, presets=PRESETS, base=served.settings.base)


@router.post("/estimate")
def estimate(served: Served, space: Working, wanted: Wanted) -> Plan:
    """What a build of all documents, or going on with a ready run, would take on this machine; may take some seconds."""
    _check_documents(space)
    ready = space.editable(wanted.run) if wanted.run else None
    chosen = json.dumps(_chosen(served.settings.base, wanted, ready), sort_keys=True)
    if ready:  # its facts and examples can be edited at any time
        return api.plan(space.documents, ready=ready, settings=settings_from(json.loads(chosen)))
    with _one_at_a_time:
        return _plan(space.documents, space.fingerprint(), chosen)


@router.post("/builds", status_code=201)
def create(served: Served, space: Working, new: NewBuild) -> Build:
    """Start a build; it waits for those before it."""
    if new.collection is None:
        _check_documents(space)
    with _starting:  # until the job is known, nothing else says that its folder is taken
        return _build(_start(served, space, new) if new.collection is None else _start_apart(served, space, new, new.collection))


def _start_apart(served: Parts, space: Workspace, new: NewBuild, name: str) -> Job:
    """Queue the job of a build that learns from a collection."""
    folder = collection(space, name)
    if new.run or new.earlier or new.goal != "verdict":
        why = "A collection is read, trained on and measured in one go"
        raise ApiError(400, f"{why}: leave run, earlier and goal out.", "not_for_collections", "collection")
    chosen = _settings(served.settings.base, new.model_copy(update={"settings": {TASK: seen(folder).task, **new.settings}}))
    out = _new_folder(served, space, new.name or name)
    argv = ["build", str(folder), "--out", str(out), "--config", str(_write(space, out.name, chosen))]
    return served.jobs.submit(KIND, argv, out, {"goal": new.goal, "preset": new.preset})


def _start(served: Parts, space: Workspace, new: NewBuild) -> Job:
    """Queue the job of a new build, with its settings and a copy of what people wrote."""
    _check_free(served.jobs, space, new.run)
    ready = space.editable(new.run) if new.run else None
    chosen = _settings(served.settings.base, new, ready)
    out = ready.path if ready else _new_folder(served, space, new.name)
    argv = ["build", str(space.documents), "--out", str(out), "--until", new.goal, "--config", str(_write(space, out.name, chosen))]
    argv += ["--from", "facts"] if ready else []
    argv += ["--earlier", str(space.run(new.earlier).path)] if new.earlier else []
    own = snapshot(space, out.name)
    argv += ["--own", str(own)] if own else []
    if ready and own is None:
        delete(out / "examples" / "own.jsonl")
    return served.jobs.submit(KIND, argv, out, {"goal": new.goal, "preset": new.preset})


@router.get("/builds")
def builds(served: Served) -> BuildList:
    """All builds."""
    return BuildList(builds=[_build(job) for job in served.jobs.list(KIND)])


@router.get("/builds/{build}")
def build(served: Served, build: str) -> Build:
    """One build."""
    return _build(_job(served.jobs, build))


@router.get("/builds/{build}/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
def events(served: Served, build: str, after: Number = 0, step: Number = 0) -> StreamingResponse:
    """What happens in a build, as server-sent events until it has ended.

    `job` events carry number, type (status, stage, progress, done, note, line), message and data; `metrics` events carry
    rows of `metrics.jsonl` from after `step`; a last `build` event carries the build.
    """
    job = _job(served.jobs, build)
    return StreamingResponse(_stream(served.jobs, job, after, step), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.post("/builds/{build}/pause")
def pause(served: Served, build: str) -> Build:
    """Stop a build after the step under way; nothing is lost."""
    return _build(served.jobs.pause(_job(served.jobs, build).id))


@router.post("/builds/{build}/resume")
def resume(served: Served, build: str) -> Build:
    """Let a paused build go on."""
    return _build(served.jobs.resume(_job(served.jobs, build).id))


@router.post("/builds/{build}/cancel")
def cancel(served: Served, build: str) -> Build:
    """End a build for good."""
    return _build(served.jobs.cancel(_job(served.jobs, build).id))


def event(name: str, data: Any) -> str:
    """A server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


async def _stream(jobs: Jobs, job: Job, after: int, step: int) -> AsyncIterator[str]:
    run, mark = Run(job.out), Mark()
    yield ": the build's events follow\n\n"
    async for found in jobs.watch(job.id, after):
        for one in found:
            yield event("job", {"number": one.number, "type": one.type, "message": one.message, "data": one.data})
        read, mark = await to_thread.run_sync(run.read_on, METRICS, mark)
        if rows := [row for row in read if row["step"] > step]:
            step = int(rows[-1]["step"])
            yield event("metrics", {"rows": rows})
    yield event("build", _build(jobs.get(job.id)).model_dump())


def _settings(base: str, wanted: Wanted, ready: Run | None = None) -> dict[str, Any]:
    """What `_chosen` gives; where that means other examples than a ready run has, its are written anew."""
    chosen = _chosen(base, wanted, ready)
    complete = settings_from(chosen).to_dict()
    if ready and any(complete[name] != value for name, value in _of_examples(ready).items()):
        delete(ready.path / "examples" / "replay.jsonl")
    return chosen


def _chosen(base: str, wanted: Wanted, ready: Run | None) -> dict[str, Any]:
    """The settings that were chosen, by name; those that examples depend on are a ready run's own unless chosen otherwise.

    Raises SettingError for those that cannot be used.
    """
    without_surrogates(wanted.model_dump())
    own = {"base": base} if "model" in USED.get(str(wanted.settings.get(TASK, DEFAULT_TASK)), ()) else {}
    chosen = {**own, **(_of_examples(ready) if ready else {}), **PRESETS[wanted.preset], **wanted.settings}
    settings_from(chosen)
    return chosen


def _of_examples(ready: Run) -> dict[str, Any]:
    """The settings of a run that its examples depend on."""
    given = ready.info["settings"]
    return {name: given[name] for name, found in catalogue().items() if name in given and set(found.owners) & set(BEFORE_TRAINING)}


def _job(jobs: Jobs, build: str) -> Job:
    """The build of that id. Raises ApiError 404, for jobs of other kinds too."""
    job = jobs.get(build)
    if job.kind != KIND:
        raise ApiError(404, f"There is no build {build!r}.", "not_found")
    return job


def _check_documents(space: Workspace) -> None:
    if not space.files():
        raise ApiError(409, "There are no documents yet; add some first.", "no_documents")


def _check_free(jobs: Jobs, space: Workspace, run: str | None) -> None:
    """Raise ApiError 409 where a build of this run waits or works already."""
    busy = [job for job in jobs.list(KIND) if not job.ended and run and job.out == space.runs / run]
    if busy:
        raise ApiError(409, f"A build of {run!r} is {busy[0].status} already.", "busy", "run")


def _new_folder(served: Parts, space: Workspace, name: str) -> Path:
    return space.new_folder(name, [job.out.name for job in served.jobs.list() if not job.ended])


def _write(space: Workspace, name: str, chosen: dict[str, Any]) -> Path:
    """The settings as the file that the command takes."""
    file = space.folder / "builds" / f"{name}.json"
    write_text(file, json.dumps(chosen, indent=2) + "\n")
    return file


@lru_cache(maxsize=16)
def _plan(documents: Path, fingerprint: Fingerprint, chosen: str) -> Plan:
    return api.plan(documents, settings=settings_from(json.loads(chosen)))


def _build(job: Job) -> Build:
    return Build(
        id=job.id,
        run=job.out.name,
        goal=job.meta["goal"],
        preset=job.meta["preset"],
        status=job.status,
        created=job.created,
        started=job.started,
        finished=job.finished,
        error=str(job.error["message"]) if job.error else "",
        progress=job.progress,
    )
