from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from engrain.errors import RunError
from engrain.kernels.adamw import joined
from engrain.optimize import FINAL_SHARE, SCHEDULES, Masters, dither, learning_rate_at, load_position, load_state, save_state
from engrain.tasks.chat import Chat
from training import examples, small_model


@pytest.mark.parametrize("warmup", [0.1, 10])
def test_warmup_is_linear_and_ends_at_the_peak(warmup: float) -> None:
    rates = [learning_rate_at(step, 100, 1.0, "cosine", warmup) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert rates[10] == max(rates) == 1.0
    assert rates[10:] == sorted(set(rates[10:]), reverse=True)


def test_schedules_end_at_a_tenth_of_the_peak() -> None:
    for schedule in ("cosine", "linear"):
        assert learning_rate_at(100, 100, 2.0, schedule, 0.1) == pytest.approx(2.0 * FINAL_SHARE)
        assert learning_rate_at(55, 100, 2.0, schedule, 0.1) == pytest.approx(2.0 * (1 + FINAL_SHARE) / 2)
    assert learning_rate_at(28, 100, 1.0, "cosine", 10) == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi * 0.2)) / 2)
    assert learning_rate_at(28, 100, 1.0, "linear", 10) == pytest.approx(0.1 + 0.9 * 0.8)
    assert {learning_rate_at(step, 100, 2.0, "constant", 0.1) for step in range(10, 100)} == {2.0}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_very_short_runs_have_a_rate_above_zero(schedule: str) -> None:
    for total in (1, 2, 3):
        for warmup in (0.0, 0.05, 0.99, 5):
            assert all(0 < learning_rate_at(step, total, 1.0, schedule, warmup) <= 1 for step in range(total))


def losses(dtype: torch.dtype, masters: bool, steps: int = 20, rate: float = 1e-4, published: torch.dtype = torch.float32) -> list[float]:
    model, batch = small_model().to(published).float().requires_grad_(True), examples(6)
    kept = Masters(model if masters else model.to(dtype), dtype, keeps_float32=not masters)
    if not masters:
        model.to(dtype)
    values = kept.values if masters else dict(model.named_parameters())
    optimizer = torch.optim.AdamW(values.values(), lr=rate, weight_decay=0.0)
    task, found = Chat(batch), []
    for _ in range(steps):
        loss = task.loss(model, batch)
        (loss.total / loss.count).backward()
        kept.widen()
        optimizer.step()
        optimizer.zero_grad()
        kept.publish()
        found.append(loss.total.item() / loss.count)
    kept.release()
    return found


def test_bfloat16_with_masters_follows_float32_and_without_does_not() -> None:
    exact, kept, pure = losses(torch.float32, True), losses(torch.bfloat16, True), losses(torch.bfloat16, False)
    drop = exact[0] - exact[-1]
    assert all(abs(a - b) < 0.01 * b for a, b in zip(kept, exact, strict=True))
    assert abs(kept[0] - kept[-1] - drop) < 0.1 * drop
    assert abs(pure[0] - pure[-1] - drop) > 0.2 * drop, "updates below a bf16 step were not lost, so this test shows nothing"


def test_weights_that_are_narrow_numbers_already_learn_as_in_float32() -> None:
    exact, narrow = (losses(dtype, True, 12, 5e-6, torch.bfloat16) for dtype in (torch.float32, torch.bfloat16))
    drop = exact[0] - exact[-1]
    assert abs(narrow[0] - narrow[-1] - drop) < 0.1 * drop


@pytest.mark.parametrize(("dtype", "step"), [(torch.bfloat16, 2**-7), (torch.float16, 2**-10)])
def test_dithered_values_lie_about_their_own_and_their_copies_follow_them_on_average(dtype: torch.dtype, step: float) -> None:
    values = torch.full((20_000,), -1.25)
    dither(values, dtype, torch.Generator().manual_seed(3))
    moves = (values + 1.25) / step
    assert 0.49 < float(moves.abs().max()) <= 0.5
    assert abs(float(moves.mean())) < 0.01
    for shift in (0.1, -0.3, 0.75):
        moved = (values + shift * step).to(dtype).float().mean() + 1.25
        assert float(moved / step) == pytest.approx(shift, abs=0.02), "copies that all wait for half a step"
    again = torch.full((20_000,), -1.25)
    dither(again, dtype, torch.Generator().manual_seed(3))
    assert torch.equal(again, values)
    nothing = torch.tensor([0.0, -0.0, 1e-45])
    dither(nothing, dtype, torch.Generator().manual_seed(3))
    assert nothing.tolist() == [0.0, -0.0, torch.tensor(1e-45).item()]


def test_masters_hold_what_trains_in_float32_and_narrow_the_rest() -> None:
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2).requires_grad_(False)})
    model.a.weight.data.fill_(1.001)  # not a bf16 number
    masters = Masters(model, torch.bfloat16, keeps_float32=False)
    assert set(masters.values) == {"a.weight", "a.bias"}
    assert {v.dtype for v in masters.values.values()} == {torch.float32}
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    values = masters.values["a.weight"].detach()
    assert (values - 1.001).abs().max() <= 2**-8, "half a step of bf16"
    assert torch.equal(model.a.weight, values.to(torch.bfloat16))
    assert not torch.equal(model.a.weight.float(), values)
    for _ in range(2):
        model.a(torch.ones(1, 2, dtype=torch.bfloat16)).sum().backward()
    assert model.a.weight.grad is None
    assert masters.values["a.weight"].grad.tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_values_that_are_cut_in_two_lie_where_the_model_computes() -> None:
    model, whole = (nn.Linear(2, 2, bias=False) for _ in range(2))
    for each in (model, whole):
        each.weight.data.fill_(1.001)
    masters, apart = Masters(model, torch.bfloat16, False, splits=True), Masters(whole, torch.bfloat16, False)
    value = masters.values["weight"]
    assert value.data_ptr() == model.weight.data_ptr()
    assert set(masters.tensors) == {"weight", "weight:left"}
    assert torch.equal(joined(value.detach(), masters.left["weight"]), apart.values["weight"])
    for _ in range(2):
        model(torch.ones(1, 2, dtype=torch.bfloat16)).sum().backward()
    assert model.weight.grad is None
    assert (value.grad.dtype, value.grad.tolist()) == (torch.float32, [[2.0, 2.0], [2.0, 2.0]])
    with torch.no_grad():
        value.fill_(3.0)
    masters.publish()
    assert model.weight.tolist() == [[3.0, 3.0], [3.0, 3.0]]


def test_gradients_come_as_they_are_and_are_added_up_in_float32() -> None:
    model = nn.Linear(1, 1, bias=False)
    masters = Masters(model, torch.bfloat16, keeps_float32=False)
    value = masters.values["weight"]
    found = []
    for x in (1.0, 2**-10, 2**-10):
        model(torch.full((1, 1), x, dtype=torch.bfloat16)).backward()
        found.append((value.grad.dtype, value.grad.item()))
    assert found == [(torch.bfloat16, 1.0), (torch.float32, 1 + 2**-10), (torch.float32, 1 + 2**-9)], "a sum that bf16 would round"
    assert model.weight.grad is None
    value.grad = None
    model(torch.ones(1, 1, dtype=torch.bfloat16)).backward()
    masters.widen()
    assert (value.grad.dtype, value.grad.item()) == (torch.float32, 1.0)


@pytest.mark.parametrize(
    ("loaded", "computed"), [(torch.bfloat16, torch.bfloat16), (torch.bfloat16, torch.float32), (torch.float32, torch.bfloat16)]
)
@pytest.mark.parametrize("keeps", [True, False])
def test_masters_whatever_the_model_was_loaded_as(loaded: torch.dtype, computed: torch.dtype, keeps: bool) -> None:
    model = nn.Linear(3, 3).to(loaded)
    masters = Masters(model, computed, keeps)
    assert {v.dtype for v in masters.values.values()} == {torch.float32}
    assert {p.dtype for p in model.parameters()} == {torch.float32 if keeps else computed}


def test_released_masters_are_not_kept_by_the_model() -> None:
    import gc
    import weakref

    model = nn.Linear(3, 3)
    masters = Masters(model, torch.bfloat16, False)
    value = weakref.ref(masters.values["weight"])
    masters.release()
    del masters
    gc.collect()
    assert value() is None


def steps(values: dict[str, torch.Tensor], optimizer: torch.optim.Optimizer, count: int) -> None:
    for _ in range(count):
        sum((v**2).sum() for v in values.values()).backward()
        optimizer.step()
        optimizer.zero_grad()


def some_values() -> tuple[dict[str, torch.Tensor], torch.optim.AdamW]:
    torch.manual_seed(0)
    values = {"a": torch.randn(3, 2, requires_grad=True), "b": torch.randn(4, requires_grad=True)}
    return values, torch.optim.AdamW(values.values(), lr=0.01, fused=True)


def test_a_saved_state_goes_on_bit_for_bit(tmp_path: Path) -> None:
    values, optimizer = some_values()
    steps(values, optimizer, 3)
    save_state(tmp_path, {"step": 3}, values, optimizer)
    steps(values, optimizer, 3)
    again, other = some_values()
    load_state(tmp_path, again, other)
    assert load_position(tmp_path) == {"step": 3}
    assert {t.device for state in other.state.values() for t in state.values()} == {torch.device("cpu")}
    steps(again, other, 3)
    assert all(torch.equal(again[name], values[name]) for name in values)
    json.loads((tmp_path / "position.json").read_text(), parse_constant=pytest.fail)


def test_a_state_of_other_parameters_is_refused(tmp_path: Path) -> None:
    values, optimizer = some_values()
    save_state(tmp_path, {}, values, optimizer)
    for other in ({"a": values["a"]}, {**values, "b": torch.zeros(5)}):
        with pytest.raises(RunError, match="another base model or method"):
            load_state(tmp_path, other, None)
