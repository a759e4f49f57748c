"""Rows of new tokens train, and only these, with every method that sends a gradient down to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engrain import registry
from engrain.tasks._new_rows import NewRows, put
from engrain.tasks.code import Code
from training import examples, logits, method, small_model, train_steps, trainable

NEW = (95, 40, 96)
KINDS: dict[str, dict[str, Any]] = {
    "llama": {"tie_word_embeddings": True},
    "qwen2": {},
    "gemma3_text": {"tie_word_embeddings": True, "head_dim": 8, "final_logit_softcapping": 2.0},
}
OWN = registry.own("methods")
GUESTS = ("ia3", "prompt_tuning")


def made(kind: str = "llama") -> Any:
    return small_model(kind, **KINDS[kind])


def task() -> Code:
    """Rows in which the new tokens stand, but are not predicted."""
    rows = examples(6)
    for row in rows:
        row.ids[[3, 6, 12]] = NEW
        row.supervised[[3, 6, 12]] = False
    return Code(rows, (), lambda model: None, NEW)


def both_tables(model: Any) -> tuple[Tensor, ...]:
    return tuple(table.weight.detach().clone() for table in (model.get_input_embeddings(), model.get_output_embeddings()))


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
@pytest.mark.parametrize("name", [*OWN, *GUESTS])
def test_only_the_new_rows_of_the_tables_move(name: str, kind: str) -> None:
    values = {"layers": "1.0"} if name == "layerwise" else {}
    model, chosen, own = made(kind), method(name, **values), task()
    before = both_tables(model)
    chosen.apply(model)
    others = set(trainable(model))
    own.free(model)
    if name == "full":
        assert set(trainable(model)) == others, "they train with the whole tables"
        return
    added = {"model.embed_tokens.new_rows", *(["lm_head.new_rows"] if kind == "qwen2" else [])}
    assert set(trainable(model)) - others == added
    grouped = {id(p) for group in chosen.parameter_groups(model) for p in group["params"]}
    assert grouped == {id(p) for p in trainable(model).values()}
    losses = train_steps(model, chosen, 8, task=own)
    assert losses[-1] < losses[0]
    found = own.fold(model)
    assert set(trainable(model)) == others
    for after, start, rows in zip(both_tables(model), before, (found["embedding"], found["head"]), strict=True):
        moved = (after != start).any(1).nonzero()[:, 0].tolist()
        assert moved == sorted(NEW)
        assert torch.equal(after[list(NEW)], rows)


def test_the_layers_below_what_trains_stay_as_they_are_and_are_computed_once() -> None:
    model, chosen, own = made(), method("layerwise", layers="1"), task()
    chosen.apply(model)
    others = set(trainable(model))
    own.free(model)
    assert set(trainable(model)) == others
    own.settle(model)
    assert own.trunk is not None
    assert own.fold(model) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_those_of_the_whole_tables(kind: str) -> None:
    gradients, totals = [], []
    for alone in (True, False):
        model, own = made(kind), task()
        method("lora").apply(model)
        if alone:
            own.free(model)
        else:
            model.get_input_embeddings().requires_grad_(True)
            model.get_output_embeddings().requires_grad_(True)
        loss = own.loss(model, own.train)
        loss.total.backward()
        totals.append(loss.total.detach())
        tables = (model.get_input_embeddings(), model.get_output_embeddings())
        gradients.append([table.new_rows.grad if alone else table.weight.grad[list(NEW)] for table in tables])
    assert torch.equal(*totals)
    for one, other in zip(*gradients, strict=True):
        assert other.abs().max() > 0
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
@pytest.mark.parametrize("name", ["lora", "adalora", "qlora", "ia3"])
def test_saved_rows_and_adapter_give_the_same_model_and_merge(name: str, kind: str, tmp_path: Path) -> None:
    model, chosen, own = made(kind), method(name), task()
    chosen.apply(model)
    own.free(model)
    train_steps(model, chosen, 3, task=own)
    rows = own.fold(model)
    chosen.save(model, tmp_path)
    wanted = logits(model)
    again = made(kind)
    put(again, NEW, rows)
    chosen.apply(again)
    chosen.load(again, tmp_path)
    assert torch.equal(logits(again), wanted)
    chosen.merge(again)
    torch.testing.assert_close(logits(again), wanted, rtol=1e-4, atol=1e-4)
    assert again.state_dict().keys() == made(kind).state_dict().keys()


def test_bfloat16_keeps_what_the_model_computes_with() -> None:
    model, chosen, own = made().to(torch.bfloat16), method("lora"), task()
    chosen.apply(model)
    own.free(model)
    train_steps(model, chosen, 3, torch.bfloat16, own)
    rows = own.fold(model)
    assert {tensor.dtype for tensor in rows.values()} == {torch.bfloat16}
    assert torch.equal(model.get_input_embeddings().weight[list(NEW)], rows["embedding"])


def test_the_head_sees_the_newest_rows() -> None:
    model = made()
    rows = NewRows(model, NEW)
    with torch.no_grad():
        model.get_input_embeddings().new_rows += 1
    changed = logits(model)
    rows.fold()
    assert torch.equal(logits(model), changed)
    assert not torch.equal(changed, logits(made()))
