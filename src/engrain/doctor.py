"""What this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from engrain import encoder, fetch, models
from engrain.cores import usable_cores
from engrain.errors import EngrainError
from engrain.memory import container_limit, free_memory

GB = 2**30
MEMORY_NEEDED, MEMORY_WANTED = 3 * GB, 6 * GB
DISK_NEEDED, DISK_WANTED = 2 * GB, 10 * GB
HUB_VARIABLES = ("HF_HOME", "HF_HUB_OFFLINE", "HF_TOKEN", "HF_ENDPOINT", "TRANSFORMERS_OFFLINE", "ENGRAIN_HOME", "XDG_CACHE_HOME")


@dataclass(frozen=True)
class Check:
    """One thing looked at. `state` is ok, warning (work goes on, slower or with less) or blocks."""

    name: str
    state: str
    found: str
    remedy: str = ""


def examine(runs: Path = Path("runs")) -> list[Check]:
    """All checks of this machine for work that writes its runs to `runs`."""
    return [
        python(sys.version_info[:2]),
        cores(),
        memory(),
        *(folder(name, path) for name, path in (("runs", runs), ("cache", fetch.cache_folder()))),
        *libraries(),
        *devices(),
        precision(),
        compiler(),
        *embedded_models(),
        *hub(os.environ),
    ]


def python(version: tuple[int, int]) -> Check:
    """Whether this Python is new enough."""
    found = f"{version[0]}.{version[1]} at {sys.executable}"
    return Check("python", "ok", found) if version >= (3, 11) else Check("python", "blocks", found, "Install Python 3.11 or newer.")


def cores() -> Check:
    """Cores this process may use, and the threads that were asked for."""
    usable = usable_cores()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    found = f"{usable} usable of {os.cpu_count()}" + (f", OMP_NUM_THREADS={threads}" if threads else "") + f" ({platform.machine()})"
    if threads.isdigit() and int(threads) > usable:
        return Check("cores", "warning", found, f"Set OMP_NUM_THREADS={usable}: more threads than cores slow the work down.")
    return Check("cores", "ok", found)


def memory() -> Check:
    """Memory that is free now, within the container's limit."""
    import psutil

    limit, free = container_limit(), free_memory()
    found = f"{free / GB:.1f} GB free of {psutil.virtual_memory().total / GB:.1f} GB" + (
        f", container limit {limit / GB:.1f} GB" if limit else ""
    )
    if free < MEMORY_NEEDED:
        return Check(
            "memory", "blocks", found, f"Free memory until {MEMORY_NEEDED / GB:.0f} GB are available, or raise the container's limit."
        )
    if free < MEMORY_WANTED:
        return Check("memory", "warning", found, "Enough for the embedded model with LoRA; `engrain plan` says what else fits.")
    return Check("memory", "ok", found)


def folder(name: str, path: Path) -> Check:
    """Whether a folder can be written to, and how much room its disk has."""
    existing, free = existing_part(path), free_disk(path)
    found = f"{path}, {free / GB:.1f} GB free"
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        remedy = "set ENGRAIN_HOME to one that can." if name == "cache" else "work in a folder that can, or give --out DIR."
        return Check(name, "blocks", found, f"{existing} cannot be written to; {remedy}")
    if free < DISK_NEEDED:
        return Check(name, "blocks", found, f"Free at least {DISK_NEEDED / GB:.0f} GB there: a run keeps checkpoints.")
    if free < DISK_WANTED:
        return Check(name, "warning", found, "Enough for the embedded model with LoRA; larger models and --method full need more.")
    return Check(name, "ok", found)


def free_disk(path: Path) -> int:
    """Bytes that are free on the disk which holds `path`, or will."""
    return shutil.disk_usage(existing_part(path)).free


def existing_part(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next(place for place in [path.absolute(), *path.absolute().parents] if place.exists())


def libraries() -> Iterator[Check]:
    """The libraries the work stands on."""
    for name in ("torch", "transformers", "spacy"):
        try:
            yield Check(name, "ok", metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Check(name, "blocks", "not installed", "Run `make install`, or `pip install engrain`.")


def devices() -> Iterator[Check]:
    """The accelerators torch sees; the processor where there is none."""
    try:
        torch = importlib.import_module("torch")
    except Exception as error:  # a broken build fails in many ways, and saying so is this command's work
        yield Check("device", "blocks", f"torch cannot be loaded: {error}", "Reinstall torch: pip install --force-reinstall torch")
        return
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield Check("device", "ok", f"cuda:{index} {properties.name}, {properties.total_memory / GB:.0f} GB")
    if torch.backends.mps.is_available():
        yield Check("device", "ok", "mps (Apple GPU; shares the machine's memory)")
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        yield Check("device", "ok", f"the processor only, {torch.get_num_threads()} threads (torch {torch.__version__})")


def precision() -> Check:
    """The device and number format that work would use, and whether bf16 is computed in hardware."""
    try:
        device = models.choose_device()
        fast = str(models.choose_dtype(device)) == "torch.bfloat16"
    except (EngrainError, ImportError) as error:
        return Check("precision", "blocks", str(error).partition("\n")[0], getattr(error, "next_step", "Reinstall torch."))
    return Check("precision", "ok", f"bfloat16 in hardware on {device}" if fast else f"float32 on {device}: no bfloat16 in hardware")


def compiler() -> Check:
    """Whether there is a C compiler, and it makes the elementwise parts of training."""
    found = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
    why = "none"
    if found:
        try:
            from engrain.kernels import native

            if native.library() is not None:
                return Check("compiler", "ok", f"{found}; training computes its elementwise parts in C")
            why = f"{found} does not compile what engrain gives it"
        except ImportError:
            why = f"{found}, but torch cannot be loaded"
    return Check("compiler", "warning", why, "Work goes on without, but training is slower (Debian: apt-get install gcc libc6-dev).")


def embedded_models() -> Iterator[Check]:
    """Whether each embedded model, and the sentence encoder, is ready for use without a network."""
    for alias, carried in {**fetch.EMBEDDED, encoder.EMBEDDED: encoder.CARRIED}.items():
        folder = fetch.carried_folder(alias, carried)
        if (folder / fetch.MANIFEST).is_file():
            yield Check(alias, "ok", f"ready in {folder}")
        else:
            yield Check(
                alias, "warning", "not fetched yet", f"The first build fetches it once ({carried.megabytes} MB) from the package index."
            )


def hub(environment: Mapping[str, str]) -> Iterator[Check]:
    """The variables that decide where models come from; the value of a secret is not shown."""
    for name in HUB_VARIABLES:
        if name in environment:
            yield Check(name, "ok", "set" if "TOKEN" in name else environment[name])
    if environment.get("HF_HUB_OFFLINE", "0") not in ("", "0") and not environment.get("HF_HOME"):
        yield Check("hub", "warning", "offline", "Only the embedded model, local folders and cached Hub models can be used.")
