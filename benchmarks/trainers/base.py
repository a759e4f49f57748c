"""What is to be trained: the same for every trainer."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

LEARNING_RATES = {"lora": 2e-4, "full": 2e-5, "layerwise": 2e-5}
"""Other methods take that of LoRA. Constant, without warm-up; AdamW without weight decay, gradients clipped at a norm of 1."""


@dataclass(frozen=True)
class Job:
    """`steps` optimizer steps on token rows (`tokens`, a file as `workload.write_rows` makes it) in the order of the file.

    `model` is a folder in Hugging Face layout, or `random:` and the name of a size in `sizes.SIZES`. LoRA has rank `rank` at all
    linear layers, counts twice, and has no dropout. `options` are further settings of engrain; peers have none.
    """

    method: str
    precision: str
    model: str
    tokens: str
    steps: int
    scratch: str
    waits: bool = False
    passes: int = 1
    batch_size: int = 16
    rank: int = 16
    max_length: int = 512
    device: str = "cpu"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def learning_rate(self) -> float:
        """The peak learning rate."""
        return LEARNING_RATES.get(self.method, LEARNING_RATES["lora"])

    def to_json(self) -> str:
        """As one argument of a command line."""
        return json.dumps(asdict(self))
