"""A server with the page's routes, without a real engine; runs of a small business, ready or complete."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
KEY = "a-key-for-tests"


@pytest.fixture
def kites(kites_made: Path, tmp_path: Path) -> Path:
    """A copy of that run, `kites` among the runs of `studio`."""
    import shutil

    return Path(shutil.copytree(kites_made, tmp_path / "runs" / "kites"))


@pytest.fixture
def kites_adapter(kites: Path, tiny_folder: Path, tmp_path: Path) -> Path:
    """The same run, complete, with a random adapter."""
    import shutil

    from making import make_run

    from engrain.run import Run

    made = make_run(tmp_path / "other", "kites", tiny_folder, seed=1)
    shutil.copytree(made / "adapter", kites / "adapter")
    Run(kites).update(status="complete", settings=Run(made).info["settings"])
    return kites


@pytest.fixture
def parrot(tiny_tokenizer: Any) -> Any:
    """The engine of `studio`, which computes nothing."""
    from shop import Parrot

    return Parrot(tiny_tokenizer)


@pytest.fixture
def studio(tmp_path: Path, tiny_folder: Path, parrot: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of a server without runs, whose builds are real."""
    from fastapi.testclient import TestClient

    from engrain.serve.app import create_app, make_parts
    from engrain.serve.settings import ServeSettings

    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENGRAIN_DEVICE", "cpu")
    parts = make_parts(ServeSettings(runs=tmp_path / "runs", base=str(tiny_folder)), key=KEY, engine=parrot)
    with TestClient(create_app(parts), "http://127.0.0.1", headers={"Authorization": f"Bearer {KEY}"}) as client:
        yield client
