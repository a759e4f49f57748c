"""The learning rate where none is set: the method's own, less for wider models, and told with its reason everywhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engrain import sweep
from engrain.config import settings_from
from engrain.methods.base import width_pace
from engrain.methods.full import Full
from engrain.pace import own_pace, told_rate
from training import method, small_model, train_run

WIDE = 1152
"""Twice as wide as the models that the methods' rates were found with: 2^-0.781 of their rates."""
SLOWER = 0.58196


@pytest.fixture
def wide_folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A base that is wide by its configuration, which is all that an outline reads."""
    folder = shutil.copytree(tiny_folder, tmp_path / "wide")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": WIDE}))
    return folder


def wide() -> Any:
    return small_model(hidden_size=WIDE, head_dim=8)


@pytest.mark.parametrize(("width", "pace"), [(32, 1.0), (576, 1.0), (WIDE, SLOWER), (4096, 0.21609)])
def test_wider_models_learn_at_lower_rates(width: int, pace: float) -> None:
    config = SimpleNamespace(hidden_size=width)
    assert width_pace(SimpleNamespace(config=config)) == pytest.approx(pace, abs=1e-5)  # type: ignore[arg-type]
    many = SimpleNamespace(get_text_config=lambda: config)
    assert width_pace(SimpleNamespace(config=many)) == pytest.approx(pace, abs=1e-5), "of a model that sees, the width of its text"  # type: ignore[arg-type]


def test_a_model_of_unknown_width_learns_at_the_method_s_rate() -> None:
    assert width_pace(SimpleNamespace()) == 1  # type: ignore[arg-type]
    assert width_pace(SimpleNamespace(config=SimpleNamespace())) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "pace"),
    [("lora", SLOWER), ("full", SLOWER), ("layerwise", SLOWER), ("loha", SLOWER), ("ia3", 1), ("ln_tuning", 1), ("prompt_tuning", 1)],
)
def test_vectors_learn_as_fast_in_wide_models(name: str, pace: float) -> None:
    chosen, model = method(name), wide()
    chosen.apply(model)
    assert chosen.pace(model) == pytest.approx(pace, abs=1e-5)


def test_training_starts_from_it_and_a_rate_that_is_set_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.small_model", wide)
    for name, given, rate in (("own", {}, SLOWER * Full.learning_rate), ("set", {"learning_rate": 3e-5}, 3e-5)):
        train_run(tmp_path / name, "full", {}, {"max_steps": 1, "warmup": 0.0, "evaluate": False, **given}, (2, 0))
        (row,) = map(json.loads, (tmp_path / name / "metrics.jsonl").read_text().splitlines())
        assert row["learning_rate"] == pytest.approx(rate, rel=1e-4)


def test_it_is_told_in_words() -> None:
    chosen = method("full")
    for model, words in ((small_model(), "learning rate 0.0002"), (wide(), "0.000116, its own 0.0002 lowered by 42% for so wide a model")):
        chosen.apply(model)
        assert told_rate(chosen, model, None).endswith(words)
        assert told_rate(chosen, model, 1e-3) == "learning rate 0.001, as set"


def test_a_sweep_looks_around_it(wide_folder: Path) -> None:
    from optuna.distributions import FloatDistribution

    settings = settings_from({"base": str(wide_folder), "method": "full"})
    assert own_pace(settings) == pytest.approx(SLOWER, abs=1e-5)
    found = sweep.space(settings, ("learning_rate",))["learning_rate"]
    assert isinstance(found, FloatDistribution)
    assert found.low * found.high == pytest.approx((SLOWER * Full.learning_rate) ** 2, rel=1e-4)
