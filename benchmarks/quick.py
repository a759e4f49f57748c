"""The engine's figures in a few minutes, beside those of the run before: for every day."""

from __future__ import annotations

from benchmarks import measuring
from benchmarks.environments import OWN
from benchmarks.measuring import Options, apart, rate
from benchmarks.parts import start
from benchmarks.parts.training import METHODS
from benchmarks.results import Results, Row
from benchmarks.tables import table

PART = "quick"
STEPS = 8
UNITS = {
    "bf16 product": ("GFLOP/s", 1e9), "loss": ("", 1.0), "memory": ("GB", 1e9), "start": ("s", 1.0),
    "training": ("tokens/s", 1.0), "generation": ("tokens/s", 1.0),
}  # fmt: skip


def measure(options: Options, results: Results) -> list[str]:
    """Measure, keep the figures in `quick.json` with those before them, and return the table of both."""
    before = {name: row["value"] for name, row in results.read(PART).items()}
    for name, value in _figures(options).items():
        results.put(PART, name, {"value": value, "before": before.get(name)})
    return shown(results.read(PART))


def shown(found: dict[str, Row]) -> list[str]:
    """The table of figures, those of the run before, and the change."""
    rows = []
    for name, row in found.items():
        unit, size = UNITS[name.partition(",")[0]]
        digits = ".4f" if not unit else ",.1f"
        before, change = (f"{row['before'] / size:{digits}}", f"{row['value'] / row['before'] - 1:+.1%}") if row["before"] else ("–", "–")
        rows.append([name, f"{row['value'] / size:{digits}} {unit}".strip(), before, change])
    return table(["figure", "now", "before", "change"], rows)


def _figures(options: Options) -> dict[str, float]:
    found = {"bf16 product": apart("benchmarks.parts.machine:largest", options.threads, device="cpu")["rates"]["bfloat16"]}
    for method in METHODS:
        (rows,) = measuring.run([(OWN, measuring.job(method, "bfloat16", STEPS))], options)
        found |= {f"training, {method}": rate(rows), f"loss, {method}, step {STEPS}": rows[-1]["loss"]}
        found |= {f"memory, {method}": rows[-1]["peak_bytes"]}
    written = apart("benchmarks.parts.generation:engrain", options.threads, precision="bfloat16", device="cpu")
    found["generation"] = written["tokens"] / written["seconds"]
    found["start"] = start.started(options, "--no-evaluate")["median"]
    return found
