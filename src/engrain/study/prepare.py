"""Preparing a base: a small adapter that teaches it to study, trained on the corpus that comes with the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from engrain.examples import Example
from engrain.files import staged
from engrain.study.lessons import lessons, read_corpus

HELDOUT_TRADES = ("heating", "library", "itservices", "zoo")
"""Trades that no lesson is made of: the skills are scored on them."""
SETTINGS: dict[str, Any] = {
    "method": "lora",
    "rank": 16,
    "batch_size": 16,
    "max_steps": 1140,
    "max_length": 2048,
    "evaluate": False,
}
"""What makes the embedded base's adapter: three quarters of an epoch at LoRA's own learning rate."""


def study_examples(seed: int) -> list[Example]:
    """The lessons of all trades but the held-out ones."""
    return lessons([trade for trade in read_corpus() if trade.name not in HELDOUT_TRADES], seed)


def install(adapter: Path, target: Path) -> None:
    """Copy an adapter to where builds look for it, its numbers in bf16: half the size, and what it is computed in."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with staged(target) as folder:
        folder.mkdir(exist_ok=True)
        tensors = load_file(adapter / "adapter_model.safetensors")
        save_file(
            {name: t.to(torch.bfloat16) for name, t in tensors.items()}, folder / "adapter_model.safetensors", metadata={"format": "pt"}
        )
        config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": ""}, indent=2) + "\n", encoding="utf-8")
