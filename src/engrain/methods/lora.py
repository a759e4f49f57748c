"""LoRA: a small low-rank update beside each frozen linear layer (arXiv 2106.09685)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from engrain.errors import ModelError, SettingError
from engrain.methods.base import Method, load_tensors
from engrain.settings import check, setting

if TYPE_CHECKING:
    import torch
    from torch import nn

    from engrain.kernels.lora_linear import LoRALinear

PREFIX = "base_model.model."
CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class LoRASettings:
    """The size and place of the update."""

    rank: int = setting(64, "Rank r of the update B·A.")
    alpha: float | None = setting(None, "Scale: the update counts alpha / rank times; default 2 × rank.")
    dropout: float = setting(0.0, "Share of the update's inputs dropped while training.")
    target_modules: str = setting("all-linear", "Linear layers to adapt: all-linear, or names separated by commas (q_proj,v_proj).")

    def __post_init__(self) -> None:
        check(
            self,
            rank=(self.rank > 0, "must be at least 1"),
            alpha=(self.alpha is None or self.alpha > 0, "must be above 0"),
            dropout=(0 <= self.dropout < 1, "must be at least 0 and below 1"),
        )


class LoRA(Method):
    """h = W x + (alpha / rank) · B A x with W frozen. Saved in the PEFT library's format."""

    Settings: ClassVar[type] = LoRASettings
    artifact: ClassVar[str] = "adapter"
    learning_rate: ClassVar[float] = 2e-3
    keeps_float32: ClassVar[bool] = True

    def apply(self, model: nn.Module) -> None:
        """Freeze the model and put an update beside every target. Raises SettingError when no layer matches."""
        from engrain.kernels.lora_linear import LoRALinear

        model.requires_grad_(False)
        settings: LoRASettings = self.settings
        alpha = settings.alpha if settings.alpha is not None else 2.0 * settings.rank
        for name in self._targets(model):
            _replace(model, name, LoRALinear(model.get_submodule(name), settings.rank, alpha, settings.dropout))

    def _targets(self, model: nn.Module) -> list[str]:
        """The full names of the linear layers to adapt; never the output head, whose weight the loss uses as it is."""
        from torch import nn

        head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
        linears = [name for name, m in model.named_modules() if isinstance(m, nn.Linear) and m is not head]
        if not linears:
            raise SettingError(f"{type(model).__name__} has no linear layer that LoRA could adapt", "Use --method layerwise or full.")
        if self.settings.target_modules == "all-linear":
            return linears
        wanted = [part.strip() for part in self.settings.target_modules.split(",") if part.strip()]
        found = {part: [n for n in linears if n == part or n.endswith("." + part)] for part in wanted}
        missing = [part for part in wanted if not found[part]]
        if missing or not wanted:
            there = ", ".join(sorted({name.rpartition(".")[2] for name in linears}))
            raise SettingError(f"target_modules: LoRA cannot adapt {', '.join(missing) or 'nothing'}", f"This model has: {there}.")
        return [name for name in linears if any(name in names for names in found.values())]

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write `adapter_config.json` and `adapter_model.safetensors` as the PEFT library reads them."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            f"{PREFIX}{name}.lora_{side}.weight": _side(layer, side).detach().contiguous().cpu()
            for name, layer in adapted(model)
            for side in "AB"
        }
        save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        (folder / CONFIG).write_text(json.dumps(self._peft_config(model), indent=2) + "\n", encoding="utf-8")

    def _peft_config(self, model: nn.Module) -> dict[str, Any]:
        layers = dict(adapted(model))
        first = next(iter(layers.values()))
        return {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": getattr(getattr(model, "config", None), "_name_or_path", ""),
            "r": first.rank,
            "lora_alpha": first.scale * first.rank,
            "lora_dropout": first.dropout,
            "target_modules": sorted(
                {name.rpartition(".")[2] for name in layers} if self.settings.target_modules == "all-linear" else set(layers)
            ),
            "bias": "none",
            "fan_in_fan_out": False,
            "inference_mode": True,
        }

    def load(self, model: nn.Module, folder: Path) -> None:
        """Read an adapter back; ModelError lists every tensor that does not fit."""
        from safetensors.torch import load_file

        file = folder / "adapter_model.safetensors"
        missing = [f"{name}: not there" for name in (file.name, CONFIG) if not (folder / name).is_file()]
        if missing:
            raise ModelError(f"{folder} holds no adapter:", "Choose the folder that the run wrote (adapter/).", missing)
        config, own = json.loads((folder / CONFIG).read_text(encoding="utf-8")), self._peft_config(model)
        if not math.isclose(config["lora_alpha"] / config["r"], own["lora_alpha"] / own["r"]):
            made, now = (f"alpha={c['lora_alpha']:g} and rank={c['r']}" for c in (config, own))
            raise ModelError(f"{folder} was trained with {made}, not {now}", "Use the settings it was trained with.")
        tensors = {name.removeprefix(PREFIX).removesuffix(".weight"): t for name, t in load_file(file).items()}
        load_tensors(model, tensors, file, [f"{name}.lora_{side}" for name, _ in adapted(model) for side in "AB"])

    def merge(self, model: nn.Module) -> None:
        """Add (alpha / rank) · B A into W, in fp32, and put plain linear layers back."""
        for name, layer in list(adapted(model)):
            _replace(model, name, layer.merged())


def adapted(model: nn.Module) -> Iterator[tuple[str, LoRALinear]]:
    """Name and layer of every adapted linear layer."""
    from engrain.kernels.lora_linear import LoRALinear

    return ((name, m) for name, m in model.named_modules() if isinstance(m, LoRALinear))


def _side(layer: LoRALinear, side: str) -> torch.Tensor:
    return layer.lora_A if side == "A" else layer.lora_B


def _replace(model: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent) if parent else model, leaf, new)
