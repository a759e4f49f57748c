"""Bad input through the real command line: one message that names the thing and the next step, and nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engrain import files
from engrain.cli import main
from engrain.errors import DocumentError
from engrain.run import Run

DOCUMENT = "# Harbour Kites\n\nHarbour Kites opened on 4 March 2025 in Salt Lane. Mira Oduvall runs the shop.\n\nA deposit of £15 is due.\n"
SMALL = ["--precision", "float32", "--device", "cpu", "--max-steps", "4", "--rank", "4", "--batch-size", "4", "--replay", "0"]
GOOD_ROW = '{"prompt": "When do you open?", "completion": "At nine."}\n'


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the test's own with documents in it; runs and caches go there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    Path("docs").mkdir()
    Path("docs/kites.md").write_text(DOCUMENT, encoding="utf-8")


@pytest.fixture
def small(tiny_folder: Path) -> list[str]:
    """The options of a build or a tuning that takes a second."""
    return ["--base", str(tiny_folder), *SMALL]


Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Calls the command line, and returns its message once it is one, without a traceback, with nothing left behind."""

    def call(*arguments: str, code: int = 1) -> str:
        before = left()
        capsys.readouterr()
        assert main(list(arguments)) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("engrain: ") + err.count("Error: ") == 1
        assert "Traceback" not in err
        assert left() == before
        return err

    return call


def left() -> set[str]:
    """Every file there is, but for what the cache keeps."""
    return {str(path) for path in Path().rglob("*") if path.is_file() and "home" not in path.parts}


def partials() -> list[Path]:
    return list(Path().rglob("*.partial"))


def run_at(path: str) -> dict[str, Any]:
    return Run.open(Path(path)).info


# --- documents


def test_an_empty_folder(refused: Refused, small: list[str]) -> None:
    Path("empty").mkdir()
    for command in ("build", "examples", "plan"):
        message = refused(command, "empty", *(small if command != "examples" else []))
        assert "empty: the folder holds no files" in message
        assert "Give files" in message


def test_no_readable_file_lists_each_with_its_remedy(refused: Refused, small: list[str]) -> None:
    Path("bad").mkdir()
    Path("bad/empty.txt").write_bytes(b"")
    Path("bad/noise.txt").write_bytes(bytes(range(256)) * 20)
    Path("bad/old.doc").write_bytes(b"\xd0\xcf\x11\xe0")
    message = refused("build", "bad", *small)
    assert "empty.txt: the file is empty (0 bytes); save it again" in message
    assert "noise.txt: wrong encoding" in message
    assert "old.doc: unknown kind of file (.doc); save it as .docx" in message


def test_no_facts_found(refused: Refused, small: list[str]) -> None:
    Path("talk.txt").write_text("Hm. Well. Oh dear.", encoding="utf-8")
    for out in ([], ["--out", "mine"]):
        message = refused("build", "talk.txt", *small, *out)
        assert "No facts were found" in message
        assert "Add documents" in message
    assert not Path("mine").exists(), "the same command can be given again"


def test_debug_shows_the_traceback(small: list[str]) -> None:
    Path("empty").mkdir()
    with pytest.raises(DocumentError):
        main(["build", "empty", *small, "--debug"])


# --- rows


BAD_ROWS = {
    "broken": (GOOD_ROW.encode() + b'{"prompt": "a"\n[1]\n', ["rows.jsonl:2: not JSON", "rows.jsonl:3: a row must be an object"]),
    "empty": (b"", ["rows.jsonl is empty"]),
    "encoding": (b'{"prompt": "caf\xe9?", "completion": "x"}\n', ["rows.jsonl:1: not valid UTF-8 text", "Save it as UTF-8"]),
}


@pytest.mark.parametrize("fault", BAD_ROWS)
@pytest.mark.parametrize("command", ["tune", "ask", "build"])
def test_broken_rows_are_named_by_file_and_line(command: str, fault: str, refused: Refused, small: list[str], finished: Path) -> None:
    content, words = BAD_ROWS[fault]
    Path("rows.jsonl").write_bytes(content)
    calls = {
        "tune": ["tune", "rows.jsonl", *small],
        "ask": ["ask", "--input", "rows.jsonl", "--output", "answers.jsonl", "--run", str(finished)],
        "build": ["build", "docs", "--questions", "rows.jsonl", *small],
    }
    message = refused(*calls[command])
    assert all(word in message for word in words)
    assert fault != "broken" or "start again" in message


def test_an_answer_that_is_empty(refused: Refused, small: list[str]) -> None:
    Path("rows.jsonl").write_text(GOOD_ROW + '{"prompt": "a", "completion": " "}\n{"prompt": "b", "completion": ""}\n', encoding="utf-8")
    message = refused("tune", "rows.jsonl", *small)
    assert "rows.jsonl:2: the answer is empty" in message
    assert "rows.jsonl:3: the answer is empty" in message
    assert "rows.jsonl:1:" not in message


@pytest.mark.parametrize(("options", "advice"), [((), "raise --max-length"), (("--max-length", "4096"), "choose a base that sees more")])
def test_an_example_longer_than_the_context(options: tuple[str, ...], advice: str, refused: Refused, small: list[str]) -> None:
    long = json.dumps({"prompt": "Tell all.", "completion": "x" * 1200}) + "\n"
    Path("rows.jsonl").write_text(GOOD_ROW * 5 + long + GOOD_ROW, encoding="utf-8")
    message = refused("tune", "rows.jsonl", *small, *(options or ("--max-length", "500")))
    assert "rows.jsonl:6:" in message
    assert f"Shorten them, or {advice}" in message


# --- base models and settings


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_base_that_lacks_a_file(name: str, refused: Refused, tiny_folder: Path) -> None:
    shutil.copytree(tiny_folder, "base")
    Path("base", name).unlink()
    Path("rows.jsonl").write_text(GOOD_ROW, encoding="utf-8")
    calls = (["build", "docs", *SMALL], ["tune", "rows.jsonl", *SMALL], ["plan", "docs"], ["ask", "When?", "--base-only"])
    for call in calls:
        message = refused(*call, "--base", "base")
        assert f"{name} is missing" in message
        assert "complete this one" in message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "lorra"], "did you mean 'lora', '"),
        (["--ranks", "4"], "--rank"),
        (["--epochs", "many"], "'many' is not a valid float"),
        (["--epochs", "0"], "epochs=0.0: must be above 0"),
        (["--method", "full"], "rank=4: it cannot take effect"),
        (["--config", "settings.yaml"], "settings.yaml, line 2: rang='4': there is no such setting; did you mean 'rank'?"),
        (["--from", "nowhere"], "'nowhere' is not one of 'documents', 'facts', 'examples'"),
        (["--from", "facts"], "Name it with --out"),
        (["--device", "warp"], "'warp' is not one of"),
    ],
)
def test_a_setting_that_cannot_be_used(options: list[str], words: str, refused: Refused, small: list[str]) -> None:
    Path("settings.yaml").write_text("epochs: 2\nrang: 4\n", encoding="utf-8")
    assert words in refused("build", "docs", *small, *options, code=2)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_device_that_is_not_there(method: str, refused: Refused, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    Path("rows.jsonl").write_text(GOOD_ROW, encoding="utf-8")
    given = ["--base", str(tiny_folder), "--device", "cuda"]
    one, several = ["--method", method], ["--methods", f"{method},ia3"]
    calls = (["build", "docs", *one], ["tune", "rows.jsonl", *one], ["plan", "docs", *one], ["compare", "docs", *several])
    for call in calls:
        message = refused(*call, *given, code=2)
        assert "device='cuda': torch finds no such device on this machine\nChoose one of: " in message
        assert "cpu" in message


# --- runs


@pytest.fixture(scope="module")
def finished(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run; do not write into it."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "kites.md").write_text(DOCUMENT, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGRAIN_HOME", str(folder / "home"))
        call = ["build", str(folder / "kites.md"), "--base", str(tiny_folder), *SMALL, "--no-evaluate", "--out", str(folder / "run")]
        assert main(call) == 0
    return folder / "run"


def test_a_question_without_a_run(refused: Refused) -> None:
    for call in (["ask", "When?"], ["chat"], ["evaluate", "docs/kites.md"]):
        assert "There is no run under runs/.\nMake one with `engrain build PATH`" in refused(*call)
    assert "docs is not a run" in refused("ask", "When?", "--run", "docs")


def test_a_run_that_failed_is_not_the_newest_to_ask(finished: Path, capsys: pytest.CaptureFixture[str], refused: Refused) -> None:
    Run.create(None, "broken").update(status="failed")
    Path("rows.jsonl").write_text('{"question": "When?", "answers": ["nine"]}\n', encoding="utf-8")
    for call in (["ask", "When?"], ["chat"], ["evaluate", "rows.jsonl"]):
        assert "its training did not end (status: failed)" in refused(*call)
    shutil.copytree(finished, "runs/older")
    Run.create(None, "broken").update(status="failed")
    assert main(["ask", "When do you open?"]) == 0, "the newest complete one answers"
    assert capsys.readouterr().out.strip()


def test_out_of_a_run_that_is_there(finished: Path, refused: Refused, small: list[str]) -> None:
    shutil.copytree(finished, "mine")
    Path("rows.jsonl").write_text(GOOD_ROW, encoding="utf-8")
    for call in (["build", "docs"], ["tune", "rows.jsonl"]):
        assert "mine holds a complete run already" in refused(*call, *small, "--out", "mine")
    Run(Path("mine")).update(status="interrupted")
    assert "Go on with it by --resume" in refused("build", "docs", *small, "--out", "mine")
    assert "docs holds something else already" in refused("build", "docs", *small, "--out", "docs")


def test_nothing_to_resume(finished: Path, refused: Refused, small: list[str]) -> None:
    shutil.copytree(finished, "mine")
    assert "mine is complete: nothing to resume" in refused("build", "docs", *small, "--out", "mine", "--resume", code=2)
    assert "no run under runs/ that was stopped" in refused("build", "docs", *small, "--resume", code=2)


# --- a full disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A disk of so many kilobytes, which can be made larger."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = False

    def sized(kilobytes: int) -> Path:
        nonlocal mounted
        options = f"size={kilobytes}k" + (",remount" if mounted else "")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place)], capture_output=True, check=False)
        if done.returncode:
            pytest.skip("mounting a small disk is not permitted here")
        mounted = True
        return place

    yield sized
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs is Linux's")
def test_a_full_disk(disk: Callable[[int], Path], refused: Refused, tiny_folder: Path) -> None:
    call = ["build", "docs", "--base", str(tiny_folder), *SMALL[:6], "--replay", "0", "--method", "full", "--out", str(disk(24) / "run")]
    message = refused(*call)
    assert "The disk is full" in message
    assert "Make room" in message
    disk(400)
    assert main(call) == 1
    assert run_at("disk/run")["status"] == "failed"
    assert not list(Path("disk/run/checkpoints").iterdir())
    assert not partials()
    disk(100_000)
    assert main([*call, "--resume"]) == 0
    assert run_at("disk/run")["status"] == "complete"


@pytest.mark.parametrize("name", ["facts.jsonl", "before.json", "step-4", "adapter", "report.html"])
def test_a_disk_that_fills_at_a_write(
    name: str, small: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = files.sync

    def full(path: Path) -> None:
        if path.name.startswith(f"{name}."):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path)

    monkeypatch.setattr(files, "sync", full)
    call = ["build", "docs", *small, "--out", "mine"]
    assert main(call) == 1
    message = capsys.readouterr().err.partition("engrain: ")[2]
    assert message.startswith(f"The disk is full: {Path('mine')}")
    assert name in message
    assert not partials()
    assert not list(Path("mine").rglob(name))
    monkeypatch.setattr(files, "sync", real)
    assert main(call + (["--resume"] if Path("mine").exists() else [])) == 0
    assert run_at("mine")["status"] == "complete"
    assert list(Path("mine").rglob(name))


# --- signals


CHILD = """
import signal, sys, time

signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started in the background ignores it
from engrain import generate
from engrain.documents import base

def wait(*_, **__):
    print("ready", flush=True)
    time.sleep(60)

{patch}
from engrain.cli import main
sys.exit(main(sys.argv[1:]))
"""
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


def child(arguments: list[str], patch: str = "") -> subprocess.Popen[str]:
    code = [sys.executable, "-c", CHILD.format(patch=patch), *arguments]
    return subprocess.Popen(code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    """The exit code and the messages of a process that gets a signal."""
    process.send_signal(number)
    _, messages = process.communicate(timeout=60)
    return process.returncode, messages


def wait_for_steps(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not path.is_file() or path.read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_while_training_leaves_a_checkpoint(number: int, code: int, refused: Refused, small: list[str]) -> None:
    call = ["build", "docs", *small, "--max-steps", "250", "--epochs", "1000", "--batch-size", "2", "--no-evaluate", "--out", "mine"]
    with child(call) as process:
        wait_for_steps(Path("mine/metrics.jsonl"), 3, process)
        for more in ([], ["--resume"]):
            assert main([*call, *more]) == 1, "one process at a time"
        stopped, messages = stop(process, number)
    assert stopped == code
    assert "a checkpoint was written" in messages
    assert "--resume --out mine" in messages
    assert "Traceback" not in messages
    assert run_at("mine")["status"] == "interrupted"
    assert Run(Path("mine")).newest_checkpoint() is not None
    assert not partials()
    assert main([*call, "--resume"]) == 0
    assert run_at("mine")["status"] == "complete"
    steps = [row["step"] for row in Run(Path("mine")).read_rows("metrics.jsonl")]
    assert steps == list(range(1, 251))


def test_a_second_process_is_told_who_holds_the_run(finished: Path, refused: Refused, small: list[str]) -> None:
    shutil.copytree(finished, "mine")
    Run(Path("mine")).update(status="interrupted")
    with Run(Path("mine")).lock():
        assert "mine is in use by process" in refused("build", "docs", *small, "--out", "mine", "--resume")
        assert "mine is in use by another process" in refused("build", "docs", *small, "--out", "mine")


@pytest.mark.parametrize(
    ("number", "code", "patch"), [(signal.SIGINT, 130, "base.read_file = wait"), (signal.SIGTERM, 143, "generate._advance = wait")]
)
def test_a_signal_before_training(number: int, code: int, patch: str, small: list[str]) -> None:
    call = ["build", "docs", *small, "--out", "mine"]
    with child(call, patch) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        stopped, messages = stop(process, number)
    assert stopped == code
    assert messages.rstrip().endswith("engrain: Stopped.")
    assert "the same command with --resume --out mine" in messages
    assert "Traceback" not in messages
    assert run_at("mine")["status"] == "interrupted"
    assert not partials()
    assert main([*call, "--resume"]) == 0
    assert run_at("mine")["status"] == "complete"
