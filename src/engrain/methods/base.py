"""The contract of a method of fine-tuning: what trains, how it is saved, how it is put back.

Nothing else in engrain knows how a method works; `train.py` sees only this.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from engrain import registry
from engrain.errors import ModelError, SettingError
from engrain.fetch import quiet
from engrain.models import count_parameters
from engrain.settings import setting

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel

_PLUS = "LoRA+ is method 'lora' with learning_rate_ratio=16 (--method lora --learning-rate-ratio 16)."
ELSEWHERE = {
    "rslora": "rsLoRA is method 'lora' with rank_stabilized=true and an alpha (--method lora --rank-stabilized --alpha=16).",
    "loraplus": _PLUS,
    "lora+": _PLUS,
    "loftq": "LoftQ is method 'qlora' with loftq=true (--method qlora --loftq).",
    "lisa": "LISA is method 'layerwise' with rotated_layers=2 and layers=1.0 (--method layerwise --layers 1.0 --rotated-layers 2).",
    "badam": "BAdam is method 'full' with block_steps=50 (--method full --block-steps 50).",
    "prompt": "Prompt tuning is method 'prompt_tuning'.",
    "prefix": "Prefix tuning is method 'prefix_tuning'.",
    "ptuning": "P-tuning is method 'p_tuning'.",
    "bottleneck": "Bottleneck adapters are not offered: the installed PEFT library has none. Use --method lora.",
}
"""Names that people know, in small letters without signs between them → what they are here."""


WIDTH, WIDTH_POWER = 576, 0.781
"""The width of the model that the methods' learning rates were found with (SmolLM2-135M), and how the best rate falls with width.

The power is that of Llama models, with LoRA and in full (Schulman and others 2025, "LoRA Without Regret", and the rule in their
tinker-cookbook: 5e-5 · (2000 / width)^0.781 in full, ten times that with LoRA, so 1.3e-4 and 1.3e-3 at this width).
"""


def width_pace(model: nn.Module) -> float:
    """The learning rate of a model as a share of that of one WIDTH wide: less for wider ones; 1 where its width is not known."""
    config: Any = getattr(model, "config", None)
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    width = getattr(text, "hidden_size", None) or WIDTH
    return float(min(1.0, (WIDTH / width) ** WIDTH_POWER))


class SizeUnknown(SettingError):
    """How much a method trains depends on the model's values, which an outline does not have."""


class Method(ABC):
    """A way of fine-tuning. `Settings` is its frozen dataclass of settings, `artifact` the folder it saves to."""

    Settings: ClassVar[type]
    artifact: ClassVar[str]
    learning_rate: ClassVar[float]
    """The peak learning rate for a model WIDTH wide; `pace` says what wider ones start from."""
    keeps_float32: ClassVar[bool] = False
    """True where what trains is computed with in fp32 already, so that it needs no master copy."""

    merges: bool = True
    """Whether the result can become a plain model; where it cannot, the adapted model answers as it is."""
    starts_at_base: bool = True
    """Whether the model answers as the untouched one before the first step."""
    paper: ClassVar[str] = ""
    """Where the method is described."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def chosen(self, device: str) -> dict[str, Any]:
        """The settings by name, as they come out on a device (`cpu`, `cuda`)."""
        return asdict(self.settings)

    def pace(self, model: nn.Module) -> float:
        """How fast this model learns by itself, as a share of the method's learning rate."""
        return width_pace(model)

    @classmethod
    def paced(cls, times: float) -> dict[str, float]:
        """The settings with which the method learns so many times as fast as by itself."""
        return {"learning_rate": cls.learning_rate * times}

    @abstractmethod
    def apply(self, model: nn.Module) -> None:
        """Mark what trains (`requires_grad`) and put adapters in. Raises SettingError when nothing would train."""

    def prepare(self, model: nn.Module, passes: Iterable[Callable[[], object]]) -> None:
        """Called once after `apply` and before training, not when a result is loaded: what the method takes from the examples.

        Each of `passes` computes the model on some of them.
        """

    def narrow(self, model: nn.Module) -> Collection[str]:
        """Names of what trains that is computed with in the model's own format although the method `keeps_float32`."""
        return ()

    def parameter_groups(self, model: nn.Module, own_rate: bool = True) -> list[dict[str, Any]]:
        """The optimizer's parameter groups; all trainable parameters in one unless the method says otherwise.

        A group learns `scale` times as fast as the learning rate says; `own_rate`: that it is the method's own.
        """
        return [{"params": [p for p in model.parameters() if p.requires_grad]}]

    def optimizer(self, groups: list[dict[str, Any]], learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
        """What updates the values of these groups: AdamW. Its state must be tensors and whole numbers, which a checkpoint holds.

        Before each step every group is told the learning rate (`lr`) and which share of all steps is done (`done`). Gradients are in
        fp32 and clipped; where the optimizer's groups have a `gradient_scale`, they are as they came and still to be multiplied by it.
        Where the method `splits`, values are cut in two: each group says what is `left` of its `params`.
        """
        import torch

        return torch.optim.AdamW(groups, lr=learning_rate, weight_decay=weight_decay, fused=True)

    def kept_bytes(self, device: str) -> int:
        """Bytes that the optimizer keeps of each number that trains on a device (`cpu`, `cuda`): AdamW's two moments in fp32."""
        return 8

    def splits(self, device: str, dtype: torch.dtype) -> bool:
        """Whether the optimizer takes values cut in two (`kernels/adamw.split`) of a model that computes in `dtype` on a device."""
        return False

    def in_place(self, device: str, dtype: torch.dtype) -> bool:
        """Whether a model that computes in `dtype` on a device does so with what trains where its values lie, without copies."""
        return self.keeps_float32 or self.splits(device, dtype)

    def at_once(self, model: nn.Module) -> int:
        """How many numbers train in one step at most, which is how many have a gradient and moments."""
        return count_parameters(model, trainable=True)

    def penalty(self, model: nn.Module) -> torch.Tensor | None:
        """What a step adds to the mean loss of its examples, with gradient; None: nothing."""
        return None

    def before_step(self, model: nn.Module, step: int) -> None:
        """Called before each optimizer step, for methods that change what trains: of what `apply` marked, some may rest."""

    @abstractmethod
    def save(self, model: nn.Module, folder: Path) -> None:
        """Write what was trained in the ecosystem's own format."""

    @abstractmethod
    def load(self, model: nn.Module, folder: Path) -> None:
        """Put a saved result into a model on which `apply` has run. Raises ModelError listing every tensor that does not fit."""

    @abstractmethod
    def merge(self, model: nn.Module) -> None:
        """Turn the model into a plain one without adapters, in place, with the same outputs.

        Raises SettingError with the reason where the method does not `merges`.
        """


def bits_setting() -> Any:
    """The field `optimizer_bits`, which the settings of every `WholeModel` have."""
    return setting(
        "auto",
        "Bits of each number that the optimizer keeps; auto: 16 on a processor, 32 on an accelerator. 8 needs bitsandbytes.",
        choices=("auto", "32", "16", "8"),
    )


class WholeModel(Method):
    """A method whose result is a plain model: saved whole in Hugging Face layout, so that it can be used without the base."""

    artifact: ClassVar[str] = "model"

    def chosen(self, device: str) -> dict[str, Any]:
        """With the bits that `auto` means there: a checkpoint's moments fit no other."""
        return {**super().chosen(device), "optimizer_bits": str(self.bits(device))}

    def check_optimizer(self) -> None:
        """Raise SettingError without the library that an 8-bit optimizer needs."""
        if self.settings.optimizer_bits == "8" and find_spec("bitsandbytes") is None:
            raise SettingError("optimizer_bits=8 needs bitsandbytes, which is not installed", "pip install 'engrain[qlora]'")

    def optimizer(self, groups: list[dict[str, Any]], learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
        """AdamW, or AdamW whose moments are kept in bf16 or in 8 bits (arXiv 2110.02861)."""
        bits = self.bits(groups[0]["params"][0].device.type)
        if bits == 32:
            return super().optimizer(groups, learning_rate, weight_decay)
        if bits == 16:
            from engrain.kernels.adamw import NarrowAdamW

            return NarrowAdamW(groups, learning_rate, weight_decay)
        from bitsandbytes.optim import AdamW8bit

        eight: torch.optim.Optimizer = AdamW8bit(groups, lr=learning_rate, weight_decay=weight_decay)
        return eight

    def bits(self, device: str) -> int:
        """Bits of each number that the optimizer keeps on a device: by itself 16 where there is code for these (`NarrowAdamW`)."""
        chosen = self.settings.optimizer_bits
        return int(chosen) if chosen != "auto" else 16 if device == "cpu" else 32

    def kept_bytes(self, device: str) -> int:
        """Two moments."""
        return 2 * self.bits(device) // 8

    def splits(self, device: str, dtype: torch.dtype) -> bool:
        """With `NarrowAdamW`, where the model computes in bf16."""
        import torch

        return self.bits(device) == 16 and dtype == torch.bfloat16

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write config, generation config and safetensors."""
        with quiet():
            model.save_pretrained(folder)

    def load(self, model: nn.Module, folder: Path) -> None:
        """Read the weights back; ModelError lists every tensor that does not fit."""
        from safetensors.torch import load_file

        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise ModelError(f"{folder}: no safetensors file", "Choose the folder that the run wrote (model/).")
        load_tensors(model, {name: t for file in files for name, t in load_file(file).items()}, folder)

    def merge(self, model: nn.Module) -> None:
        """Nothing to merge: the model is plain already."""


CONTRACT = Method


def drawn(count: int, most: int, turn: int) -> list[int]:
    """At most `most` of the numbers below `count` in an order that only `turn` decides, so that a resumed training draws the same."""
    import numpy as np

    return [int(i) for i in np.random.default_rng((count, turn)).permutation(count)[:most]]


def free_only(groups: Sequence[Sequence[nn.Parameter]], chosen: Collection[int]) -> None:
    """Let only the chosen groups train for now. What the optimizer keeps of the others is let go (see `Trainer.step`)."""
    for number, group in enumerate(groups):
        for parameter in group:
            parameter.requires_grad_(number in chosen)


def load_tensors(model: nn.Module, tensors: dict[str, torch.Tensor], source: Path, needed: Collection[str] | None = None) -> None:
    """Copy tensors into those of the same name in the model, after all names and shapes have been checked.

    The file must hold what is `needed` (default: all that the model has), or a tensor that it is tied to.
    """
    import torch

    own = model.state_dict(keep_vars=True)
    held = {id(own[name]) for name in tensors if name in own}
    problems = [f"{name}: not in the model" for name in tensors if name not in own]
    problems += [
        f"{name}: not in the file" for name in (own if needed is None else needed) if name not in tensors and id(own[name]) not in held
    ]
    problems += [
        f"{n}: {tuple(t.shape)} in the file, {tuple(own[n].shape)} in the model"
        for n, t in tensors.items()
        if n in own and t.shape != own[n].shape
    ]
    if problems:
        raise ModelError(f"{source} does not fit this model:", "Load it into the base model it was trained from.", problems)
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)


def put_adapter_in(model: PreTrainedModel, folder: Path) -> None:
    """Merge a LoRA adapter from a folder in the PEFT library's format into its base model."""
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    method = method_of({"method": "lora", "rank": config["r"], "alpha": config["lora_alpha"]})
    method.apply(model)
    method.load(model, folder)
    method.merge(model)
    model.eval().requires_grad_(False)


def method_of(settings: dict[str, object]) -> Method:
    """The method that a run's settings name, with its own settings among them."""
    kind: Any = registry.find("methods", str(settings["method"]))
    names = {f.name for f in fields(kind.Settings)}
    method: Method = kind(kind.Settings(**{name: value for name, value in settings.items() if name in names}))
    return method
