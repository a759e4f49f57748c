"""AdaLoRA: LoRA that takes ranks away where they matter least (arXiv 2303.10512)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from engrain.methods._low_rank import FACTORS, LowRank, LowRankSettings, adapted
from engrain.settings import check, setting

if TYPE_CHECKING:
    import torch
    from torch import nn

    from engrain.kernels.lora_linear import LoRALinear

FASTER = 16.0
"""How many times faster e learns than A and B: it starts at zero, and one number stands for a whole rank."""


@dataclass(frozen=True)
class AdaLoRASettings(LowRankSettings):
    """Those of LoRA, `rank` being the one at the start, and what is left of it."""

    kept_rank: float | None = setting(None, "Mean rank of the layers in the end; default: two thirds of the rank at the start.")
    orthogonality: float = setting(0.1, "Weight of the penalty that keeps the ranks of a layer apart from each other.")

    def __post_init__(self) -> None:
        super().__post_init__()
        check(
            self,
            kept_rank=(self.kept_rank is None or 0 < self.kept_rank <= self.rank, f"must be above 0 and at most rank={self.rank}"),
            orthogonality=(self.orthogonality >= 0, "must not be negative"),
        )


class AdaLoRA(LowRank):
    """h = W x + s · B diag(e) A x with W frozen. Ranks whose e, row of A and column of B matter least get e = 0.

    Saved as a plain LoRA with e in B, so ranks that were taken away are columns of zeros. The paper starts from small random
    A and B; here they start orthonormal, which is what its penalty asks of them, and learn sooner.
    """

    Settings: ClassVar[type] = AdaLoRASettings
    settings: AdaLoRASettings
    learning_rate: ClassVar[float] = 2e-3
    paper: ClassVar[str] = "https://arxiv.org/abs/2303.10512"
    trained: ClassVar[tuple[str, ...]] = (*FACTORS, "lora_E")

    def layer(self) -> type[LoRALinear]:
        """A layer whose ranks each have a weight."""
        from engrain.methods._layers import SVDLinear

        return SVDLinear

    def penalty(self, model: nn.Module) -> torch.Tensor | None:
        """The mean over all factors of how far they are from orthonormal."""
        import torch

        if not self.settings.orthogonality:
            return None
        found = [layer.skewness() for _, layer in adapted(model)]
        return self.settings.orthogonality * torch.stack(found).mean() / 2

    def parameter_groups(self, model: nn.Module, own_rate: bool = True) -> list[dict[str, Any]]:
        """Those of LoRA, with e apart; the first one names the factors of each layer that belong together."""
        layers = [(layer.lora_A, layer.lora_B, layer.lora_E) for _, layer in adapted(model)]
        apart = {id(e) for *_, e in layers}
        groups = [{**g, "params": [p for p in g["params"] if id(p) not in apart]} for g in super().parameter_groups(model, own_rate)]
        return [{"params": [e for *_, e in layers], "scale": FASTER, "layers": layers}, *groups]

    def optimizer(self, groups: list[dict[str, Any]], learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
        """AdamW that takes ranks away."""
        from engrain.methods._rank_budget import RankBudget

        kept, ranks = self.settings.kept_rank, [len(e) for *_, e in groups[0]["layers"]]
        share = 2 / 3 if kept is None else min(1.0, kept * len(ranks) / sum(ranks))
        return RankBudget(groups, share, lr=learning_rate, weight_decay=weight_decay, fused=True)

    def kept_bytes(self, device: str) -> int:
        """Beside the moments how much each number matters, and how much that varies."""
        return 2 * super().kept_bytes(device)

    def saved(self, layer: LoRALinear) -> dict[str, torch.Tensor]:
        """The layer as a plain LoRA."""
        a, b = layer.factors()
        return {"lora_A.weight": a, "lora_B.weight": b}

    def restored(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The layer's own tensors out of a plain LoRA, each rank with the weight one."""
        a = tensors["lora_A.weight"]
        return {**super().restored(tensors), "lora_E": a.new_ones(len(a), 1)}
