"""fp32 values for what trains, the learning rate over time, and their checkpoints (safetensors and JSON)."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engrain.errors import RunError
from engrain.kernels.adamw import split

SCHEDULES = ("cosine", "linear", "constant")
FINAL_SHARE = 0.1
"""Where a cosine or linear schedule ends, as a share of the peak learning rate."""
LOW_BITS = {torch.bfloat16: 16, torch.float16: 13}
"""The last bits of an fp32 number, which a narrower one does not have."""
LEFT = ":left"
"""How what is left of a cut value is called in a checkpoint, behind the value's name."""
MAGNITUDE = 0x7FFFFFFF
"""The bits of an fp32 number without its sign."""


def learning_rate_at(step: int, total_steps: int, peak: float, schedule: str, warmup: float) -> float:
    """The learning rate of step `step` (from 0): linear warm-up, then the schedule down to a tenth of the peak.

    `warmup` is a share of all steps (below 1) or a number of steps.
    """
    warmup_steps = warmup * total_steps if warmup < 1 else warmup
    if step < warmup_steps:
        return peak * (step + 1) / (warmup_steps + 1)
    if schedule == "constant":
        return peak
    done = min(1.0, (step - warmup_steps) / max(1.0, total_steps - warmup_steps))
    share = 1 - done if schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
    return peak * (FINAL_SHARE + (1 - FINAL_SHARE) * share)


def dither(values: Tensor, dtype: torch.dtype, generator: torch.Generator) -> None:
    """Move each fp32 value at random by up to half of what lies between two numbers of `dtype`, which is what rounding to it does too.

    A narrow copy moves once its value is half way to the next number. Published weights are such numbers themselves, or lie on a
    grid, and would all have the longest way; values that start anywhere move a copy when they should on average (Gupta and
    others 2015, arXiv 1502.02551, round at random at every step instead). Zeros stay.
    """
    half = 2 ** (LOW_BITS[dtype] - 1)
    bits = values.view(torch.int32)
    moves = torch.randint(-half, half, values.shape, dtype=torch.int32, device=values.device, generator=generator)
    bits += moves.masked_fill_((bits & MAGNITUDE) < 2 * half, 0)


class Masters:
    """The fp32 values of what trains, and the narrower copies that the model computes with.

    The gradient of a narrow copy moves to the fp32 value as it is, and is fp32 once a step's second pass adds to it. Where the method
    `keeps_float32`, only the parameters named in `narrow` have such copies. Values with such a copy begin somewhere about those of
    the model (`dither`). Where the optimizer `splits`, `values` are these copies themselves, and what is `left` of each lies beside them.
    """

    def __init__(
        self, model: nn.Module, dtype: torch.dtype, keeps_float32: bool, narrow: Collection[str] = (), splits: bool = False
    ) -> None:
        self.values: dict[str, Tensor] = {}
        self.left: dict[str, Tensor] = {}
        self.narrow: dict[str, nn.Parameter] = {}
        self._hooks: list[Any] = []
        for name, parameter in model.named_parameters():
            trains = parameter.requires_grad
            wide = trains and keeps_float32 and name not in narrow
            if trains and dtype != torch.float32 and not wide:
                self._add(name, parameter, dtype, splits)
            parameter.data = self.values.get(name, parameter).data.to(torch.float32 if wide else dtype)
            if trains:
                self.values.setdefault(name, parameter)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The values, and what is left of those that are cut, by the names that they have in a checkpoint."""
        return self.values | {f"{name}{LEFT}": left for name, left in self.left.items()}

    def _add(self, name: str, parameter: nn.Parameter, dtype: torch.dtype, splits: bool) -> None:
        master = parameter.detach().to(torch.float32, copy=True)
        dither(master, dtype, torch.Generator(master.device).manual_seed(len(self.values)))
        if splits:
            parameter.data, self.left[name] = split(master)
            master = parameter.detach()  # the same memory, with a gradient of its own
        else:
            self.narrow[name] = parameter
        master.requires_grad_(True).grad_dtype = None  # any
        self.values[name] = master

        def collect(p: Tensor) -> None:
            assert p.grad is not None
            master.grad = p.grad if master.grad is None else master.grad.float().add_(p.grad)
            p.grad = None

        self._hooks.append(parameter.register_post_accumulate_grad_hook(collect))

    def widen(self) -> None:
        """Have all gradients in fp32."""
        for name in self.narrow:
            value = self.values[name]
            value.grad = None if value.grad is None else value.grad.float()

    def publish(self) -> None:
        """Round the fp32 values that lie apart into the copies that the model computes with."""
        with torch.no_grad():
            for name, parameter in self.narrow.items():
                parameter.copy_(self.values[name])

    def release(self) -> None:
        """Let go of the model, which would hold the fp32 values for as long as it lives."""
        for hook in self._hooks:
            hook.remove()


def save_state(folder: Path, position: Mapping[str, Any], values: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
    """Write `values.safetensors`, `optimizer.safetensors` and `position.json` into the folder."""
    state = {f"{key}.{n}": torch.as_tensor(part) for n, v in values.items() for key, part in optimizer.state.get(v, {}).items()}
    save_file({name: v.detach().contiguous().cpu() for name, v in values.items()}, folder / "values.safetensors")
    save_file({name: t.contiguous().cpu() for name, t in _apart(state).items()}, folder / "optimizer.safetensors")
    (folder / "position.json").write_text(json.dumps(position), encoding="utf-8")


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, those copied that lie where another does: values may share a table, and safetensors keeps no tensor twice."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in state.items():
        place = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return apart


def load_position(folder: Path) -> dict[str, Any]:
    """The position that `save_state` wrote."""
    position: dict[str, Any] = json.loads((folder / "position.json").read_text(encoding="utf-8"))
    return position


def load_state(folder: Path, values: Mapping[str, Tensor], optimizer: torch.optim.Optimizer | None) -> None:
    """Copy a checkpoint into `values` and, where given, the optimizer.

    Raises RunError when the checkpoint holds other parameters than the ones that train now.
    """
    saved = load_file(folder / "values.safetensors")
    if set(saved) != set(values) or any(saved[name].shape != v.shape for name, v in values.items()):
        raise RunError(
            f"{folder} was made with another base model or method, or by an older version of engrain",
            "Use the settings of the run, or start a new one with --out.",
        )
    with torch.no_grad():
        for name, value in values.items():
            value.copy_(saved[name])
    if optimizer is None:
        return
    for key, part in load_file(folder / "optimizer.safetensors").items():
        kind, _, name = key.partition(".")
        # The fused AdamW wants its step, a float, beside the values; others count in a whole number.
        optimizer.state[values[name]][kind] = int(part) if part.dtype == torch.int64 else part.to(values[name].device)
