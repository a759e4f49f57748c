"""Work that takes longer than a request: one process at a time, found again and gone on with after a kill.

A thread starts the oldest job that waits, reads what its process says, and notes how it ended. The process outlives a
killed server; the next one watches it again, or starts it again with `--resume` where it died too.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from engrain.errors import EngrainError, RunError
from engrain.examples import check_examples
from engrain.run import Run
from engrain.serve.database import Database
from engrain.serve.failures import ApiError
from engrain.serve.job_store import ENDED, Event, Events, Job, JobStore

log = logging.getLogger("engrain.serve")
POLL_SECONDS = 0.1
AGAIN_SECONDS = 1.0
"""How long the queue waits after a fault of its own, such as a full disk, before it goes on."""
STOP_SECONDS = 60.0
"""How long a process may take to write a checkpoint and end; after that it is killed."""
SAID = "said.log"
NICE = 5
"""How much less urgent training is than the server, which answers people."""


class Jobs:
    """The queue of jobs. `start` before use, `close` at the end: a job under way is stopped cleanly and goes on next time."""

    def __init__(self, database: Database, folder: Path, most_waiting: int) -> None:
        self.store, self.folder, self.most_waiting = JobStore(database), folder, most_waiting
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)

    # --- what callers use

    def submit(self, kind: str, argv: Sequence[str], out: Path, meta: Mapping[str, Any] | None = None, check: Sequence[Path] = ()) -> Job:
        """A new job that runs `engrain ARGV...`; files of examples in `check` are read before it is queued.

        `argv` names `out` itself where the command takes --out; a job that goes on gets --resume once its run is there.
        Raises ApiError 429 where as many wait as may.
        """
        status = "validating_files" if check else "queued"
        return self.store.add(kind, argv, out, {**(meta or {}), "check": [str(path) for path in check]}, status, self.most_waiting)

    def get(self, job: str) -> Job:
        """The job of that id. Raises ApiError 404."""
        return self.store.get(job)

    def list(self, kind: str | None = None) -> list[Job]:
        """All jobs (of one kind), the newest first."""
        return self.store.list(kind)

    def events(self, job: str, after: int = 0) -> Events:
        """The job's events numbered above `after`, the oldest first."""
        return self.store.events(job, after)

    async def watch(self, job: str, after: int = 0) -> AsyncIterator[Events]:
        """The job's events as they come, several at once where there are, until it has ended and none is left."""
        while True:
            ended = self.get(job).ended
            if found := self.events(job, after):
                after = found[-1].number
                yield found
            elif ended:
                return
            else:
                await asyncio.sleep(POLL_SECONDS)

    def cancel(self, job: str) -> Job:
        """End a job; its process writes a checkpoint and leaves a run that is whole. Raises ApiError 409 when it has ended."""
        return self._move(job, "cancelled", ("validating_files", "queued", "running", "paused"), "Cancelled")

    def pause(self, job: str) -> Job:
        """Stop a job so that it can go on later. Raises ApiError 409 when it has ended."""
        return self._move(job, "paused", ("validating_files", "queued", "running"), "Paused")

    def resume(self, job: str) -> Job:
        """Let a paused job go on. Raises ApiError 409 when it is not paused."""
        return self._move(job, "queued", ("paused",), "Waiting to go on")

    def _move(self, name: str, status: str, allowed: Sequence[str], message: str) -> Job:
        job = self.get(name)
        if not self.store.move(name, status, allowed, message):
            raise ApiError(409, f"The job {name!r} is {job.status}; it cannot become {status}.", "invalid_status")
        return self.get(name)

    def start(self) -> None:
        """Find the jobs of a server that was killed, and begin to work."""
        self._thread.start()

    def close(self) -> None:
        """Stop working; the process under way writes a checkpoint first."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    # --- the thread

    def _work(self) -> None:
        stopped = False
        while not self._closing.is_set():
            try:
                stopped = stopped or self._stop_left()
                self._turn()
            except Exception:  # a thread that ended silently would leave every job waiting
                log.exception("jobs")
                self._closing.wait(AGAIN_SECONDS)

    def _turn(self) -> None:
        """Do what is next: a job that runs before one that waits."""
        if (job := self.store.first("running")) is not None:
            self._go_on(job)
        elif (job := self.store.first("validating_files", "queued")) is not None:
            self._take_up(job)
        else:
            self._closing.wait(POLL_SECONDS)

    def _stop_left(self) -> bool:
        """Stop the processes of jobs that were cancelled or paused, where an earlier server was killed before it did; True in the end."""
        for job in self.store.list(None):
            process = _alive(*self.store.process(job.id)[:2]) if job.status in ("cancelled", "paused") else None
            if process is not None:
                self._watch(job, process)
        return True

    def _go_on(self, job: Job) -> None:
        """Watch the process of a job that an earlier server left behind, or queue the job again where there is none."""
        process = _alive(*self.store.process(job.id)[:2])
        if process is not None:
            self.store.note(job.id, "note", "The server was started again; the work went on meanwhile.", {})
            self._watch(job, process)
        elif not self._judge(job, None):
            self.store.move(job.id, "queued", ("running",), "The server was stopped; the job waits to go on.")

    def _take_up(self, job: Job) -> None:
        if job.status == "validating_files":
            self._validate(job)
        elif self.store.move(job.id, "running", ("queued",), "Started"):
            try:
                process = self._begin(job)
            except OSError as error:
                self._fail(job, f"The process cannot be started: {error}", ("running",))
            else:
                self._watch(job, process)

    def _validate(self, job: Job) -> None:
        """Queue the job if its files can be used, else fail it with every reason."""
        try:
            for path in job.meta["check"]:
                check_examples(path)
        except EngrainError as error:
            self._fail(job, error.told(), ("validating_files",), "invalid_training_file", "training_file")
        else:
            self.store.move(job.id, "queued", ("validating_files",), "Files are valid")

    def _begin(self, job: Job) -> psutil.Process:
        arguments = [*job.argv, *(["--resume"] if (job.out / "run.json").is_file() and "--resume" not in job.argv else [])]
        log = self._log(job)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as said:
            process = psutil.Popen(
                [sys.executable, "-m", "engrain", *arguments], env={**os.environ, "ENGRAIN_PROGRESS": "json"},
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True,
            )  # fmt: skip
        if hasattr(os, "nice"):
            process.nice(NICE)
        self.store.set_process(job.id, process.pid, process.create_time())
        return process

    def _watch(self, job: Job, process: psutil.Process) -> None:
        """Read what the process says until it ends; stop it where the job, or the server, is to stop."""
        told_at: float | None = None
        while _runs(process):
            self._read(job)
            if told_at is None and (self._closing.is_set() or self.get(job.id).status != "running"):
                told_at = time.monotonic()
                _signal(process, signal.SIGTERM)
            if told_at is not None and time.monotonic() - told_at > STOP_SECONDS:
                _signal(process, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
            time.sleep(POLL_SECONDS)
        self._read(job)
        code = process.wait() if isinstance(process, psutil.Popen) else None
        if (code == 0 or not self._closing.is_set()) and not self._judge(job, code):
            self.store.move(job.id, "queued", ("running",), "The process was killed; the job waits to go on.")

    def _judge(self, job: Job, code: int | None) -> bool:
        """Note how a job's process ended; False where it did not end by itself, so that it should go on.

        `code` is None where an earlier server had started it: there the run must say how it went.
        """
        info = _info(job.out)
        if code == 0 or (code is None and info.get("status") == "complete"):
            # it may have ended before it heard that it should pause
            return self.store.move(job.id, "succeeded", ("running", "paused"), "Succeeded")
        if code is None and info.get("status") == "failed":
            return self._fail(job, str(info.get("error")), ("running",))
        if code is None:
            return False
        if code in (130, 143, -signal.SIGTERM, -signal.SIGINT):
            return self.store.move(job.id, "paused", ("running",), "Stopped by a signal; resume it to go on")
        last = [event.message for event in self.store.latest_events(job.id, None, 200) if event.type == "line"]
        reason = "\n".join(reversed(last)) or f"The process ended with code {code} and gave no reason."
        return self._fail(job, reason.removeprefix("engrain: "), ("running",))

    def _fail(self, job: Job, message: str, allowed: Sequence[str], code: str = "job_failed", param: str | None = None) -> bool:
        return self.store.move(job.id, "failed", allowed, message, {"code": code, "message": message, "param": param})

    def _log(self, job: Job) -> Path:
        return self.folder / job.id / SAID

    def _read(self, job: Job) -> None:
        """Note what the process has said since."""
        path, offset = self._log(job), self.store.process(job.id)[2]
        if not path.is_file():
            return
        with path.open("rb") as file:
            file.seek(offset)
            lines, _, _ = file.read().rpartition(b"\n")
        if not lines:
            return
        with self.store.database.together():
            for line in lines.split(b"\n"):
                self._said(job, line.decode("utf-8", errors="replace"))
            self.store.set_offset(job.id, offset + len(lines) + 1)

    def _said(self, job: Job, line: str) -> None:
        said = _json_object(line)
        kind = said.get("event")
        if kind in ("stage", "progress", "done"):
            state = {key: value for key, value in said.items() if key != "event"}
            self.store.set_progress(job.id, state)
            self.store.note(job.id, kind, _summary(state), state)
        elif kind == "note":
            self.store.note(job.id, "note", said["text"], {})
        elif line.strip():
            self.store.note(job.id, "line", line, {}, "warn")


def _json_object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line, parse_constant=lambda _: None)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _summary(state: Mapping[str, Any]) -> str:
    """A stage's state in words, such as `Training: 12 of 60 steps, loss 0.412`."""
    of = f" of {state['total']:g}" if state.get("total") else ""
    amount = f": {state['done']:g}{of} {state['unit']}".rstrip() if state["done"] else ""
    loss = state["figures"].get("loss")
    return f"{state['title']}{amount}" + (f", loss {loss:.4f}" if loss is not None else "")


def _alive(pid: int | None, created: float) -> psutil.Process | None:
    """The process of that id, if it is still the one that was created then."""
    with suppress(psutil.Error):
        process = psutil.Process(pid) if pid else None
        if process and abs(process.create_time() - created) < 1 and _runs(process):
            return process
    return None


def _runs(process: psutil.Process) -> bool:
    if isinstance(process, psutil.Popen):
        return process.poll() is None
    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _signal(process: psutil.Process, number: int) -> None:
    with suppress(psutil.Error, ProcessLookupError):
        process.send_signal(number)


def _info(out: Path) -> dict[str, Any]:
    """What a run says of itself; nothing where there is none."""
    try:
        return Run.open(out).info
    except RunError:
        return {}


__all__ = ["ENDED", "Event", "Job", "Jobs"]
