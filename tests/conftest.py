"""What tests share: no network, one thread, and a tiny model.

One thread, because a tiny model gains nothing from more, and two threads that wait for each other on a busy machine
take many times as long.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from containers import Groups

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The walks through the page come first: they take minutes, and whoever runs tests side by side would wait for them at the end."""
    items.sort(key=lambda item: "tests/web/" not in item.nodeid)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Weights drawn in a test without a seed are the same in every run, whichever tests ran before it in its process."""
    if torch := sys.modules.get("torch"):  # files that need it import it; the others need not wait for it
        torch.manual_seed(0)


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Groups:
    """Control groups as the test says, in place of this machine's."""
    from containers import groups_in

    return groups_in(tmp_path, monkeypatch)


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A machine with 32 cores in place of this one; the list fills with what PyTorch is told of threads."""
    import torch

    from engrain import cores

    told: list[int] = []
    monkeypatch.setattr(cores, "bound_cores", lambda: 32)
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    monkeypatch.setenv("OMP_NUM_THREADS", "")  # so that it is put back afterwards
    monkeypatch.delenv("OMP_NUM_THREADS")
    return told


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model of tiny.py on the disk; do not write into it."""
    import tiny

    return tiny.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def tiny_encoder(tiny_encoder_folder: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence encoder is a tiny one with random weights."""
    from engrain import encoder, reranker

    monkeypatch.setattr(encoder, "made_from", lambda *_: tiny_encoder_folder())
    monkeypatch.setattr(encoder, "TAUGHT", None)
    monkeypatch.setattr(reranker, "TAUGHT", None)


@pytest.fixture(scope="session")
def tiny_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Where the tiny encoder lies; it is made when it is first asked for, because most tests never do."""

    @cache
    def folder() -> Path:
        import tiny

        return tiny.build_encoder(tmp_path_factory.mktemp("tiny-encoder"))

    return folder


@pytest.fixture
def tiny_model(tiny_folder: Path) -> PreTrainedModel:
    """A fresh fp32 tiny model on the CPU, all of it frozen."""
    import torch

    from engrain.models import load_model, locate

    return load_model(locate(str(tiny_folder)), dtype=torch.float32, device="cpu")


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_folder: Path) -> PreTrainedTokenizerBase:
    from engrain.models import load_tokenizer, locate

    return load_tokenizer(locate(str(tiny_folder)))
