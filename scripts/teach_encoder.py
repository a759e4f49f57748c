"""Teach the sentence encoder to match questions: `scripts/teach_encoder.py OUT`; `scripts/score_questions.py` then tells what it brought.

Writes a LoRA adapter in PEFT's format (bf16) to OUT. The adapter that comes with the package was made so; see `study/adapters/README.md`.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from engrain.cli._progress import listener
from engrain.encoder import load_encoder
from engrain.study.lessons import read_corpus
from engrain.study.matching import HELDOUT_TRADES, business_of, teach
from engrain.study.prepare import install

LAST = 50


def main(out: Path) -> None:
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
        losses = teach(encoder, businesses, Path(scratch), progress=progress)
        install(Path(scratch), out)
    print(f"loss of the first {LAST} steps {np.mean(losses[:LAST]):.3f}, of the last {np.mean(losses[-LAST:]):.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
