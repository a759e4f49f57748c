from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engrain.kernels import native
from engrain.kernels.choosing import choose, log_probabilities, reference_choice

needs_compiler = pytest.mark.skipif(native.library() is None, reason="no C compiler")


def clear(logits_BV: Tensor, temperature: float, top_p: float, draws: list[float]) -> Tensor:
    """The rows (B) whose draw falls well inside a token's share and whose nucleus ends clearly, however it is summed."""
    sums = (logits_BV.double() / temperature).softmax(1).sort(1, descending=True).values.cumsum(1)
    total = sums.gather(1, (sums < top_p).sum(1, keepdim=True).clamp(max=sums.shape[1] - 1))
    draw = torch.tensor(draws, dtype=torch.double)[:, None] * total
    return ((sums - draw).abs().amin(1) > 1e-4) & (((sums - top_p).abs().amin(1) > 1e-4) | (top_p == 1))


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    words=st.sampled_from([3, 16, 1000, 5003]),
    peak=st.sampled_from([0.01, 1.0, 8.0, 40.0]),
    temperature=st.sampled_from([0.2, 0.7, 1.0, 3.0]),
    top_p=st.sampled_from([0.05, 0.5, 0.9, 1.0]),
)
def test_draws_what_the_reference_draws(dtype: torch.dtype, seed: int, words: int, peak: float, temperature: float, top_p: float) -> None:
    torch.manual_seed(seed)
    logits_BV = (peak * torch.randn(8, words)).to(dtype)
    draws = torch.rand(8).tolist()
    tokens_B, scores_B = choose(logits_BV, temperature, top_p, draws)
    wanted_B, _ = reference_choice(logits_BV, temperature, top_p, draws)
    # their logits, for equally likely tokens may come in any order
    chosen = logits_BV.gather(1, torch.stack([tokens_B, wanted_B], 1))
    plain = clear(logits_BV, temperature, top_p, draws)
    assert torch.equal(chosen[plain, 0], chosen[plain, 1])
    torch.testing.assert_close(scores_B, log_probabilities(logits_BV, tokens_B), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_likeliest_without_temperature(dtype: torch.dtype) -> None:
    logits_BV = torch.tensor([[0.0, 3.0, 1.0], [5.0, -2.0, 4.0], [-9.0, -8.0, -7.0]]).to(dtype)
    tokens_B, scores_B = choose(logits_BV)
    assert tokens_B.tolist() == [1, 0, 2]
    torch.testing.assert_close(scores_B, logits_BV.float().log_softmax(1).amax(1))


def test_what_is_forbidden_is_never_drawn() -> None:
    torch.manual_seed(0)
    logits_BV = torch.randn(200, 50)
    logits_BV[:, ::2] = float("-inf")
    tokens_B, _ = choose(logits_BV, 5.0, 1.0, torch.rand(200).tolist())
    assert set((tokens_B % 2).tolist()) == {1}


@pytest.mark.parametrize("top_p", [0.3, 1.0])
@pytest.mark.parametrize("draw", [0.0, 1 - 2**-53])
def test_the_first_and_the_last_draw(top_p: float, draw: float) -> None:
    logits_BV = torch.tensor([[1.0, 4.0, 2.0, 3.0]])
    tokens_B, _ = choose(logits_BV, 1.0, top_p, [draw])
    assert tokens_B.item() == (1 if draw == 0 or top_p == 0.3 else 0)


def test_a_flat_distribution_over_many_words_is_drawn_evenly() -> None:
    draws = ((torch.arange(100) + 0.5) / 100).tolist()
    tokens_B, _ = choose(torch.zeros(100, 20_000), 1.0, 1.0, draws)
    assert tokens_B.tolist() == pytest.approx([20_000 * draw for draw in draws], abs=1)
