from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from engrain.errors import RunError
from engrain.run import Mark, Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", "demo")


def child(code: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


# --- make and find


def test_default_names_are_readable_and_never_taken_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = Run.create(None, "demo"), Run.create(None, "demo")
    assert first.path.parent == Path("runs")
    assert first.path.name.endswith("-demo")
    assert second.path.name == first.path.name + "-2"
    assert Run.open() == second
    assert Run.list() == [second, first]


def test_a_new_run_says_what_it_runs_on(run: Run) -> None:
    info = run.info
    assert info["status"] == "running"
    assert info["finished"] is None
    assert info["versions"]["python"].startswith("3.")
    assert info["machine"]["memory_bytes"] > 0


def test_update_merges_and_times_the_end(run: Run) -> None:
    run.update(base="smollm2-135m", status="complete")
    assert run.info["base"] == "smollm2-135m"
    assert run.info["finished"] > run.info["created"]
    run.update(status="running")
    assert run.info["finished"] is None
    assert run.info["name"] == "demo"


def test_create_refuses_what_is_taken(tmp_path: Path, run: Run) -> None:
    with pytest.raises(RunError, match=r"unfinished run \(status: running\)") as caught:
        Run.create(run.path, "demo")
    assert "--resume" in str(caught.value)
    run.update(status="complete")
    with pytest.raises(RunError, match="complete run already"):
        Run.create(run.path, "demo")
    (tmp_path / "other").mkdir()
    assert Run.create(tmp_path / "other", "demo").info["status"] == "running"
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear")
    with pytest.raises(RunError, match="holds something else"):
        Run.create(tmp_path / "letters", "demo")
    assert [p.name for p in (tmp_path / "letters").iterdir()] == ["a.txt"]


def test_open_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="no run under runs/"):
        Run.open()
    with pytest.raises(RunError, match=r"has no run\.json"):
        Run.open(tmp_path)


def test_list_leaves_out_a_broken_run(tmp_path: Path) -> None:
    good = Run.create(tmp_path / "good", "demo")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text("{")
    assert Run.list(tmp_path) == [good]
    with pytest.raises(RunError, match="not valid JSON"):
        _ = Run.open(tmp_path / "bad").info


# --- rows


@dataclass(frozen=True)
class Point:
    x: int
    name: str


def test_rows_go_out_and_come_back(run: Run) -> None:
    run.write_rows("examples/train.jsonl", [Point(1, "Ä £"), {"x": 2, "name": "line\nbreak"}])
    assert run.read_rows("examples/train.jsonl") == [{"x": 1, "name": "Ä £"}, {"x": 2, "name": "line\nbreak"}]
    assert run.read_rows("nothing.jsonl") == []


def test_append_read_truncate(run: Run) -> None:
    for step in range(5):
        run.append_row("metrics.jsonl", {"step": step, "loss": float("inf") if step == 1 else 0.5})
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')
    assert [row["step"] for row in run.read_rows("metrics.jsonl")] == [0, 1, 2, 3, 4]
    run.truncate_rows("metrics.jsonl", lambda row: row["step"] <= 2)
    run.append_row("metrics.jsonl", {"step": 3})
    assert [row["step"] for row in run.read_rows("metrics.jsonl")] == [0, 1, 2, 3]


def test_rows_are_read_on_from_a_mark(run: Run) -> None:
    def steps(mark: Mark) -> tuple[list[int], Mark]:
        rows, mark = run.read_on("metrics.jsonl", mark)
        return [row["step"] for row in rows], mark

    assert steps(Mark()) == ([], Mark())
    for step in (1, 2):
        run.append_row("metrics.jsonl", {"step": step, "note": "Ä £"})
    found, mark = steps(Mark())
    assert found == [1, 2]
    assert steps(mark) == ([], mark)
    path = run.path / "metrics.jsonl"
    with path.open("a") as file:
        file.write('{"step": ')
    assert steps(mark) == ([], mark), "the line is half written"
    with path.open("a") as file:
        file.write("3}\n")
    found, mark = steps(mark)
    assert (found, mark.end, mark.lines) == ([3], path.stat().st_size, 3)
    with path.open("a") as file:
        file.write("nonsense\n")
    with pytest.raises(RunError, match=r"metrics.jsonl:4: not a JSON object"):
        steps(mark)


def test_a_file_written_anew_is_read_from_its_beginning(run: Run) -> None:
    run.write_rows("metrics.jsonl", [{"step": 1}, {"step": 2}])
    _, mark = run.read_on("metrics.jsonl", Mark())
    run.write_rows("metrics.jsonl", [{"step": step, "loss": 0.25} for step in (1, 5, 6)])
    rows, mark = run.read_on("metrics.jsonl", mark)
    assert [row["step"] for row in rows] == [1, 5, 6]
    os.truncate(run.path / "metrics.jsonl", 0)
    run.append_row("metrics.jsonl", {"step": 7})
    assert run.read_on("metrics.jsonl", mark)[0] == [{"step": 7}]


def test_every_broken_line_is_named(run: Run) -> None:
    (run.path / "facts.jsonl").write_text('{"a": 1}\nnonsense\n[1]\n{"a": 2}\n')
    with pytest.raises(RunError) as caught:
        run.read_rows("facts.jsonl")
    assert [problem.partition("facts.jsonl:")[2] for problem in caught.value.problems] == ["2: not a JSON object", "3: not a JSON object"]


# --- folders and the lock


def save_half_an_adapter(run: Run) -> None:
    with run.stage("adapter") as folder:
        (folder / "half").write_text("3")
        raise KeyError


def test_stage_replaces_an_old_folder_or_leaves_it(run: Run) -> None:
    with run.stage("adapter") as folder:
        assert folder.name.endswith(".partial")
        (folder / "weights").write_text("1")
    with run.stage("adapter") as folder:
        (folder / "other").write_text("2")
    assert [p.name for p in (run.path / "adapter").iterdir()] == ["other"]
    with pytest.raises(KeyError):
        save_half_an_adapter(run)
    assert [p.name for p in (run.path / "adapter").iterdir()] == ["other"]
    assert not list(run.path.glob("*.partial"))


def test_lock_clears_what_a_killed_process_left(run: Run) -> None:
    (run.path / "checkpoints" / "step-3.77-ab.new.partial").mkdir(parents=True)
    (run.path / "run.json.77-ab.new.partial").write_text("{")
    with run.lock():
        assert run.in_use()
        assert not list(run.path.rglob("*.partial"))
    assert not run.in_use()


def test_a_second_process_is_refused_until_the_first_is_killed(run: Run) -> None:
    process = child(
        """
        import sys, time
        from pathlib import Path
        from engrain.run import Run
        with Run.open(Path(sys.argv[1])).lock():
            print("held", flush=True)
            time.sleep(60)
        """,
        str(run.path),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=rf"in use by process {process.pid} since"), run.lock():
            pass
        assert run.in_use()
    finally:
        end(process)
    with run.lock():
        assert json.loads((run.path / "run.lock").read_text())["pid"] == os.getpid()


# --- checkpoints


def save(run: Run, step: int, keep: int = 2) -> Path:
    return run.save_checkpoint(step, lambda folder: (folder / "weights").write_text(f"weights of {step}"), keep)


def steps(run: Run) -> list[str]:
    return sorted(path.name for path in (run.path / "checkpoints").glob("step-*"))


def test_older_checkpoints_go_but_the_best_stays(run: Run) -> None:
    save(run, 10)
    run.mark_best(10)
    for step in (20, 30, 40):
        save(run, step)
    assert steps(run) == ["step-10", "step-30", "step-40"]
    assert run.newest_checkpoint() == (40, run.path / "checkpoints" / "step-40")
    assert run.best_checkpoint() == (10, run.path / "checkpoints" / "step-10")
    run.mark_best(40)
    save(run, 50, keep=1)
    assert steps(run) == ["step-40", "step-50"]


def test_no_checkpoint_yet(run: Run) -> None:
    assert run.newest_checkpoint() is None
    assert run.best_checkpoint() is None
    assert run.damaged_checkpoints() == []


@pytest.mark.parametrize("damage", ["cut", "gone", "added", "manifest"])
def test_a_damaged_checkpoint_is_passed_over_and_named(run: Run, damage: str) -> None:
    save(run, 1)
    newest = save(run, 2)
    if damage == "cut":
        (newest / "weights").write_text("weights of")
    elif damage == "gone":
        (newest / "weights").unlink()
    elif damage == "added":
        (newest / "more").write_text("")
    else:
        (newest / "manifest.json").write_text("{")
    assert run.newest_checkpoint() == (1, run.path / "checkpoints" / "step-1")
    [note] = run.damaged_checkpoints()
    assert "step-2" in note
    assert ("manifest.json" if damage == "manifest" else "more" if damage == "added" else "weights") in note


def test_saving_the_same_step_again_replaces_it(run: Run) -> None:
    save(run, 1)
    run.save_checkpoint(1, lambda folder: (folder / "weights").write_text("again"))
    assert (run.path / "checkpoints" / "step-1" / "weights").read_text() == "again"
    assert steps(run) == ["step-1"]


def test_a_kill_at_any_moment_leaves_no_half_checkpoint(run: Run) -> None:
    code = """
    import os, sys
    from pathlib import Path
    from engrain.run import Run
    run = Run.open(Path(sys.argv[1]))
    newest = run.newest_checkpoint()
    step = newest[0] if newest else 0
    def write(folder):
        for name in "abcdef":
            (folder / name).write_bytes(os.urandom(40_000))
    with run.lock():
        print(step, flush=True)
        while True:
            step += 1
            run.save_checkpoint(step, write)
            run.update(step=step)
            run.append_row("metrics.jsonl", {"step": step, "loss": 1.5})
    """
    chance, last = random.Random(0), 0
    for _ in range(20):
        process = child(code, str(run.path))
        try:
            assert process.stdout is not None
            assert int(process.stdout.readline()) >= last
            time.sleep(chance.uniform(0.002, 0.12))
            process.send_signal(signal.SIGKILL)
        finally:
            end(process)
        assert run.damaged_checkpoints() == []
        newest = run.newest_checkpoint()
        last = newest[0] if newest else 0
        assert run.info["status"] == "running"
        assert all(row["loss"] == 1.5 for row in run.read_rows("metrics.jsonl"))
    assert last > 2
    with run.lock():
        assert not list(run.path.rglob("*.partial"))
        assert len(steps(run)) <= 3
