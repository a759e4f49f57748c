from __future__ import annotations

from typing import Any

import pytest
import torch

import training
from engrain.tasks import _packed
from engrain.tasks.chat import Chat

KINDS = ("llama", "gemma2", "qwen3", "mistral")


def gradients(kind: str, name: str, monkeypatch: pytest.MonkeyPatch, long: int) -> tuple[float, dict[str, Any], int]:
    """Loss, gradients, and how often the first layer was computed, where rows of more than `long` tokens are recomputed."""
    monkeypatch.setattr(_packed, "LONG", long)
    model, method, calls = training.small_model(kind), training.method(name), []
    torch.manual_seed(0)
    method.apply(model)
    for parameter in training.trainable(model).values():
        parameter.data += 0.02 * torch.randn_like(parameter)  # so that LoRA's B, which begins as zero, lets a gradient through
    model.model.layers[0].mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    task = Chat(training.examples(5))
    task.check(model)
    calls.clear()
    loss = task.loss(model.train(), task.train).total
    loss.backward()
    return float(loss.detach()), {n: p.grad for n, p in training.trainable(model).items()}, len(calls)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["lora", "full"])
def test_gradients_are_those_of_layers_that_keep_everything(kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, kept, once = gradients(kind, name, monkeypatch, 10**6)
    again, recomputed, twice = gradients(kind, name, monkeypatch, 1)
    assert (once, twice) == (1, 2)
    assert loss == again
    assert kept.keys() == recomputed.keys()
    for parameter, gradient in kept.items():
        torch.testing.assert_close(recomputed[parameter], gradient, rtol=0, atol=0, msg=parameter)


def test_layers_are_themselves_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_packed, "LONG", 1)
    model, task, inside = training.small_model(), Chat(training.examples(2)), []
    training.method("full").apply(model)
    layers = model.model.layers
    layers[0].mlp.register_forward_pre_hook(lambda *_: inside.append("forward" in vars(layers[0])))
    task.loss(model, task.train)
    assert any(inside), "layers were recomputed"
    assert all("forward" not in vars(layer) for layer in layers)
    assert model.config._attn_implementation != "engrain_packed"


def test_what_layers_need_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {}
    for long in (10**6, 1):
        monkeypatch.setattr(_packed, "LONG", long)
        model, task = training.small_model(), Chat(training.examples(8, shared=0))
        training.method("full").apply(model)
        task.check(model)
        with training.keeping() as found:
            task.loss(model.train(), task.train)
        kept[long] = sum(tensor.nbytes for tensor in found)
    assert kept[1] < kept[10**6] / 4
