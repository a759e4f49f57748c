"""All methods there are, as people choose among them: whether each can be used here, and how much it trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engrain import registry
from engrain.errors import SettingError
from engrain.methods._probe import probe
from engrain.methods.base import SizeUnknown
from engrain.models import count_parameters, outline
from engrain.progress import SILENT, Progress


@dataclass(frozen=True)
class Listed:
    """A method; `reason` says why it is not supported. `trainable_parameters` are those of its usual settings on the base.

    They are None where the method is not supported, does not fit the base as it is set, or needs its values to tell.
    """

    name: str
    title: str
    supported: bool
    reason: str
    trainable_parameters: int | None
    paper: str


def listed(base: str, progress: Progress = SILENT) -> list[Listed]:
    """Every method: ours first, then the PEFT library's. Raises ModelError for a base that is not there."""
    outline(base)
    names = registry.names("methods")
    with progress.stage("Trying out the methods", len(names), "methods") as stage:
        rows = []
        for name in names:
            rows.append(_row(name, base))
            stage.advance(1)
    return rows


def _row(name: str, base: str) -> Listed:
    kind: Any = registry.find("methods", name)
    reason, count = "" if name in registry.own("methods") else probe(name).reason, None
    if not reason:
        model = outline(base)
        try:
            kind(kind.Settings()).apply(model)
            count = count_parameters(model, trainable=True)
        except SizeUnknown:
            pass
        except SettingError as error:
            reason = error.message
    return Listed(name, registry.summary("methods", name), not reason, reason, count, kind.paper)
