"""A code completer for tests, made without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def make_coder(folder: Path, base: Path) -> Path:
    """A run of the task code on the tiny base, whose tokenizer got sentinels for gaps."""
    import torch

    from engrain import registry
    from engrain.models import load_model, load_tokenizer, locate
    from engrain.run import Run
    from engrain.tasks._fim import find_sentinels, make_room

    located = locate(str(base))
    model, tokenizer = load_model(located, dtype=torch.float32, device="cpu"), load_tokenizer(located)
    make_room(model, tokenizer, find_sentinels(tokenizer))
    kind: Any = registry.find("methods", "lora")
    method = kind(kind.Settings(rank=2))
    method.apply(model)
    run = Run.create(folder, folder.name)
    method.save(model, run.path / "adapter")
    settings = {"task": "code", "base": str(base), "precision": "float32", "device": "cpu", "method": "lora", "rank": 2}
    run.update(status="complete", settings={**settings, "fim_rate": 0.5})
    return folder
