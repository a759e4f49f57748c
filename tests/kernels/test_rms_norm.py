from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.gemma2.modeling_gemma2 import Gemma2RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

import training
from engrain.kernels import native
from engrain.kernels.rms_norm import forward_plain, is_rms_norm, lean_norms, rms_norm
from engrain.tasks.chat import Chat

KINDS = (LlamaRMSNorm, Qwen3RMSNorm)


def made(kind: Any, width: int, dtype: torch.dtype, *shape: int) -> tuple[Any, torch.Tensor]:
    torch.manual_seed(width)
    norm = kind(width).to(dtype)
    norm.weight.data += 0.3 * torch.randn(width).to(dtype)
    return norm, (3 * torch.randn(*shape, width) + 0.5).to(dtype).requires_grad_(True)


@given(st.sampled_from(KINDS), st.integers(1, 65), st.integers(1, 7), st.sampled_from([torch.float32, torch.bfloat16]))
def test_values_are_the_modules_own(kind: Any, width: int, tokens: int, dtype: torch.dtype) -> None:
    norm, x = made(kind, width, dtype, 1, tokens)
    assert torch.equal(norm(x), forward_plain(x, norm.weight, norm.variance_epsilon)[0])
    room = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-2, "atol": 1e-2}
    torch.testing.assert_close(rms_norm(x, norm.weight, norm.variance_epsilon), norm(x), **room)


@given(st.sampled_from(KINDS), st.integers(2, 65), st.integers(1, 7), st.sampled_from([torch.float32, torch.bfloat16]))
def test_gradients_are_the_modules_own(kind: Any, width: int, tokens: int, dtype: torch.dtype) -> None:
    compare_gradients(kind, width, tokens, dtype)
    with mock.patch.object(native, "library", return_value=None):
        compare_gradients(kind, width, tokens, dtype)


def compare_gradients(kind: Any, width: int, tokens: int, dtype: torch.dtype) -> None:
    norm, x = made(kind, width, dtype, 2, tokens)
    slope = torch.randn(2, tokens, width).to(dtype)
    wanted = torch.autograd.grad(norm(x), (x, norm.weight), slope)
    found = torch.autograd.grad(rms_norm(x, norm.weight, norm.variance_epsilon), (x, norm.weight), slope)
    room = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 2e-2, "atol": 4e-2}
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, **room)


@pytest.mark.parametrize(("kind", "known"), [("llama", True), ("qwen3", True), ("mistral", True), ("gemma2", False)])
def test_only_norms_that_compute_this_are_replaced(kind: str, known: bool) -> None:
    model = training.small_model(kind)
    assert is_rms_norm(model.model.norm) == known
    with lean_norms(model):
        assert ("forward" in vars(model.model.norm)) == known
        with lean_norms(model):
            pass
        assert ("forward" in vars(model.model.norm)) == known
    assert "forward" not in vars(model.model.norm)
    assert not is_rms_norm(Gemma2RMSNorm(8))


def test_training_keeps_less() -> None:
    model, task = training.small_model(), Chat(training.examples(4))
    training.method("lora").apply(model)
    task.check(model)
    with training.keeping() as found:
        task.loss(model.train(), task.train)
    tokens = 10 + sum(len(e) - 10 for e in task.train)
    scales = [tensor for tensor in found if tensor.shape == (1, tokens, 1)]
    assert len(scales) == 4, "one for each norm but the first, whose input has no gradient"
