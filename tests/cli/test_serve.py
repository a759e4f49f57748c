"""The command that serves: what keeps it from starting is said, with the exit code that the manual names."""

from __future__ import annotations

from pathlib import Path

import pytest

from engrain.cli import main
from engrain.files import lock


@pytest.fixture
def serve(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command with its own folder of runs."""
    monkeypatch.setattr("engrain.serve.logs.log_to_stderr", lambda: None)
    return ["serve", "--port", "0", "--runs", str(tmp_path / "runs"), "--base", str(tiny_folder)]


def test_a_second_server_on_the_same_runs_is_refused(serve: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "runs" / ".server"
    folder.mkdir(parents=True)
    with lock(folder / "server.lock"):
        assert main(serve) == 1
    assert "in use" in capsys.readouterr().err


def test_a_vllm_server_that_is_not_there_is_told(serve: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*serve, "--engine", "vllm", "--vllm-url", "http://127.0.0.1:9"]) == 2
    said = capsys.readouterr().err
    assert "No vLLM server answers" in said
    assert "Traceback" not in said
