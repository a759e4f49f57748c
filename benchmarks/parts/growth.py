"""How cost grows with the number of examples, their length, the rank and the size of the model."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import laws, measuring, plots
from benchmarks.environments import OWN, cache
from benchmarks.measuring import BASE, Options, apart, quietness, rate
from benchmarks.results import Results, Row
from benchmarks.tables import gigabytes, table
from benchmarks.targets import Target
from benchmarks.trainers.base import Job
from benchmarks.workload import chats, random_rows, write_rows

TITLE = "How cost grows"
ABOUT = (
    "LoRA of rank 16 in bf16 unless the row says otherwise. Rows of random tokens of one length, 43% of them supervised and none "
    "shared, about 2,048 tokens a step (one row where it is longer); models with random weights in the shapes of SmolLM2. Examples: "
    "conversations like W1's, from the file to what training begins with. Laws are fitted by least squares of relative distances."
)
EXAMPLES = (1_000, 10_000, 100_000)
LENGTHS = (128, 512, 2048, 8192, 16384)
RANKS = (4, 16, 64, 256)
MODELS = {"135M": 134.5e6, "360M": 361.8e6, "1.7B": 1711.4e6}
"""Size → parameters."""
TOKENS = 2048
LONG_MEMORY = 8e9
"""The most that a row of 16,384 tokens may take."""


def cells(options: Options) -> dict[str, Callable[[], Row]]:
    """`examples-N`, `length-N`, `rank-N` and `model-SIZE`."""
    return {
        **{f"examples-{n}": partial(apart, f"{__name__}:read", options.threads, count=n) for n in EXAMPLES},
        **{f"length-{n}": partial(trained, options, length=n) for n in LENGTHS},
        **{f"rank-{n}": partial(trained, options, rank=n) for n in RANKS},
        **{f"model-{n}": partial(trained, options, model=n, length=256) for n in MODELS},
    }


def trained(options: Options, length: int = 512, rank: int = 16, model: str = "") -> Row:
    """Seconds a token and peak memory of some steps; rows longer than a step's tokens make one step, others four after two."""
    batch = max(1, TOKENS // length)
    warm, steps = (0, 1) if length > 4 * TOKENS else (1, 3) if length > TOKENS or model == "1.7B" else (2, 6)
    (rows,) = measuring.run([(OWN, random_job("lora", steps, length, batch, model, rank=rank))], options)
    return {"seconds_per_token": 1 / rate(rows, warm), **quietness(rows, options, warm), "peak_bytes": rows[-1]["peak_bytes"]}


def random_job(method: str, steps: int, length: int, batch: int, model: str = "", **more: Any) -> Job:
    """Training on random rows of one length; on the base model where no size is named."""
    count = steps * batch
    tokens = write_rows(cache() / "workloads" / f"random-{length}-{count}.jsonl", random_rows(count, length, 49152))
    own = {"tokens": str(tokens), "batch_size": batch, "max_length": length, **({"model": f"random:{model}"} if model else {})}
    return measuring.job(method, "bfloat16", steps, **own, **more)


def read(count: int) -> Row:
    """Seconds from a file of so many conversations to what training begins with: divided, encoded, put in order; what that held."""
    from engrain.batches import Order
    from engrain.examples import each_example, held_out
    from engrain.memory import peak_resident
    from engrain.models import load_tokenizer, locate
    from engrain.token_rows import TokenRows
    from engrain.tokens import encode_example

    file = write_rows(cache() / "workloads" / f"chats-{count}.jsonl", chats(count, seed=count))
    tokenizer = load_tokenizer(locate(BASE))
    rows, before, started = TokenRows(file.parent), peak_resident(), time.perf_counter()
    held_out(each_example(file), 0.05, 0)
    was_read = time.perf_counter()
    for example in each_example(file):
        rows.append(encode_example(tokenizer, example.messages))
    encoded = time.perf_counter()
    order = Order(count, 16, 0)
    for step in range(100):
        order.step(step)
    ordered = (time.perf_counter() - encoded) / 100
    seconds = {"read_seconds": was_read - started, "encode_seconds": encoded - was_read, "order_seconds": ordered}
    return {**seconds, "tokens": sum(map(len, rows)), "held_bytes": peak_resident() - before}


def points(found: dict[str, Row], kind: str, key: str) -> list[tuple[float, float]]:
    """(N, value) of the cells `kind-N`, in order of N."""
    rows = [(cell.partition("-")[2], row) for cell, row in found.items() if cell.startswith(f"{kind}-") and key in row]
    return sorted((MODELS.get(name) or float(name), row[key]) for name, row in rows)


def fitted(found: dict[str, Row]) -> dict[str, tuple[list[tuple[float, float]], laws.Law, str, str]]:
    """Title → points, law, x and y of everything that has points enough."""
    preparing = {c: {**r, "seconds": r["read_seconds"] + r["encode_seconds"]} for c, r in found.items() if "read_seconds" in r}
    wanted = {
        "Examples": (points(preparing, "examples", "seconds"), laws.line, "examples", "s to read and encode"),
        "Length": (_in_ms(points(found, "length", "seconds_per_token")), laws.line, "tokens of a row", "ms a token"),
        "Rank": (_in_ms(points(found, "rank", "seconds_per_token")), laws.line, "rank", "ms a token"),
        "Model": (_in_ms(points(found, "model", "seconds_per_token")), laws.power, "parameters", "ms a token"),
        "Memory": (_in_gb(points(found, "length", "peak_bytes")), laws.line, "tokens of a row", "GB"),
    }
    return {name: (at, fit(at), x, y) for name, (at, fit, x, y) in wanted.items() if len(at) > 1}


def _in_ms(at: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x, 1000 * y) for x, y in at]


def _in_gb(at: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x, y / 1e9) for x, y in at]


def targets(results: Results) -> list[Target]:
    """Memory of the longest row."""
    longest = results.read("growth").get(f"length-{LENGTHS[-1]}")
    return (
        [Target(f"memory to train on a row of {LENGTHS[-1]:,} tokens", LONG_MEMORY, longest["peak_bytes"], gigabytes, at_least=False)]
        if longest
        else []
    )


def section(results: Results, images: Path) -> list[str]:
    """The table of laws, the plots, and the longest row's memory."""
    found = results.read("growth")
    laws_found = fitted(found)
    if not laws_found:
        return []
    rows = [[name, ", ".join(f"{a:g}: {b:.3g}" for a, b in at), law.told(x, y)] for name, (at, law, x, y) in laws_found.items()]
    lines = table(["grows with", "measured", "law"], rows)
    file = images / "performance-growth.svg"
    plots.laws(file, {name: (at, _drawn(at, law), x, y) for name, (at, law, x, y) in laws_found.items()})
    lines += ["", f"![Growth](images/{file.name})"]
    for target in targets(results):
        lines += ["", f"The {target.what}: {gigabytes(target.measured)} (target {target.wish}: {target.verdict})."]
    return lines


def _drawn(at: list[tuple[float, float]], law: laws.Law) -> list[tuple[float, float]]:
    low, high = at[0][0], at[-1][0]
    return [(x, law(x)) for x in (low * (high / low) ** (n / 40) for n in range(41))]
