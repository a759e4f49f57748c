"""How much memory there is, and how much this process has held."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from engrain import cgroups

if TYPE_CHECKING:
    import torch

LIMIT, USED = ("memory.max", "memory.limit_in_bytes"), ("memory.current", "memory.usage_in_bytes")
"""What a control group's files are called, in version 2 and in version 1."""
CACHED = re.compile(r"^(?:total_)?inactive_file (\d+)$", re.MULTILINE)
"""What of a group's memory holds files that can be read again, in its memory.stat (version 1 says for the group alone, too)."""
PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
"""Where Linux says what a process has held at most."""


def free_memory() -> int:
    """Bytes of memory that are free now, within the container's limit."""
    left = [limit - used_in(folder) for folder, limit in limits()]
    return max(0, min([psutil.virtual_memory().available, *left]))


def container_limit() -> int | None:
    """The memory limit of the container in bytes; None where there is none."""
    return min((limit for _, limit in limits()), default=None)


def limits() -> list[tuple[Path, int]]:
    """The control groups around this process that limit its memory, and their limits in bytes."""
    told = [(folder, cgroups.read(folder, *LIMIT)) for folder in cgroups.folders("memory")]
    return [
        (folder, int(text)) for folder, text in told if text.isdigit() and int(text) < 2**60
    ]  # version 1 writes "none" as a huge number


def used_in(folder: Path) -> int:
    """Bytes of memory that a control group's processes use, without the files among it that would give way."""
    cached = [int(found) for found in CACHED.findall(cgroups.read(folder, "memory.stat"))]
    return max(0, int(cgroups.read(folder, *USED) or 0) - max(cached, default=0))


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
