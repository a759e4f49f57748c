"""The elementwise parts of a layer, products of matrices, the optimizer and the writing of tokens in C (`SOURCES`), compiled where
a compiler is present.

Each of the elementwise parts is several passes over memory in PyTorch and one here. Compiling takes a second, once for a machine;
without a compiler, or with ENGRAIN_NATIVE=0, the plain code beside each caller does the same in more time.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engrain.fetch import cache_folder

NAMES = ("elementwise.c", "matmul.c", "tiles.c", "vectors.c", "decoder.c", "segment_attention.c", "choosing.c", "adamw.c")
SOURCES = tuple(Path(__file__).with_name(name) for name in NAMES)
COMPILERS = ("cc", "gcc", "clang")
FAST = "-O3 -march=native -ffp-contract=fast -fno-math-errno -fno-trapping-math -ffinite-math-only -fno-signed-zeros"
"""Without `-ffast-math`: with that, loading the library would change how the whole process computes tiny numbers."""
FLAGS = (*FAST.split(), "-fopenmp", "-shared", "-fPIC")
HEADERS = tuple(Path(__file__).with_name(name) for name in ("parts.h", "matmul.h"))
SECONDS = 60
"""Longest time that compiling may take."""
SUFFIXES = {torch.bfloat16: "bf16", torch.float32: "f32"}


def can(*tensors: Tensor) -> bool:
    """Whether these are computed natively: on the processor, of one known type, without gaps."""
    kind = tensors[0].dtype
    return all(t.device.type == "cpu" and t.dtype == kind and t.is_contiguous() for t in tensors) and usable(kind)


def usable(kind: torch.dtype) -> bool:
    """Whether there is native code for numbers of this type."""
    return kind in SUFFIXES and library() is not None


def call(name: str, kind: torch.dtype, *arguments: Tensor | int | float) -> None:
    """Run a function of the library on tensors of `kind`; what it returns it writes into them."""
    found = library()
    assert found is not None
    getattr(found, f"{name}_{SUFFIXES[kind]}")(*(_plain(value) for value in arguments))


def _plain(value: Tensor | int | float) -> Any:
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_int64(value) if isinstance(value, int) else ctypes.c_float(value)


def expected(kind: torch.dtype) -> bool:
    """Whether there would be native code for numbers of this type once it is compiled; nothing is compiled for the answer."""
    return kind in SUFFIXES and _compiler() is not None


def _compiler() -> str | None:
    return None if os.environ.get("ENGRAIN_NATIVE") == "0" else next((path for name in COMPILERS if (path := shutil.which(name))), None)


@cache
def library() -> ctypes.CDLL | None:
    """The compiled code; None where it cannot be had."""
    found = _compiler()
    if found is None:
        return None
    made = cache_folder() / "native" / f"{_fingerprint(found)}.so"
    try:
        if not made.is_file():
            _compile(found, made)
        return ctypes.CDLL(str(made))
    except (OSError, subprocess.SubprocessError):
        return None


def _compile(command: str, made: Path) -> None:
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=made.parent) as folder:
        fresh = Path(folder) / made.name
        subprocess.run(
            [command, *FLAGS, f"-I{HEADERS[0].parent}", "-o", str(fresh), *map(str, SOURCES), "-lm"],
            check=True,
            capture_output=True,
            timeout=SECONDS,
        )
        fresh.replace(made)


def _fingerprint(command: str) -> str:
    """What the compiled code depends on: its source and flags, the compiler, and the processor that it is made for."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8", errors="replace").splitlines() if facts.is_file() else []
    processor = next((line for line in lines if line.startswith("flags")), "") or f"{platform.machine()} {platform.processor()}"
    told = (" ".join([command, *FLAGS]), processor, torch.__version__)
    parts = [*(file.read_bytes() for file in (*SOURCES, *HEADERS)), *(text.encode() for text in told)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
