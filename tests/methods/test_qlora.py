from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engrain.errors import SettingError
from engrain.methods import qlora
from engrain.methods._low_rank import adapted
from engrain.tasks.chat import Chat
from training import examples, logits, method, small_model, train_steps


def test_the_weight_is_kept_in_four_bits_and_close() -> None:
    model, wide = small_model(), small_model()
    method("qlora").apply(model)
    for name, layer in adapted(model):
        weight = wide.get_submodule(name).weight
        assert layer.packed.dtype == torch.uint8
        assert layer.packed.numel() == weight.numel() // 2
        assert (layer.weight - weight).norm() < 0.12 * weight.norm()
    assert not any(p.shape == (48, 32) for p in model.parameters())


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_gradients_are_those_of_plain_lora_on_the_rounded_weight(dropout: float) -> None:
    four, plain = small_model(), small_model()
    method("qlora", dropout=dropout).apply(four)
    for name, layer in adapted(four):
        plain.get_submodule(name).weight.data = layer.weight.clone()
    method("lora", dropout=dropout).apply(plain)
    pairs = list(zip(adapted(four), adapted(plain), strict=True))
    for (_, a), (_, b) in pairs:
        torch.nn.init.normal_(a.lora_B, std=0.1)
        b.lora_A.data, b.lora_B.data = a.lora_A.data.clone(), a.lora_B.data.clone()
    losses: list[Any] = []
    for model in (four, plain):
        torch.manual_seed(3)
        losses.append(Chat(examples(3)).loss(model.train(), examples(3)).total)
        losses[-1].backward()
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=1e-4)
    for (_, a), (_, b) in pairs:
        torch.testing.assert_close(a.lora_A.grad, b.lora_A.grad, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(a.lora_B.grad, b.lora_B.grad, rtol=1e-3, atol=1e-3)


def test_loftq_starts_nearer_to_the_base() -> None:
    """The update makes up for what rounding took, as well as its rank can; W itself is rounded as without it."""
    wide, plain, near = small_model(), small_model(), small_model()
    method("qlora", rank=8).apply(plain)
    method("qlora", rank=8, loftq=True).apply(near)
    for (name, rounded), (_, started) in zip(adapted(plain), adapted(near), strict=True):
        weight = wide.get_submodule(name).weight
        assert torch.equal(rounded.weight, started.weight)
        lost = weight - rounded.weight
        values = torch.linalg.svdvals(lost)
        left = (weight - started.merged_weight()).norm()
        torch.testing.assert_close(left, values[8:].norm(), rtol=1e-3, atol=1e-4)
        assert left < lost.norm()


def test_loftq_is_saved_with_what_it_started_from(tmp_path: Path) -> None:
    model, chosen = small_model(), method("qlora", loftq=True)
    chosen.apply(model)
    train_steps(model, chosen, 2)
    chosen.save(model, tmp_path)
    again = small_model()
    chosen.apply(again)
    chosen.load(again, tmp_path)
    assert torch.equal(logits(again), logits(model))


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qlora, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match="needs bitsandbytes") as caught:
        method("qlora").apply(small_model())
    assert "engrain[qlora]" in str(caught.value)


def test_an_outline_tells_the_cost_of_the_rounded_weights() -> None:
    from engrain.cost import cost_of

    with torch.device("meta"):
        four, plain = small_model(), small_model()
    method("qlora").apply(four)
    method("lora").apply(plain)
    kept, wide = (cost_of(model, torch.bfloat16, in_place=True) for model in (four, plain))
    assert kept.trained == wide.trained
    assert 0.8 * wide.forward < kept.forward <= wide.forward
