"""What trainings took beside what was estimated, and what becomes of it when the file is damaged or cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engrain.experience import ENOUGH_SECONDS, KEPT, remember, remembered

LONG = 10 * ENOUGH_SECONDS


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_nothing_is_corrected_before_anything_was_trained(home: Path) -> None:
    assert remembered("cpu", torch.bfloat16) == (1.0, 0)
    assert not home.exists()


def test_the_median_of_the_last_trainings_tells() -> None:
    for ratio in (9.0, 0.5, 0.7, 30.0):
        remember(ratio * LONG, LONG, "cpu", torch.bfloat16)
    assert remembered("cpu", torch.bfloat16) == (pytest.approx((0.7 + 9.0) / 2), 4)
    for _ in range(KEPT):
        remember(2 * LONG, LONG, "cpu", torch.bfloat16)
    assert remembered("cpu", torch.bfloat16) == (2.0, KEPT)


def test_each_kind_of_device_and_precision_has_its_own() -> None:
    remember(LONG, 2 * LONG, "cuda:1", torch.bfloat16)
    assert remembered("cuda:0", torch.bfloat16) == (0.5, 1)
    assert remembered("cuda:0", torch.float32) == remembered("cpu", torch.bfloat16) == (1.0, 0)


def test_a_short_training_says_nothing(home: Path) -> None:
    remember(ENOUGH_SECONDS / 2, 1.0, "cpu", torch.float32)
    assert not home.exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"cpu float32": 3}', '{"cpu float32": ["x"]}', '{"cpu float32": [NaN, -1, 0]}'])
def test_a_damaged_file_counts_for_nothing_and_is_written_anew(home: Path, text: str) -> None:
    home.mkdir()
    (home / "experience.json").write_text(text)
    assert remembered("cpu", torch.float32) == (1.0, 0)
    remember(3 * LONG, LONG, "cpu", torch.float32)
    assert remembered("cpu", torch.float32) == (3.0, 1)


def test_where_it_cannot_be_written_training_does_not_fail(home: Path) -> None:
    home.write_text("a file where a folder should be")
    remember(LONG, LONG, "cpu", torch.float32)
    assert remembered("cpu", torch.float32) == (1.0, 0)
