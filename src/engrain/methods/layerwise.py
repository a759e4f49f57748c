"""Layer-wise (partial) fine-tuning: chosen layers train, the rest is frozen and costs no backward pass below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from engrain.errors import SettingError
from engrain.methods._choice import chosen_modules
from engrain.methods.base import WholeModel, bits_setting, drawn, free_only
from engrain.settings import check, check_choices, setting

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class LayerwiseSettings:
    """Which part of the model trains."""

    layers: str = setting(
        "0.33",
        "Layers to train: a number of top layers, a range a-b, a list a,b,c, a top fraction, or module names.",
        sweep=("0.17", "0.33", "0.67", "1.0"),
    )
    rotated_layers: int = setting(0, "Train only so many of these at a time, drawn anew every rotation_steps (LISA). 0: all of them.")
    rotation_steps: int = setting(20, "Steps until layers are drawn anew.")
    optimizer_bits: str = bits_setting()

    def __post_init__(self) -> None:
        check_choices(self)
        check(
            self,
            rotated_layers=(self.rotated_layers >= 0, "must not be negative"),
            rotation_steps=(
                self.rotation_steps > 0 and (self.rotated_layers > 0 or self.rotation_steps == LayerwiseSettings.rotation_steps),
                "must be at least 1, and takes effect with rotated_layers only",
            ),
        )


class Layerwise(WholeModel):
    """The chosen decoder layers (or named modules) train; everything else keeps its weights."""

    Settings: ClassVar[type] = LayerwiseSettings
    learning_rate: ClassVar[float] = 3e-4
    paper: ClassVar[str] = "https://arxiv.org/abs/2403.17919"

    def apply(self, model: nn.Module) -> None:
        """Freeze the model, then free what `layers` names. Raises SettingError when it names nothing, or for `check_optimizer`."""
        self.check_optimizer()
        chosen = self.settings
        modules = chosen_modules(model, chosen.layers)
        if chosen.rotated_layers >= len(modules):
            raise SettingError(
                f"rotated_layers={chosen.rotated_layers} of {len(modules)} layers is no rotation", "Lower it, or widen --layers (1.0: all)."
            )
        model.requires_grad_(False)
        for module in [*modules, *(self._ends(model) if chosen.rotated_layers else [])]:
            module.requires_grad_(True)

    def before_step(self, model: nn.Module, step: int) -> None:
        """Free the layers whose turn it is; embeddings and head keep training, as in LISA (arXiv 2403.17919)."""
        chosen = self.settings
        if chosen.rotated_layers:
            groups = [list(module.parameters()) for module in chosen_modules(model, chosen.layers)]
            free_only(groups, drawn(len(groups), chosen.rotated_layers, step // chosen.rotation_steps))

    def at_once(self, model: nn.Module) -> int:
        """All, or without the layers that rest."""
        chosen = self.settings
        if not chosen.rotated_layers:
            return super().at_once(model)
        sizes: list[int] = sorted(sum(p.numel() for p in module.parameters()) for module in chosen_modules(model, chosen.layers))
        return super().at_once(model) - sum(sizes[: -chosen.rotated_layers])

    def _ends(self, model: nn.Module) -> list[nn.Module]:
        """Embeddings and output head of a language model; the new head of an image model trains anyway."""
        if not hasattr(model, "get_input_embeddings"):
            return []
        return [end for end in (model.get_input_embeddings(), model.get_output_embeddings()) if end is not None]
