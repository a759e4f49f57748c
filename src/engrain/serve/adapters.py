"""The LoRA adapters in memory beside one copy of a base's weights.

Shapes: I and O widths of a linear layer, R rank.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import Tensor, nn

from engrain.errors import ModelError
from engrain.serve.engine import Weights

CONFIG, WEIGHTS, PREFIX = "adapter_config.json", "adapter_model.safetensors", "base_model.model."
"""How the PEFT library names its files and tensors."""
PLAIN = {"use_dora": False, "bias": "none", "fan_in_fan_out": False, "lora_bias": False}
"""What a configuration must say, where it says anything, for the adapter to be two products beside a linear layer."""
EXTRA = ("modules_to_save", "alpha_pattern", "trainable_token_indices", "target_parameters", "layer_replication")
"""What it must not have: such adapters are put into a copy of the base instead."""
Pair = tuple[Tensor, Tensor]


Adapter = Mapping[str, Pair]
"""A (R, I) and scale · B (O, R) of every adapted linear layer, by the layer's name."""
A = TypeVar("A")


def is_plain(folder: Path) -> bool:
    """Whether the adapter in a folder is plain LoRA, which can be computed beside others."""
    config = _config(folder)
    plain = all(config.get(name, value) == value for name, value in PLAIN.items())
    return config.get("peft_type") == "LORA" and plain and not any(config.get(name) for name in EXTRA)


def load_adapter(folder: Path, model: nn.Module) -> Adapter:
    """The adapter in a folder, for this model. Raises ModelError that lists every tensor that does not fit."""
    from safetensors.torch import load_file

    config, linears = _config(folder), {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    tensors = {name.removeprefix(PREFIX).removesuffix(".weight"): tensor for name, tensor in load_file(folder / WEIGHTS).items()}
    names = sorted({name.rpartition(".lora_")[0] for name in tensors})
    problems = [problem for name in names if (problem := _misfit(name, linears.get(name), tensors))]
    if problems or not names:
        raise ModelError(f"{folder} does not fit this model:", "Load it with the base it was trained on.", problems or ["no tensor"])
    return {name: _pair(tensors, name, config, linears[name].weight) for name in names}


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} holds no adapter: {error}", "Choose the folder that the run wrote (adapter/).") from error
    if not isinstance(config, dict):
        raise ModelError(f"{folder / CONFIG} holds no object", "Choose the folder that the run wrote (adapter/).")
    return config


def _misfit(name: str, linear: nn.Linear | None, tensors: dict[str, Tensor]) -> str:
    """What is wrong with a layer's two tensors, or an empty string."""
    a, b = (tensors.get(f"{name}.lora_{side}") for side in "AB")
    if linear is None:
        return f"{name}: the model has no such linear layer"
    if a is None or b is None or a.ndim != 2 or b.ndim != 2:
        return f"{name}: lora_A or lora_B is missing or no matrix"
    wanted = (b.shape[1], linear.in_features), (linear.out_features, a.shape[0])
    found = tuple(a.shape), tuple(b.shape)
    return "" if found == wanted else f"{name}: lora_A and lora_B are {found}, the layer is {linear.in_features} → {linear.out_features}"


def _pair(tensors: dict[str, Tensor], name: str, config: dict[str, Any], like: Tensor) -> Pair:
    a, b = (tensors[f"{name}.lora_{side}"].float() for side in "AB")
    rank = a.shape[0]
    scale = config["lora_alpha"] / (math.sqrt(rank) if config.get("use_rslora") else rank)
    return a.to(like), (b * scale).to(like)


class Adapters(Generic[A]):
    """The adapters in memory as a model takes them; the least recently used one gives way."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.loaded: OrderedDict[Weights, A] = OrderedDict()

    def has(self, weights: Weights) -> bool:
        """Whether the adapter is in memory; if so it counts as used now."""
        if weights in self.loaded:
            self.loaded.move_to_end(weights)
        return weights in self.loaded

    def put(self, weights: Weights, adapter: A, in_use: Collection[Weights]) -> None:
        """Keep an adapter in memory; those `in_use` stay, whatever their number."""
        self.loaded[weights] = adapter
        idle = [other for other in self.loaded if other not in in_use and other != weights]
        for other in idle[: max(0, len(self.loaded) - self.most)]:
            del self.loaded[other]
