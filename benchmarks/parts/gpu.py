"""What a CUDA device does: models of 1B and 8B parameters with random weights, rows of 2,048 and 16,384 tokens, beside the peers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks import measuring
from benchmarks.environments import OWN, Unavailable, cache, trainer_names
from benchmarks.measuring import Options, apart, curve, rate
from benchmarks.parts.machine import LARGEST
from benchmarks.results import Results, Row
from benchmarks.sizes import configuration
from benchmarks.tables import gigabytes, share, table, times
from benchmarks.trainers.base import Job
from benchmarks.workload import random_rows, write_rows

TITLE = "On CUDA"
ABOUT = (
    "Models with random weights in the shapes of Llama 3.2 1B and Llama 3.1 8B, bf16, 16,384 tokens a step in rows of one length, seven "
    "steps of which the first two do not count, engrain and each peer one after the other on the same card. `share` is the part of the "
    "card's measured rate for a product that engrain's useful arithmetic takes (attention's own products are not counted)."
)
MODELS, LENGTHS, METHODS = ("1B", "8B"), (2048, 16384), ("lora", "full")
PEERS = ("trl", "unsloth", "liger")
TOKENS, STEPS = 16384, 7
LARGEST_FULL = "1B"
"""Full fine-tuning with fp32 values takes 18 bytes a parameter: 8B do not fit one card."""


def missing() -> list[str]:
    """What lacks for measuring on CUDA; empty where nothing does."""
    import torch

    if not torch.version.cuda:
        return [f"torch {torch.__version__} is built without CUDA: install a CUDA build of the same version"]
    if not torch.cuda.is_available():
        return ["torch finds no CUDA device: a card and its driver are needed"]
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return [] if bf16 else [f"{torch.cuda.get_device_name()} does not multiply bfloat16"]


def cells(options: Options) -> dict[str, Callable[[], Row]]:
    """`machine`, and `MODEL-LENGTH-METHOD-PEER` for each peer in turn with engrain."""
    wanted = [(m, n, how) for m in MODELS for n in LENGTHS for how in METHODS if how == "lora" or m == LARGEST_FULL]
    peers = [name for name in trainer_names() if name in PEERS]
    if options.device != "cuda":
        return {}
    own: dict[str, Callable[[], Row]] = {"machine": partial(apart, "benchmarks.parts.machine:limits", options.threads, device="cuda")}
    return own | {f"{m}-{n}-{how}-{peer}": partial(in_turn, options, m, n, how, peer) for m, n, how in wanted for peer in peers}


def in_turn(options: Options, model: str, length: int, method: str, peer: str) -> Row:
    """Tokens a second and the card's peak memory of both; why, where the peer does not run."""
    batch = TOKENS // length
    tokens = write_rows(cache() / "workloads" / f"random-{length}-{batch * STEPS}-128256.jsonl", random_rows(batch * STEPS, length, 128256))
    job = Job(method, "bfloat16", str(folder(model)), str(tokens), STEPS, "", batch_size=batch, max_length=length, device="cuda")
    own = replace(job, options={"micro_batch_tokens": TOKENS})
    try:
        (alone,), (beside,) = (measuring.run([each], options) for each in ((OWN, own), (peer, job)))
    except (Unavailable, RuntimeError) as error:
        return {"unavailable": str(error)}
    figures = {f"{who}_rate": rate(rows) for who, rows in (("engrain", alone), ("peer", beside))}
    held = {"engrain_bytes": alone[-1]["card_bytes"], "peer_bytes": beside[-1]["card_bytes"]}
    return {**figures, **held, "flops_per_token": flops(own), "engrain_loss": curve(alone)["loss"], **curve(beside)}


def flops(job: Job) -> float:
    """FLOPs that a token takes, its share of the supervised ones' head included."""
    import torch

    from benchmarks.sizes import outline
    from benchmarks.trainers.engrain import configured, encoded
    from engrain.cost import cost_of

    method, _ = configured(job)
    model = outline(Path(job.model).name)
    method.apply(model)
    cost, rows = cost_of(model, torch.bfloat16, method.keeps_float32), encoded(job)
    return cost.training + cost.head_training * sum(int(e.supervised.sum()) for e in rows) / sum(map(len, rows))


def folder(model: str) -> Path:
    """The folder of a model with random weights in bf16, made the first time, with the base model's tokenizer."""
    import torch

    from benchmarks.sizes import random_model
    from engrain.models import load_tokenizer, locate

    place = cache() / "models" / model
    if not (place / "config.json").is_file():
        random_model(model, torch.bfloat16, "cuda").save_pretrained(place)
        load_tokenizer(locate(measuring.BASE)).save_pretrained(place)
    assert json.loads((place / "config.json").read_text())["hidden_size"] == configuration(model).hidden_size
    return place


def section(results: Results, images: Path) -> list[str]:
    """A row for each configuration and peer."""
    found = results.read("gpu")
    if "machine" not in found:
        return ["No CUDA device was there when this page was made; `make bench-gpu` measures on one."]
    most = found["machine"]["products"][LARGEST]["bfloat16"]
    rows = [
        [
            cell, f"{row['engrain_rate']:,.0f}", f"{row['peer_rate']:,.0f}", times(row["engrain_rate"] / row["peer_rate"]),
            gigabytes(row["engrain_bytes"]), gigabytes(row["peer_bytes"]), share(row["engrain_rate"] * row["flops_per_token"], most),
        ]
        for cell, row in found.items() if "peer_rate" in row
    ]  # fmt: skip
    reasons = [f"- {cell}: {row['unavailable'].splitlines()[-1]}" for cell, row in found.items() if "unavailable" in row]
    head = ["model, length, method, peer", "engrain, tokens/s", "peer", "ratio", "engrain's memory", "peer's", "share"]
    return [*table(head, rows), *(["", "Did not run:", "", *reasons] if reasons else [])]
