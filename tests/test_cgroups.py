from __future__ import annotations

from pathlib import Path

from containers import Groups
from engrain import cgroups


def test_a_process_is_limited_by_its_own_group_and_those_around_it(groups: Groups) -> None:
    root = groups("0::/batch/job_7", cpu_max="max 100000")
    for inner in ("batch", "batch/job_7", "batch/job_8"):
        (root / inner).mkdir(parents=True)
    assert cgroups.folders("cpu") == cgroups.folders("memory") == [root / "batch/job_7", root / "batch", root]


def test_the_first_version_has_a_folder_for_each_controller(groups: Groups) -> None:
    root = groups("5:cpu,cpuacct:/batch\n4:memory:/\n1:name=systemd:/", cpu_cfs_quota_us=-1).parent
    (root / "cpu" / "batch").mkdir()
    assert cgroups.folders("cpu") == [root / "cpu" / "batch", root / "cpu"]
    assert cgroups.folders("memory") == [], "it is not mounted"


def test_a_container_sees_its_group_as_the_outermost(groups: Groups) -> None:
    root = groups("0::/docker/0123abcd", cpu_max="max 100000")
    assert cgroups.folders("cpu") == [root], "under the name that the system outside knows there is nothing"


def test_elsewhere_there_are_none(groups: Groups, tmp_path: Path) -> None:
    groups("0::/", cpu_max="max 100000")
    cgroups.OWN.unlink()
    assert cgroups.folders("cpu") == []


def test_a_file_is_read_by_the_first_name_that_it_has(tmp_path: Path) -> None:
    (tmp_path / "second").write_text("2\n")
    (tmp_path / "third").write_text("3\n")
    assert cgroups.read(tmp_path, "first", "second", "third") == "2"
    assert cgroups.read(tmp_path, "first") == ""
