"""How long training takes: what lengthens it, and that the next estimate follows what earlier trainings took."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import training
from engrain import duration
from engrain.config import Settings, settings_from
from engrain.cost import cost_of
from engrain.duration import Tokens, note_taken, training_time
from engrain.experience import remembered
from engrain.tasks.chat import Chat
from engrain.train import Trained

RATE = 1e9


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(duration, "matmul_rate", lambda device, dtype: RATE)


def settings(**options: Any) -> Settings:
    return settings_from({"precision": "float32", "device": "cpu", "epochs": 1, "evaluate": False, "batch_size": 4, **options})


def seconds(lengths: tuple[int, ...], name: str = "full", again: bool = False, **options: Any) -> float:
    model, method = training.small_model(), training.method(name, **options)
    method.apply(model)
    tokens = Tokens(lengths, 0, 0, 0, 0, max(lengths), "")
    return training_time(tokens, cost_of(model, torch.float32, method.keeps_float32), RATE, settings(method=name), again)[1]


def test_in_longer_rows_a_token_meets_more() -> None:
    short, long, longer = (seconds((length,) * (4096 // length)) for length in (64, 2048, 4096))
    assert long > short
    assert longer - short == pytest.approx((long - short) * (4096 - 64) / (2048 - 64))


def test_layers_computed_again_take_longer() -> None:
    assert seconds((64, 2048)) < seconds((64, 2048), again=True) < 1.5 * seconds((64, 2048))


def test_a_training_corrects_the_next_estimate() -> None:
    model, method, task = training.small_model(), training.method("full"), Chat(training.examples(16))
    method.apply(model)
    trained = Trained(steps=8, total_steps=8, epochs=2.0, tokens=0, best_step=0, seconds=300.0, stopped="complete")
    chosen = settings(method="full", epochs=2)
    note_taken(model, method, task, chosen, trained)
    slower, trainings = remembered("cpu", torch.float32)
    lengths = tuple(map(task.length, task.train))
    tokens = Tokens(lengths, 0, task.shared(task.train), sum(map(task.targets, task.train)), 0, max(lengths), "")
    cost = cost_of(model, torch.float32, method.keeps_float32)
    assert trainings == 1
    assert training_time(tokens, cost, RATE / slower, chosen)[1] == pytest.approx(300.0)
    half = replace(trained, steps=4, epochs=1.0, seconds=150.0)
    note_taken(model, method, task, chosen, half)
    assert remembered("cpu", torch.float32) == (pytest.approx(slower), 2), "half as many steps in half the time are as fast"


def test_a_training_that_computes_layers_twice_is_not_compared() -> None:
    model, method, task = training.small_model(), training.method("full"), Chat(training.examples(16))
    method.apply(model)
    task.most_kept = 8
    note_taken(model, method, task, settings(method="full"), Trained(8, 8, 2.0, 0, 0, 300.0, "complete"))
    assert remembered("cpu", torch.float32) == (1.0, 0)
