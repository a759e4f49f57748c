"""Teach the sentence encoder to match questions, or to rerank answers: `scripts/teach_encoder.py matching|reranking OUT`.

Writes a LoRA adapter in PEFT's format (bf16) to OUT. The adapters that come with the package were made so; see `study/adapters/README.md`.
What it brought, `scripts/score_questions.py` and `scripts/score_reranker.py` tell.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from engrain.cli._progress import listener
from engrain.encoder import Encoder, load_encoder
from engrain.progress import Progress
from engrain.study import matching, reranking
from engrain.study.lessons import read_corpus
from engrain.study.matching import HELDOUT_TRADES, Business, business_of
from engrain.study.prepare import install
from engrain.study.replay import replay_prompts

LAST = 50
EVERYDAY = 30
"""Everyday questions, which no business answers."""


def main(skill: str, out: Path) -> None:
    """Read the trades that are not held out, teach, and print the loss of the first steps and the last ones."""
    progress = listener()
    encoder = load_encoder(progress, taught=False)
    trades = [trade for trade in read_corpus() if trade.name not in HELDOUT_TRADES]
    with ProcessPoolExecutor() as processes, progress.stage("Asking by rules", len(trades), "trades") as stage:
        businesses = []
        for business in processes.map(business_of, trades):
            businesses.append(business)
            stage.advance()
    with tempfile.TemporaryDirectory() as scratch:
        losses = SKILLS[skill](encoder, businesses, Path(scratch), progress)
        install(Path(scratch), out)
    print(f"loss of the first {LAST} steps {np.mean(losses[:LAST]):.3f}, of the last {np.mean(losses[-LAST:]):.3f}")


def match(encoder: Encoder, businesses: Sequence[Business], out: Path, progress: Progress) -> list[float]:
    """Teach which questions ask for the same detail."""
    return matching.teach(encoder, businesses, out, progress=progress)


def rerank(encoder: Encoder, businesses: Sequence[Business], out: Path, progress: Progress) -> list[float]:
    """Teach which answer a question is after."""
    everyday = replay_prompts(EVERYDAY, seed=0)
    with progress.stage("Finding what is easily confused", len(businesses), "trades") as stage:
        lessons = []
        for business in businesses:
            lessons += reranking.lessons_of(business, encoder, everyday)
            stage.advance()
    return reranking.teach(encoder, lessons, out, progress=progress)


SKILLS = {"matching": match, "reranking": rerank}

if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
