"""What the server's tests share: one running server, and runs that were made without training."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def many_runs(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """A folder with runs one … five on the tiny base; `one` has documents."""
    from dataclasses import asdict

    from making import make_run

    from engrain.documents.base import Section
    from engrain.run import Run

    runs = tmp_path_factory.mktemp("served") / "runs"
    for seed, name in enumerate(["one", "two", "three", "four", "five"]):
        make_run(runs, name, tiny_folder, seed, rank=4 + seed)
    section = Section("shop.md", 1, ("Opening",), "The shop opens at 9:00 on Monday and closes at 17:00.", 0)
    Run(runs / "one").write_rows("documents.jsonl", [asdict(section)])
    return runs


@pytest.fixture(scope="session")
def server(many_runs: Path, tiny_folder: Path) -> Iterator[Any]:
    """One server for all tests that only ask."""
    from serving import running

    with running(many_runs, tiny_folder) as found:
        yield found


@pytest.fixture
def client(server: Any) -> Iterator[Any]:
    """The official client of that server."""
    with server.openai() as found:
        yield found


@pytest.fixture(scope="session")
def kites_made(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """A run of a small business that stopped at its examples; do not write into it."""
    from shop import ready_run

    folder = tmp_path_factory.mktemp("kites")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGRAIN_HOME", str(folder / "home"))
        return ready_run(folder / "kites", folder / "documents", tiny_folder)
