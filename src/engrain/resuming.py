"""Going on with work that was stopped: which run is meant, what must not have changed since, what a failure leaves behind."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from engrain.config import Settings, catalogue
from engrain.errors import Interrupted, RunError, SettingError
from engrain.files import to_json
from engrain.progress import Progress
from engrain.run import Run

COMPLETE, READY = "complete", "ready"
"""How `run.json` says that a run was measured, or that its examples are there to be looked at and nothing is trained yet."""
MADE_AFTER_EXAMPLES = (
    "before.json",
    "parts",
    "trials",
    "checkpoints",
    "metrics.jsonl",
    "gate.safetensors",
    "adapter",
    "model",
    "evaluation.json",
    "by-heart.jsonl",
    "changes.json",
    "report.html",
    "README.md",
)
MAKES_EXAMPLES = ("privacy", "knowledge", "study")
"""The groups of settings that examples are made with."""


def stopped(out: Path | None, name: str) -> Run:
    """The run to resume: at `out`, or the newest of this `name` that is not complete and that nobody works on.

    Raises SettingError where there is nothing to resume.
    """
    if out is None:
        found = (run for run in Run.list() if run.info.get("status") != COMPLETE and run.info.get("name") == name and not run.in_use())
        run = next(found, None)
        if run is None:
            raise SettingError(
                f"There is no run under runs/ that was stopped and is named {name}: nothing to resume",
                "Leave out --resume to start a new one, or name the run with --out.",
            )
        return run
    run = Run.open(out)
    if run.info.get("status") == COMPLETE:
        raise SettingError(f"{out} is complete: nothing to resume", "Query it (engrain ask, engrain chat), or start a new run with --out.")
    return run


def stopped_update(earlier: Run, out: Path | None) -> Run:
    """The update of a run to resume: at `out`, or the newest that is not complete. Raises SettingError where there is none."""
    found = [stopped(out, "")] if out is not None else [run for run in Run.list() if run.info.get("status") != COMPLETE]
    run = next((run for run in found if _is_of(run, earlier)), None)
    if run is None:
        where = f"{out} is no update of" if out is not None else "There is no stopped update of"
        raise SettingError(f"{where} {earlier.path}: nothing to resume", "Leave out --resume to start a new one.")
    return run


def _is_of(run: Run, earlier: Run) -> bool:
    """Whether a run updates that one, however its path was written."""
    return bool(run.info.get("updates")) and Path(run.info["updates"]).resolve() == earlier.path.resolve()


def check_unchanged(run: Run, now: Mapping[str, Any], then: Mapping[str, Any] | None = None) -> None:
    """Raise RunError where work would go on with other values than it began with: `then`, or else what `run.json` says of settings."""
    now = json.loads(to_json(now))  # as `run.json` gives it back
    before = run.info.get("settings", {}) if then is None else then
    changed = [f"{name} was {before.get(name)!r}, is {now[name]!r}" for name in sorted(now) if before.get(name) != now[name]]
    if changed:
        raise RunError(f"{run.path} cannot go on with what has changed:", "Undo the changes, or start a new one with --out.", changed)


def settings_of_examples(settings: Settings) -> dict[str, Any]:
    """The settings that a run's examples depend on."""
    owners: dict[str, Collection[str]] = {name: found.owners for name, found in catalogue().items()}
    made = {name: value for name, value in settings.to_dict().items() if set(owners[name]) & set(MAKES_EXAMPLES) and name != "gate"}
    return made | {"base": settings.model.base, "seed": settings.training.seed}


@contextmanager
def removed_if_empty(run: Run, is_new: bool) -> Iterator[None]:
    """Remove a new run whose work fails before it has measured or trained anything: there is nothing to go on from."""
    try:
        yield
    except Exception:
        if is_new and not run.in_use() and not any((run.path / name).exists() for name in MADE_AFTER_EXAMPLES):
            run.discard()
        raise


@contextmanager
def status_of(run: Run, progress: Progress) -> Iterator[None]:
    """Note in `run.json` how the work ended when it does not end well."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        run.update(status="interrupted")
        progress.note(f"To go on: the same command with --resume --out {run.path}")
        raise
    except Exception as error:
        with suppress(RunError):  # on a full disk not even this can be noted, and `error` says so
            run.update(status="failed", error=str(error))
        raise
