from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from engrain.errors import SettingError
from engrain.methods._choice import layer_numbers
from engrain.tasks.chat import Chat
from training import examples, method, small_model
from training import trainable as trainable_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", [29]), ("3", [27, 28, 29]), ("30", list(range(30))), ("20-22", [20, 21, 22]), ("5-5", [5]), ("3,7,11", [3, 7, 11]),
        ("11,3,3", [3, 11]), ("0.1", [27, 28, 29]), ("1/3", list(range(20, 30))), ("1.0", list(range(30))), ("0.001", [29]),
        (".5", list(range(15, 30))),
    ],
)  # fmt: skip
def test_every_spelling_of_layers(text: str, expected: list[int]) -> None:
    assert layer_numbers(text, 30) == expected


@pytest.mark.parametrize(
    "text", ["0", "31", "28-30", "9-3", "3,30", "0.0", "1.5", "1/0", "3-", "-3", "1-2-3", "1,,2", "1.2.3", "/", "0.3,0.4"]
)
def test_layers_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match="layers=") as caught:
        layer_numbers(text, 30)
    assert "Use a number" in str(caught.value)


def trainable(layers: str, **changes: Any) -> set[str]:
    model, chosen = small_model(**changes), method("layerwise", layers=layers)
    chosen.apply(model)
    return set(trainable_of(model))


def test_layers_by_number_and_by_name() -> None:
    top = trainable("1")
    assert top
    assert all(name.startswith("model.layers.1.") for name in top)
    assert trainable(" 1 - 1 ") == trainable("0.5") == trainable("model.layers.1") == top
    assert trainable("0,1") == trainable("2") == trainable("model.layers") == top | {n.replace("layers.1", "layers.0") for n in top}
    assert trainable("model.norm,model.layers.0.mlp") == {
        "model.norm.weight",
        *(f"model.layers.0.mlp.{x}_proj.weight" for x in ("gate", "up", "down")),
    }
    assert trainable("lm_head") == {"lm_head.weight"}
    assert trainable("lm_head", tie_word_embeddings=True) == {"model.embed_tokens.weight"}


@pytest.mark.parametrize(
    ("layers", "told"),
    [("", "no module ''"), ("model.layers.0,", "no module ''"), ("model.nothing,model.layers.9", "'model.nothing', 'model.layers.9'"),
     ("model.rotary_emb", "nothing can train in model.rotary_emb"), ("model.layers.0.mlp.act_fn", "nothing can train")],
)  # fmt: skip
def test_names_that_choose_nothing_are_refused(layers: str, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        trainable(layers)


def test_a_model_without_a_stack_takes_names_only() -> None:
    model = nn.ModuleDict({"body": nn.Linear(2, 2), "top": nn.Linear(2, 2)})
    method("layerwise", layers="top").apply(model)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {"top.weight", "top.bias"}
    with pytest.raises(SettingError, match="no stack of layers"):
        method("layerwise", layers="1").apply(model)


def test_a_model_without_embeddings_rotates_its_layers() -> None:
    model, chosen = nn.Module(), method("layerwise", layers="3", rotated_layers=1, rotation_steps=1)
    model.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    chosen.apply(model)
    chosen.before_step(model, 0)
    assert len(trainable_of(model)) == 2, "weight and bias of one layer"


@pytest.mark.parametrize("lowest", [0, 1])
def test_no_gradient_graph_below_the_lowest_trainable_layer(lowest: int) -> None:
    model, batch = small_model(), examples(3)
    method("layerwise", layers=f"{lowest}-{lowest}").apply(model)
    entering, leaving = [], []

    def watch(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        entering.append(inputs[0].requires_grad)
        leaving.append(output.requires_grad)

    for layer in model.model.layers:
        layer.register_forward_hook(watch)
    task = Chat(batch)
    task.loss(model, batch)  # the first call checks the model, in passes of its own
    del entering[:], leaving[:]
    task.loss(model, batch).total.backward()
    assert entering == [False, lowest == 0]
    assert leaving == [lowest == 0, True]
    assert {name for name, p in model.named_parameters() if p.grad is not None} == {
        n for n, p in model.named_parameters() if p.requires_grad
    }


def test_a_fraction_of_a_small_model_is_at_least_one_layer() -> None:
    assert layer_numbers("0.33", 2) == [1]
    assert layer_numbers("0.33", 30) == list(range(20, 30))


def test_steps_of_a_rotation_that_there_is_not_are_refused() -> None:
    with pytest.raises(SettingError, match="takes effect with rotated_layers only"):
        method("layerwise", rotation_steps=5)
    assert method("layerwise", rotation_steps=5, rotated_layers=1)


def test_layers_that_rest_need_no_gradient() -> None:
    model, chosen = small_model(), method("layerwise", layers="2", rotated_layers=1)
    chosen.apply(model)
    layer = sum(p.numel() for p in model.model.layers[0].parameters())
    assert chosen.at_once(model) == sum(p.numel() for p in trainable_of(model).values()) - layer
