"""The frozen trunk: what is kept equals what would be computed, and nothing stale is ever used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engrain import registry
from engrain.config import settings_from
from engrain.examples import Message
from engrain.kernels.partial_model import states_before
from engrain.models import decoder_layers
from engrain.progress import Progress, Stage
from engrain.tasks import _trunk
from engrain.tasks._trunk import Trunk, depth
from engrain.tasks.chat import Chat
from engrain.tokens import encode_example
from training import small_model


@pytest.fixture
def rows(tiny_tokenizer: Any) -> list[Any]:
    pairs = [("When do you open?", "At nine."), ("What is a Gannet?", "A kite of £41."), ("Who?", "Mira."), ("How far?", "Up to 8 miles.")]
    return [encode_example(tiny_tokenizer, (Message("user", q), Message("assistant", a))) for q, a in pairs]


class Stages(Progress):
    """Keeps the titles of what is begun."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    @contextmanager
    def stage(self, title: str, total: float | None = None, unit: str = "") -> Iterator[Stage]:
        self.titles.append(title)
        yield Stage()


def top(model: Any) -> Any:
    """The model with its upper layer in training."""
    model.requires_grad_(False)
    decoder_layers(model)[1].requires_grad_(True)
    return model


def loss_and_gradients(task: Chat, model: Any, rows: list[Any]) -> tuple[float, list[torch.Tensor]]:
    model.zero_grad()
    loss = task.loss(model, rows)
    loss.total.backward()
    return float(loss.total.detach()), [p.grad.clone() for p in decoder_layers(model)[1].parameters()]


def test_loss_and_gradients_are_the_same_and_less_is_computed(tiny_model: Any, rows: list[Any]) -> None:
    task, model = Chat(rows[:3], rows[3:]), top(tiny_model)
    plain, wanted = loss_and_gradients(task, model, rows)
    task.settle(model)
    assert task.trunk is not None
    assert task.trunk.depth == 1
    calls: list[int] = []
    decoder_layers(model)[0].register_forward_hook(lambda *_: calls.append(1))
    kept, gradients = loss_and_gradients(task, model, rows)
    assert kept == pytest.approx(plain, rel=1e-6)
    for got, expected in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
    assert not calls, "the frozen layer is computed once only"
    assert len(decoder_layers(model)) == 2, "the model is whole again"


def test_states_are_those_of_the_model_alone(tiny_model: Any, rows: list[Any]) -> None:
    trunk = Trunk(top(tiny_model), rows)
    for encoded in rows:
        alone = states_before(tiny_model, 1, input_ids=torch.from_numpy(encoded.ids).long()[None], use_cache=False)[0]
        torch.testing.assert_close(trunk.states([encoded], 0), alone, atol=1e-5, rtol=1e-4)
    both = trunk.states(rows[:2], 5)
    assert len(both) == 5 + sum(len(e.ids) - 5 for e in rows[:2])


def test_a_change_below_ends_its_use(tiny_model: Any, rows: list[Any]) -> None:
    trunk = Trunk(top(tiny_model), rows)
    assert trunk.holds(rows)
    decoder_layers(tiny_model)[0].requires_grad_(True)
    assert not trunk.holds(rows), "it trains"
    decoder_layers(tiny_model)[0].requires_grad_(False)
    with torch.no_grad():
        next(decoder_layers(tiny_model)[0].parameters()).add_(1)
    assert not trunk.holds(rows), "it has changed"


def test_unknown_rows_are_computed(tiny_model: Any, rows: list[Any]) -> None:
    task, model = Chat(rows[:2]), top(tiny_model)
    task.settle(model)
    assert task.trunk is not None
    assert not task.trunk.holds(rows)
    assert loss_and_gradients(task, model, rows)[0] == pytest.approx(loss_and_gradients(Chat(rows), model, rows)[0], rel=1e-6)


def test_nothing_is_kept_where_the_lowest_layer_or_the_embeddings_train(tiny_model: Any, rows: list[Any]) -> None:
    for free in (decoder_layers(tiny_model)[0], tiny_model.get_input_embeddings()):
        top(tiny_model)
        free.requires_grad_(True)
        assert depth(tiny_model) == 0
        task, told = Chat(rows), Stages()
        task.settle(tiny_model, told)
        assert task.trunk is None
        assert not told.titles


@pytest.mark.parametrize("last", ["norm", "head"])
def test_what_comes_after_the_layers_may_train(last: str, rows: list[Any]) -> None:
    model = small_model()
    (model.model.norm if last == "norm" else model.lm_head).requires_grad_(True)
    assert depth(model) == 1, "nothing trains below the last layer"
    decoder_layers(model)[1].requires_grad_(True)
    assert depth(model) == 1
    model.model.embed_tokens.requires_grad_(True)
    assert depth(model) == 0


def test_a_full_disk_keeps_no_states(tiny_model: Any, rows: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_trunk, "IN_MEMORY", 0)
    monkeypatch.setattr(_trunk.shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    task = Chat(rows)
    task.settle(top(tiny_model))
    assert task.trunk is None


def test_what_takes_a_while_is_told(tiny_model: Any, rows: list[Any]) -> None:
    told = Stages()
    Chat(rows).settle(top(tiny_model), told)
    assert told.titles == ["Computing what stays frozen"]


def test_states_beyond_memory_go_to_a_file_and_beyond_that_are_not_kept(
    tiny_model: Any, rows: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Trunk(top(tiny_model), rows).states(rows, 0)
    monkeypatch.setattr(_trunk, "IN_MEMORY", 0)
    assert torch.equal(Trunk(tiny_model, rows).states(rows, 0), whole)
    monkeypatch.setattr(_trunk, "ON_DISK", 0)
    task = Chat(rows)
    task.settle(tiny_model)
    assert task.trunk is None


@pytest.mark.parametrize("method", ["layerwise", "lora"])
def test_methods_on_upper_layers_profit(tiny_model: Any, rows: list[Any], method: str) -> None:
    chosen = settings_from({"method": method, "layers": "1"})
    registry.find("methods", method)(chosen.method_settings).apply(tiny_model)
    assert depth(tiny_model) == 1
