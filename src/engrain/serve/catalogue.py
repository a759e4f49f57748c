"""Which models there are: the base, and every run that is complete; jobs that made a run gave it an `ft:` name too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from engrain.assistant import MODES
from engrain.errors import EngrainError
from engrain.methods.base import method_of
from engrain.run import Run
from engrain.serve.adapters import CONFIG, is_plain
from engrain.serve.engine import Weights
from engrain.serve.failures import ApiError
from engrain.serve.gaps import CODE, is_code
from engrain.serve.job_store import Job, JobStore
from engrain.serve.settings import ServeSettings

OPENAI = re.compile(r"(ft:)?(gpt-|chatgpt-|davinci-|babbage-|o\d)[\w.-]*")
"""Names of OpenAI's own models; the server's base stands in for them, so that scripts run unchanged."""
FINE_TUNE = "fine-tune"
TEXT = ("chat", "text", CODE)
"""Tasks whose results write text."""


@dataclass(frozen=True)
class Served:
    """A model under the name that clients use; `run` is None for a base. `created` is in Unix seconds."""

    name: str
    weights: Weights
    run: Run | None
    created: int

    @property
    def root(self) -> str:
        """Where its weights are: the run's result, or the base itself."""
        return str(self.weights.adapter or self.weights.run or self.weights.base)


class Catalogue:
    """Looks at the folder of runs each time it is asked, so that a run is served as soon as it is complete."""

    def __init__(self, settings: ServeSettings, jobs: JobStore) -> None:
        self.settings, self.jobs = settings, jobs
        self._known: dict[Path, tuple[int, Served | None]] = {}

    def all(self) -> list[Served]:
        """Every model: the base first, then runs and jobs, the newest first."""
        return [self.base, *self._runs()]

    @property
    def base(self) -> Served:
        """The server's base model."""
        return Served(self.settings.base, Weights(self.settings.base), None, 0)

    def find(self, name: str) -> tuple[Served, str]:
        """The model of that name, and the mode that a suffix such as `+retrieval` asks for (or ""). Raises ApiError 404."""
        plain, _, mode = name.rpartition("+")
        if mode not in MODES or not plain:
            plain, mode = name, ""
        found = next((model for model in self.all() if model.name == plain), None)
        if found is None and OPENAI.fullmatch(plain) and not plain.startswith("ft:"):
            found = self.base
        if found is None:
            raise ApiError(404, f"There is no model {name!r}; GET /v1/models lists all.", "model_not_found", "model")
        return found, mode

    def _runs(self) -> Iterator[Served]:
        """Every complete run under its folder's name, and its `ft:` name where a job made it."""
        found = [served for file in sorted(self.settings.runs.glob("*/run.json")) if (served := self._look(file))]
        named = {job.out.resolve(): tuned_name(job) for job in self.jobs.list(FINE_TUNE) if job.status == "succeeded"}
        for served in sorted(found, key=lambda served: -served.created):
            assert served.run is not None
            yield served
            if (name := named.get(served.run.path.resolve())) is not None:
                yield replace(served, name=name)

    def _look(self, file: Path) -> Served | None:
        """The run of a `run.json`, read again when that has changed; None where there is nothing to serve."""
        with suppress(OSError):
            changed = file.stat().st_mtime_ns
            if self._known.get(file, (0, None))[0] != changed:
                self._known[file] = changed, _served(Run(file.parent))
            return self._known[file][1]
        return None


def _served(run: Run) -> Served | None:
    """The run as a model; None for one that is not complete or holds no result."""
    try:
        info = run.info
        if info.get("status") != "complete":
            return None
        return Served(run.path.name, weights_of(run.path, info), run, _seconds(info))
    except (EngrainError, KeyError):
        return None


def weights_of(folder: Path, info: dict[str, Any]) -> Weights:
    """What a run's answers are computed with. Raises EngrainError or KeyError for a run that was made otherwise."""
    settings = info["settings"]
    if settings.get("task", "chat") not in TEXT:
        raise KeyError("task")
    artifact = method_of(settings).artifact
    if not (folder / artifact).is_dir():
        raise KeyError(artifact)
    base, adapter = str(settings["base"]), folder / artifact
    version = adapter.stat().st_mtime_ns
    # Code may have words of its own, and what was tuned beside rounded weights belongs beside these.
    beside = not is_code(info) and settings["method"] != "qlora" and (adapter / CONFIG).is_file() and is_plain(adapter)
    return Weights(base, adapter=adapter, version=version) if beside else Weights(base, run=folder, version=version)


def tuned_name(job: Job) -> str:
    """The name of the model that a fine-tuning job makes, as OpenAI forms it: ft:BASE:ORGANISATION:SUFFIX:ID."""
    base = re.sub(r"[^\w.-]+", "-", str(job.meta["model"])).strip("-")
    return f"ft:{base}:engrain:{job.meta.get('suffix') or ''}:{job.id.removeprefix('ftjob-')[:8]}"


def _seconds(info: dict[str, Any]) -> int:
    try:
        return int(datetime.fromisoformat(str(info["created"])).timestamp())
    except (KeyError, ValueError):
        return 0
