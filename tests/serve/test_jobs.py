"""Jobs: found again after a kill, stopped cleanly, gone on with; the processes are real, most of them short."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from serving import until

from engrain.run import Run
from engrain.serve import jobs as module
from engrain.serve.database import Database
from engrain.serve.failures import ApiError
from engrain.serve.jobs import Jobs

SERVER = """
import sys, time
from pathlib import Path
from engrain.serve.database import Database
from engrain.serve.jobs import Jobs
folder = Path(sys.argv[1])
jobs = Jobs(Database(folder / "server.sqlite"), folder / "jobs", 32)
jobs.start()
print(jobs.submit("test", sys.argv[3:], Path(sys.argv[2])).id, flush=True)
time.sleep(600)
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    found = open_jobs(tmp_path)
    yield found
    found.close()
    found.store.database.close()


def open_jobs(folder: Path, most_waiting: int = 32) -> Jobs:
    return Jobs(Database(folder / "server.sqlite"), folder / "jobs", most_waiting)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Jobs whose process is a given Python script instead of engrain (its start takes seconds)."""

    def use(script: str) -> None:
        stand_in = tmp_path / "engrain.sh"
        stand_in.write_text(f"#!{sys.executable}\nimport sys, time, json, signal\narguments = sys.argv[1:]\n{script}\n")
        stand_in.chmod(0o700)
        monkeypatch.setattr(module.sys, "executable", str(stand_in))

    return use


def say(**values: Any) -> str:
    return f"print({json.dumps(json.dumps(values))}, file=sys.stderr, flush=True)"


def statuses(jobs: Jobs, job: str) -> list[str]:
    return [event.data["status"] for event in jobs.events(job) if event.type == "status"]


def test_what_a_process_says_becomes_events_and_progress(jobs: Jobs, scripted: Any, tmp_path: Path) -> None:
    state = {"title": "Training", "done": 3, "total": 9, "unit": "steps", "remaining": 2.5, "figures": {"loss": 0.5}}
    scripted("\n".join([say(event="note", text="Hello"), say(event="progress", **state), "print('odd', file=sys.stderr)"]))
    jobs.start()
    job = jobs.submit("test", ["x"], tmp_path / "run")
    until(lambda: jobs.get(job.id).ended)
    assert jobs.get(job.id).status == "succeeded"
    assert jobs.get(job.id).progress == state
    assert statuses(jobs, job.id) == ["queued", "running", "succeeded"]
    told = {event.type: event.message for event in jobs.events(job.id)}
    assert told["note"] == "Hello"
    assert told["progress"] == "Training: 3 of 9 steps, loss 0.5000"
    assert told["line"] == "odd"


def test_a_job_that_fails_says_why(jobs: Jobs, scripted: Any, tmp_path: Path) -> None:
    scripted("print('engrain: the disk is full', file=sys.stderr)\nsys.exit(1)")
    jobs.start()
    job = jobs.submit("test", ["x"], tmp_path / "run")
    until(lambda: jobs.get(job.id).ended)
    assert jobs.get(job.id).error == {"code": "job_failed", "message": "the disk is full", "param": None}


def test_one_job_runs_at_a_time_in_their_order(jobs: Jobs, scripted: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    scripted(f"with open({str(log)!r}, 'a') as f:\n  f.write('<'); f.flush(); time.sleep(0.2); f.write('>')")
    made = [jobs.submit("test", ["x"], tmp_path / f"run{i}") for i in range(3)]
    jobs.start()
    until(lambda: all(jobs.get(job.id).ended for job in made))
    assert log.read_text() == "<><><>"


def test_as_many_jobs_wait_as_may(tmp_path: Path) -> None:
    jobs = open_jobs(tmp_path, most_waiting=2)
    first, _ = (jobs.submit("test", ["x"], tmp_path / f"run{i}") for i in range(2))
    with pytest.raises(ApiError, match="2 jobs wait already") as raised:
        jobs.submit("test", ["x"], tmp_path / "run2")
    assert (raised.value.status, len(jobs.list())) == (429, 2)
    jobs.cancel(first.id)
    jobs.submit("test", ["x"], tmp_path / "run2")
    jobs.store.database.close()


def test_files_are_checked_before_a_job_runs(jobs: Jobs, scripted: Any, tmp_path: Path) -> None:
    scripted("")
    bad = ['{"question": "a"}', '{"answer": "b"}'] * 150
    (tmp_path / "rows.jsonl").write_text("\n".join(bad))
    jobs.start()
    job = jobs.submit("test", ["x"], tmp_path / "run", check=[tmp_path / "rows.jsonl"])
    until(lambda: jobs.get(job.id).ended)
    assert statuses(jobs, job.id) == ["validating_files", "failed"]
    assert jobs.get(job.id).error["code"] == "invalid_training_file"  # type: ignore[index]
    told = jobs.get(job.id).error["message"]  # type: ignore[index]
    assert all(f"rows.jsonl:{line}: " in told for line in range(1, len(bad) + 1))


STUBBORN = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n" + say(event="note", text="ready") + "\ntime.sleep(60)"


def test_a_job_that_runs_is_cancelled_by_sigterm(jobs: Jobs, scripted: Any, tmp_path: Path) -> None:
    scripted(STUBBORN)
    jobs.start()
    job = jobs.submit("test", ["x"], tmp_path / "run")
    until(lambda: any(event.message == "ready" for event in jobs.events(job.id)))
    assert jobs.cancel(job.id).status == "cancelled"
    pid = jobs.store.process(job.id)[0]
    until(lambda: not psutil.pid_exists(pid or 0))
    assert jobs.get(job.id).status == "cancelled"
    with pytest.raises(ApiError) as error:
        jobs.cancel(job.id)
    assert error.value.status == 409


def test_a_paused_job_goes_on_with_resume(jobs: Jobs, scripted: Any, tmp_path: Path) -> None:
    scripted(f"if '--resume' in arguments: sys.exit(0)\n{STUBBORN}")
    jobs.start()
    job = jobs.submit("test", ["x"], tmp_path / "run")
    until(lambda: any(event.message == "ready" for event in jobs.events(job.id)))
    Run.create(tmp_path / "run", "x")
    assert jobs.pause(job.id).status == "paused"
    with pytest.raises(ApiError):
        jobs.pause(job.id)
    jobs.resume(job.id)
    until(lambda: jobs.get(job.id).ended)
    assert statuses(jobs, job.id) == ["queued", "running", "paused", "queued", "running", "succeeded"]


def test_a_job_that_ends_before_it_hears_that_it_should_pause_has_succeeded(jobs: Jobs, scripted: Any, tmp_path: Path) -> None:
    scripted(
        "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        + say(event="note", text="ready")
        + "\ntime.sleep(60)"
    )
    jobs.start()
    job = jobs.submit("test", ["x"], tmp_path / "run")
    until(lambda: any(event.message == "ready" for event in jobs.events(job.id)))
    jobs.pause(job.id)
    until(lambda: jobs.get(job.id).status == "succeeded")


def test_a_job_that_waits_can_be_cancelled(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.submit("test", ["x"], tmp_path / "run")
    assert jobs.cancel(job.id).status == "cancelled"


@pytest.mark.parametrize("ending", ["cancel", "pause"])
def test_what_a_killed_server_had_no_time_to_stop_the_next_one_stops(ending: str, scripted: Any, tmp_path: Path) -> None:
    scripted(STUBBORN)
    first = open_jobs(tmp_path)
    job = first.submit("test", ["x"], tmp_path / "run")
    first.store.move(job.id, "running", ("queued",), "Started")
    process = first._begin(job)
    status = getattr(first, ending)(job.id).status  # nobody watches the process: the server is killed here
    first.store.database.close()
    second = open_jobs(tmp_path)
    other = second.submit("test", ["x"], tmp_path / "other")
    second.start()
    until(lambda: second.get(other.id).status == "running")
    assert process.poll() is not None
    assert second.get(job.id).status == status
    second.close()
    second.store.database.close()


def test_closing_stops_the_process_and_the_next_server_goes_on(scripted: Any, tmp_path: Path) -> None:
    scripted(f"if '--resume' in arguments: sys.exit(0)\n{STUBBORN}")
    first = open_jobs(tmp_path)
    first.start()
    job = first.submit("test", ["x"], tmp_path / "run")
    until(lambda: any(event.message == "ready" for event in first.events(job.id)))
    Run.create(tmp_path / "run", "x")
    first.close()
    assert not psutil.pid_exists(first.store.process(job.id)[0] or 0)
    assert first.get(job.id).status == "running"
    first.store.database.close()
    second = open_jobs(tmp_path)
    second.start()
    until(lambda: second.get(job.id).ended)
    assert second.get(job.id).status == "succeeded"
    second.close()
    second.store.database.close()


@pytest.mark.timeout(900)  # a training gives way to whatever else runs, other tests above all
def test_a_killed_server_finds_its_training_and_a_killed_machine_resumes_it(tmp_path: Path, tiny_folder: Path) -> None:
    """A real training: its server is killed and the next one watches on; then both are killed, and the third resumes."""
    rows = [json.dumps({"question": f"Question {i}?", "answer": f"Answer {i}."}) for i in range(40)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    out, steps = tmp_path / "run", 800
    training = ["--base", str(tiny_folder), "--rank", "2", "--batch-size", "1", "--max-steps", str(steps), "--epochs", "1000"]
    options = ["--replay", "0", "--no-evaluate", "--checkpoint-minutes", "0.005"]
    command = [sys.executable, "-c", SERVER, str(tmp_path), str(out)]
    server = subprocess.Popen(
        [*command, "tune", str(tmp_path / "rows.jsonl"), "--out", str(out), *training, *options], stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    name = server.stdout.readline().decode().strip()
    until(lambda: Run(out).newest_checkpoint() is not None, 400)
    kill(server)
    second = open_jobs(tmp_path)
    worker = second.store.process(name)[0]
    assert worker
    assert psutil.pid_exists(worker)  # it outlived its server
    second.start()
    until(lambda: any("went on meanwhile" in event.message for event in second.events(name)))
    second._closing.set()  # a server that is killed would not stop it in order, so neither may the test:
    os.kill(worker, signal.SIGKILL)
    second.close()
    assert second.get(name).status in ("running", "queued")
    second.store.database.close()
    third = open_jobs(tmp_path)
    third.start()
    until(lambda: third.get(name).ended, 400)
    assert third.get(name).status == "succeeded", [event.message for event in third.events(name)]
    assert any(event.message.startswith("Resuming after step") for event in third.events(name))
    assert [row["step"] for row in Run(out).read_rows("metrics.jsonl")] == list(range(1, steps + 1))
    assert Run(out).info["status"] == "complete"
    third.close()
    third.store.database.close()


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_the_queue_goes_on_after_a_fault_of_ours(jobs: Jobs, scripted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted("")
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.01)
    first, faults = jobs.store.first, [OSError("the disk is full"), KeyError("x")]

    def faulty(*wanted: str) -> Any:
        if faults:
            raise faults.pop()
        return first(*wanted)

    monkeypatch.setattr(jobs.store, "first", faulty)
    jobs.start()
    job = jobs.submit("test", ["x"], tmp_path / "run")
    until(lambda: jobs.get(job.id).ended, 10)
    assert faults == []


def test_a_job_goes_on_without_its_log(jobs: Jobs, scripted: Any, tmp_path: Path) -> None:
    scripted(say(event="note", text="ready") + "\ntime.sleep(0.5)")
    jobs.start()
    job = jobs.submit("test", ["x"], tmp_path / "run")
    until(lambda: any(event.message == "ready" for event in jobs.events(job.id)))
    (jobs.folder / job.id / module.SAID).unlink()
    until(lambda: jobs.get(job.id).ended, 10)
    assert statuses(jobs, job.id) == ["queued", "running", "succeeded"]


def test_who_watches_gets_every_event_of_a_job_that_has_ended(jobs: Jobs, tmp_path: Path) -> None:
    import asyncio

    async def watched() -> list[int]:
        return [event.number async for batch in jobs.watch(job.id) for event in batch]

    job = jobs.submit("test", ["x"], tmp_path / "run")
    with jobs.store.database.together():
        for number in range(2500):
            jobs.store.note(job.id, "note", str(number), {})
    jobs.cancel(job.id)
    found = asyncio.run(watched())
    assert len(found) == 2502
    assert found == sorted(found)
