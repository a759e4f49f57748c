from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from containers import Groups
from engrain import cores


@pytest.fixture(autouse=True)
def sixteen(many_cores: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The cores of this machine have two threads each."""
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 32 if logical else 16)


@pytest.mark.parametrize(
    ("group", "files", "usable"),
    [
        ("0::/", {"cpu_max": "400000 100000"}, 4),
        ("0::/", {"cpu_max": "20000 100000"}, 1),
        ("0::/", {"cpu_max": "250000 100000"}, 2),
        ("0::/", {"cpu_max": "max 100000"}, 32),
        ("0::/", {"cpu_max": "6400000 100000"}, 32),
        ("3:cpu,cpuacct:/", {"cpu_cfs_quota_us": 300000, "cpu_cfs_period_us": 100000}, 3),
        ("3:cpu,cpuacct:/", {"cpu_cfs_quota_us": -1, "cpu_cfs_period_us": 100000}, 32),
        ("0::/", {}, 32),
    ],
)
def test_usable_is_what_the_quota_leaves(group: str, files: dict[str, object], usable: int, groups: Groups) -> None:
    groups(group, **files)
    assert cores.usable_cores() == usable


def test_the_tightest_group_counts(groups: Groups) -> None:
    root = groups("0::/batch/job", cpu_max="800000 100000")
    (root / "batch" / "job").mkdir(parents=True)
    (root / "batch" / "cpu.max").write_text("300000 100000\n")
    (root / "batch" / "job" / "cpu.max").write_text("max 100000\n")
    assert cores.usable_cores() == 3


def test_no_more_threads_than_the_quota_has_cores_for(groups: Groups, many_cores: list[int]) -> None:
    groups("0::/", cpu_max="400000 100000")
    cores.limit_threads()
    cores.limit_threads()
    assert many_cores == [4], "once is enough"
    assert os.environ["OMP_NUM_THREADS"] == "4", "what is started from here takes as many"


def test_no_more_threads_than_there_are_units_of_arithmetic(groups: Groups, many_cores: list[int]) -> None:
    groups("0::/", cpu_max="2400000 100000")
    cores.limit_threads()
    assert many_cores == [16]


def test_without_a_quota_the_libraries_choose(groups: Groups, many_cores: list[int]) -> None:
    groups("0::/", cpu_max="max 100000")
    cores.limit_threads()
    assert many_cores == []
    assert "OMP_NUM_THREADS" not in os.environ


def test_who_says_how_many_threads_gets_them(groups: Groups, many_cores: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    groups("0::/", cpu_max="400000 100000")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    cores.limit_threads()
    assert many_cores == []
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_a_library_that_comes_later_takes_them_from_the_environment(groups: Groups, many_cores: list[int]) -> None:
    groups("0::/", cpu_max="100000 100000")
    cores.limit_threads()
    said = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.get_num_threads())"], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "1"
