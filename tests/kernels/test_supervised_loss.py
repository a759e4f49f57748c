from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engrain.kernels import native
from engrain.kernels import supervised_loss as module
from engrain.kernels.supervised_loss import reference_loss, supervised_loss

CHUNK = 5


@pytest.fixture(autouse=True, scope="module")
def small_chunks() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", CHUNK)
        yield


def tensors(positions: int, seed: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(seed)
    hidden, weight = torch.randn(positions, 12).to(dtype), torch.randn(31, 12).to(dtype)
    return hidden.requires_grad_(), weight.requires_grad_(), torch.randint(31, (positions,))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 23]),
    st.sampled_from([None, 3.0]),
    st.sampled_from([0.0, 0.2]),
    st.integers(0, 1000),
)
def test_equals_the_reference(positions: int, softcap: float | None, smoothing: float, seed: int) -> None:
    results = []
    for function in (supervised_loss, reference_loss):
        hidden, weight, targets = tensors(positions, seed)
        total, correct = function(hidden, weight, targets, softcap, smoothing=smoothing)
        (total / 7).backward()
        results.append((total.detach(), correct, hidden.grad, weight.grad))
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([1, CHUNK, CHUNK + 1, 23]), st.sampled_from([None, 3.0]), st.integers(0, 1000))
def test_distributions_equal_the_reference_and_one_candidate_is_a_token(positions: int, softcap: float | None, seed: int) -> None:
    results = []
    for function in (supervised_loss, reference_loss):
        hidden, weight, targets = tensors(positions, seed)
        candidates = torch.stack([torch.randperm(31)[:4] for _ in range(positions)])
        shares = torch.rand(positions, 4).sort(descending=True).values
        total, correct = function(hidden, weight, candidates, softcap, shares / shares.sum(1, keepdim=True))
        total.backward()
        alone, _ = function(hidden, weight, targets[:, None], softcap, torch.ones(positions, 1))
        torch.testing.assert_close(alone, function(hidden, weight, targets, softcap)[0])
        results.append((total.detach(), correct, hidden.grad, weight.grad))
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("softcap", [None, 3.0])
def test_bfloat16_is_near_the_reference(softcap: float | None) -> None:
    hidden, weight, targets = tensors(23, 1, torch.bfloat16)
    total, _ = supervised_loss(hidden, weight, targets, softcap)
    total.backward()
    assert total.dtype == torch.float32
    assert hidden.grad.dtype == weight.grad.dtype == torch.bfloat16
    wide_hidden, wide_weight = (x.detach().float().requires_grad_() for x in (hidden, weight))
    plain, _ = reference_loss(wide_hidden, wide_weight, targets, softcap)
    plain.backward()
    assert total.item() == pytest.approx(plain.item(), rel=0.01)
    for narrow, wide in ((hidden, wide_hidden), (weight, wide_weight)):
        assert (narrow.grad.float() - wide.grad).norm() <= 0.02 * wide.grad.norm()


def test_smoothing_is_what_pytorch_calls_label_smoothing() -> None:
    results = []
    for function in (supervised_loss, reference_loss, lambda h, w, t, smoothing: (smoothed(h, w, t, smoothing), None)):
        hidden, weight, targets = tensors(2 * CHUNK + 1, 4)
        total, _ = function(hidden, weight, targets, smoothing=0.2)
        total.backward()
        results.append((total.detach(), hidden.grad, weight.grad))
    for fast, plain, torchs in zip(*results, strict=True):
        torch.testing.assert_close(fast, torchs, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(plain, torchs, rtol=1e-4, atol=1e-5)


def smoothed(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, smoothing: float) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(hidden @ weight.t(), targets, reduction="sum", label_smoothing=smoothing)


def test_distributions_are_soft_already() -> None:
    hidden, weight, targets = tensors(2, 5)
    candidates, shares = torch.stack([targets, (targets + 1) % 31], 1), torch.tensor([[0.7, 0.3], [1.0, 0.0]])
    for function in (supervised_loss, reference_loss):
        total, _ = function(hidden, weight, candidates, None, shares, smoothing=0.2)
        soft, _ = function(hidden[:1], weight, candidates[:1], None, shares[:1])
        torch.testing.assert_close(total, soft + smoothed(hidden[1:], weight, targets[1:], 0.2))


@pytest.mark.skipif(native.library() is None, reason="no C compiler")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("spread", [False, True])
def test_native_code_computes_what_pytorch_does(dtype: torch.dtype, wanted: bool, spread: bool) -> None:
    """Of distributions of several widths too: the narrower ones end in words without a share, which may be words that have one."""
    torch.manual_seed(0)
    logits, targets = (8 * torch.randn(9, 300)).to(dtype), torch.randint(300, (9, 4))
    targets[:4, 2:] = targets[:4, :1]
    shares = torch.rand(9, 4)
    shares[:4, 2:] = 0
    rest = torch.rand(9) * (torch.arange(9) > 2) if spread else None
    fast = module._native(logits.clone(), targets, shares, rest, wanted)
    plain = module._plain(logits.clone(), targets, shares, rest, wanted, None)
    torch.testing.assert_close(fast[:2], plain[:2], rtol=1e-5, atol=1e-5)
    if wanted:
        narrow = dtype == torch.bfloat16
        torch.testing.assert_close(fast[2], plain[2], rtol=2**-7 if narrow else 1e-4, atol=1e-6)


def test_a_target_as_likely_as_any_counts_as_right() -> None:
    weight, hidden = torch.tensor([[1.0], [2.0], [2.0]]), torch.ones(3, 1)
    for function in (supervised_loss, reference_loss):
        assert int(function(hidden, weight, torch.tensor([0, 1, 2]))[1]) == 2


@pytest.mark.parametrize("trains", ["hidden", "weight", "none"])
def test_only_what_is_asked_for_gets_a_gradient(trains: str) -> None:
    hidden, weight, targets = tensors(9, 2)
    expected = torch.autograd.grad(reference_loss(hidden, weight, targets)[0], (hidden, weight))
    hidden.requires_grad_(trains == "hidden")
    weight.requires_grad_(trains == "weight")
    total, _ = supervised_loss(hidden, weight, targets)
    assert total.requires_grad == (trains != "none")
    if trains != "none":
        total.backward()
        torch.testing.assert_close(hidden.grad if trains == "hidden" else weight.grad, expected[trains == "weight"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("needs_hidden", [True, False])
def test_rows_that_train_alone_get_their_part_of_the_weights_gradient(softcap: float | None, needs_hidden: bool) -> None:
    hidden, weight, targets = tensors(2 * CHUNK + 1, 3)
    reference_loss(hidden, weight, targets, softcap)[0].backward()
    tokens = [4, 30, 7]
    rows = weight.detach()[tokens].requires_grad_()
    again = hidden.detach().requires_grad_(needs_hidden)
    (2 * supervised_loss(again, weight.detach(), targets, softcap, apart=(tokens, rows))[0]).backward()
    torch.testing.assert_close(rows.grad, 2 * weight.grad[tokens], rtol=1e-4, atol=1e-5)
    assert (again.grad is not None) is needs_hidden
