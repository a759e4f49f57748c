from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

import training
from engrain.kernels import made_again, native
from engrain.kernels.gated import gated
from engrain.kernels.made_again import Recipe, made_by, making_again
from engrain.kernels.rms_norm import rms_norm
from engrain.tasks import _packed
from engrain.tasks.chat import Chat

needs_compiler = pytest.mark.skipif(native.library() is None, reason="no C compiler")


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norms_and_gates_are_not_kept_and_gradients_are_the_same_bits(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(1, 50, 32).to(dtype).requires_grad_(), torch.randn(32).to(dtype)
    layers = [nn.Linear(a, b, bias=False).to(dtype) for a, b in ((32, 64), (32, 64), (64, 32))]

    def work() -> Tensor:
        normed = rms_norm(x, weight, 1e-5)
        return layers[2](gated(layers[0](normed), layers[1](normed))).float().sum()

    def kept() -> tuple[int, list[Tensor]]:
        with training.keeping() as found, making_again():
            outcome = work()
        return sum(tensor.untyped_storage().nbytes() for tensor in found), torch.autograd.grad(outcome, wanted)

    wanted = [x, *(layer.weight for layer in layers)]
    few, one = kept()
    monkeypatch.setattr(made_again, "_kept", lambda saved: saved)
    many, other = kept()
    assert many - few == (50 * 32 + 50 * 64) * dtype.itemsize
    assert all(map(torch.equal, one, other))


@needs_compiler
@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma2", "phi3"])
def test_a_model_has_the_same_gradients_in_less_memory(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = training.small_model(kind).requires_grad_(True)
    task = Chat(training.examples(6))
    task.check(model)

    def gradients() -> dict[str, Tensor]:
        model.zero_grad()
        task.loss(model, task.train).total.backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    found = gradients()
    monkeypatch.setattr(_packed, "making_again", nullcontext)
    wanted = gradients()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in found)


def test_it_is_made_once_for_all_who_wait_and_then_let_go() -> None:
    times: list[int] = []
    recipe = Recipe(lambda: times.append(1) or torch.ones(3))  # type: ignore[func-returns-value]
    for _ in range(2):
        recipe.expect()
    assert recipe.made() is recipe.made()
    assert len(times) == 1
    recipe.expect()
    recipe.made()
    assert len(times) == 2, "it was not held beyond the last who waited"


def test_parts_of_what_has_a_recipe_are_kept_as_they_are() -> None:
    x = torch.arange(1.0, 7.0, requires_grad=True)
    with making_again():
        y = made_by(2 * x, lambda: pytest.fail("nobody kept all of it"))
        z = (y[1:3] ** 2).sum() + (y.view(2, 3).t() ** 2)[0].sum()
    assert torch.autograd.grad(z, x)[0].tolist() == [8.0, 16.0, 24.0, 32.0, 0.0, 0.0]


def test_without_gradients_nothing_is_noted() -> None:
    with torch.no_grad():
        assert not hasattr(made_by(torch.ones(2), lambda: torch.ones(2)), "recipe")
