from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

import training
from engrain.kernels import native
from engrain.kernels.gated import gated, is_gated, lean_gates

needs_compiler = pytest.mark.skipif(native.library() is None, reason="no C compiler")
ROOM = {torch.float32: {"rtol": 1e-5, "atol": 1e-5}, torch.bfloat16: {"rtol": 2e-2, "atol": 2e-2}}


@needs_compiler
@given(st.integers(1, 70), st.integers(1, 9), st.sampled_from([torch.float32, torch.bfloat16]), st.sampled_from([1.0, 40.0]))
def test_equals_activation_and_product(width: int, tokens: int, dtype: torch.dtype, size: float) -> None:
    torch.manual_seed(width)
    gate, up, slope = ((size * torch.randn(1, tokens, width)).to(dtype).requires_grad_(True) for _ in range(3))
    found, wanted = gated(gate, up), F.silu(gate) * up
    torch.testing.assert_close(found, wanted, **ROOM[dtype])
    gradients = [torch.autograd.grad(y, (gate, up), slope) for y in (found, wanted)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=ROOM[dtype]["rtol"], atol=ROOM[dtype]["atol"] * size**2)


@needs_compiler
def test_what_is_no_number_stays_none_and_large_ones_do_not_overflow() -> None:
    gate = torch.tensor([float("nan"), -1e4, 1e4, 0.0])
    for dtype in ROOM:
        assert torch.equal(gated(gate.to(dtype), torch.ones(4, dtype=dtype)).isnan(), gate.isnan())
        assert gated(gate.to(dtype), torch.ones(4, dtype=dtype))[1:].float().tolist() == pytest.approx([0, 1e4, 0], rel=0.01)


def test_other_layouts_and_types_are_computed_plainly() -> None:
    gate, up = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)
    assert torch.equal(gated(gate, up), F.silu(gate) * up)
    assert torch.equal(gated(gate.float().t(), up.float().t()), F.silu(gate.float().t()) * up.float().t())


@pytest.mark.parametrize(("kind", "known"), [("llama", True), ("qwen3", True), ("gemma2", False), ("phi3", False)])
def test_only_mlps_that_compute_this_are_replaced(kind: str, known: bool) -> None:
    model = training.small_model(kind)
    mlp = model.model.layers[0].mlp
    assert is_gated(mlp) == known
    replaced = known and native.library() is not None
    with lean_gates(model):
        assert ("forward" in vars(mlp)) == replaced
        with lean_gates(model):
            pass
        assert ("forward" in vars(mlp)) == replaced
    assert "forward" not in vars(mlp)


def test_looking_at_an_mlp_draws_no_random_numbers() -> None:
    model = training.small_model()
    before = torch.get_rng_state()
    with lean_gates(model.train()):
        pass
    assert torch.equal(before, torch.get_rng_state())
