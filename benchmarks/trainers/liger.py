"""TRL with Liger's kernels (they are written for CUDA)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.trainers import trl
from benchmarks.trainers.base import Job

if TYPE_CHECKING:
    from benchmarks.turns import Turns

REQUIREMENTS = (*trl.REQUIREMENTS, "liger-kernel==0.8.5")
VARIANTS = (("lora", "bfloat16"), ("full", "bfloat16"))
DEVICES = ("cuda",)


def train(job: Job, turns: Turns) -> None:
    """The steps."""
    trl.train(job, turns, use_liger_kernel=True)
