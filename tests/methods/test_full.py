from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engrain.errors import SettingError
from engrain.kernels.adamw import joined, split
from engrain.methods import base
from engrain.optimize import Masters
from engrain.run import Run
from engrain.tasks.chat import Chat
from engrain.train import Trainer, TrainingSettings
from engrain.trainings import trained_numbers
from training import examples, method, small_model, trainable

BLOCKS = 3
"""Two layers, and all that is outside them."""


def trainer(path: Path, name: str, values: dict[str, Any], dtype: torch.dtype = torch.float32) -> Trainer:
    model, chosen = small_model(hidden_size=64, intermediate_size=96), method(name, **values)
    chosen.apply(model)
    return Trainer(model, chosen, Chat(examples(24)), TrainingSettings(batch_size=4, epochs=2.0), Run.create(path, "test"), dtype)


def moved(made: Trainer) -> set[str]:
    """What one step changes, as layers.0, layers.1 or other."""
    before = {name: p.clone() for name, p in made.model.named_parameters()}
    made.step()
    changed = [name for name, p in made.model.named_parameters() if not torch.equal(p, before[name])]
    return {next((part for part in ("layers.0", "layers.1") if part in name), "other") for name in changed}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_blocks_take_turns_and_only_one_has_moments(tmp_path: Path, dtype: torch.dtype) -> None:
    made = trainer(tmp_path / "run", "full", {"block_steps": 2}, dtype)
    seen = [moved(made) for _ in range(2 * BLOCKS)]
    assert all(len(step) == 1 for step in seen)
    assert seen[0::2] == seen[1::2]
    assert set.union(*seen) == {"layers.0", "layers.1", "other"}
    last = {id(p) for p in trainable(made.model).values()}
    names = {id(value): name for name, value in made.masters.values.items()}
    parameters = dict(made.model.named_parameters())
    assert {id(parameters[names[id(value)]]) for value in made.optimizer.state} == last


def test_layers_are_drawn_while_embeddings_and_head_train_on(tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", "layerwise", {"layers": "1.0", "rotated_layers": 1, "rotation_steps": 1})
    seen = [moved(made) for _ in range(8)]
    assert all("other" in step and len(step) == 2 for step in seen)
    assert set.union(*seen) == {"layers.0", "layers.1", "other"}
    assert "model.norm.weight" not in made.masters.values


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("full", {"block_steps": 2}),
        ("full", {"optimizer_bits": "32"}),
        ("full", {"optimizer_bits": "16"}),
        ("full", {"optimizer_bits": "8"}),
        ("full", {"optimizer_bits": "8", "block_steps": 2}),
        ("layerwise", {"layers": "1.0", "rotated_layers": 1, "rotation_steps": 2}),
        ("layerwise", {"layers": "1", "optimizer_bits": "8"}),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rotation_resumes_bit_for_bit(tmp_path: Path, dtype: torch.dtype, name: str, values: dict[str, Any]) -> None:
    whole = trainer(tmp_path / "whole", name, values, dtype)
    for _ in range(7):
        whole.step()
    first = trainer(tmp_path / "parts", name, values, dtype)
    for _ in range(5):
        first.step()
    first.save()
    again = small_model(hidden_size=64, intermediate_size=96)
    chosen = method(name, **values)
    chosen.apply(again)
    second = Trainer(again, chosen, first.task, first.settings, first.run, dtype)
    newest = first.run.newest_checkpoint()
    assert newest is not None
    second.resume(newest[1])
    for _ in range(2):
        second.step()
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True))
    assert all(torch.equal(a, second.masters.tensors[key]) for key, a in whole.masters.tensors.items())
    assert bool(whole.masters.left) == (dtype == torch.bfloat16 and values.get("optimizer_bits", "16") == "16")


@pytest.mark.parametrize("name", ["full", "layerwise"])
def test_values_cut_in_two_learn_what_whole_ones_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    cut = trainer(tmp_path / "cut", name, {}, torch.bfloat16)
    monkeypatch.setattr(base.WholeModel, "splits", lambda self, device, dtype: False)
    monkeypatch.setattr(Masters, "publish", publish_as_split)  # ties away from zero
    whole = trainer(tmp_path / "whole", name, {}, torch.bfloat16)
    whole.masters.publish()
    for _ in range(8):
        assert cut.step() | {"tokens_per_second": 0, "memory_bytes": 0} == whole.step() | {"tokens_per_second": 0, "memory_bytes": 0}
    for key, left in cut.masters.left.items():
        assert torch.equal(joined(cut.masters.values[key].detach(), left), whole.masters.values[key])
    assert trained_numbers_of(cut) == trained_numbers_of(whole) == sum(v.numel() for v in whole.masters.values.values())


def publish_as_split(masters: Masters) -> None:
    """Round half-way values as `split` does."""
    with torch.no_grad():
        for name, parameter in masters.narrow.items():
            parameter.copy_(split(masters.values[name].detach())[0])


def trained_numbers_of(made: Trainer) -> int:
    """As a checkpoint tells it."""
    made.save()
    return trained_numbers(made.run)


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("full", {"block_steps": -1}, "block_steps=-1"),
        ("full", {"optimizer_bits": "4"}, "choose one of auto, 32, 16, 8"),
        ("layerwise", {"rotated_layers": -1}, "rotated_layers=-1"),
        ("layerwise", {"rotation_steps": 0}, "rotation_steps=0"),
        ("layerwise", {"rotated_layers": 1, "layers": "1"}, "is no rotation"),
    ],
)
def test_rotations_that_make_no_sense_are_refused(name: str, values: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        method(name, **values).apply(small_model())


@pytest.mark.parametrize("name", ["full", "layerwise"])
@pytest.mark.parametrize(("bits", "wanted"), [("auto", torch.bfloat16), ("16", torch.bfloat16), ("32", torch.float32)])
def test_moments_on_a_processor_are_kept_in_bfloat16_unless_told_otherwise(
    tmp_path: Path, bits: str, wanted: torch.dtype, name: str
) -> None:
    made = trainer(tmp_path / "run", name, {"optimizer_bits": bits})
    made.step()
    state = made.optimizer.state.values()
    assert {t.dtype for s in state for t in s.values() if isinstance(t, torch.Tensor) and t.ndim} == {wanted}
    assert made.method.kept_bytes("cpu") == 2 * wanted.itemsize
    assert made.method.kept_bytes("cuda") == (8 if bits == "auto" else 2 * wanted.itemsize)


def test_moments_of_large_weights_are_kept_in_eight_bits(tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", "full", {"optimizer_bits": "8"})
    first = made.step()["loss"]
    for _ in range(11):
        last = made.step()["loss"]
    assert last < first
    weight = made.masters.values["model.layers.0.mlp.up_proj.weight"]
    state = made.optimizer.state[weight]
    assert {state["state1"].dtype, state["state2"].dtype} == {torch.uint8}


def test_an_8_bit_optimizer_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find_spec", lambda name: None)
    for name in ("full", "layerwise"):
        with pytest.raises(SettingError, match="needs bitsandbytes"):
            method(name, optimizer_bits="8").apply(small_model())
