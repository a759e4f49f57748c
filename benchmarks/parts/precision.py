"""Whether training in bf16 follows training in fp32, at every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.environments import OWN
from benchmarks.measuring import Options
from benchmarks.parts.training import METHODS, epoch, peers_of, variants_of
from benchmarks.results import Results, Row
from benchmarks.tables import table
from benchmarks.targets import Target

TITLE = "Loss: bf16 beside fp32"
ABOUT = (
    "The same training by engrain in fp32 throughout is the reference; what is told is how far the loss of a step in bf16 lies from "
    "the reference's loss of the same step, as a share of it. Peers are held against the same reference over the steps that they made."
)
TOLERANCE = 0.01
WIDE = {method: {"optimizer_bits": "32"} for method in ("full", "layerwise")}
"""Settings of the reference that are not the default."""


def cells(options: Options) -> dict[str, Callable[[], Row]]:
    """An fp32 epoch of each method."""
    return {method: partial(epoch, method, "float32", options, **WIDE.get(method, {})) for method in METHODS}


def distances(loss: Sequence[float], reference: Sequence[float]) -> list[float]:
    """How far each step's loss lies from the reference's, as a share of it; over the steps that both have."""
    return [abs(a / b - 1) for a, b in zip(loss, reference, strict=False)]


def targets(results: Results) -> list[Target]:
    """How far the loss of a step in bf16 is from fp32's, at most."""
    return [
        Target(
            f"{METHODS[method]}{more}: loss of any step, away from fp32's",
            TOLERANCE,
            max(distances(own["loss"], reference)),
            _percent,
            False,
        )
        for method, reference, found in _measured(results)
        for more, own in variants_of(method, found).items()
    ]


def _percent(part: float) -> str:
    return f"{part:.2%}"


def _measured(results: Results) -> list[tuple[str, list[float], dict[str, Row]]]:
    """Method, its reference's losses, and what training measured; of each method that has both."""
    references, found = results.read("precision"), results.read("training")
    return [(m, references[m]["loss"], found) for m in METHODS if m in references and f"{OWN}-{m}" in found]


def section(results: Results, images: Path) -> list[str]:
    """The largest and the mean distance of each method, and where it lies."""
    rows = []
    for method, reference, found in _measured(results):
        words = METHODS[method]
        rows += [_row(f"{words}: engrain bf16{more}", own["loss"], reference) for more, own in variants_of(method, found).items()]
        rows += [_row(f"{words}: {name}", peer["loss"], reference) for name, peer in sorted(peers_of(method, found).items())]
    if not rows:
        return []
    return table(["training", "steps", "largest distance", "at step", "mean distance", "within 1% at every step"], rows)


def _row(name: str, loss: Sequence[float], reference: Sequence[float]) -> list[str]:
    apart = distances(loss, reference)
    worst = max(apart)
    verdict = "yes" if worst <= TOLERANCE else f"no, at {sum(d > TOLERANCE for d in apart)} of {len(apart)}"
    return [name, str(len(apart)), f"{worst:.2%}", str(apart.index(worst) + 1), f"{sum(apart) / len(apart):.2%}", verdict]
