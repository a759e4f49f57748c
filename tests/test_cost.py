from __future__ import annotations

from typing import Any

import pytest
import torch

import training
from engrain.cost import cost_of, matmul_rate
from engrain.tasks.chat import Chat

METHODS = [("full", {}), ("layerwise", {"layers": "1"}), ("lora", {"rank": 4})]


def applied(name: str, values: dict[str, Any], dtype: torch.dtype = torch.float32) -> Any:
    model, method = training.small_model(), training.method(name, **values)
    method.apply(model)
    return model, cost_of(model, dtype, method.keeps_float32)


def counted(model: Any) -> float:
    """FLOPs of one training step as torch counts them."""
    from torch.utils.flop_counter import FlopCounterMode

    task = Chat(training.examples(1, shared=0, longest=14))
    task.loss(model, task.train)  # the first call also checks the model
    with FlopCounterMode(display=False) as counter:
        task.loss(model, task.train).total.backward()
    return counter.get_total_flops()


@pytest.mark.parametrize(("name", "values"), METHODS)
def test_flops_are_those_that_torch_counts(name: str, values: dict[str, Any]) -> None:
    model, cost = applied(name, values)
    example = training.examples(1, shared=0, longest=14)[0]
    expected = len(example.ids) * cost.training + int(example.supervised[1:].sum()) * cost.head_training
    assert expected == pytest.approx(counted(model), rel=0.25), "attention's own products are not counted"


def test_attention_multiplies_what_torch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model, cost = applied("full", {})
    model.set_attn_implementation("eager")
    counts = []
    for length in (10, 30):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.model(torch.zeros(1, length, dtype=torch.long))
        counts.append(counter.get_total_flops() - length * cost.forward)
    assert counts[1] == pytest.approx(2 * 30 * 30 * cost.attention_forward, rel=0.05), "both halves, where ours is the one looked at"
    assert counts[1] / counts[0] == pytest.approx(9, rel=0.2)


def test_attention_below_what_trains_has_no_way_back() -> None:
    full, top, _ = (applied(*each)[1] for each in METHODS)
    assert full.attention_frozen == 0
    assert 0 < top.attention_frozen < top.attention_forward == full.attention_forward
    assert top.attention_training < full.attention_training == pytest.approx(3.5 * full.attention_forward)


def test_less_that_trains_costs_less() -> None:
    full, top, adapter = (applied(*each)[1] for each in METHODS)
    assert full.training == 3 * full.forward
    assert top.training < adapter.training < full.training
    assert top.activations < adapter.activations
    assert adapter.trained < top.trained < full.trained


@pytest.mark.parametrize(("name", "values"), METHODS)
def test_activations_are_what_is_kept_for_the_way_back(name: str, values: dict[str, Any]) -> None:
    model, cost = applied(name, values)
    task = Chat(training.examples(8, shared=0))
    task.loss(model, task.train)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    with training.keeping() as found:
        loss = task.loss(model, task.train)
    kept = [storage.nbytes() for storage in (tensor.untyped_storage() for tensor in found) if storage.data_ptr() not in weights]
    head = training.VOCABULARY * 32 * 4 if name == "full" else 0  # the head's gradient, made on the way there
    assert loss.total.requires_grad
    measured = (sum(kept) - head) / sum(len(e.ids) for e in task.train)
    assert cost.activations == pytest.approx(measured, rel=0.4)


def test_narrow_numbers_need_a_copy_unless_the_method_keeps_float32() -> None:
    assert applied("full", {}, torch.bfloat16)[1].weights == applied("full", {})[1].trained * 2
    assert applied("full", {})[1].weights == 0, "in fp32 the values that train are the weights"


def test_the_rate_is_measured_in_the_time_given() -> None:
    assert 1e8 < matmul_rate("cpu", torch.float32, seconds=0.02) < 1e15
