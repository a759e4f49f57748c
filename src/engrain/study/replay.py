"""Replay: what the untouched model says to everyday prompts, learned again so that it is not forgotten.

Self-generated answers lie where the model's own probability is, so that learning them changes it little while they
hold it in place (arXiv 2605.26097; see also 2403.08763 on how much replay is needed).
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engrain.examples import Example, Message
from engrain.files import to_json, write_text
from engrain.generate import generate
from engrain.progress import SILENT, Progress
from engrain.tokens import encode_prompt, question_messages

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PROMPTS = Path(__file__).parents[1] / "data" / "general" / "prompts.jsonl"
MAX_NEW_TOKENS = 64
"""A replayed answer is at most this long; one that does not end by then is left out, for half an answer teaches none."""


def replay_prompts(count: int, seed: int) -> list[str]:
    """`count` of the bundled everyday prompts, or all of them."""
    prompts = [json.loads(line)["prompt"] for line in PROMPTS.read_text(encoding="utf-8").splitlines()]
    return random.Random(seed).sample(prompts, min(count, len(prompts)))


def replay_examples(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], cache: Path, progress: Progress = SILENT
) -> list[Example]:
    """The model's own finished answers to `prompts`; answers once given are kept in the file `cache`."""
    known = _read(cache)
    missing = [p for p in prompts if p not in known]
    if missing:
        rows = [encode_prompt(tokenizer, question_messages(p)) for p in missing]
        title = "Noting the base model's everyday answers"
        completions = generate(model, tokenizer, rows, max_new_tokens=MAX_NEW_TOKENS, progress=progress, title=title)
        known |= {p: c.text.strip() if c.finished else "" for p, c in zip(missing, completions, strict=True)}
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_text(cache, "".join(to_json({"prompt": p, "answer": a}) + "\n" for p, a in known.items()))
    return [Example((Message("user", p), Message("assistant", known[p])), "replay", "replay") for p in prompts if known[p]]


def _read(cache: Path) -> dict[str, str]:
    if not cache.is_file():
        return {}
    return {row["prompt"]: row["answer"] for row in map(json.loads, cache.read_text(encoding="utf-8").splitlines())}
