"""How far the estimates of `engrain plan` lie from what training then takes, in settings that its figures were not made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import measuring
from benchmarks.environments import OWN
from benchmarks.measuring import Options, apart, quietness, rate
from benchmarks.parts.growth import TOKENS, random_job
from benchmarks.results import Results, Row
from benchmarks.tables import gigabytes, table
from benchmarks.trainers.base import Job

TITLE = "What `engrain plan` says beforehand"
EARLIER = "lora-r8-w1"
"""The setting that stands for what was trained on this machine before."""
ABOUT = (
    "Time and memory of training as `engrain plan` estimates them, with the machine's rate measured just before, and as measured then: "
    "six steps, the first two left out. The settings are none of those from which the figures in `cost.py` were made. Where earlier "
    f"trainings on a machine were timed, estimates are corrected by what they took; here {EARLIER} stands for those."
)
SETTINGS: dict[str, dict[str, Any]] = {
    "lora-r8-w1": {"method": "lora", "rank": 8},
    "lora-r64-512": {"method": "lora", "rank": 64, "length": 512},
    "lora-r16-2048": {"method": "lora", "rank": 16, "length": 2048},
    "lora-r16-360M-256": {"method": "lora", "rank": 16, "length": 256, "model": "360M"},
    "full-w1": {"method": "full"},
    "full-1024": {"method": "full", "length": 1024},
    "layerwise-half-w1": {"method": "layerwise", "options": {"layers": "0.5"}},
}
STEPS = 6


def cells(options: Options) -> dict[str, Callable[[], Row]]:
    """A cell for each setting."""
    return {name: partial(compared, options, **setting) for name, setting in SETTINGS.items()}


def compared(how: Options, method: str, length: int = 0, model: str = "", **more: Any) -> Row:
    """Estimated and measured seconds of a step, and bytes."""
    batch = max(1, TOKENS // length) if length else 16
    job = random_job(method, STEPS, length, batch, model, **more) if length else measuring.job(method, "bfloat16", STEPS, **more)
    said = apart(f"{__name__}:estimated", how.threads, job=job.to_json())
    (rows,) = measuring.run([(OWN, job)], how)
    tokens = sum(row["tokens"] for row in rows) / len(rows)
    return {
        "estimated_seconds": said["seconds"] / STEPS,
        "seconds": tokens / rate(rows),
        **quietness(rows, how),
        "estimated_bytes": said["bytes"],
        "peak_bytes": rows[-1]["peak_bytes"],
    }


def estimated(job: str) -> Row:
    """What the plan says of a job: seconds of its steps, and bytes."""
    import torch

    from benchmarks.sizes import outline as random_outline
    from benchmarks.trainers.engrain import configured, encoded
    from engrain.config import settings_from
    from engrain.cost import cost_of, matmul_rate
    from engrain.duration import Tokens, tokens_at_once, training_time
    from engrain.models import outline
    from engrain.plan import Held, memory_need, room_of
    from engrain.tokens import shared_prefix

    asked = Job(**json.loads(job))
    method, _ = configured(asked)
    model = random_outline(asked.model.removeprefix("random:")) if asked.model.startswith("random:") else outline(asked.model)
    method.apply(model)
    cost = cost_of(model, torch.bfloat16, method.in_place("cpu", torch.bfloat16))
    rows = encoded(asked)[: STEPS * asked.batch_size]
    lengths = tuple(map(len, rows))
    tokens = Tokens(lengths, 0, shared_prefix(rows), sum(int(e.supervised.sum()) for e in rows), 0, max(lengths), "")
    held = Held(cost.trained, method.at_once(model), method.kept_bytes("cpu"), 0)
    given = {"batch_size": asked.batch_size, "epochs": 1, "max_length": asked.max_length, "evaluate": False, "method": asked.method}
    settings = settings_from(given)
    room = room_of(cost, held, "cpu")
    again = room.again(tokens_at_once(tokens, settings))
    _, seconds, _ = training_time(tokens, cost, matmul_rate("cpu", torch.bfloat16), settings, again)
    return {"seconds": seconds, "bytes": memory_need(tokens, room, settings).needed}


def errors(found: Mapping[str, Row], said: str, was: str, times: float = 1.0) -> dict[str, float]:
    """How far each estimate, so many times what was said, lies from what was, as a share of it."""
    return {name: times * row[said] / row[was] - 1 for name, row in found.items()}


def summary(lies: Mapping[str, float]) -> str:
    """The mean and the largest error."""
    return f"{sum(map(abs, lies.values())) / len(lies):.0%} on average, {max(map(abs, lies.values())):.0%} at most"


def section(results: Results, images: Path) -> list[str]:
    """The table of estimates, and their mean and largest error."""
    found = results.read("plan")
    if EARLIER not in found:
        return []
    earlier = found[EARLIER]["seconds"] / found[EARLIER]["estimated_seconds"]
    time, memory = errors(found, "estimated_seconds", "seconds"), errors(found, "estimated_bytes", "peak_bytes")
    others = {name: row for name, row in found.items() if name != EARLIER}
    corrected = errors(others, "estimated_seconds", "seconds", earlier)
    rows = [
        [
            name, f"{row['estimated_seconds']:.2f} s", f"{row['seconds']:.2f} s", f"{time[name]:+.0%}",
            f"{corrected[name]:+.0%}" if name in corrected else "–",
            gigabytes(row["estimated_bytes"]), gigabytes(row["peak_bytes"]), f"{memory[name]:+.0%}",
        ]
        for name, row in found.items()
    ]  # fmt: skip
    heads = ["setting", "a step, estimated", "measured", "error", "corrected", "memory, estimated", "measured", "error"]
    told = [f"time {summary(time)}, corrected {summary(corrected)}", f"memory {summary(memory)}"]
    return [*table(heads, rows), "", f"Error: {'; '.join(told)}."]
