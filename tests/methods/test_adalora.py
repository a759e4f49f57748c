from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engrain.errors import SettingError
from engrain.methods._low_rank import adapted
from engrain.methods._rank_budget import SETTLED, WARM, budget
from engrain.run import Run
from engrain.tasks.chat import Chat
from engrain.train import Trainer, TrainingSettings
from training import examples, method, small_model

RANKS = 2 * 7 * 8
"""Of the small model's 14 linear layers, at the tests' rank of 8."""


def trainer(path: Path, steps: int = 10, **values: Any) -> Trainer:
    model, chosen = small_model(), method("adalora", **values)
    torch.manual_seed(0)
    chosen.apply(model)
    settings = TrainingSettings(batch_size=4, max_steps=steps, epochs=9.0, learning_rate=1e-2)
    return Trainer(model, chosen, Chat(examples(24)), settings, Run.create(path, "test"), torch.float32)


def ranks(made: Trainer) -> list[torch.Tensor]:
    """For each layer, which of its ranks have a weight."""
    return [layer.lora_E.detach()[:, 0] != 0 for _, layer in adapted(made.model)]


def alive(made: Trainer) -> int:
    return sum(int(each.sum()) for each in ranks(made))


def test_ranks_fall_to_the_budget_and_then_stay(tmp_path: Path) -> None:
    made, seen, kept = trainer(tmp_path / "run", kept_rank=4), [], []
    for step in range(10):
        made.step()
        seen.append(alive(made))
        assert seen[-1] == budget(step / 10, RANKS, 0.5)
        kept.append(torch.cat(ranks(made)))
    assert seen[0] == RANKS
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == RANKS // 2
    assert len({int(each.sum()) for each in ranks(made)}) > 1, "every layer has as many, so nothing was decided"
    assert all(torch.equal(kept[int(SETTLED * 10)], later) for later in kept[int(SETTLED * 10) :])


def test_the_mean_rank_that_is_kept_counts_all_layers(tmp_path: Path) -> None:
    made: Any = trainer(tmp_path / "run", kept_rank=4, rank_pattern="up_proj=16").optimizer
    assert made.share == pytest.approx(4 * 14 / (12 * 8 + 2 * 16))
    all_stay: Any = trainer(tmp_path / "all", kept_rank=8, rank_pattern="up_proj=4").optimizer
    assert all_stay.share == 1.0


def test_what_matters_least_is_taken_away(tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", kept_rank=4)
    made.step()
    optimizer: Any = made.optimizer
    weight = next(layer for _, layer in adapted(made.model)).lora_E
    optimizer.state[weight]["sensitivity"].fill_(1e9)
    optimizer.state[weight]["uncertainty"].fill_(1e9)
    for _ in range(6):
        made.step()
    assert bool(ranks(made)[0].all())


def test_the_budget_falls_along_a_cubic_curve() -> None:
    assert [budget(done, 100, 0.5) for done in (0.0, WARM, SETTLED, 1.0)] == [100, 100, 50, 50]
    assert budget((WARM + SETTLED) / 2, 100, 0.5) == 56
    assert budget(1.0, 2, 0.1) == 1


def test_the_penalty_keeps_factors_apart(tmp_path: Path) -> None:
    model = small_model()
    method("adalora").apply(model)
    layers = [layer for _, layer in adapted(model)]
    assert method("adalora").penalty(model).item() == pytest.approx(0, abs=1e-9)
    with torch.no_grad():
        layers[0].lora_A *= 2  # A Aᵀ is 4, and 8 diagonal numbers are 3 too large
    found = method("adalora", orthogonality=0.5).penalty(model)
    assert found.item() == pytest.approx(0.5 * 8 * 9 / (2 * len(layers)), rel=1e-5)
    assert method("adalora", orthogonality=0.0).penalty(model) is None

    def skewness(path: Path, weight: float) -> float:
        made = trainer(path, steps=12, orthogonality=weight)
        for _ in range(12):
            made.step()
        return sum(layer.skewness().item() for _, layer in adapted(made.model))

    assert skewness(tmp_path / "with", 10.0) < 0.8 * skewness(tmp_path / "without", 0.0)


def test_it_resumes_bit_for_bit_while_ranks_are_taken_away(tmp_path: Path) -> None:
    whole, first = trainer(tmp_path / "whole"), trainer(tmp_path / "parts")
    for _ in range(7):
        whole.step()
    for _ in range(3):
        first.step()
    first.save()
    again, chosen = small_model(), method("adalora")
    chosen.apply(again)
    second = Trainer(again, chosen, first.task, first.settings, first.run, torch.float32)
    newest = first.run.newest_checkpoint()
    assert newest is not None
    second.resume(newest[1])
    for _ in range(4):
        second.step()
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True))
    assert alive(whole) < RANKS


@pytest.mark.parametrize(
    ("values", "told"),
    [({"kept_rank": 9.0}, "at most rank=8"), ({"kept_rank": 0.0}, "must be above 0"), ({"orthogonality": -1.0}, "must not be negative")],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        method("adalora", **values)
