from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.cohere.modeling_cohere import apply_rotary_pos_emb as interleaved
from transformers.models.llama import modeling_llama
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

import training
from engrain.kernels import native
from engrain.kernels.rotary import is_plain, lean_rotary, rotated

needs_compiler = pytest.mark.skipif(native.library() is None, reason="no C compiler")
ROOM = {torch.float32: {"rtol": 1e-5, "atol": 1e-5}, torch.bfloat16: {"rtol": 2e-2, "atol": 3e-2}}


@needs_compiler
@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 20), st.sampled_from([torch.float32, torch.bfloat16]), st.booleans())
def test_equals_the_models_own(heads: int, tokens: int, half: int, dtype: torch.dtype, by_token: bool) -> None:
    torch.manual_seed(half)
    shape = (1, tokens, heads, 2 * half) if by_token else (1, heads, tokens, 2 * half)
    q, k = (torch.randn(shape).to(dtype).requires_grad_(True) for _ in range(2))
    laid = [x.transpose(1, 2) if by_token else x for x in (q, k)]
    angle = (9 * torch.rand(1, tokens, half)).repeat(1, 1, 2)
    turn = angle.cos().to(dtype), angle.sin().to(dtype)
    found, wanted = rotated(*laid, *turn), apply_rotary_pos_emb(*laid, *turn)
    slopes = [torch.randn_like(x) for x in laid]
    gradients = [torch.autograd.grad(pair, (q, k), slopes) for pair in (found, wanted)]
    for one, other in zip((*found, *gradients[0]), (*wanted, *gradients[1]), strict=True):
        torch.testing.assert_close(one, other, **ROOM[dtype])


@needs_compiler
def test_only_functions_that_do_this_are_replaced() -> None:
    assert is_plain(apply_rotary_pos_emb)
    assert not is_plain(interleaved)
    model = training.small_model()
    with lean_rotary(model):
        inside = modeling_llama.apply_rotary_pos_emb
        assert inside is not apply_rotary_pos_emb
        with lean_rotary(model):
            assert modeling_llama.apply_rotary_pos_emb is inside
    assert modeling_llama.apply_rotary_pos_emb is apply_rotary_pos_emb


@needs_compiler
def test_batches_and_other_types_are_left_to_the_model() -> None:
    with lean_rotary(training.small_model()):
        inside = modeling_llama.apply_rotary_pos_emb
    for x in (torch.randn(2, 3, 4, 6), torch.randn(1, 3, 4, 6, dtype=torch.float64)):
        angle = torch.rand(len(x), 4, 3, dtype=x.dtype).repeat(1, 1, 2)
        wanted = apply_rotary_pos_emb(x, x, angle.cos(), angle.sin())
        for one, other in zip(inside(x, x, angle.cos(), angle.sin()), wanted, strict=True):
            assert torch.equal(one, other)
