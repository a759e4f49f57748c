from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from containers import Groups
from engrain import doctor, fetch


def states(checks: list[doctor.Check]) -> dict[str, str]:
    return {check.name: check.state for check in checks}


def test_everything_is_looked_at_and_every_fault_has_a_remedy(tmp_path: Path) -> None:
    checks = doctor.examine(tmp_path / "runs")
    assert {"python", "cores", "memory", "runs", "cache", "torch", "transformers", "device", "precision", "compiler"} <= set(states(checks))
    assert all(check.state in ("ok", "warning", "blocks") and check.found for check in checks)
    assert all(check.remedy for check in checks if check.state != "ok")
    assert not (tmp_path / "runs").exists()


def test_an_old_python_blocks() -> None:
    assert doctor.python((3, 10)).state == "blocks"
    assert doctor.python((3, 11)).state == "ok"


@pytest.mark.parametrize(("free", "state"), [(2, "blocks"), (4, "warning"), (16, "ok")])
def test_memory_is_judged_by_what_is_free(free: int, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "free_memory", lambda: free * doctor.GB)
    assert doctor.memory().state == state


def test_the_limits_of_a_container_are_told(groups: Groups) -> None:
    groups("0::/", memory_max=2 * doctor.GB, memory_current=0, cpu_max="100000 100000")
    assert doctor.memory().state == "blocks"
    assert "container limit 2.0 GB" in doctor.memory().found
    assert doctor.cores().found.startswith("1 usable of ")


def test_more_threads_than_cores_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    assert doctor.cores().state == "warning"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert doctor.cores().state == "ok"


@pytest.mark.parametrize(("free", "state"), [(1, "blocks"), (5, "warning"), (50, "ok")])
def test_room_on_the_disk(free: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free * doctor.GB))
    assert doctor.folder("runs", tmp_path / "not" / "yet").state == state


def test_a_folder_that_cannot_be_written_to_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert doctor.folder("cache", tmp_path).state == "blocks"
    assert "ENGRAIN_HOME" in doctor.folder("cache", tmp_path).remedy
    (tmp_path / "file").write_text("x")
    assert doctor.folder("runs", tmp_path / "file" / "runs").state == "blocks"


def test_a_broken_torch_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert [check.state for check in doctor.devices()] == ["blocks"]
    assert doctor.precision().state == "blocks"


def test_a_device_that_is_not_there_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGRAIN_DEVICE", "warp")
    assert doctor.precision().state == "blocks"


def test_an_embedded_model_is_ready_once_its_manifest_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path))
    assert states(list(doctor.embedded_models())) == {"smollm2-135m": "warning", "all-minilm-l6-v2": "warning"}
    folder = fetch.embedded_folder("smollm2-135m")
    folder.mkdir(parents=True)
    (folder / fetch.MANIFEST).write_text("{}")
    assert states(list(doctor.embedded_models())) == {"smollm2-135m": "ok", "all-minilm-l6-v2": "warning"}


def test_a_missing_compiler_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert doctor.compiler().found == "none"
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("engrain.kernels.native.library", lambda: None)
    assert doctor.compiler().state == "warning"
    assert "/usr/bin/cc" in doctor.compiler().found
    monkeypatch.setattr("engrain.kernels.native.library", object)
    assert doctor.compiler().state == "ok"


def test_secrets_are_not_shown() -> None:
    checks = list(doctor.hub({"HF_TOKEN": "hf_secret", "HF_HUB_OFFLINE": "1"}))
    assert "hf_secret" not in str(checks)
    assert [check.name for check in checks] == ["HF_HUB_OFFLINE", "HF_TOKEN", "hub"]
