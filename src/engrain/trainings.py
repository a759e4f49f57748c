"""Several trainings on the examples of one run: each a run of its own below it, that a kill leaves to be gone on with."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from engrain import registry
from engrain.config import Settings, settings_from
from engrain.errors import Interrupted
from engrain.files import staged
from engrain.methods.base import SizeUnknown
from engrain.models import outline
from engrain.run import Run

if TYPE_CHECKING:
    from torch import nn

SHARED = ("documents.jsonl", "facts.jsonl", "superseded.jsonl", "before.json", "examples")
"""What every training gets from the run that it belongs to."""


def check_fits(settings: Settings, model: nn.Module | None = None) -> None:
    """Raise SettingError where the method does not fit the base, or another `model`, of which an outline is enough."""
    method: Any = registry.find("methods", settings.method)
    with suppress(SizeUnknown):
        method(settings.method_settings).apply(outline(settings.model.base) if model is None else model)


def part_of(run: Run, name: str) -> Run:
    """The run of one training in the folder `name` of `run`, with the shared examples in it; the one that is there already, if so."""
    path = run.path / name
    part = Run.open(path) if (path / "run.json").is_file() else Run.create(path, path.name)
    if part.info.get("status") != "complete":
        share(run, part)
    return part


def share(source: Run, run: Run) -> None:
    """Copy what trainings share from one run to another, as far as it is there and is not there yet."""
    for name in SHARED:
        if (source.path / name).exists() and not (run.path / name).exists():
            with staged(run.path / name) as temporary:
                (shutil.copytree if (source.path / name).is_dir() else shutil.copyfile)(source.path / name, temporary)


@contextmanager
def under_way(part: Run, values: Mapping[str, Any]) -> Iterator[Settings]:
    """Hold a training's run while its work is done with these settings; how that ended is noted in `run.json`."""
    with part.lock():
        try:
            settings = settings_from(values)
            part.update(status="running", settings=settings.to_dict(), error=None)
            yield settings
        except (Interrupted, KeyboardInterrupt):
            part.update(status="interrupted")
            raise
        except Exception as error:
            part.update(status="failed", error=str(error) or type(error).__name__)
            raise
        part.update(status="complete")


def trained_numbers(run: Run) -> int:
    """How many numbers trained: those that a checkpoint holds."""
    from safetensors import safe_open

    from engrain.optimize import LEFT

    newest = run.newest_checkpoint()
    assert newest is not None, "a finished training has a checkpoint"
    with safe_open(newest[1] / "values.safetensors", "pt") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys() if not name.endswith(LEFT))  # noqa: SIM118 - the file is no dictionary
