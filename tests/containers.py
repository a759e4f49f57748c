"""The control groups of a container, as files a test makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Groups = Callable[..., Path]
"""Makes this process's control groups: their lines and the files of the outermost (`cpu_max` for cpu.max) → its folder."""


def groups_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Groups:
    """Control groups below `tmp_path`, in place of this machine's."""
    from engrain import cgroups

    def made(lines: str, **files: object) -> Path:
        mounted = tmp_path / "cgroup"
        controllers = lines.split("\n")[0].split(":")[1]
        folder = mounted / controllers.split(",")[0] if controllers else mounted
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name.replace("_", ".", 1)).write_text(f"{text}\n")
        (tmp_path / "own").write_text(f"{lines}\n")
        monkeypatch.setattr(cgroups, "MOUNTED", mounted)
        monkeypatch.setattr(cgroups, "OWN", tmp_path / "own")
        return folder

    return made
