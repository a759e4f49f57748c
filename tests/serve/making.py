"""Runs for tests, made without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def make_run(runs: Path, name: str, base: Path, seed: int, rank: int = 4, **info: Any) -> Path:
    """A complete run with a random LoRA adapter strong enough to change answers."""
    import torch

    from engrain import registry
    from engrain.files import write_text
    from engrain.models import load_model, locate
    from engrain.run import Run

    kind: Any = registry.find("methods", "lora")
    method = kind(kind.Settings(rank=rank))
    model = load_model(locate(str(base)), dtype=torch.float32, device="cpu")
    run = Run.create(runs / name, name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        method.apply(model)
        for parameter_name, parameter in model.named_parameters():
            if parameter_name.endswith("lora_B"):
                torch.nn.init.normal_(parameter, std=0.2)
    method.save(model, run.path / "adapter")
    write_text(run.path / "facts.jsonl", "")
    run.update(status="complete", settings={"base": str(base), "method": "lora", "rank": rank, "precision": "float32"}, **info)
    return run.path
