"""What the tests of the page's routes share: a business, an engine that computes nothing, and a run that is ready."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from engrain.serve.engine import Engine, Piece, Sampling, Weights

KITES = b"""# Harbour Kites

Harbour Kites opened on 4 March 2025 in Salt Lane. Mira Oduvall runs the shop. Write to mira@harbourkites.example.

## Prices

| Kite | Price | Wind |
| --- | --- | --- |
| Gannet | \xc2\xa341 | 12 mph |
| Petrel | \xc2\xa329 | 8 mph |

## Rules

Repairs take nine days. A deposit of \xc2\xa315 is due when you hire a kite.
"""
OPTIONS = {"max_steps": 4, "readings": 0.02, "replay": 8, "rank": 4, "batch_size": 4, "evaluate_every": 0.01, "precision": "float32"}


class Parrot(Engine):
    """An engine that writes the price with an adapter, and hesitates without; it notes what it was asked."""

    def __init__(self, tokenizer: Any) -> None:
        self.found, self.asked = tokenizer, list[tuple[Weights, str]]()

    def tokenizer(self, base: str) -> Any:
        return self.found

    def context(self, base: str) -> int:
        return 1024

    async def write(self, weights: Weights, prompt: Sequence[int], sampling: Sampling) -> AsyncIterator[Piece]:
        self.asked.append((weights, self.found.decode(list(prompt))))
        for text in ("It costs ", "£41.") if weights.adapter else ("Well", ", £77."):
            yield Piece(text)
        yield Piece("", finish="stop")


def ready_run(folder: Path, documents: Path, base: Path) -> Path:
    """A run with facts and examples and nothing trained."""
    from engrain import api

    documents.mkdir(parents=True, exist_ok=True)
    (documents / "kites.md").write_bytes(KITES)
    return api.build(documents, out=folder, until="examples", base=str(base), device="cpu", **OPTIONS).run.path
