"""The most memory that a process holds while it trains, method by method."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import measuring
from benchmarks.environments import OWN
from benchmarks.measuring import Options
from benchmarks.results import Results, Row
from benchmarks.tables import gigabytes, table

TITLE = "Memory by method"
BATCH, STEPS = 4, 3
TURNS = 12
"""Steps of one block each, of which the last but one trains the largest, the embeddings."""
ABOUT = (
    f"{STEPS} steps on the first rows of W1, batch {BATCH}, bf16; a method of LoRA's family has rank 16, one of the PEFT library its "
    f"usual settings. One block at a time: {TURNS} steps, in which the turn comes to the largest block, the embeddings. Memory is the "
    "most that the process has held (resident), the libraries included."
)
BLOCKWISE: dict[str, Any] = {"method": "full", "steps": TURNS}
SETTINGS: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "full, 32-bit optimizer": {"method": "full", "options": {"optimizer_bits": "32"}},
    "full, 8-bit optimizer": {"method": "full", "options": {"optimizer_bits": "8"}},
    "full, one block at a time": {**BLOCKWISE, "options": {"block_steps": 1}},
    "full, one block at a time, 8-bit optimizer": {**BLOCKWISE, "options": {"block_steps": 1, "optimizer_bits": "8"}},
    "layerwise, top third": {"method": "layerwise"},
    "layerwise, 2 of all layers at a time": {"method": "layerwise", "options": {"layers": "1.0", "rotated_layers": 2, "rotation_steps": 1}},
}
NAMED = (
    *("lora", "qlora"),
    *("vera", "loha", "lokr", "ia3", "ln_tuning", "prefix_tuning", "prompt_tuning", "p_tuning", "oft", "boft", "hra"),
)
"""Methods with their usual settings, which stand after the others."""


def settings() -> dict[str, dict[str, Any]]:
    """Cell → what is trained."""
    return SETTINGS | {name: {"method": name} for name in NAMED}


def cells(options: Options) -> dict[str, Callable[[], Row]]:
    """A cell for each setting."""
    return {name: partial(peak, options, **setting) for name, setting in settings().items()}


def peak(how: Options, method: str, steps: int = STEPS, **more: Any) -> Row:
    """The peak of a training in a process of its own."""
    (rows,) = measuring.run([(OWN, measuring.job(method, "bfloat16", steps, batch_size=BATCH, **more))], how)
    return {"peak_bytes": rows[-1]["peak_bytes"]}


def section(results: Results, images: Path) -> list[str]:
    """The table, in the order of the settings."""
    found = results.read("memory")
    rows = [[name, gigabytes(found[name]["peak_bytes"])] for name in settings() if name in found]
    return table(["training", "peak memory"], rows) if rows else []
