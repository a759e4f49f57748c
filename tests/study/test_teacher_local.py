"""A teacher on this machine: a real server with a tiny model, which is there only while it is asked."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from engrain.errors import EngrainError, ModelError
from engrain.models import locate
from engrain.progress import Progress
from engrain.study import teacher_asking, teacher_local
from engrain.study.base import StudySettings
from engrain.study.teacher import teacher_from
from engrain.study.teacher_asking import Asking
from engrain.study.teacher_endpoint import OPTIONS
from engrain.study.teacher_local import LocalEndpoint


class Notes(Progress):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def test_a_model_of_this_machine_is_asked_and_its_server_is_gone_after(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    monkeypatch.setattr(teacher_asking, "OPTIONS", {**OPTIONS, "seed": 1})  # whether a reply ends in time is chance, for a random model
    made = teacher_from(StudySettings(teacher=str(tiny_folder), teacher_concurrency=2), tmp_path / "cache", notes)
    assert isinstance(made.asking.endpoint, LocalEndpoint)
    found = made.asking.ask(["How many kites?", "Which kite?"], "Asking")
    kept = [json.loads(file.read_text()) for file in (tmp_path / "cache").iterdir()]
    assert [each["request"]["model"] for each in kept] == [str(tiny_folder.resolve())] * 2
    assert all(each["usage"]["completion_tokens"] > 0 for each in kept)
    assert len(found) == 2, "what a grammar holds to JSON is JSON, whatever the model knows"
    assert any("at this machine: 2 requests" in note for note in notes.lines)
    with pytest.raises(httpx.ConnectError):
        httpx.get(made.asking.endpoint.url, trust_env=False)

    monkeypatch.setattr(teacher_local, "command_beside", lambda *_: pytest.fail("nothing is left to ask"))
    assert made.asking.ask(["Which kite?"], "Asking") == {"Which kite?": found["Which kite?"]}


def test_a_server_that_cannot_start_is_told_with_what_it_said(tiny_folder: Path, tmp_path: Path) -> None:
    broken = LocalEndpoint(locate(str(tiny_folder)), concurrency=0)
    with pytest.raises(EngrainError, match="ended before it answered") as caught, broken.client():
        pytest.fail("there is no client of it")
    assert any("slots=0" in line for line in caught.value.problems)


def test_what_is_neither_a_url_nor_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model, folder or file"):
        teacher_from(StudySettings(teacher="kites"), tmp_path)


def test_replies_of_another_version_of_the_model_are_not_taken(tiny_folder: Path, tmp_path: Path) -> None:
    base = locate(str(tiny_folder))
    same, other = LocalEndpoint(base, 1), LocalEndpoint(base, 1)
    other.version = "other weights"
    files = [Asking(each, "m", tmp_path, Notes(), 1, None)._file("How many kites?") for each in (same, same, other)]
    assert files[0] == files[1] != files[2]
