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

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The walks through the page come first: they take minutes, and whoever runs tests side by side would wait for them at the end."""
    items.sort(key=lambda item: "tests/web/" not in item.nodeid)


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
