"""How many cores this process may use, and threads to match."""

from __future__ import annotations

import os
import sys

from engrain import cgroups


def usable_cores() -> int:
    """Cores that this process may use: those it is bound to, within the time that its container has."""
    return max(1, min([bound_cores(), *(round(share) for share in quotas())]))


def bound_cores() -> int:
    """Cores that this process may run on, whatever time it has there."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def quotas() -> list[float]:
    """The time that each group around this process has, in cores."""
    found = []
    for folder in cgroups.folders("cpu"):
        told = cgroups.read(folder, "cpu.max") or f"{cgroups.read(folder, 'cpu.cfs_quota_us')} {cgroups.read(folder, 'cpu.cfs_period_us')}"
        quota, _, period = told.partition(" ")
        if quota.isdigit() and period.isdigit():  # "max" in version 2 and -1 in version 1 stand for no quota
            found.append(int(quota) / int(period))
    return found


def limit_threads() -> None:
    """Let no more threads work than a container's quota has cores for, unless OMP_NUM_THREADS says how many.

    OpenMP starts one for every core that it may run on. The quota is then used up in a part of each period, all threads stand still
    for the rest, and whoever waits for another's part meanwhile uses it up too. Processes started from here take the same number.
    """
    usable = usable_cores()
    if "OMP_NUM_THREADS" in os.environ or usable == bound_cores():
        return
    import psutil

    threads = min(usable, psutil.cpu_count(logical=False) or usable)  # two threads on one core share its units of arithmetic
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if torch := sys.modules.get("torch"):  # it read the variable when it was imported
        torch.set_num_threads(threads)
