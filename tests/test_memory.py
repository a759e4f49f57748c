from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest
import torch

from containers import Groups
from engrain.memory import container_limit, free_memory, free_on, held_on, peak_resident

GB = 2**30


@pytest.fixture(autouse=True)
def thirty_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=30 * GB, total=32 * GB))


def test_free_is_what_the_container_leaves(groups: Groups) -> None:
    groups("0::/", memory_max=8 * GB, memory_current=3 * GB, memory_stat=f"anon {2 * GB}\ninactive_file {GB}\nactive_file 0")
    assert container_limit() == 8 * GB
    assert free_memory() == free_on(torch.device("cpu")) == 6 * GB, "the file that would give way is not counted"


def test_the_first_version_of_groups_has_other_names(groups: Groups) -> None:
    stat = f"cache 0\ninactive_file 0\ntotal_inactive_file {GB}"
    groups("4:memory:/", memory_limit_in_bytes=8 * GB, memory_usage_in_bytes=3 * GB, memory_stat=stat)
    assert container_limit() == 8 * GB
    assert free_memory() == 6 * GB


@pytest.mark.parametrize("unlimited", [{"memory_max": "max"}, {"memory_limit_in_bytes": 9223372036854771712}])
def test_no_limit_is_none(unlimited: dict[str, object], groups: Groups) -> None:
    groups("4:memory:/" if "memory_limit_in_bytes" in unlimited else "0::/", **unlimited)
    assert container_limit() is None
    assert free_memory() == 30 * GB


def test_a_group_that_holds_more_than_its_limit_leaves_nothing(groups: Groups) -> None:
    groups("0::/", memory_max=GB, memory_current=2 * GB)
    assert free_memory() == 0


def test_held_is_the_peak_and_not_what_is_held_now() -> None:
    before = peak_resident()
    large = torch.ones(before // 4)
    del large
    assert peak_resident() > 1.2 * before, "it has given it back, and the peak stays"
    assert held_on(torch.device("cpu")) >= peak_resident()
