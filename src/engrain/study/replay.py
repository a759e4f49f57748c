"""Replay: everyday texts on which the model is held to what it expected before, so that it is not forgotten.

Most are its own answers to everyday prompts: they lie where its probability is, so that being held to them costs little
(arXiv 2605.26097; see also 2403.08763 on how much replay is needed). Some are paragraphs written by people.
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
PROMPTS = GENERAL / "prompts.jsonl"
MAX_NEW_TOKENS = 32
"""A replayed answer is at most this long. One that goes on is no harm: the model is held to what it expected at each token
(see `tasks.chat.Chat.prepare`), and where an answer is cut off it did not expect an end."""
SHORT_QUESTION = re.compile(r"(?:Who|What|When|Where|Which|How (?:many|much|long)|(?:In|On) (?:which|what)|Name)\b(?:\S*\s+){0,13}\S+$")
SHORT_SHARE, TEXT_SHARE = 0.6, 0.15
"""Shares of short questions (they are most like questions on documents, so they are forgotten first) and of paragraphs."""


def replay_prompts(count: int, seed: int) -> list[str]:
    """`count` of the bundled everyday prompts (or all of them), most of them short questions of fact."""
    rows = _rows(PROMPTS)
    random.Random(seed).shuffle(rows)
    texts = [row["prompt"] for row in rows if "answer" in row][: round(count * TEXT_SHARE)]
    prompts = [row["prompt"] for row in rows if "answer" not in row]
    short = [p for p in prompts if SHORT_QUESTION.match(p)][: round(count * SHORT_SHARE)]
    return [*texts, *short, *(p for p in prompts if p not in short)][:count]


def everyday_texts() -> list[str]:
    """All bundled everyday prompts, and the paragraphs that some of them ask for."""
    return [text for row in _rows(PROMPTS) for text in row.values()]


def replay_examples(
    load: Callable[[], tuple[PreTrainedModel, PreTrainedTokenizerBase]],
    prompts: Sequence[str],
    key: str,
    cache: Path,
    progress: Progress = SILENT,
) -> list[Example]:
    """The model's own answers to `prompts`.

    `key` names the model and its version. Answers once given are kept in the folder `cache`; those of the embedded base
    come with the package (`scripts/make_replay.py` makes them again), and then the model is not even loaded.
    """
    known = known_answers(key, cache)
    missing = [p for p in prompts if p not in known]
    if missing:
        model, tokenizer = load()
        rows = [encode_prompt(tokenizer, question_messages(p)) for p in missing]
        title = "Noting the base model's everyday answers"
        completions = generate(model, tokenizer, rows, max_new_tokens=MAX_NEW_TOKENS, progress=progress, title=title)
        known |= {p: c.text.strip() for p, c in zip(missing, completions, strict=True)}
        cache.mkdir(parents=True, exist_ok=True)
        write_text(cache / f"{key}.jsonl", "".join(to_json({"prompt": p, "answer": a}) + "\n" for p, a in known.items()))
    return [Example((Message("user", p), Message("assistant", known[p])), "replay", "replay") for p in prompts if known[p]]


def known_answers(key: str, cache: Path) -> dict[str, str]:
    """Prompt → answer for all that need no model: paragraphs, answers that come with the package, answers noted earlier."""
    files = (PROMPTS, GENERAL / f"replay-{key}.jsonl", cache / f"{key}.jsonl")
    return {row["prompt"]: row["answer"] for file in files for row in _rows(file) if "answer" in row}


def _rows(file: Path) -> list[dict[str, str]]:
    """The rows of a file; none where there is no such file."""
    return list(map(json.loads, file.read_text(encoding="utf-8").splitlines())) if file.is_file() else []
