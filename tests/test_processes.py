"""Work in processes of their own: real ones, each over in a moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from engrain.errors import SettingError
from engrain.processes import STOPPED, command_beside, give_back, in_own_process

STARTER = """
import sys, signal
sys.path.insert(0, {tests!r})
from pathlib import Path
import test_processes
from engrain.processes import in_own_process
signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started in the background ignores it
if {handled}:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
if __name__ == "__main__":
    try:
        in_own_process(test_processes.{work}, Path({place!r}))
    except KeyboardInterrupt:
        sys.exit(99)
"""


def note(place: Path) -> None:
    (place / "pid").write_text(str(os.getpid()))


def fail(place: Path) -> None:
    raise SettingError("nothing works")


def wait(place: Path) -> None:
    try:
        note(place)  # inside: whoever sees it may end this at once
        time.sleep(60)
    except KeyboardInterrupt:
        (place / "ended").write_text("in order")
        raise


def count(place: Path) -> None:
    seen: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    note(place)
    while not seen:
        time.sleep(0.05)
    time.sleep(0.5)
    (place / "ended").write_text(str(len(seen)))


def ignore(place: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(place)
    time.sleep(60)


def test_the_work_is_done_elsewhere_and_its_end_is_told(tmp_path: Path) -> None:
    assert in_own_process(note, tmp_path) == 0
    assert int((tmp_path / "pid").read_text()) != os.getpid()
    assert in_own_process(fail, tmp_path) == SettingError.exit_code


def started(place: Path, work: str, handled: bool = True) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """A process that has `work` done in another one, and that one, once it is at work."""
    code = STARTER.format(tests=str(Path(__file__).parent), work=work, place=str(place), handled=handled)
    script = place / "starter.py"
    script.write_text(code)
    starter = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    until(lambda: (place / "pid").is_file() and (place / "pid").read_text() != "")
    return starter, psutil.Process(int((place / "pid").read_text()))


def until(holds: object) -> None:
    for _ in range(600):
        if holds():  # type: ignore[operator]
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_both_in_order(number: int, tmp_path: Path) -> None:
    starter, worker = started(tmp_path, "wait")
    starter.send_signal(number)
    assert starter.wait(30) == 99
    assert not worker.is_running()
    assert (tmp_path / "ended").read_text() == "in order"


def test_what_is_sent_to_the_whole_group_comes_once(tmp_path: Path) -> None:
    """Training that is told twice stops at once, without a checkpoint of its last steps."""
    starter, _ = started(tmp_path, "count")
    os.killpg(starter.pid, signal.SIGTERM)
    assert starter.wait(30) == 99
    assert (tmp_path / "ended").read_text() == "1"


def test_work_whose_starter_was_killed_ends_in_order(tmp_path: Path) -> None:
    starter, worker = started(tmp_path, "wait")
    starter.kill()
    starter.wait(30)
    until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    assert (tmp_path / "ended").read_text() == "in order"


def test_a_second_signal_ends_work_that_does_not_listen(tmp_path: Path) -> None:
    starter, worker = started(tmp_path, "ignore")
    starter.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        starter.wait(0.5)
    starter.send_signal(signal.SIGINT)
    assert starter.wait(30) == 99
    assert not worker.is_running()


def test_the_codes_are_those_of_signals() -> None:
    assert STOPPED == (130, 143)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other C libraries do not keep freed memory so")
def test_freed_memory_is_given_back_to_the_system() -> None:
    resident = psutil.Process().memory_info
    large, small = [], []
    for _ in range(3000):  # what is freed lies between things still in use
        large.append(bytearray(100_000))
        small.append(bytearray(1000))
    held = resident().rss
    large.clear()
    give_back()
    assert held - resident().rss > 100_000_000
    assert len(small) == 3000


def test_a_command_beside_this_one_says_what_it_says_and_is_stopped(tmp_path: Path) -> None:
    said = tmp_path / "said"
    with command_beside(["--version"], said, {}) as process:
        process.join(60)
        assert process.exitcode == 0
    assert "engrain" in said.read_text()
    with command_beside(
        ["serve", "--port", "0", "--runs", str(tmp_path / "runs")], said, {"ENGRAIN_API_KEY": "engrain-of-a-test"}
    ) as process:
        until = time.monotonic() + 60
        while "engrain-of-a-test" not in said.read_text() and time.monotonic() < until:
            time.sleep(0.1)
        assert process.is_alive()
    assert process.exitcode is not None
    assert not psutil.pid_exists(process.pid or 0)
