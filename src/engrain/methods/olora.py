"""OLoRA: LoRA that starts from an orthonormal basis of each weight (arXiv 2406.01775)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engrain.methods._difference import Difference

if TYPE_CHECKING:
    import torch


class OLoRA(Difference):
    """s·B₀A₀ is the first part of the QR decomposition of W."""

    paper: ClassVar[str] = "https://arxiv.org/abs/2406.01775"

    def beginning(self, weight: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
        """B = Q and A = R, the first columns and rows of each."""
        import torch

        q, r = torch.linalg.qr(weight.float())
        return r[:rank], q[:, :rank]
