from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engrain.kernels import linear as module
from engrain.kernels import matmul
from engrain.kernels.linear import kept_linear, lean_linears, linear

needs_unit = pytest.mark.skipif(not matmul.ready(), reason="this processor does not multiply bf16")


@pytest.mark.parametrize("shape", [(300,), (2, 150), (40,)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("trains", [False, True])
def test_values_and_gradients_are_those_of_pytorch(shape: tuple[int, ...], bias: bool, trains: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(64, 160, bias=bias).bfloat16().requires_grad_(trains)
    x, direction = torch.randn(*shape, 64).bfloat16().requires_grad_(), torch.randn(*shape, 160).bfloat16()
    wanted = [x, *layer.parameters()] if trains else [x]
    found = []
    for function in (linear, F.linear):
        y = function(x, layer.weight, layer.bias)
        found.append([y, *torch.autograd.grad(y, wanted, direction)])
    for fast, plain in zip(*found, strict=True):
        assert fast.shape == plain.shape
        torch.testing.assert_close(fast, plain, rtol=0.02, atol=0.05)


@needs_unit
def test_inside_plain_linear_layers_compute_so_and_afterwards_not() -> None:
    class Other(nn.Linear):
        """A layer that may compute something else."""

    model = nn.Sequential(nn.Linear(64, 128), Other(128, 128), nn.ReLU()).bfloat16()
    x = torch.randn(300, 64).bfloat16()
    with lean_linears(model):
        assert ["forward" in vars(layer) for layer in model] == [True, False, False]
        assert "_Linear" in type(model[0](x).grad_fn.next_functions[0][0]).__name__ + type(model[0](x).grad_fn).__name__
    assert "forward" not in vars(model[0])


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each packed weight had, from now on."""
    made: list[int] = []
    pack = module.packed
    monkeypatch.setattr(module, "packed", lambda weight: made.append(len(weight)) or pack(weight))
    return made


@needs_unit
def test_a_weight_is_packed_once_until_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    made, layer, x = counted(monkeypatch), nn.Linear(64, 96).bfloat16(), torch.randn(2, 3, 64).bfloat16()
    with torch.no_grad():
        first = kept_linear(layer, x)
        torch.testing.assert_close(kept_linear(layer, x), layer(x), rtol=0.02, atol=0.02)
        assert made == [96]
        layer.weight.mul_(2)
        torch.testing.assert_close(kept_linear(layer, x), layer(x), rtol=0.02, atol=0.02)
        layer.weight = nn.Parameter(torch.zeros(96, 64).bfloat16())
        assert torch.equal(kept_linear(layer, x), layer.bias.expand(2, 3, 96))
    assert made == [96, 96, 96]
    assert first.shape == (2, 3, 96)


@needs_unit
@pytest.mark.parametrize(
    ("layer", "kind"),
    [(nn.Linear(64, 90).bfloat16(), torch.bfloat16), (nn.Linear(60, 96).bfloat16(), torch.bfloat16), (nn.Linear(64, 96), torch.float32)],
)
def test_what_cannot_be_packed_is_computed_by_pytorch(layer: nn.Linear, kind: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    made, x = counted(monkeypatch), torch.randn(5, layer.in_features).to(kind)
    with torch.no_grad():
        assert torch.equal(kept_linear(layer, x), layer(x))
    assert not made


@needs_unit
def test_nothing_is_kept_for_gradients_nor_of_a_large_model(monkeypatch: pytest.MonkeyPatch) -> None:
    made, model, x = counted(monkeypatch), nn.Sequential(nn.Linear(64, 96)).bfloat16(), torch.randn(5, 64).bfloat16()
    with lean_linears(model, kept=True):
        assert model(x).requires_grad
    monkeypatch.setattr(module, "MOST_KEPT", 64 * 96)
    with lean_linears(model, kept=True), torch.no_grad():
        model(x)
    assert not made
