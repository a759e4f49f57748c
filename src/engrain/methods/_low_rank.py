"""What LoRA and its relatives share: settings, the layers they adapt, and the PEFT library's format.

A relative differs in its layer (`layer`) or in the values its layers start from (`prepare`, `start`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from engrain.errors import ModelError, SettingError
from engrain.methods._choice import chosen_modules
from engrain.methods.base import Method, load_tensors
from engrain.settings import check, check_choices, setting

if TYPE_CHECKING:
    import torch
    from torch import nn

    from engrain.kernels.lora_linear import LoRALinear
    from engrain.methods._layers import LoRAConv2d

PREFIX = "base_model.model."
CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
FACTORS = ("lora_A", "lora_B")


@dataclass(frozen=True)
class LowRankSettings:
    """The size and place of the update, and what else trains."""

    rank: int = setting(64, "Rank r of the update B·A.", sweep=(8, 16, 32, 64, 128, 256))
    alpha: float | None = setting(None, "Scale: the update counts alpha / rank times; the default makes that 2.")
    dropout: float = setting(0.0, "Share of the update's inputs dropped while training.", sweep=(0.0, 0.05, 0.1))
    target_modules: str = setting("all-linear", "Layers to adapt: all-linear, or names separated by commas (q_proj,v_proj).")
    layers: str = setting(
        "",
        "Layers to adapt: a number of top layers, a range a-b, a list a,b,c, or a top fraction. Default: all; "
        "the top half (0.5) where method lora learns documents.",
        sweep=("", "0.67", "0.33"),
    )
    rank_pattern: str = setting(
        "",
        "Other ranks for some layers: name=rank, separated by commas (down_proj=16,v_proj=8). Their update counts alpha / that rank times.",
    )
    rank_stabilized: bool = setting(False, "Count the update alpha / √rank times (rsLoRA): high ranks then learn as fast as low ones.")
    learning_rate_ratio: float | None = setting(
        None,
        "How many times faster B learns than A (LoRA+). Default: 4 for method lora at its own learning rate, else 1.",
        sweep=(1.0, 4.0, 16.0),
    )
    bias: str = setting(
        "none", "Biases that train too: those of adapted layers, or all of the model.", choices=("none", "lora_only", "all")
    )
    modules_to_save: str = setting("", "Modules that train whole beside the update, by name, separated by commas.")

    def __post_init__(self) -> None:
        check_choices(self)
        check(
            self,
            rank=(self.rank > 0, "must be at least 1"),
            alpha=(self.alpha is None or self.alpha > 0, "must be above 0"),
            dropout=(0 <= self.dropout < 1, "must be at least 0 and below 1"),
            learning_rate_ratio=(self.learning_rate_ratio is None or self.learning_rate_ratio > 0, "must be above 0"),
            rank_pattern=(_ranks(self.rank_pattern) is not None, "must be name=rank, separated by commas, each rank at least 1"),
        )

    @property
    def scale(self) -> float:
        """How many times the update of the usual rank counts."""
        return 2.0 if self.alpha is None else self.alpha / self.divisor(self.rank)

    def divisor(self, rank: int) -> float:
        """What alpha is divided by at a rank."""
        return math.sqrt(rank) if self.rank_stabilized else rank


class LowRank(Method):
    """h = W x + s · B A x with W frozen. Saved in the PEFT library's format."""

    Settings: ClassVar[type] = LowRankSettings
    artifact: ClassVar[str] = "adapter"
    keeps_float32: ClassVar[bool] = True
    trained: ClassVar[tuple[str, ...]] = FACTORS
    """The tensors of a layer that train."""
    copies: ClassVar[int] = 1
    """How many times the rank a saved update has."""
    ratio: ClassVar[float] = 1.0
    """How many times faster B learns than A at the method's own learning rate."""
    convolves: ClassVar[bool] = False
    """Whether convolutions can be adapted as well: those that are named, or all where they hold most of the weights."""
    peft: ClassVar[dict[str, Any]] = {}
    """What the PEFT library has to be told beyond the usual."""
    settings: LowRankSettings

    def layer(self) -> type[LoRALinear]:
        """The class of the adapted layers."""
        from engrain.kernels.lora_linear import LoRALinear

        return LoRALinear

    def start(self, layer: LoRALinear, weight: torch.Tensor) -> None:
        """Give a new layer what only the `weight` in its full width can tell; as it is made, A is random and B zero."""

    def apply(self, model: nn.Module) -> None:
        """Freeze the model and put an update beside every target. Raises SettingError listing what cannot be adapted."""
        model.requires_grad_(False)
        chosen, targets = self.settings, self._targets(model)
        ranks = self._ranks(model, targets)
        alpha = chosen.scale * chosen.divisor(chosen.rank)
        for name in targets:
            plain: Any = model.get_submodule(name)
            made = self._beside(plain)(plain, ranks[name], alpha * ranks[name] / chosen.divisor(ranks[name]), chosen.dropout)
            self.start(made, plain.weight.detach())
            replace(model, name, made)
        for module in self._whole_modules(model).values():
            module.requires_grad_(True)
        for name, parameter in model.named_parameters():
            if name.endswith(".bias") and (chosen.bias == "all" or (chosen.bias == "lora_only" and name.removesuffix(".bias") in ranks)):
                parameter.requires_grad_(True)
        if chosen.bias != "none" and not any(name.endswith(".bias") for name in trainable(model)):
            raise SettingError(f"bias={chosen.bias!r}: this model has no such bias", "Leave out --bias.")

    def _beside(self, plain: nn.Module) -> type[LoRALinear | LoRAConv2d]:
        """The class that stands in for a layer."""
        from torch import nn

        from engrain.methods._layers import LoRAConv2d

        return LoRAConv2d if isinstance(plain, nn.Conv2d) else self.layer()

    def _targets(self, model: nn.Module) -> list[str]:
        """The full names of the layers to adapt."""
        usual, named_only = self._adaptable(model)
        if not usual:
            kinds = "linear layer or convolution" if self.convolves else "linear layer"
            raise SettingError(f"{type(model).__name__} has no {kinds} that LoRA could adapt", "Use --method layerwise or full.")
        if self.settings.layers:
            inside = {id(m) for module in chosen_modules(model, self.settings.layers) for m in module.modules()}
            usual, named_only = ([n for n in names if id(model.get_submodule(n)) in inside] for names in (usual, named_only))
        if self.settings.target_modules == "all-linear":
            return usual
        found = named(self.settings.target_modules, [*usual, *named_only])
        missing = [part for part, names in found.items() if not names]
        if missing or not found:
            there = ", ".join(sorted({name.rpartition(".")[2] for name in [*usual, *named_only]}))
            raise SettingError(f"target_modules: LoRA cannot adapt {', '.join(missing) or 'nothing'}", f"This model has: {there}.")
        return [name for name in [*usual, *named_only] if any(name in names for names in found.values())]

    def _adaptable(self, model: nn.Module) -> tuple[list[str], list[str]]:
        """The full names of the layers that are adapted unless others are named, and of those that can be named as well.

        Never the output head, whose weight the loss uses as it is, nor convolutions that keep channels apart or are dilated.
        """
        from torch import nn

        head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
        linears = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear) and m is not head}
        dense = {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d) and _is_usual(m)}
        if not self.convolves:
            return list(linears), []
        in_linears, in_dense = (sum(m.weight.numel() for m in layers.values()) for layers in (linears, dense))
        return ([*linears, *dense], []) if in_dense > in_linears else (list(linears), list(dense))

    def _ranks(self, model: nn.Module, targets: list[str]) -> dict[str, int]:
        """The rank of every target. Raises SettingError for a name that is no target, and a rank that no matrix has room for."""
        chosen = self.settings
        pattern = _ranks(chosen.rank_pattern) or {}
        found = {part: [n for n in targets if _is(n, part)] for part in pattern}
        unknown = [part for part, names in found.items() if not names]
        if unknown:
            there = ", ".join(sorted({name.rpartition(".")[2] for name in targets}))
            raise SettingError(f"rank_pattern: {', '.join(unknown)} is not adapted", f"Adapted are: {there}.")
        ranks = dict.fromkeys(targets, chosen.rank) | {n: pattern[part] for part, names in found.items() for n in names}
        room = {name: min(model.get_submodule(name).weight.flatten(1).shape) for name in targets}
        asked = [(chosen.rank, targets), *((pattern[part], names) for part, names in found.items())]
        large = [rank for rank, names in asked if rank > max(room[name] for name in names)]
        if large:
            most = max(room.values())
            raise SettingError(
                f"rank={large[0]} is larger than every matrix it would adapt (at most {most})", f"Use at most --rank {most}."
            )
        return ranks

    def _whole_modules(self, model: nn.Module) -> dict[str, nn.Module]:
        """Name → module of `modules_to_save`. Raises SettingError for names that the model does not have or cannot train apart."""
        modules = {n: m for n, m in model.named_modules() if n and any(True for _ in m.parameters(recurse=False)) and not is_adapted(m)}
        found = named(self.settings.modules_to_save, list(modules))
        missing = [part for part, names in found.items() if not names]
        if missing:
            there = ", ".join(sorted({name.rpartition(".")[2] for name in modules}))
            raise SettingError(f"modules_to_save: there is no {', '.join(missing)} beside the adapted layers", f"This model has: {there}.")
        chosen = {name: modules[name] for names in found.values() for name in names}
        owners = [id(p) for m in model.modules() for p in m.parameters(recurse=False)]
        tied = [name for name, m in chosen.items() if any(owners.count(id(p)) > 1 for p in m.parameters())]
        if tied:
            step = "Leave it out, or use --method layerwise --layers with its name."
            raise SettingError(f"modules_to_save: the weight of {', '.join(tied)} is shared with another module", step)
        return chosen

    @classmethod
    def paced(cls, times: float) -> dict[str, float]:
        """The learning rate, and with it the ratio that goes with the method's own."""
        return {**super().paced(times), "learning_rate_ratio": cls.ratio}

    def parameter_groups(self, model: nn.Module, own_rate: bool = True) -> list[dict[str, Any]]:
        """All in one, or B apart where it learns faster (LoRA+, arXiv 2402.12354)."""
        ratio = self.settings.learning_rate_ratio or (self.ratio if own_rate else 1.0)
        if ratio == 1:
            return super().parameter_groups(model, own_rate)
        fast = [p for name, p in trainable(model).items() if name.endswith(".lora_B")]
        slow = [p for name, p in trainable(model).items() if not name.endswith(".lora_B")]
        return [{"params": slow}, {"params": fast, "scale": ratio}]

    def narrow(self, model: nn.Module) -> Collection[str]:
        """Biases and whole modules: their layers compute in the model's format."""
        return [name for name in trainable(model) if name.rpartition(".")[2] not in self.trained]

    def saved(self, layer: Any) -> dict[str, torch.Tensor]:
        """The layer's part of the file."""
        return {"lora_A.weight": layer.lora_A, "lora_B.weight": layer.lora_B}

    def restored(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The layer's own tensors out of its part of the file."""
        return {name.removesuffix(".weight"): tensor for name, tensor in tensors.items()}

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write `adapter_config.json` and `adapter_model.safetensors` as the PEFT library reads them."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        layers = dict(adapted(model))
        tensors = {f"{name}.{part}": t for name, layer in layers.items() for part, t in self.saved(layer).items()}
        for name, parameter in trainable(model).items():
            owner, _, leaf = name.rpartition(".")
            if leaf not in self.trained:
                tensors[f"{owner}.base_layer.{leaf}" if owner in layers else name] = parameter
        held = {f"{PREFIX}{name}": tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
        save_file(held, folder / TENSORS, metadata={"format": "pt"})
        (folder / CONFIG).write_text(json.dumps(self._peft_config(model), indent=2) + "\n", encoding="utf-8")

    def _peft_config(self, model: nn.Module) -> dict[str, Any]:
        layers, chosen = dict(adapted(model)), self.settings
        rank = self.copies * chosen.rank
        whole = sorted(self._whole_modules(model))
        return {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM" if hasattr(model, "generate") else None,
            "base_model_name_or_path": getattr(getattr(model, "config", None), "_name_or_path", ""),
            "r": rank,
            "lora_alpha": chosen.scale * chosen.divisor(rank),
            "use_rslora": chosen.rank_stabilized,
            "lora_dropout": chosen.dropout,
            "rank_pattern": {name: self.copies * layer.rank for name, layer in layers.items() if layer.rank != chosen.rank},
            "target_modules": sorted(
                {name.rpartition(".")[2] for name in layers}
                if (chosen.target_modules, chosen.layers) == ("all-linear", "")
                else set(layers)
            ),
            "modules_to_save": whole or None,
            "bias": chosen.bias,
            "fan_in_fan_out": False,
            "inference_mode": True,
            **self.peft,
        }

    def load(self, model: nn.Module, folder: Path) -> None:
        """Read an adapter back; ModelError lists every tensor that does not fit."""
        from safetensors.torch import load_file

        missing = [f"{name}: not there" for name in (TENSORS, CONFIG) if not (folder / name).is_file()]
        if missing:
            raise ModelError(f"{folder} holds no adapter:", "Choose the folder that the run wrote (adapter/).", missing)
        config, own = json.loads((folder / CONFIG).read_text(encoding="utf-8")), self._peft_config(model)
        if not math.isclose(scale_of(config), scale_of(own)) or config.get("use_dora", False) != own.get("use_dora", False):
            made, now = (_told(c) for c in (config, own))
            raise ModelError(f"{folder} was trained with {made}, not {now}", "Use the settings it was trained with.")
        parts: dict[str, dict[str, torch.Tensor]] = {}
        for key, tensor in load_file(folder / TENSORS).items():
            name = key.removeprefix(PREFIX).replace(".base_layer.", ".")
            owner, dot, leaf = name.partition(".lora_")
            parts.setdefault(owner if dot else "", {})[f"lora_{leaf}" if dot else name] = tensor
        tensors = parts.pop("", {})
        for owner, part in parts.items():
            tensors |= {f"{owner}.{leaf}": tensor for leaf, tensor in self.restored(part).items()}
        load_tensors(model, tensors, folder / TENSORS, list(trainable(model)))

    def merge(self, model: nn.Module) -> None:
        """Add the update into W, in fp32, and put plain linear layers back."""
        for name, layer in list(adapted(model)):
            replace(model, name, layer.merged())


def adapted(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Name and layer of every adapted layer."""
    return ((name, m) for name, m in model.named_modules() if is_adapted(m))


def is_adapted(module: nn.Module) -> bool:
    """Whether a module is an adapted layer."""
    from engrain.kernels.lora_linear import LoRALinear
    from engrain.methods._layers import LoRAConv2d

    kinds: tuple[type, ...] = (LoRALinear, LoRAConv2d)
    return isinstance(module, kinds)


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Name → parameter for all that trains."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def named(text: str, names: list[str]) -> dict[str, list[str]]:
    """The names that each part of a list separated by commas means: itself, or all that end with it."""
    return {part: [name for name in names if _is(name, part)] for part in map(str.strip, text.split(",")) if part}


def replace(model: nn.Module, name: str, new: nn.Module) -> None:
    """Put a module in the place of the one of that name."""
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent) if parent else model, leaf, new)


def scale_of(config: dict[str, Any]) -> float:
    """How many times the update of an adapter in the PEFT library's format counts, at its usual rank."""
    return float(config["lora_alpha"]) / (math.sqrt(config["r"]) if config.get("use_rslora") else config["r"])


def _is_usual(conv: nn.Conv2d) -> bool:
    """Whether a convolution joins all channels of neighbouring pixels: of dilated ones the PEFT library has another idea."""
    return (conv.groups, conv.dilation, conv.padding_mode) == (1, (1, 1), "zeros")


def _told(config: dict[str, Any]) -> str:
    words = f"alpha={config['lora_alpha']:g} and rank={config['r']}"
    return words + " (rank-stabilized)" * bool(config.get("use_rslora")) + " (DoRA)" * bool(config.get("use_dora"))


def _is(name: str, part: str) -> bool:
    return name == part or name.endswith("." + part)


def _ranks(text: str) -> dict[str, int] | None:
    """Name → rank of a rank pattern; None where it cannot be read."""
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if any(not name.strip() or not rank.strip().isdigit() or int(rank) < 1 for name, _, rank in pairs):
        return None
    return {name.strip(): int(rank) for name, _, rank in pairs}
