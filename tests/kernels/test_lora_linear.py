from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from engrain.kernels.lora_linear import LoRALinear, reference_lora


def layer(width: int, out: int, rank: int, *, bias: bool = False, dropout: float = 0.0, dtype: torch.dtype = torch.float32) -> LoRALinear:
    """A layer whose update is not zero, as after some training."""
    made = LoRALinear(nn.Linear(width, out, bias=bias).to(dtype).requires_grad_(False), rank, 2.0 * rank, dropout)
    nn.init.normal_(made.lora_B)
    return made


def plain(made: LoRALinear, x: torch.Tensor) -> torch.Tensor:
    y = reference_lora(x, made.weight.to(x.dtype), made.lora_A, made.lora_B, made.scale)
    return y if made.bias is None else y + made.bias.to(x.dtype)


sizes = st.fixed_dictionaries(
    {
        "shape": st.sampled_from([(1,), (7,), (2, 3), (2, 1, 4)]),
        "width": st.integers(1, 17),
        "out": st.integers(1, 17),
        "rank": st.integers(1, 6),
        "bias": st.booleans(),
        "needs": st.booleans(),
        "seed": st.integers(0, 1000),
    }
)


@settings(max_examples=40, deadline=None)
@given(sizes)
def test_equals_the_textbook(case: dict[str, Any]) -> None:
    torch.manual_seed(case["seed"])
    made = layer(case["width"], case["out"], case["rank"], bias=case["bias"])
    x = torch.randn(*case["shape"], case["width"], requires_grad=case["needs"])
    direction = torch.randn(*case["shape"], case["out"])
    wanted = [made.lora_A, made.lora_B, *([x] if case["needs"] else [])]
    fast, slow = made(x), plain(made, x)
    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-5)
    gradients = [torch.autograd.grad((y * direction).sum(), wanted) for y in (fast, slow)]
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("needs", [False, True])
def test_dropout_reaches_the_update_only(needs: bool) -> None:
    torch.manual_seed(0)
    made = layer(16, 9, 3, dropout=0.5)
    x, direction = torch.randn(40, 16, requires_grad=needs), torch.randn(40, 9)
    wanted = [made.lora_A, made.lora_B, *([x] if needs else [])]
    torch.manual_seed(1)
    fast = made(x)
    torch.manual_seed(1)
    slow = F.linear(x, made.weight) + made.scale * F.linear(F.linear(F.dropout(x, 0.5), made.lora_A), made.lora_B)
    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-4)
    gradients = [torch.autograd.grad((y * direction).sum(), wanted) for y in (fast, slow)]
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(made.eval()(x), plain(made, x), rtol=1e-4, atol=1e-5)


def test_bfloat16_rounds_once() -> None:
    """A small update survives beside a large W·x better than when it is added to a rounded sum."""
    torch.manual_seed(0)
    made = layer(64, 48, 4, dtype=torch.bfloat16)
    nn.init.normal_(made.lora_B, std=0.02)
    x = torch.randn(200, 64).bfloat16().requires_grad_()
    exact = plain(made, x.float())
    fast = made(x)
    twice = F.linear(x, made.weight) + made.scale * F.linear(F.linear(x, made.lora_A.bfloat16()), made.lora_B.bfloat16())
    assert fast.dtype == torch.bfloat16
    assert (fast.float() - exact).norm() < 0.9 * (twice.float() - exact).norm()
    direction = torch.randn_like(exact)
    wanted = [made.lora_A, made.lora_B, x]
    gradients = [torch.autograd.grad((y.float() * direction).sum(), wanted) for y in (fast, exact)]
    assert gradients[0][0].dtype == gradients[0][1].dtype == torch.float32
    for a, b in zip(*gradients, strict=True):
        assert (a.float() - b.float()).norm() <= 0.02 * b.float().norm()


@pytest.mark.parametrize("rank", [8, 64])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_many_rows_in_bfloat16_are_near_the_textbook(rank: int, bias: bool, dropout: float) -> None:
    """So many that `matmul` computes them where it can."""
    torch.manual_seed(0)
    made = layer(64, 160, rank, bias=bias, dropout=dropout, dtype=torch.bfloat16)
    x, direction = torch.randn(300, 64).bfloat16().requires_grad_(), torch.randn(300, 160)
    torch.manual_seed(1)
    fast = made(x)
    torch.manual_seed(1)
    dropped = F.dropout(x, dropout) if dropout else x
    exact = F.linear(x.float(), made.weight.float(), made.bias if made.bias is None else made.bias.float())
    exact = exact + made.scale * F.linear(F.linear(dropped.float(), made.lora_A), made.lora_B)
    wanted = [made.lora_A, made.lora_B, x]
    gradients = [torch.autograd.grad((y.float() * direction).sum(), wanted) for y in (fast, exact)]
    for near, right in ((fast, exact), *zip(*gradients, strict=True)):
        assert (near.float() - right.float()).norm() <= 0.01 * right.float().norm()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_starts_as_the_layer_and_merges_into_one(bias: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(12, 10, bias=bias).to(dtype).requires_grad_(False)  # a frozen bias is rounded with the product
    x = torch.randn(6, 12).to(dtype)
    made = LoRALinear(linear, 3, 6.0, 0.0)
    torch.testing.assert_close(made(x), linear(x))
    nn.init.normal_(made.lora_B)
    merged = made.merged()
    assert type(merged) is nn.Linear
    assert merged.weight.dtype == dtype
    tight = dtype == torch.float32
    torch.testing.assert_close(merged(x), made(x), rtol=1e-5 if tight else 0.02, atol=1e-5 if tight else 0.05)


def test_the_frozen_weight_is_kept_once() -> None:
    made = layer(12, 10, 3)
    assert made.weight.data_ptr() == made.joined.data_ptr()
    assert {name for name, p in made.named_parameters() if p.requires_grad} == {"lora_A", "lora_B"}


def test_two_passes_before_going_back() -> None:
    torch.manual_seed(0)
    made, x = layer(8, 8, 2), torch.randn(5, 8)
    twice = torch.autograd.grad(made(made(x)).sum(), made.lora_A)[0]
    torch.testing.assert_close(twice, torch.autograd.grad(plain(made, plain(made, x)).sum(), made.lora_A)[0])
