from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engrain.errors import RunError
from engrain.files import append_line, clear_partials, delete, is_held, lock, staged, to_json, whole_lines, write_text


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail_while_writing(target: Path, error: Exception) -> None:
    with staged(target) as temporary:
        temporary.write_text("new")
        raise error


def test_write_text_replaces_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.json"
    write_text(target, "one")
    write_text(target, "two £\n")
    assert target.read_text(encoding="utf-8") == "two £\n"
    assert [p.name for p in target.parent.iterdir()] == ["a.json"]


def test_a_failure_leaves_the_old_file_and_no_partial(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    write_text(target, "old")
    with pytest.raises(ZeroDivisionError):
        fail_while_writing(target, ZeroDivisionError())
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_full_disk_is_named_with_the_free_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    write_text(tmp_path / "a.json", "old")
    if call == "fsync":
        monkeypatch.setattr(os, "fsync", full_disk)
    else:
        monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(RunError, match=r"disk is full: .*a\.json could not be written \([\d.,]+ MB free\)"):
        write_text(tmp_path / "a.json", "new")
    monkeypatch.undo()
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.json": "old"}


def test_a_full_disk_is_known_by_its_words_too(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="disk is full"):
        fail_while_writing(tmp_path / "model", RuntimeError("I/O error: No space left on device (os error 28)"))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB, where the machine lets us make one."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount a small file system here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_really_full_disk(tiny_disk: Path) -> None:
    rows = tiny_disk / "rows.jsonl"
    write_text(rows, "{}\n" * 1000)
    with pytest.raises(RunError, match="disk is full"):
        write_text(rows, "x" * 100_000)
    before = rows.read_bytes()
    with pytest.raises(RunError, match="disk is full"):
        append_line(rows, "y" * 100_000)
    assert rows.read_bytes() == before
    assert [p.name for p in tiny_disk.iterdir()] == ["rows.jsonl"]


def test_a_line_torn_by_a_kill_gives_way(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2')
    assert list(whole_lines(path)) == ['{"a": 1}', ""]
    append_line(path, '{"a": 3}')
    assert path.read_text() == '{"a": 1}\n\n{"a": 3}\n'


def test_a_whole_last_line_without_newline_stays(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}')
    assert len(list(whole_lines(path))) == 2
    append_line(path, '{"a": 3}')
    assert path.read_text() == '{"a": 1}\n{"a": 2}\n{"a": 3}\n'


def test_clear_partials_removes_the_new_and_restores_what_had_stepped_aside(tmp_path: Path) -> None:
    for name in ("adapter.99-abc.new.partial", "adapter.99-abd.old.partial", "model", "model.99-abc.old.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_text(name)
    clear_partials(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter", "model"]
    assert (tmp_path / "adapter" / "weights").read_text() == "adapter.99-abd.old.partial"
    assert (tmp_path / "model" / "weights").read_text() == "model"


def test_delete_takes_files_folders_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    for name in ("folder", "file", "absent"):
        delete(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_lock_is_refused_twice_and_let_go(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    assert not is_held(path)
    with lock(path):
        assert is_held(path)
        with pytest.raises(RunError, match=rf"in use by process {os.getpid()} since \d{{4}}-"), lock(path):
            pass
    assert not is_held(path)


def test_to_json_takes_numbers_that_are_none_as_null() -> None:
    assert json.loads(to_json({"loss": float("nan"), "path": Path("a/b"), "t": (1, 2)})) == {"loss": None, "path": "a/b", "t": [1, 2]}
