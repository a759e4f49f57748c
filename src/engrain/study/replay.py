"""Replay: what the untouched model says to everyday prompts, learned again so that it is not forgotten.

Self-generated answers lie where the model's own probability is, so that learning them changes it little while they
hold it in place (arXiv 2605.26097; see also 2403.08763 on how much replay is needed).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engrain.examples import Example, Message
from engrain.files import to_json, write_text
from engrain.generate import generate
from engrain.progress import SILENT, Progress
from engrain.tokens import encode_prompt, question_messages

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

GENERAL = Path(__file__).parents[1] / "data" / "general"
MAX_NEW_TOKENS = 64
"""A replayed answer is at most this long; one that does not end by then is left out, for half an answer teaches none."""
SHORT_QUESTION = re.compile(r"(?:Who|What|When|Where|Which|How (?:many|much|long)|(?:In|On) (?:which|what)|Name)\b(?:\S*\s+){0,13}\S+$")
SHORT_SHARE = 2 / 3
"""Share of short questions: they are most like questions on documents, so they are forgotten first."""


def replay_prompts(count: int, seed: int) -> list[str]:
    """`count` of the bundled everyday prompts (or all of them), two thirds of them short questions of fact."""
    prompts = [json.loads(line)["prompt"] for line in (GENERAL / "prompts.jsonl").read_text(encoding="utf-8").splitlines()]
    random.Random(seed).shuffle(prompts)
    short = [p for p in prompts if SHORT_QUESTION.match(p)][: round(count * SHORT_SHARE)]
    return [*short, *(p for p in prompts if p not in short)][:count]


def replay_examples(
    load: Callable[[], tuple[PreTrainedModel, PreTrainedTokenizerBase]],
    prompts: Sequence[str],
    key: str,
    cache: Path,
    progress: Progress = SILENT,
) -> list[Example]:
    """The model's own finished answers to `prompts`.

    `key` names the model and its version. Answers once given are kept in the folder `cache`; those of the embedded base
    come with the package (`scripts/make_replay.py` makes them again), and then the model is not even loaded.
    """
    kept = cache / f"{key}.jsonl"
    known = _read(GENERAL / f"replay-{key}.jsonl") | _read(kept)
    missing = [p for p in prompts if p not in known]
    if missing:
        model, tokenizer = load()
        rows = [encode_prompt(tokenizer, question_messages(p)) for p in missing]
        title = "Noting the base model's everyday answers"
        completions = generate(model, tokenizer, rows, max_new_tokens=MAX_NEW_TOKENS, progress=progress, title=title)
        known |= {p: c.text.strip() if c.finished else "" for p, c in zip(missing, completions, strict=True)}
        cache.mkdir(parents=True, exist_ok=True)
        write_text(kept, "".join(to_json({"prompt": p, "answer": a}) + "\n" for p, a in known.items()))
    return [Example((Message("user", p), Message("assistant", known[p])), "replay", "replay") for p in prompts if known[p]]


def _read(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    return {row["prompt"]: row["answer"] for row in map(json.loads, file.read_text(encoding="utf-8").splitlines())}
