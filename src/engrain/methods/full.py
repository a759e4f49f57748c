"""Full fine-tuning: every weight trains, with fp32 master values; one block of layers after the other if asked (BAdam)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from engrain.methods.base import WholeModel, bits_setting, drawn, free_only
from engrain.models import decoder_layers
from engrain.settings import check, check_choices, setting

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class FullSettings:
    """All at once, or block by block."""

    block_steps: int = setting(
        0, "Train one layer at a time for so many steps (BAdam): gradients and moments of one layer only. 0: all at once."
    )
    optimizer_bits: str = bits_setting()

    def __post_init__(self) -> None:
        check_choices(self)
        check(self, block_steps=(self.block_steps >= 0, "must not be negative"))


class Full(WholeModel):
    """All parameters train. With `block_steps`, each cycle goes through all blocks in a new order (arXiv 2404.02827)."""

    Settings: ClassVar[type] = FullSettings
    learning_rate: ClassVar[float] = 2e-4
    paper: ClassVar[str] = "https://arxiv.org/abs/2404.02827"

    def apply(self, model: nn.Module) -> None:
        """Every parameter is marked to train. Raises SettingError without the library that an 8-bit optimizer needs."""
        self.check_optimizer()
        model.requires_grad_(True)

    def before_step(self, model: nn.Module, step: int) -> None:
        """Free the block whose turn it is."""
        if not self.settings.block_steps:
            return
        blocks = self.blocks(model)
        cycle, turn = divmod(step // self.settings.block_steps, len(blocks))
        free_only(blocks, drawn(len(blocks), len(blocks), cycle)[turn : turn + 1])

    def at_once(self, model: nn.Module) -> int:
        """All, or what the largest block has."""
        if not self.settings.block_steps:
            return super().at_once(model)
        largest: int = max(sum(p.numel() for p in block) for block in self.blocks(model))
        return largest

    def blocks(self, model: nn.Module) -> list[list[nn.Parameter]]:
        """The parameters of each decoder layer, and last all others (embeddings, last norm, head)."""
        layers = [list(layer.parameters()) for layer in decoder_layers(model)]
        inside = {id(p) for block in layers for p in block}
        return [*layers, [p for p in model.parameters() if id(p) not in inside]]
