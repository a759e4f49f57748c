from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from engrain import memory
from engrain.memory import container_limit, free_memory, free_on, held_on, peak_resident

GB = 2**30


def test_free_is_what_the_container_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=30 * GB, total=32 * GB))
    limits = [tmp_path / name for name in ("memory.max", "memory.limit_in_bytes", "absent")]
    limits[0].write_text("max\n")
    limits[1].write_text(f"{2 * GB}\n")
    monkeypatch.setattr(memory, "CGROUP_LIMITS", tuple(limits))
    assert free_memory() == free_on(torch.device("cpu")) == 2 * GB
    limits[1].write_text("9223372036854771712\n")
    assert container_limit() is None
    assert free_memory() == 30 * GB


def test_held_is_the_peak_and_not_what_is_held_now() -> None:
    before = peak_resident()
    large = torch.ones(before // 4)
    del large
    assert peak_resident() > 1.2 * before, "it has given it back, and the peak stays"
    assert held_on(torch.device("cpu")) >= peak_resident()
