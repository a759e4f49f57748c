"""LoRA: a small low-rank update beside each frozen linear layer or convolution (arXiv 2106.09685)."""

from __future__ import annotations

from typing import ClassVar

from engrain.methods._low_rank import LowRank


class LoRA(LowRank):
    """h = W x + (alpha / rank) · B A x with W frozen, A random and B zero at the start.

    At its own learning rate B learns 4 times faster (LoRA+, arXiv 2402.12354), which learned more of a business's documents in
    the same steps than one rate for both (docs/experiments.md).
    """

    learning_rate: ClassVar[float] = 1e-3
    ratio: ClassVar[float] = 4.0
    convolves: ClassVar[bool] = True
    paper: ClassVar[str] = "https://arxiv.org/abs/2106.09685"
