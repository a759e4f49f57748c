"""What a checkpoint says beside its tensors: where training stands, and of what it is a continuation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from engrain.errors import RunError
from engrain.kernels import native

if TYPE_CHECKING:
    from engrain.methods.base import Method
    from engrain.tasks.base import Task

FREE = ("checkpoint_minutes", "micro_batch_tokens")
"""Settings that a resumed run may change: what is learned does not depend on them."""


@dataclass
class Position:
    """Where training stands. `seconds` were spent on steps and `prepared` on making ready for them, anew after each resume;
    `micro_batch_tokens` shrinks when memory runs out.

    After `reviews` reviews, the last one before step `reviewed_at` (from 0), the examples numbered in `again` are practised again.
    `warm_seconds` and `warm_tokens` are those of the first, slower steps; `fits` counts how often a time budget became steps.
    """

    step: int = 0
    total_steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    prepared: float = 0.0
    warm_seconds: float = 0.0
    warm_tokens: int = 0
    fits: int = 0
    micro_batch_tokens: int = 0
    best_step: int = 0
    best_accuracy: float = -1.0
    best_loss: float = 0.0
    stale: int = 0
    reviews: int = 0
    reviewed_at: int = 0
    again: list[int] = field(default_factory=list)


def fingerprint(
    settings: Any, method: Method, task: Task, dtype: torch.dtype, device: torch.device, base: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """What decides how training goes: `settings` and `data` must stay the same, `machine` for the same bits.

    `base` gives the sha256 of the base's files by name; its weights are part of the data.
    """
    chosen = {name: value for name, value in asdict(settings).items() if name not in FREE}
    name = type(method).__module__.rpartition(".")[2]
    return {
        "settings": {**chosen, "method": name, **method.chosen(device.type), "precision": str(dtype).removeprefix("torch.")},
        "data": {part: _sha256(task, getattr(task, part)) for part in ("train", "heldout")},
        "base": {name: sha256 for name, sha256 in sorted((base or {}).items()) if name.endswith(".safetensors")},
        "machine": {
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "native": native.library() is not None,
            "device": device.type,
            "micro_batch_tokens": settings.micro_batch_tokens,
        },
    }


def _sha256(task: Task, examples: Any) -> str:
    """The sha256 of the examples' sha256 sums, in order."""
    whole = hashlib.sha256()
    for encoded in examples:
        whole.update(hashlib.sha256(task.content(encoded)).digest())
    return whole.hexdigest()


def check_same(then: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> str:
    """A note on why the resumed run will not be bit-exact, or "". Raises RunError that lists settings, data or weights that changed."""
    data = [f"the {part} examples are others" for part in now["data"] if then["data"].get(part) != now["data"][part]]
    before, weights = then.get("base", now["base"]), now["base"]
    names = sorted(name for name in before.keys() | weights.keys() if before.get(name) != weights.get(name))
    base = [f"the weights of the base are others: {', '.join(names)}"] if names else []
    problems = [*_changes(then["settings"], now["settings"]), *data, *base]
    if problems:
        raise RunError("This run cannot go on with what has changed:", "Undo the changes, or start a new run with --out.", problems)
    machine = _changes(then["machine"], now["machine"])
    return f"Not bit-exact from here on: {'; '.join(machine)}." if machine else ""


def _changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = sorted({*then, *now})
    return [f"{name} was {then.get(name)!r}, is {now.get(name)!r}" for name in names if then.get(name) != now.get(name)]
