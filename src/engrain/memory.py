"""How much memory there is, and how much this process has held."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import torch

CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
"""Where Linux says what a process has held at most."""


def free_memory() -> int:
    """Bytes of memory that are free now, within the container's limit."""
    available, limit = psutil.virtual_memory().available, container_limit()
    return min(available, limit) if limit else available


def container_limit() -> int | None:
    """The memory limit of the container in bytes; None where there is none."""
    texts = [path.read_text().strip() for path in CGROUP_LIMITS if path.is_file()]
    limits = [int(text) for text in texts if text.isdigit() and int(text) < 2**60]  # cgroup v1 writes "none" as a huge number
    return min(limits, default=None)


def free_on(device: torch.device) -> int:
    """Bytes that this process may still take on a device."""
    import torch

    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + unused)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return free_memory()


def held_on(device: torch.device) -> int:
    """The most bytes held on a device: on an accelerator by tensors, else by this process (resident)."""
    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.driver_allocated_memory())
    return peak_resident()


def peak_resident() -> int:
    """The most memory that this process has held."""
    told = Path("/proc/self/status")
    if told.is_file() and (found := PEAK.search(told.read_text(encoding="utf-8"))):
        return 1024 * int(found[1])  # not `ru_maxrss`, which a process takes over from the one that started it
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
