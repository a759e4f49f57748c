"""LoRA: a small low-rank update beside each frozen linear layer (arXiv 2106.09685)."""

from __future__ import annotations

from typing import ClassVar

from engrain.methods._low_rank import LowRank


class LoRA(LowRank):
    """h = W x + (alpha / rank) · B A x with W frozen, A random and B zero at the start."""

    learning_rate: ClassVar[float] = 2e-3
    paper: ClassVar[str] = "https://arxiv.org/abs/2106.09685"
