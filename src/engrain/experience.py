"""How long trainings on this machine took beside what was estimated, by which the next estimate is corrected."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from engrain.errors import EngrainError
from engrain.fetch import cache_folder
from engrain.files import to_json, write_text

if TYPE_CHECKING:
    import torch

KEPT = 5
"""The last trainings of a kind that are remembered: one that other work slowed down is outvoted by the rest."""
ENOUGH_SECONDS = 20.0
"""Shorter trainings say little: their first steps, which make code and memory ready, are most of them."""


def remember(seconds: float, estimated: float, device: str, dtype: torch.dtype) -> None:
    """Note that a training took `seconds` where `estimated` would have been said. What cannot be written is not remembered."""
    if seconds < ENOUGH_SECONDS:
        return
    found = _read()
    kind = _kind(device, dtype)
    found[kind] = [*found.get(kind, ()), seconds / estimated][-KEPT:]
    with suppress(OSError, EngrainError):
        write_text(_file(), to_json(found) + "\n")


def remembered(device: str, dtype: torch.dtype) -> tuple[float, int]:
    """How many times what is estimated trainings took here (median), and how many tell; 1 and 0 where none does."""
    ratios = _read().get(_kind(device, dtype), [])
    return (median(ratios), len(ratios)) if ratios else (1.0, 0)


def _kind(device: str, dtype: torch.dtype) -> str:
    return f"{device.partition(':')[0]} {str(dtype).removeprefix('torch.')}"


def _file() -> Path:
    return cache_folder() / "experience.json"


def _read() -> dict[str, list[float]]:
    """What is remembered; nothing where the file is not there or not what was written."""
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
        kinds = {str(kind): [float(ratio) for ratio in ratios] for kind, ratios in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return {kind: sound for kind, ratios in kinds.items() if (sound := [r for r in ratios if 0 < r < math.inf])}
