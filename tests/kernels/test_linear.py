from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engrain.kernels import matmul
from engrain.kernels.linear import lean_linears, linear

needs_unit = pytest.mark.skipif(not matmul.ready(), reason="no matrix unit")


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
