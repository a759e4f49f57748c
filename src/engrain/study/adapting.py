"""Adapting: the sentence encoder learns whatever a loss asks for; what changed in its layers is kept as a LoRA adapter."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engrain.encoder import Encoder
from engrain.progress import SILENT, Progress

TARGETS = ["query", "key", "value", "dense"]


@dataclass(frozen=True)
class Adapting:
    """How the encoder is trained: after `warmup` steps the learning rate falls as a cosine does. A change of this `rank` is kept."""

    rank: int
    learning_rate: float
    warmup: int
    steps: int
    seed: int = 0


def adapt(
    encoder: Encoder,
    loss: Callable[[int], Tensor],
    out: Path,
    how: Adapting,
    head: dict[str, nn.Parameter] | None = None,
    progress: Progress = SILENT,
) -> list[float]:
    """Lower the `loss` (of the number of the step), write the adapter to `out` in PEFT's format, and return the loss (nats) of each step.

    All weights of the layers learn. `head` is what learns beside them; it is written into the same file, by these names.
    """
    head = head or {}
    torch.manual_seed(how.seed)
    layers = {n: m for n, m in encoder.model.named_modules() if isinstance(m, nn.Linear) and "pooler" not in n}
    before = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    learning = [*(layer.weight.requires_grad_() for layer in layers.values()), *head.values()]
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
    changes = {name: layer.weight.detach() - before[name] for name, layer in layers.items()}
    write(changes, how.rank, {name: value.detach() for name, value in head.items()}, out)
    return losses


def write(changes: Mapping[str, Tensor], rank: int, head: Mapping[str, Tensor], out: Path) -> None:
    """Write the changes of layers' weights, by the layers' names, as a LoRA adapter: the nearest of this rank (Eckart and Young 1936)."""
    from peft import LoraConfig

    factors = dict(head)
    for name, change in changes.items():
        left, sizes, right = torch.linalg.svd(change, full_matrices=False)
        root = sizes[:rank].sqrt()
        factors[f"base_model.model.{name}.lora_A.weight"] = (root[:, None] * right[:rank]).contiguous()
        factors[f"base_model.model.{name}.lora_B.weight"] = (left[:, :rank] * root).contiguous()
    LoraConfig(r=rank, lora_alpha=rank, target_modules=TARGETS, exclude_modules=r".*pooler.*").save_pretrained(out)
    save_file(factors, out / "adapter_model.safetensors")
