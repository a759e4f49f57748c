"""Engrain: the loop that `engrain tune` runs, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.trainers.base import Job

if TYPE_CHECKING:
    from benchmarks.turns import Turns

REQUIREMENTS: tuple[str, ...] = ()
VARIANTS = (("lora", "bfloat16"), ("full", "bfloat16"), ("layerwise", "bfloat16"))


def train(job: Job, turns: Turns) -> None:
    """The steps; before them, with more than one pass, a row for the time that computing the frozen layers took."""
    import torch

    from engrain.run import Run
    from engrain.tasks.chat import Chat
    from engrain.train import Trainer

    method, settings = configured(job)
    dtype = getattr(torch, job.precision)
    torch.manual_seed(0)
    model = loaded(job, dtype if method.keeps_float32 else torch.float32)
    task = Chat(encoded(job))
    task.check(model)  # before there are virtual tokens, which it does not know
    method.apply(model)
    trainer = Trainer(model, method, task, settings, Run.create(Path(job.scratch) / "run", "bench"), dtype)
    if job.passes > 1:
        turns.start()
        task.settle(model)
        turns.stop()
        turns.tell(settled=True)
    model.train()
    seen = 0
    for _ in range(job.steps):
        turns.start()
        row = trainer.step()
        turns.stop()
        turns.tell(loss=row["loss"], tokens=row["tokens"] - seen)
        seen = int(row["tokens"])


def configured(job: Job) -> tuple[Any, Any]:
    """Method and training settings."""
    from engrain import registry
    from engrain.methods._low_rank import LowRank
    from engrain.train import TrainingSettings

    kind: Any = registry.find("methods", job.method)
    own = {"rank": job.rank} if issubclass(kind, LowRank) else {}
    names = TrainingSettings.__dataclass_fields__
    chosen = {name: value for name, value in job.options.items() if name in names}
    method = kind(kind.Settings(**own, **{name: value for name, value in job.options.items() if name not in names}))
    plain = {"schedule": "constant", "warmup": 0.0, "shuffle": False, "evaluate": False, "patience": 0}
    sizes = {"batch_size": job.batch_size, "max_steps": job.steps, "epochs": job.passes, "max_length": job.max_length}
    return method, TrainingSettings(learning_rate=job.learning_rate, **{**plain, **sizes, **chosen})


def loaded(job: Job, dtype: Any) -> Any:
    """The model, frozen, from its folder or with random weights."""
    from benchmarks.sizes import random_model
    from engrain.models import load_model, locate

    if job.model.startswith("random:"):
        return random_model(job.model.removeprefix("random:"), dtype, job.device)
    return load_model(locate(job.model), dtype=dtype, device=job.device)


def encoded(job: Job) -> list[Any]:
    """The rows of tokens as engrain holds them."""
    import numpy as np

    from benchmarks.workload import IGNORED, read_rows
    from engrain.tokens import Encoded

    rows = read_rows(job.tokens)
    return [Encoded(np.array(row["input_ids"], np.int32), np.array(row["labels"]) != IGNORED) for row in rows]
