"""The limits of this machine: how fast it multiplies matrices and copies memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import Options, apart
from benchmarks.results import Results, Row
from benchmarks.tables import table

if TYPE_CHECKING:
    import torch

TITLE = "The machine"
ABOUT = (
    "Every share of a limit below is a share of the rate of one 4096 × 4096 × 4096 product in the same number format, measured here. "
    "The other products have the shapes that a step of W1 computes (tokens × width in × width out)."
)
SHAPES = ((4096, 4096, 4096), (2048, 576, 1536), (2048, 1536, 576), (2048, 576, 576), (512, 576, 1536), (880, 576, 49152))
LARGEST = "4096 × 4096 × 4096"
SECONDS = 1.0
COPIED = 2**28
"""Numbers copied at once: 1 GiB of fp32."""


def cells(options: Options) -> dict[str, Callable[[], Row]]:
    """The rates on all threads, and how the largest product's rate grows with threads."""
    counts = sorted({2**n for n in range(options.threads.bit_length())} | {options.threads})
    return {
        "limits": lambda: apart("benchmarks.parts.machine:limits", options.threads, device=options.device),
        "threads": lambda: {str(n): apart("benchmarks.parts.machine:largest", n, device=options.device)["rates"] for n in counts},
    }


def limits(device: str) -> Row:
    """All rates: FLOP/s of the products in both formats, bytes a second copied (read and written)."""
    import torch

    rates = {
        f"{m} × {k} × {n}": {str(dtype)[6:]: product_rate(m, k, n, dtype, device) for dtype in (torch.float32, torch.bfloat16)}
        for m, k, n in SHAPES
    }
    return {"products": rates, "copied": copy_rate(device), "torch": torch.__version__}


def largest(device: str) -> Row:
    """The rate of the largest product."""
    import torch

    return {"rates": {str(dtype)[6:]: product_rate(*SHAPES[0], dtype, device) for dtype in (torch.float32, torch.bfloat16)}}


def product_rate(m: int, k: int, n: int, dtype: torch.dtype, device: str) -> float:
    """FLOP/s of x (m, k) · Wᵀ (k, n), the median of many."""
    import torch

    x, w = torch.randn(m, k, device=device).to(dtype), torch.randn(n, k, device=device).to(dtype)
    return 2 * m * k * n / median_seconds(lambda: torch.nn.functional.linear(x, w), device)


def copy_rate(device: str) -> float:
    """Bytes a second, those read and those written."""
    import torch

    source, target = torch.ones(COPIED, device=device), torch.zeros(COPIED, device=device)
    return 2 * 4 * COPIED / median_seconds(lambda: target.copy_(source), device)


def median_seconds(work: Callable[[], Any], device: str, budget: float = SECONDS) -> float:
    """The median time of `work` over about `budget` seconds, after two calls."""
    wait = _waiting(device)
    times: list[float] = []
    for _ in range(2):
        work()
    wait()
    end = time.perf_counter() + budget
    while len(times) < 3 or time.perf_counter() < end:
        started = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _waiting(device: str) -> Callable[[], None]:
    import torch

    return torch.cuda.synchronize if device == "cuda" else lambda: None


def limit(results: Results, precision: str) -> float:
    """FLOP/s of the largest product in this format; NaN before it was measured."""
    found = results.read("machine").get("limits")
    return float(found["products"][LARGEST][precision]) if found else float("nan")


def section(results: Results, images: Path) -> list[str]:
    """The table of rates."""
    found = results.read("machine")
    if "limits" not in found:
        return []
    limits_row = found["limits"]
    rows = [[shape, *(f"{rates[p] / 1e9:,.0f}" for p in ("float32", "bfloat16"))] for shape, rates in limits_row["products"].items()]
    lines = [f"torch {limits_row['torch']}.", "", *table(["product, GFLOP/s", "fp32", "bf16"], rows)]
    lines += ["", f"Copying: {limits_row['copied'] / 1e9:.1f} GB/s (read and written)."]
    by_threads = {n: r for n, r in found.get("threads", {}).items() if n.isdigit()}
    if by_threads:
        ordered = sorted(by_threads.items(), key=lambda pair: int(pair[0]))
        told = [f"{n}: {r['float32'] / 1e9:,.0f} and {r['bfloat16'] / 1e9:,.0f}" for n, r in ordered]
        lines += ["", f"The largest product by threads, fp32 and bf16: {'; '.join(told)}."]
    return lines
