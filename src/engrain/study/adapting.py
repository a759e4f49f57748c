"""Adapting: the sentence encoder learns with LoRA whatever a loss asks for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from engrain.encoder import Encoder
from engrain.progress import SILENT, Progress

TARGETS = ["query", "key", "value", "dense"]


@dataclass(frozen=True)
class Adapting:
    """How the encoder is trained: after `warmup` steps the learning rate falls as a cosine does."""

    rank: int
    learning_rate: float
    warmup: int
    steps: int
    seed: int = 0


def adapt(
    encoder: Encoder,
    loss: Callable[[int], torch.Tensor],
    out: Path,
    how: Adapting,
    head: dict[str, torch.nn.Parameter] | None = None,
    progress: Progress = SILENT,
) -> list[float]:
    """Lower the `loss` (of the number of the step), write the adapter to `out` in PEFT's format, and return the loss (nats) of each step.

    `head` is what learns beside the encoder; it is written into the same file, by these names.
    """
    from peft import LoraConfig, get_peft_model

    head = head or {}
    torch.manual_seed(how.seed)
    config = LoraConfig(r=how.rank, lora_alpha=2 * how.rank, target_modules=TARGETS, exclude_modules=r".*pooler.*")
    model: Any = get_peft_model(encoder.model, config)
    learning = [*(p for p in model.parameters() if p.requires_grad), *head.values()]
    optimizer = torch.optim.AdamW(learning, lr=how.learning_rate, weight_decay=0.0)
    losses = []
    with progress.stage("Teaching the encoder", how.steps, "steps") as stage:
        for step in range(how.steps):
            for group in optimizer.param_groups:
                falling = (1 + math.cos(math.pi * step / how.steps)) / 2
                group["lr"] = how.learning_rate * min(1, (step + 1) / how.warmup) * falling
            found = loss(step)
            optimizer.zero_grad()
            found.backward()
            torch.nn.utils.clip_grad_norm_(learning, 1.0)
            optimizer.step()
            losses.append(found.item())
            stage.advance(1, loss=losses[-1])
    model.save_pretrained(out)
    weights = out / "adapter_model.safetensors"
    save_file(load_file(weights) | {name: value.detach() for name, value in head.items()}, weights)
    return losses
