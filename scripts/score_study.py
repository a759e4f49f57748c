"""Score study adapters on lessons of the trades that none was trained on: `score_study.py ADAPTER...` (about a minute each)."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import torch

from engrain.methods.base import put_adapter_in
from engrain.models import load_model, load_tokenizer, locate
from engrain.study.lessons import lessons, read_corpus
from engrain.study.prepare import HELDOUT_TRADES
from engrain.tasks.chat import log_likelihood
from engrain.tokens import encode_example

BASE, LESSONS = "smollm2-135m", 400


def main(folders: list[Path]) -> None:
    base = locate(BASE)
    tokenizer = load_tokenizer(base)
    rows = lessons([trade for trade in read_corpus() if trade.name in HELDOUT_TRADES], 0)[:LESSONS]
    for folder in folders:
        model = load_model(base, dtype=torch.bfloat16)
        put_adapter_in(model, folder)
        sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        for row in rows:
            found = log_likelihood(model, [encode_example(tokenizer, row.messages)])[0]
            for name in ("all", row.kind):
                sums[name] = [a + b for a, b in zip(sums[name], (found.total, found.tokens, 1.0), strict=True)]
        for name, (total, tokens, count) in sorted(sums.items()):
            print(f"{folder}: {name:10} {-total / tokens:.3f} nats a token over {tokens:,.0f} tokens of {count:.0f} lessons")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
