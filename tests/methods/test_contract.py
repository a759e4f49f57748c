"""The contract of a method, for every method that is a file of ours; tests/methods/test_peft.py goes through the guests."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from engrain import registry
from engrain.errors import ModelError
from engrain.methods.base import Method
from engrain.optimize import Masters
from training import logits, method, small_model, train_run, train_steps, trainable

METHODS = registry.own("methods")
MODELS: dict[str, dict[str, Any]] = {"llama": {"tie_word_embeddings": True}, "qwen2": {}}


def values(model: Any) -> dict[str, Tensor]:
    """A copy of what the model holds, without the places that an adapter reserves beside the frozen weights."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items() if not name.endswith(".joined")}


@pytest.fixture(params=[(name, kind) for name in METHODS for kind in MODELS], ids=lambda p: "-".join(p))
def made(request: pytest.FixtureRequest) -> tuple[Any, Method]:
    """A model and a method applied to it, two steps into training."""
    name, kind = request.param
    model, chosen = small_model(kind, **MODELS[kind]), method(name)
    chosen.apply(model)
    train_steps(model, chosen, 2)
    return model, chosen


def rounded(model: Any, chosen: Method) -> Any:
    """The base that an adapter of this method stands on."""
    if chosen.starts_at_base:
        return model
    chosen.apply(model)
    chosen.merge(model)
    return model


def fresh(like: Any) -> Any:
    return small_model(like.config.model_type, **MODELS[like.config.model_type])


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("name", METHODS)
def test_only_what_is_declared_moves_and_the_loss_falls(name: str, kind: str) -> None:
    model, chosen = small_model(kind, **MODELS[kind]), method(name)
    untouched = logits(model)
    chosen.apply(model)
    assert chosen.starts_at_base == torch.allclose(logits(model), untouched, rtol=1e-4, atol=1e-4)
    declared = set(trainable(model))
    grouped = {id(p) for group in chosen.parameter_groups(model) for p in group["params"]}
    assert declared
    assert grouped == {id(p) for p in trainable(model).values()}
    before = values(model)
    losses = [*train_steps(model, chosen, 1), *train_steps(model, chosen, 1)]  # two beginnings: what takes ranks away takes none yet
    moved = {name for name, tensor in values(model).items() if not torch.equal(tensor, before[name])}
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    assert declared <= moved <= declared | tied
    assert train_steps(model, chosen, 12)[-1] < losses[0] * 0.9


def test_save_and_load_give_identical_logits(made: tuple[Any, Method], tmp_path: Path) -> None:
    model, chosen = made
    chosen.save(model, tmp_path / chosen.artifact)
    again = fresh(model)
    chosen.apply(again)
    assert not torch.equal(logits(again), logits(model))
    chosen.load(again, tmp_path / chosen.artifact)
    assert torch.equal(logits(again), logits(model))


def test_merge_gives_a_plain_model_with_the_same_logits(made: tuple[Any, Method]) -> None:
    model, chosen = made
    before = logits(model)
    chosen.merge(model)
    torch.testing.assert_close(logits(model), before, rtol=1e-4, atol=1e-4)
    assert {name for name, _ in model.named_modules()} == {name for name, _ in fresh(model).named_modules()}
    assert model.state_dict().keys() == fresh(model).state_dict().keys()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_the_ecosystem_loads_what_was_saved(made: tuple[Any, Method], tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model, chosen = made
    fresh(model).save_pretrained(tmp_path / "base")
    chosen.save(model, tmp_path / chosen.artifact)
    if chosen.artifact == "adapter":
        from peft import PeftModel, get_peft_model_state_dict

        base = rounded(AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32), chosen)
        other = PeftModel.from_pretrained(base, tmp_path / "adapter")
        saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
        taken = get_peft_model_state_dict(other)
        assert taken.keys() == saved.keys()
        assert all(torch.equal(taken[name], tensor) for name, tensor in saved.items())
    else:
        other = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype="auto")
    torch.testing.assert_close(logits(other), logits(model), rtol=1e-4, atol=1e-4)


def test_a_wrong_model_is_refused_with_every_tensor_named(made: tuple[Any, Method], tmp_path: Path) -> None:
    model, chosen = made
    chosen.save(model, tmp_path / chosen.artifact)
    other = small_model(
        model.config.model_type, **{**MODELS[model.config.model_type], "hidden_size": 40, "intermediate_size": 56, "num_hidden_layers": 3}
    )
    chosen.apply(other)
    before = values(other)
    with pytest.raises(ModelError, match="does not fit this model") as caught:
        chosen.load(other, tmp_path / chosen.artifact)
    told = {problem.partition(":")[0] for problem in caught.value.problems}
    if chosen.artifact == "adapter":
        there = trainable(other)
        assert {name for name, p in trainable(model).items() if name not in there or there[name].shape != p.shape} <= told
        assert {name for name in trainable(other) if "layers.2" in name} <= told
    else:
        wrong = {name for name, tensor in other.state_dict().items() if tensor.shape != model.state_dict().get(name, torch.empty(0)).shape}
        assert wrong - {"lm_head.weight"} <= told
    assert all(torch.equal(tensor, before[name]) for name, tensor in values(other).items()), "half of it was loaded"


@pytest.mark.parametrize("name", METHODS)
def test_a_folder_without_a_result_is_refused(name: str, tmp_path: Path) -> None:
    model, chosen = small_model(), method(name)
    chosen.apply(model)
    with pytest.raises(ModelError, match=str(tmp_path)):
        chosen.load(model, tmp_path)


@pytest.mark.parametrize("name", METHODS)
def test_bfloat16_trains_and_saves_what_the_model_computes_with(name: str, tmp_path: Path) -> None:
    dtype = torch.bfloat16 if method(name).keeps_float32 else torch.float32  # as a build loads it
    model, chosen = small_model().to(dtype), method(name)
    chosen.apply(model)
    losses = train_steps(model, chosen, 12, torch.bfloat16)
    assert losses[-1] < losses[0] * 0.9
    chosen.save(model, tmp_path / chosen.artifact)
    saved = [t for file in (tmp_path / chosen.artifact).glob("*.safetensors") for t in load_file(file).values()]
    assert {t.dtype for t in saved} == {torch.float32 if chosen.keeps_float32 else torch.bfloat16}
    again = small_model().to(dtype)
    chosen.apply(again)
    Masters(again, torch.bfloat16, chosen.keeps_float32, chosen.narrow(again)).release()
    chosen.load(again, tmp_path / chosen.artifact)
    assert torch.equal(logits(again), logits(model))
    before = logits(model)
    chosen.merge(model)
    assert (logits(model) - before).norm() < 0.05 * before.norm()


@pytest.mark.parametrize("name", METHODS)
def test_a_resumed_training_ends_in_the_same_bits(name: str, tmp_path: Path) -> None:
    settings = {"epochs": 2.0, "batch_size": 8, "evaluate_every": 1.0, "patience": 0}
    train_run(tmp_path / "whole", name, {}, settings)
    run = tmp_path / "parts"
    train_run(run, name, {}, settings)
    for folder in (run / "checkpoints").iterdir():
        if folder.name == "step-6":  # as if it had been stopped before the last epoch
            shutil.rmtree(folder)
    train_run(run, name, {}, settings)
    assert (run / "weights.txt").read_text() == (tmp_path / "whole" / "weights.txt").read_text()
