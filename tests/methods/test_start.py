"""What methods begin with: from the examples (EVA) or from the weights (PiSSA, OLoRA), looked at once and not at every load."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from engrain.methods._low_rank import adapted
from engrain.pipeline import passes
from engrain.tasks.chat import Chat
from training import examples, logits, method, small_model


def looked(rows: list[Any], rank: int = 4) -> dict[str, torch.Tensor]:
    """EVA's A of every layer after it saw these examples."""
    model, chosen, task = small_model(), method("eva", rank=rank), Chat(rows)
    chosen.apply(model)
    task.check(model)
    chosen.prepare(model, passes(model, task))
    return {name: layer.lora_A.detach().clone() for name, layer in adapted(model)}


def test_eva_takes_the_directions_in_which_inputs_vary_most() -> None:
    rows, name = examples(6), "model.layers.0.self_attn.q_proj"
    inputs: list[torch.Tensor] = []
    model = small_model()
    model.get_submodule(name).register_forward_pre_hook(lambda _, args: inputs.append(args[0].detach().reshape(-1, 32)))
    task = Chat(rows)
    task.check(model)
    inputs.clear()
    for forward in passes(model, task):
        with torch.no_grad():
            forward()
    wanted = torch.linalg.svd(torch.cat(inputs), full_matrices=False)[2][:4]
    found = looked(rows)[name]
    torch.testing.assert_close((found @ wanted.t()).abs(), torch.eye(4), atol=1e-3, rtol=0)


def test_eva_starts_where_the_base_is_and_sees_the_same_examples_again() -> None:
    model, chosen, task = small_model(), method("eva"), Chat(examples(6))
    untouched = logits(model)
    chosen.apply(model)
    chosen.prepare(model, passes(model, task))
    torch.testing.assert_close(logits(model), untouched, rtol=1e-4, atol=1e-4)
    first, second = looked(examples(6)), looked(examples(6))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_passes_are_over_short_and_long_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engrain.pipeline.PASS_TOKENS", 60)
    task = Chat([*examples(20, longest=5), *examples(20, seed=1, longest=40)])
    seen: list[float] = []
    monkeypatch.setattr(task, "loss", lambda _, batch: seen.append(sum(map(len, batch)) / len(batch)))
    for forward in passes(small_model(), task):
        forward()
    assert len(seen) > 8
    assert min(seen[:4]) < sorted(seen)[len(seen) // 2], "not only the longest come first"
    assert seen != sorted(seen, reverse=True)


@pytest.mark.parametrize("name", ["pissa", "olora"])
def test_a_part_of_the_weights_is_taken_once(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, chosen = small_model(), method(name, rank=4)
    untouched = logits(model)
    chosen.apply(model)
    chosen.prepare(model, [])
    torch.testing.assert_close(logits(model), untouched, rtol=1e-4, atol=1e-4)
    for _, layer in adapted(model):
        start = layer.scale * layer.lora_B @ layer.lora_A
        rest = layer.weight - start
        assert torch.linalg.matrix_rank(start) == 4
        assert rest.norm() < layer.weight.norm()
    chosen.save(model, tmp_path)
    for taken in ("svd", "qr"):
        monkeypatch.setattr(torch.linalg, taken, partial(pytest.fail, "the weights were looked at again"))
    again = small_model()
    chosen.apply(again)
    chosen.load(again, tmp_path)
    torch.testing.assert_close(logits(again), untouched, rtol=1e-4, atol=1e-4)
