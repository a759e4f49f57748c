"""`/v1/fine_tuning/jobs`: fine-tuning as OpenAI's API has it, done by `engrain tune` in a process of its own."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from engrain import config, registry
from engrain.files import to_json, write_text
from engrain.pace import own_pace
from engrain.serve import sse
from engrain.serve.bodies import without_surrogates
from engrain.serve.catalogue import FINE_TUNE, tuned_name
from engrain.serve.failures import ApiError
from engrain.serve.job_store import Event, Job
from engrain.serve.openai_files import Files, page
from engrain.serve.parts import Parts, Served
from engrain.serve.results import info, metrics, named, result_id

router = APIRouter(prefix="/v1/fine_tuning", tags=["fine-tuning"])
Auto = Literal["auto"]
Limit = Annotated[int, Query(ge=1, le=1000)]
TUNABLE = ("training", "verdict")
"""Parts whose settings a job may give; so may the method's own. What names files or other machines may not come from outside."""


class Hyperparameters(BaseModel):
    """How to train; `auto` leaves it to engrain."""

    model_config = ConfigDict(extra="forbid")
    n_epochs: Auto | Annotated[StrictInt, Field(ge=1, le=1000)] | None = None
    batch_size: Auto | Annotated[StrictInt, Field(ge=1, le=100000)] | None = None
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class Supervised(BaseModel):
    """The method that learns the answers themselves."""

    model_config = ConfigDict(extra="forbid")
    hyperparameters: Hyperparameters | None = None


class MethodBody(BaseModel):
    """How the examples are learned from."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["supervised"]
    supervised: Supervised | None = None


class JobBody(BaseModel):
    """A fine-tuning job. `engrain` takes engrain's own settings by name, such as {"method": "lora", "rank": 16, "minutes": 10}."""

    model_config = ConfigDict(extra="forbid")
    model: str = Field(max_length=512)
    training_file: str = Field(max_length=100)
    validation_file: str | None = Field(None, max_length=100)
    hyperparameters: Hyperparameters | None = None
    method: MethodBody | None = None
    suffix: Annotated[str, Field(pattern=r"^[^/\\:\x00-\x1f\x7f]{1,64}$")] | None = None
    seed: Annotated[StrictInt, Field(ge=0, lt=2**31)] | None = None
    metadata: Annotated[dict[str, str], Field(max_length=16)] | None = None
    integrations: Annotated[list[Any], Field(max_length=0)] | None = None
    engrain: dict[str, Any] | None = None


@router.post("/jobs")
def create_job(body: JobBody, served: Served) -> dict[str, Any]:
    """Train on a file that was uploaded. The model that comes of it is served under its `ft:` name as soon as the job succeeds."""
    without_surrogates(body.model_dump())
    model = served.catalogue.find(body.model)[0]
    if model.run is not None:
        raise ApiError(400, f"model: {body.model!r} is tuned already; train its base {model.weights.base!r}.", "invalid_value", "model")
    base = model.weights.base
    files = {"training_file": body.training_file} | ({"validation_file": body.validation_file} if body.validation_file else {})
    paths = {param: Files(served).location(name, param) for param, name in files.items()}
    settings = _settings(body, base, served.settings.job_config)
    suffix = re.sub(r"[^\w.-]+", "-", body.suffix or "job")
    out = served.settings.runs / f"ft-{suffix}-{uuid.uuid4().hex[:8]}"
    options = served.settings.folder / "settings" / f"{out.name}.json"
    write_text(options, to_json(settings, indent=2))
    argv = ["tune", str(paths["training_file"]), "--out", str(out), "--config", str(options)]
    argv += ["--heldout", str(paths["validation_file"])] if "validation_file" in paths else []
    meta = {"model": base, **files, "suffix": body.suffix, "seed": int(settings["seed"]), "metadata": body.metadata}
    meta["hyperparameters"] = {name: value if value is not None else "auto" for name, value in _asked(body).model_dump().items()}
    return described(served.jobs.submit(FINE_TUNE, argv, out, meta, check=list(paths.values())))


def _settings(body: JobBody, base: str, defaults: Path | None) -> dict[str, Any]:
    """The settings of the training. Raises ApiError 400 for one that a job may not give, SettingError for a value that cannot be."""
    own = body.engrain or {}
    known = config.catalogue()
    foreign = [name for name in own if name not in known or not _may_be_given(known[name])]
    if foreign:
        raise ApiError(400, f"engrain: a job cannot set {', '.join(sorted(foreign))}.", "invalid_value", "engrain")
    asked = _asked(body)
    given: dict[str, Any] = {"seed": 0, **_defaults(defaults), "base": base} | ({} if body.seed is None else {"seed": body.seed})
    if asked.n_epochs not in (None, "auto"):
        given["epochs"] = asked.n_epochs
    if asked.batch_size not in (None, "auto"):
        given["batch_size"] = asked.batch_size
    if isinstance(asked.learning_rate_multiplier, float | int):
        chosen = config.settings_from({**given, **own})
        method: Any = registry.find("methods", chosen.method)
        paced = method.paced(asked.learning_rate_multiplier * own_pace(chosen))
        given = {**paced, **given, "learning_rate": paced["learning_rate"]}
    settings = {**given, **own}
    config.settings_from(settings)
    return settings


def _defaults(file: Path | None) -> dict[str, Any]:
    """The settings that the server's owner wants for every job, as text. Raises SettingError for a file that holds none."""
    return {name: value for name, (value, _) in config.read_config(file).items()} if file else {}


def _asked(body: JobBody) -> Hyperparameters:
    """The hyperparameters, from where OpenAI has them now or had them before."""
    supervised = body.method.supervised if body.method else None
    return (supervised and supervised.hyperparameters) or body.hyperparameters or Hyperparameters()


def _may_be_given(setting: config.Setting) -> bool:
    owners = {*TUNABLE, *registry.names("methods")}
    return setting.name in ("method", "replay") or (bool(set(setting.owners) & owners) and setting.kind is not Path)


@router.get("/jobs")
def list_jobs(served: Served, after: str | None = None, limit: Limit = 20) -> dict[str, Any]:
    """The jobs there are, the newest first."""
    return page([described(job) for job in served.jobs.list(FINE_TUNE)], after, limit)


@router.get("/jobs/{job_id}")
def get_job(job_id: str, served: Served) -> dict[str, Any]:
    """One job."""
    return described(_job(served, job_id))


@router.post("/jobs/{job_id}/cancel")
def cancel_job(job_id: str, served: Served) -> dict[str, Any]:
    """End a job; its run stays as it was at the last checkpoint."""
    return _moved(served, job_id, served.jobs.cancel)


@router.post("/jobs/{job_id}/pause")
def pause_job(job_id: str, served: Served) -> dict[str, Any]:
    """Stop a job after the step under way; it goes on from there when it is resumed."""
    return _moved(served, job_id, served.jobs.pause)


@router.post("/jobs/{job_id}/resume")
def resume_job(job_id: str, served: Served) -> dict[str, Any]:
    """Let a paused job go on."""
    return _moved(served, job_id, served.jobs.resume)


@router.get("/jobs/{job_id}/events", response_model=None)
def list_events(
    job_id: str, served: Served, after: str | None = None, limit: Limit = 20, stream: bool = False
) -> dict[str, Any] | Response:
    """What happened in a job, the newest first; with `stream=true` as server-sent events as it happens, the oldest first."""
    job = _job(served, job_id)
    before = _number(after)
    if stream:
        return sse.stream(_watched(served, job, before or 0), end="[DONE]")
    found = served.jobs.store.latest_events(job.id, before, limit + 1)
    return {"object": "list", "data": [told(event) for event in found[:limit]], "has_more": len(found) > limit}


async def _watched(parts: Parts, job: Job, after: int) -> AsyncGenerator[dict[str, Any], None]:
    async for found in parts.jobs.watch(job.id, after):
        for event in found:
            yield told(event)


@router.get("/jobs/{job_id}/checkpoints")
def list_checkpoints(job_id: str, served: Served, after: str | None = None, limit: Limit = 10) -> dict[str, Any]:
    """The state of training that the job's model has: the best on held-out examples, or the last."""
    job = _job(served, job_id)
    trained = info(job).get("trained", {})
    if job.status != "succeeded" or not trained:
        return page([], None, limit)
    step = trained["best_step"] or trained["steps"]
    figures = next((named(row) for row in metrics(job) if row["step"] == step), {})
    found = {
        "id": f"ftckpt-{job.id.removeprefix('ftjob-')}-{step}",
        "object": "fine_tuning.job.checkpoint",
        "created_at": job.finished,
        "fine_tuning_job_id": job.id,
        "fine_tuned_model_checkpoint": tuned_name(job),
        "step_number": step,
        "metrics": figures,
    }
    return page([found], after, limit)


def _job(parts: Parts, name: str) -> Job:
    """The fine-tuning job of that id. Raises ApiError 404, for jobs of other kinds too."""
    job = parts.jobs.get(name)
    if job.kind != FINE_TUNE:
        raise ApiError(404, f"There is no fine-tuning job {name!r}.", "not_found")
    return job


def _moved(parts: Parts, name: str, move: Callable[[str], Job]) -> dict[str, Any]:
    return described(move(_job(parts, name).id))


def _number(after: str | None) -> int | None:
    """The number in an event's id. Raises ApiError 400."""
    if after is None:
        return None
    digits = after.removeprefix("ftevent-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 18):
        raise ApiError(400, f"after={after!r}: there is no such event", "invalid_value", "after")
    return int(digits)


def described(job: Job) -> dict[str, Any]:
    """The job object."""
    done, run = job.status == "succeeded", info(job)
    hyperparameters = _effective(job, run)
    return {
        "id": job.id,
        "object": "fine_tuning.job",
        "created_at": job.created,
        "finished_at": job.finished,
        "status": job.status,
        "model": job.meta["model"],
        "fine_tuned_model": tuned_name(job) if done else None,
        "organization_id": "engrain",
        "training_file": job.meta["training_file"],
        "validation_file": job.meta.get("validation_file"),
        "result_files": [result_id(job)] if done else [],
        "hyperparameters": hyperparameters,
        "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
        "seed": job.meta["seed"],
        "trained_tokens": run.get("trained", {}).get("tokens"),
        "error": job.error,
        "estimated_finish": _estimate(job),
        "integrations": [],
        "metadata": job.meta.get("metadata"),
        "engrain": {"run": str(job.out), "progress": job.progress},
    }


def _effective(job: Job, run: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters; those that were `auto` with the values that they came to, once the run has them."""
    settings = run.get("settings", {})
    actual = {
        "n_epochs": settings.get("epochs"),
        "batch_size": settings.get("batch_size"),
        "learning_rate_multiplier": 1.0 if settings else None,
    }
    actual = {name: round(value) if name != "learning_rate_multiplier" and value else value for name, value in actual.items()}
    return {name: actual[name] or value if value == "auto" else value for name, value in job.meta["hyperparameters"].items()}


def _estimate(job: Job) -> int | None:
    """When training ends, in Unix seconds; None while that is not known. The measurement after it is not in it."""
    remaining = job.progress.get("remaining")
    if job.status != "running" or job.progress.get("title") != "Training" or remaining is None:
        return None
    return int(time.time() + remaining)


def told(event: Event) -> dict[str, Any]:
    """The event object; steps of training are metrics."""
    training = event.type == "progress" and event.data.get("title") == "Training"
    return {
        "id": f"ftevent-{event.number}",
        "object": "fine_tuning.job.event",
        "created_at": event.created,
        "level": event.level,
        "message": event.message,
        "type": "metrics" if training else "message",
        "data": {**named(event.data["figures"]), "total_steps": event.data["total"]} if training else event.data,
    }
