"""The control groups of this process: what a container, a batch system or systemd lets it use (Linux, versions 1 and 2)."""

from __future__ import annotations

from pathlib import Path

MOUNTED = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
"""Where Linux names the groups of a process: lines of number:controllers:path, without controllers in version 2."""


def folders(controller: str) -> list[Path]:
    """The folders of the groups that hold this process for a controller ("cpu", "memory"), its own before those around it.

    A container sees its own group as the outermost, under whatever name the system knows it.
    """
    lines = OWN.read_text(encoding="utf-8").splitlines() if OWN.is_file() else []
    found = []
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if not controllers or controller in controllers.split(","):
            root = MOUNTED / controller if controllers else MOUNTED
            own = root / path.lstrip("/")
            found += [folder for folder in (own, *own.parents) if folder.is_dir() and folder.is_relative_to(root)]
    return found


def read(folder: Path, *names: str) -> str:
    """What a group's file of the first of these names that it has says; "" where it has none."""
    return next(((folder / name).read_text(encoding="utf-8").strip() for name in names if (folder / name).is_file()), "")
