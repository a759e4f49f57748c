"""PiSSA: LoRA that starts from the principal directions of each weight (arXiv 2404.02948)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engrain.methods._difference import Difference

if TYPE_CHECKING:
    import torch


class PiSSA(Difference):
    """s·B₀A₀ is the best approximation of W of that rank, made of its largest singular values."""

    paper: ClassVar[str] = "https://arxiv.org/abs/2404.02948"

    def beginning(self, weight: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
        """A = √S·Vᵀ and B = U·√S with the largest singular values S of W."""
        import torch

        u, s, v = torch.linalg.svd(weight.float(), full_matrices=False)
        root = s[:rank].sqrt()
        return root[:, None] * v[:rank], u[:, :rank] * root
