from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from engrain.kernels import adamw, native
from engrain.kernels.adamw import NarrowAdamW, Update, joined, norm_of, split, update_native, update_plain


def moments(seed: int, count: int, moved: float = 1.0) -> list[Tensor]:
    """Values, gradients and the two moments of some steps before."""
    made = torch.Generator().manual_seed(seed)
    value, gradient = torch.randn(count, generator=made), moved * torch.randn(count, generator=made)
    return [value, gradient, gradient.bfloat16(), gradient.square().bfloat16()]


@given(st.integers(0, 99), st.integers(1, 300), st.sampled_from([1e-6, 1e-2, 30.0]), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1]))
def test_native_and_plain_code_draw_and_compute_the_same(seed: int, count: int, moved: float, drawn: int, decay: float) -> None:
    if not native.usable(torch.float32):
        pytest.skip("no compiler")
    made = Update(drawn, 0.7, 3e-3, 1 - 3e-3 * decay, 4.0)
    fast, slow = moments(seed, count, moved), moments(seed, count, moved)
    update_native(*fast, made)
    update_plain(*slow, made)
    torch.testing.assert_close(fast[0], slow[0], rtol=1e-6, atol=1e-7)
    for a, b in zip(fast[2:], slow[2:], strict=True):
        torch.testing.assert_close(a, b, rtol=2**-7, atol=0)  # one step of bf16, where the fp32 sums differ in their last bit
        assert (a != b).float().mean() <= max(0.02, 1 / count), "other numbers were drawn"


@given(st.integers(-(2**31), 2**31 - 1))
def test_what_is_cut_in_two_is_joined_bit_for_bit(bits: int) -> None:
    wide = torch.tensor([bits], dtype=torch.int32).view(torch.float32)
    near, left = split(wide)
    assert (near.dtype, left.dtype) == (torch.bfloat16, torch.int16)
    assert torch.equal(joined(near, left).view(torch.int32), wide.view(torch.int32))


def test_what_a_model_computes_with_is_the_nearest_narrow_number() -> None:
    wide = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    near, left = split(wide)
    ties = left == -0x8000
    assert torch.equal(near[~ties], wide.bfloat16()[~ties])
    halfway = torch.tensor([1 + 2**-8, -1 - 2**-8, 1 + 3 * 2**-8])
    assert split(halfway)[0].tolist() == [1 + 2**-7, -1 - 2**-7, 1 + 2**-6]


@given(st.integers(0, 99), st.integers(1, 300), st.sampled_from([torch.float32, torch.bfloat16]), st.sampled_from([0.0, 0.1]))
@pytest.mark.parametrize("update", [update_plain, update_native])
def test_a_value_in_two_parts_moves_as_the_whole_does(update: Any, seed: int, count: int, dtype: torch.dtype, decay: float) -> None:
    if update is update_native and not native.usable(torch.float32):
        pytest.skip("no compiler")
    made = Update(seed, 0.7, 3e-3, 1 - 3e-3 * decay, 4.0)
    value, gradient, first, second = moments(seed, count)
    near, left = split(value)
    cut = (near, gradient.to(dtype), first.clone(), second.clone())
    whole = (value, gradient.to(dtype), first, second)
    for _ in range(3):
        update(*whole, made)
        update(*cut, made, left)
    assert torch.equal(joined(near, left), value)
    assert all(torch.equal(a, b) for a, b in zip(whole[2:], cut[2:], strict=True))


@pytest.mark.parametrize("update", [update_plain, update_native])
@pytest.mark.parametrize("cut", [False, True])
def test_whoever_keeps_what_was_made_of_a_weight_sees_that_it_moved(update: Any, cut: bool) -> None:
    if update is update_native and not native.usable(torch.float32):
        pytest.skip("no compiler")
    value, *others = moments(0, 10)
    value, left = split(value) if cut else (value, None)
    before = value._version
    update(value, *others, Update(7, 1.0, 1e-3, 1.0, 2.0), left)
    assert value._version > before


def test_parts_of_a_large_value_draw_what_the_whole_would(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parts, made = moments(0, 1000), moments(0, 1000), Update(7, 1.0, 1e-3, 1.0, 2.0)
    update_plain(*whole, made)
    monkeypatch.setattr(adamw, "PART", 96)
    update_plain(*parts, made)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


@pytest.mark.parametrize("update", [update_plain, update_native])
def test_moments_arrive_on_average_where_rounding_to_the_nearest_would_stop_them(update: object) -> None:
    if update is update_native and not native.usable(torch.float32):
        pytest.skip("no compiler")
    value, gradient = torch.zeros(20_000), torch.full((20_000,), 1.01)
    first, second = (torch.ones(20_000, dtype=torch.bfloat16) for _ in range(2))
    for step in range(100):
        update(value, gradient, first, second, Update(adamw._seed(step + 1, 0), 1.0, 0.0, 1.0, 1.0))  # type: ignore[operator]
    assert float(first.float().mean()) == pytest.approx(1.01, abs=2e-4)
    assert float(second.float().mean()) == pytest.approx(1 + (1.01**2 - 1) * (1 - 0.999**100), abs=2e-4)
    assert torch.ones(1, dtype=torch.bfloat16) * 0.999 + 0.001 * 1.01**2 == 1, "a sum that the nearest would not lose"


def paths(optimizers: list[torch.optim.Optimizer], values: list[Tensor], steps: int) -> list[list[float]]:
    """The losses of each over some steps on noisy examples of a line."""
    noise = torch.Generator().manual_seed(1)
    found: list[list[float]] = [[] for _ in values]
    target = torch.linspace(-2, 2, 512)
    for _ in range(steps):
        moved = target + 0.3 * torch.randn(512, generator=noise)
        for optimizer, value, losses in zip(optimizers, values, found, strict=True):
            loss = (value - moved).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(float((value.detach() - target).square().mean()))
    return found


def test_it_follows_adamw_with_moments_in_float32() -> None:
    values = [torch.zeros(512, requires_grad=True) for _ in range(2)]
    made = [NarrowAdamW([values[0]], 0.02, 0.01), torch.optim.AdamW([values[1]], lr=0.02, weight_decay=0.01)]
    narrow, wide = paths(made, values, 200)
    assert all(abs(a - b) < 0.01 * wide[0] for a, b in zip(narrow, wide, strict=True))
    assert narrow[0] == pytest.approx(wide[0], rel=1e-5)
    assert (values[0] - values[1]).abs().max() < 0.05


def test_what_has_no_gradient_rests_and_equal_tensors_draw_differently() -> None:
    values = [torch.zeros(4096, requires_grad=True) for _ in range(3)]
    optimizer = NarrowAdamW(values, 0.01, 0.0)
    for value in values[:2]:
        value.grad = torch.full_like(value, 1.01)
    optimizer.step()
    assert not values[2].any()
    assert values[2] not in optimizer.state
    first, second = (optimizer.state[value]["first"] for value in values[:2])
    assert first.unique().numel() == 2
    assert not torch.equal(first, second)
    before = first.clone()
    optimizer.step()
    assert optimizer.state[values[0]]["step"] == 2
    assert not torch.equal(before, first)


@given(st.lists(st.integers(1, 40_000), max_size=3), st.sampled_from([torch.float32, torch.bfloat16]), st.booleans())
def test_the_norm_of_many_is_summed_wide(sizes: list[int], dtype: torch.dtype, turned: bool) -> None:
    made = torch.Generator().manual_seed(len(sizes))
    tensors = [torch.randn(2, size, generator=made).to(dtype) for size in sizes]
    tensors = [t.t() if turned else t for t in tensors]
    wanted = sum(float(t.double().square().sum()) for t in tensors) ** 0.5
    assert norm_of(tensors) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_the_norm_of_what_is_no_number_is_none(dtype: torch.dtype, broken: float) -> None:
    tensor = torch.zeros(100, dtype=dtype)
    tensor[7] = broken
    assert not math.isfinite(norm_of([tensor]))


@pytest.mark.parametrize("plain", [False, True])
def test_narrow_gradients_are_scaled_as_they_are_read(monkeypatch: pytest.MonkeyPatch, plain: bool) -> None:
    if plain:
        monkeypatch.setattr(native, "usable", lambda kind: False)
    gradient, found = torch.randn(64).bfloat16(), []
    for dtype, scale, given_back in ((torch.bfloat16, 0.3, 1.0), (torch.float32, 1.0, 0.3)):
        value = torch.zeros(64, requires_grad=True)
        value.grad_dtype = None
        value.grad = (gradient.float() * given_back).to(dtype)
        optimizer = NarrowAdamW([value], 0.01, 0.0)
        optimizer.param_groups[0]["gradient_scale"] = scale
        optimizer.step()
        found.append((value.detach(), *(optimizer.state[value][name].float() for name in ("first", "second"))))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=2**-7, atol=1e-7)


def test_it_works_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "usable", lambda kind: False)
    value = torch.ones(5, 3, requires_grad=True)
    value.grad = torch.ones(5, 3)
    NarrowAdamW([value], 0.01, 0.0).step()
    torch.testing.assert_close(value.detach(), torch.full((5, 3), 0.99))
