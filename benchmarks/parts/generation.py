"""Answering many questions, as an evaluation does, beside transformers' own batched generate."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import BASE, Options, apart
from benchmarks.results import Results, Row
from benchmarks.tables import gigabytes, table, times
from benchmarks.targets import Target
from benchmarks.workload import chats

TITLE = "Generation for evaluation"
QUESTIONS, NEW_TOKENS, SEED = 130, 24, 7
ABOUT = (
    f"{QUESTIONS} questions, at most {NEW_TOKENS} new tokens each, the likeliest token each time, the untouched base model; loading is "
    "not counted. transformers' `generate` is called on batches of questions of similar length, with the batch size at which it is "
    "fastest of those tried. Each ran in turn, twice, in a process of its own; the better time of each counts."
)
BATCHES = (32, 65, 130)
ROUNDS = 2
TARGET = 3.0


def cells(options: Options) -> dict[str, Callable[[], Row]]:
    """One cell for each number format."""
    return {form: lambda form=form: measured(form, options) for form in ("bfloat16", "float32")}  # type: ignore[misc]


def measured(precision: str, options: Options) -> Row:
    """The better time of each, and how many answers are equal."""
    where = {"precision": precision, "device": options.device}
    sizes = {size: apart(f"{__name__}:peer", options.threads, batch_size=size, **where) for size in BATCHES}
    best = min(BATCHES, key=lambda size: sizes[size]["seconds"])
    own, peer = [], [sizes[best]]
    for _ in range(ROUNDS):
        own.append(apart(f"{__name__}:engrain", options.threads, **where))
        peer.append(apart(f"{__name__}:peer", options.threads, batch_size=best, **where))
    pairs = list(zip(own[0]["answers"], peer[0]["answers"], strict=True))
    return {
        "seconds": min(row["seconds"] for row in own),
        "tokens": own[0]["tokens"],
        "peak_bytes": own[0]["peak_bytes"],
        "peer_seconds": min(row["seconds"] for row in peer),
        "peer_tokens": peer[0]["tokens"],
        "peer_peak_bytes": peer[0]["peak_bytes"],
        "peer_batch_size": best,
        "peer_seconds_by_batch_size": {str(size): row["seconds"] for size, row in sizes.items()},
        "equal": sum(a == b for a, b in pairs),
        "answers": len(pairs),
    }


def engrain(precision: str, device: str) -> Row:
    """Answers by engrain, with the settings of an evaluation."""
    from engrain.generate import generate

    model, tokenizer, prompts = _loaded(precision, device)
    started = time.perf_counter()
    found = generate(model, tokenizer, prompts, max_new_tokens=NEW_TOKENS)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "answers": [c.text for c in found], "tokens": sum(c.tokens for c in found)}


def peer(precision: str, device: str, batch_size: int) -> Row:
    """Answers by transformers' generate."""
    import torch

    model, tokenizer, prompts = _loaded(precision, device)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    answers, tokens = [""] * len(prompts), 0
    tokenizer.padding_side = "left"
    started = time.perf_counter()
    for at in range(0, len(order), batch_size):
        chosen = order[at : at + batch_size]
        batch = tokenizer.pad({"input_ids": [prompts[i] for i in chosen]}, return_tensors="pt").to(device)
        with torch.inference_mode():
            whole = model.generate(**batch, max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=tokenizer.pad_token_id)
        for i, ids in zip(chosen, whole[:, batch["input_ids"].shape[1] :].tolist(), strict=True):
            answers[i] = tokenizer.decode(ids, skip_special_tokens=True)
            tokens += ids.index(tokenizer.eos_token_id) + 1 if tokenizer.eos_token_id in ids else len(ids)
    return {"seconds": time.perf_counter() - started, "answers": answers, "tokens": tokens}


def questions() -> list[str]:
    """The questions, all different."""
    texts = dict.fromkeys(row["messages"][0]["content"] for row in chats(4 * QUESTIONS, SEED))
    return list(texts)[:QUESTIONS]


def _loaded(precision: str, device: str) -> tuple[Any, Any, list[list[int]]]:
    import torch

    from engrain.models import load_model, load_tokenizer, locate
    from engrain.tokens import encode_prompt, question_messages

    base = locate(BASE)
    tokenizer = load_tokenizer(base)
    prompts = [encode_prompt(tokenizer, question_messages(text)) for text in questions()]
    return load_model(base, dtype=getattr(torch, precision), device=device), tokenizer, prompts


def targets(results: Results) -> list[Target]:
    """How many times as fast as transformers, in each format."""
    found = results.read("generation")
    return [Target(f"generation, {p}: times transformers", TARGET, r["peer_seconds"] / r["seconds"], times) for p, r in found.items()]


def section(results: Results, images: Path) -> list[str]:
    """Both formats, the ratio and the target."""
    rows = []
    for target, (precision, row) in zip(targets(results), results.read("generation").items(), strict=True):
        rows.append(
            [
                precision, f"{row['seconds']:.1f} s ({row['tokens'] / row['seconds']:,.0f} tokens/s)",
                f"{row['peer_seconds']:.1f} s (batches of {row['peer_batch_size']})", times(target.measured), target.verdict,
                f"{row['equal']} of {row['answers']}", gigabytes(row["peak_bytes"]), gigabytes(row["peer_peak_bytes"]),
            ]
        )  # fmt: skip
    head = ["format", "engrain", "transformers", "ratio", f"target ≥ {TARGET:g} ×", "answers equal", "memory", "transformers' memory"]
    return table(head, rows) if rows else []
