"""Training on W1: engrain for a whole epoch, and each peer in turn with engrain."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import measuring, plots
from benchmarks.environments import OWN, Unavailable, trainer, trainer_names, versions_of
from benchmarks.measuring import Options, curve, quietness, rate
from benchmarks.parts.machine import limit
from benchmarks.results import Results, Row
from benchmarks.tables import gigabytes, missing, share, table, times
from benchmarks.targets import Target

TITLE = "Training"
ABOUT = (
    "W1, batch 16, rows in the order of the file, constant learning rate (LoRA 2e-4, rank 16 at all linear layers; full and "
    "layer-wise 2e-5), AdamW, gradients clipped at 1; everybody gets the same tokens and the same labels. Tokens are those of the "
    "conversations, without padding. Engrain trained for a whole epoch, layer-wise for two, of which the first holds the time to "
    "compute the frozen layers once. Each peer made seven steps in turn with "
    "engrain, the first two of both left out; ratios are within such a run. Peers train in bf16, their fastest setting, and with "
    "gradient checkpointing off. Steps that others on the machine disturbed do not count: `steps` says how many do, and which part of "
    "the processors' time they had. The targets were set on a machine whose bf16 products run at 390 GFLOP/s. `share` is the part of "
    "the machine's rate for a product that the useful arithmetic takes: products of the layers for every token, of the head for every "
    "supervised one."
)
METHODS = {"lora": "LoRA r16", "full": "full, fp32 masters", "layerwise": "layer-wise, top third"}
STEPS, EPOCH = 7, 32
LATER = "layerwise"
"""The method that is measured for a second epoch, above layers computed once."""
RATES = {"lora": 450, "full": 380, LATER: 1200}
RATIOS = {("lora", "unsloth"): 1.6, ("lora", "trl"): 3.5, ("full", "unsloth"): 1.9}
MEMORY = {"lora": 2.0e9, "full": 3.0e9}
VARIANTS: dict[str, tuple[str, str, dict[str, str]]] = {
    f"{OWN}-full-32bit": ("full", ", 32-bit moments", {"optimizer_bits": "32"}),
    f"{OWN}-full-8bit": ("full", ", 8-bit moments", {"optimizer_bits": "8"}),
}
"""Cell → method, words, and settings that are not the default."""


def cells(options: Options) -> dict[str, Callable[[], Row]]:
    """`engrain-METHOD`, engrain's VARIANTS, and `PEER-METHOD-PRECISION`."""
    own: dict[str, Callable[[], Row]] = {f"{OWN}-{method}": partial(epoch, method, "bfloat16", options) for method in METHODS}
    own |= {cell: partial(epoch, method, "bfloat16", options, **chosen) for cell, (method, _, chosen) in VARIANTS.items()}
    for name in trainer_names():
        if name == OWN or options.device not in getattr(trainer(name), "DEVICES", ("cpu", "cuda")):
            continue
        for method, precision in trainer(name).VARIANTS:
            own[f"{name}-{method}-{precision}"] = partial(in_turn, name, method, precision, options)
    return own


def epoch(method: str, precision: str, options: Options, **chosen: str) -> Row:
    """A whole epoch of engrain (two of the method that gains from a second), with the settings that were `chosen`."""
    passes = 2 if method == LATER else 1
    (rows,) = measuring.run([(OWN, measuring.job(method, precision, passes * EPOCH, passes=passes, options=chosen))], options)
    settled = sum(row["seconds"] for row in rows if "settled" in row)
    steps = [row for row in rows if "loss" in row]
    if len(steps) != passes * EPOCH:
        raise RuntimeError(f"{method} ended after {len(steps)} steps of {passes * EPOCH}")
    tokens = sum(row["tokens"] for row in steps[:EPOCH])
    return {
        "rate": tokens / (tokens / rate(steps[:EPOCH]) + settled),
        "later_rate": rate(steps[EPOCH:], warm=0) if passes > 1 else None,
        "settled_seconds": settled,
        **quietness(steps, options),
        "peak_bytes": steps[-1]["peak_bytes"],
        "flops_per_token": useful_flops(method, tokens),
        **curve(rows),
    }


def in_turn(name: str, method: str, precision: str, options: Options) -> Row:
    """A peer's steps and engrain's, one after the other; why, where the peer cannot be had here."""
    asked = [(each, measuring.job(method, form, STEPS)) for each, form in ((OWN, "bfloat16"), (name, precision))]
    try:
        own, peer = measuring.run(asked, options)
        versions = versions_of(name)
    except (Unavailable, RuntimeError) as error:
        return {"unavailable": str(error)}
    return {
        "rate": rate(peer),
        "engrain_rate": rate(own),
        **quietness(peer, options),
        "engrain_quietness": quietness(own, options),
        "peak_bytes": peer[-1]["peak_bytes"],
        "engrain_peak_bytes": own[-1]["peak_bytes"],
        "versions": versions,
        "engrain_loss": curve(own)["loss"],
        **curve(peer),
    }


def useful_flops(method: str, tokens: int) -> float:
    """FLOPs that a token of W1 takes, its share of the supervised ones' head included."""
    import torch

    from benchmarks.workload import IGNORED, read_rows
    from engrain.cost import cost_of
    from engrain.models import outline

    made, _ = trainer(OWN).configured(measuring.job(method, "bfloat16", EPOCH))
    model = outline(measuring.BASE)
    made.apply(model)
    cost = cost_of(model, torch.bfloat16, made.keeps_float32)
    supervised = sum(label != IGNORED for row in read_rows(measuring.w1()) for label in row["labels"])
    return cost.training + cost.head_training * supervised / tokens


def targets(results: Results) -> list[Target]:
    """Speed, ratios and memory of every method that was measured."""
    found = results.read("training")
    measured = [method for method in METHODS if f"{OWN}-{method}" in found]
    return [target for method in measured for target in _targets(method, found[f"{OWN}-{method}"], found)]


def section(results: Results, images: Path) -> list[str]:
    """Speed, memory and loss of all; targets; the plots."""
    found = results.read("training")
    lines: list[str] = []
    for method, words in METHODS.items():
        own = found.get(f"{OWN}-{method}")
        if own is None:
            continue
        reached = table(["target", "wanted", "measured", ""], [target.row() for target in _targets(method, own, found)])
        lines += [f"### {words[0].upper()}{words[1:]}", "", *_speeds(method, own, found, results), "", *reached, ""]
        file = images / f"performance-{method}.svg"
        plots.curves(file, _curves(method, found, results), "seconds of training", "loss")
        lines += [f"![Loss over time, {words}](images/{file.name})", ""]
    return lines + missing(found)


def variants_of(method: str, found: dict[str, Row]) -> dict[str, Row]:
    """The rows of engrain's method, by words for each, the defaults' first ("")."""
    cells = {f"{OWN}-{method}": ""} | {cell: words for cell, (of, words, _) in VARIANTS.items() if of == method}
    return {words: found[cell] for cell, words in cells.items() if cell in found}


def peers_of(method: str, found: dict[str, Row]) -> dict[str, Row]:
    """The peers' rows of a method, by a name for people."""
    rows = {}
    for cell, row in found.items():
        name, _, rest = cell.partition("-")
        if name != OWN and rest.startswith(f"{method}-") and "rate" in row:
            rows[f"{name} {short(rest.partition('-')[2])}"] = row
    return rows


def short(precision: str) -> str:
    """`bf16` or `fp32`."""
    return {"bfloat16": "bf16", "float32": "fp32"}[precision]


def _speeds(method: str, own: Row, found: dict[str, Row], results: Results) -> list[str]:
    flops = own["flops_per_token"]
    most = float("nan") if own["settled_seconds"] else limit(results, "bfloat16")  # computing layers once is no training
    rows = [
        _speed(f"engrain bf16{words}, whole epoch", row["rate"], None, row, flops, most)
        for words, row in variants_of(method, found).items()
    ]
    if own["later_rate"]:
        later = {**own, "loss": own["loss"][EPOCH:]}
        rows.append(_speed("engrain bf16, second epoch", own["later_rate"], None, later, flops, float("nan")))
    for name, row in sorted(peers_of(method, found).items()):
        most = limit(results, "bfloat16" if name.endswith("bf16") else "float32")
        rows.append(_speed(name, row["rate"], row["engrain_rate"], row, flops, most))
    head = ["trainer", "tokens/s", "engrain in the same run", "ratio", "steps", "peak memory", "share", "loss, step 1", "step 7", "last"]
    return table(head, rows)


def _speed(name: str, speed: float, beside: float | None, row: Row, flops: float, most: float) -> list[str]:
    loss, counted = row["loss"], f"{row['counted']} at {row['processors']:.0%}"
    last = f"{loss[-1]:.4f}" if len(loss) > STEPS else ""
    ratio = ["", ""] if beside is None else [f"{beside:,.0f}", times(beside / speed)]
    sizes = [counted, gigabytes(row["peak_bytes"]), share(speed * flops, most)]
    return [name, f"{speed:,.0f}", *ratio, *sizes, f"{loss[0]:.4f}", f"{loss[STEPS - 1]:.4f}", last]


def _targets(method: str, own: Row, found: dict[str, Row]) -> list[Target]:
    words, speed = METHODS[method], own["later_rate"] or own["rate"]
    since = " from the second epoch on" if own["later_rate"] else ""
    rows = [Target(f"{words}: tokens/s{since}", RATES[method], speed, lambda rate: f"{rate:,.0f}")]
    for (of, name), wanted in RATIOS.items():
        peer = found.get(f"{name}-{of}-bfloat16", {})
        if of == method and "rate" in peer:
            rows.append(Target(f"{words}: times {name}", wanted, peer["engrain_rate"] / peer["rate"], times))
    for more, row in variants_of(method, found).items() if method in MEMORY else ():
        rows.append(Target(f"{words}{more}: peak memory", MEMORY[method], row["peak_bytes"], gigabytes, at_least=False))
    return rows


def _curves(method: str, found: dict[str, Row], results: Results) -> dict[str, list[tuple[float, float]]]:
    shown = {"engrain bf16": found[f"{OWN}-{method}"]}
    reference = results.read("precision").get(method)
    shown |= {"engrain fp32": reference} if reference else {}
    shown |= peers_of(method, found)
    return {name: plots.over_time(row["seconds"], row["loss"]) for name, row in shown.items()}
