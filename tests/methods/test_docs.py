"""The numbers that the pages on methods promise are those that train."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from engrain import registry
from engrain.methods._low_rank import adapted
from training import method, small_model, trainable

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / "methods" / f"{name}.md").read_text(encoding="utf-8") for name in registry.own("methods")}
LIBRARY = dict(
    re.findall(r"^\| \[`(\w+)`\]\(https://\S+\) \| [^|]+ \| ([^|]+) \|", (DOCS / "methods" / "peft.md").read_text("utf-8"), re.MULTILINE)
)
COUNTED = {name: cell for name, cell in LIBRARY.items() if "`" in cell and name != "ln_tuning"}
"""Those whose number follows from widths and settings."""
OPTIONS = {
    "c3a": {"block_size": 16},
    "fourierft": {"n_frequency": 100},
    "road": {"group_size": 16},
    "vblora": {"num_vectors": 8, "vector_length": 16},
    "waveft": {"n_frequency": 100},
}
"""Of methods whose usual settings do not fit a small model."""


def count(model: Any) -> int:
    return sum(p.numel() for p in trainable(model).values())


@pytest.mark.parametrize("name", PAGES)
def test_our_methods_train_as_many_numbers_as_their_page_says(name: str) -> None:
    formula = re.search(r"\*\*Trains\*\* `(.+?)` numbers", PAGES[name])
    assert formula, f"docs/methods/{name}.md does not say how many numbers train"
    model = small_model()
    parts = {"full": model, "layerwise": model.model.layers[1]}
    if name in parts:
        wanted = sum(p.numel() for p in parts[name].parameters())
        method(name).apply(model)
        assert formula[1] == "all"
        assert count(model) == wanted
        return
    method(name, rank=4).apply(model)
    sizes = [{"rank": 4, "inputs": layer.in_features, "outputs": layer.out_features} for _, layer in adapted(model)]
    assert count(model) == sum(eval(formula[1], {}, values) for values in sizes)


def test_every_method_of_the_library_has_its_row() -> None:
    told = (DOCS / "methods" / "peft.md").read_text("utf-8").partition("## All of them")[0]
    refused = {name for name in registry.names("methods") if f"`{name}`" in told}
    assert set(LIBRARY) == set(registry.names("methods")) - set(PAGES) - refused


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", COUNTED)
def test_the_librarys_methods_train_as_many_numbers_as_the_page_says(name: str) -> None:
    model = small_model(hidden_size=64, intermediate_size=96, num_hidden_layers=3)
    layers = [[m.weight.shape for n, m in layer.named_modules() if n.endswith(("q_proj", "v_proj"))] for layer in model.model.layers]
    linears = [{"inputs": shape[1], "outputs": shape[0]} for layer in layers for shape in layer]
    own = {field.name for field in fields(registry.find("methods", name).Settings)}
    chosen = {key: value for key, value in (("rank", 4), ("virtual_tokens", 6), ("target_modules", "q_proj,v_proj")) if key in own}
    if name == "adaption_prompt":
        chosen.pop("target_modules")
    options = OPTIONS.get(name, {})
    method(name, **chosen, tuner_options=",".join(f"{key}={value}" for key, value in options.items())).apply(model)
    known = {**chosen, **options, "width": 64, "kv_width": layers[0][1][0], "layers": len(layers), "min": min}
    places = {"a layer": linears, "a kind of layer": linears[:2], "a layer of the model": [{}] * len(layers), "in all": [{}]}
    terms = re.findall(r"`([^`]+)` (a layer of the model|a kind of layer|a layer|in all)", COUNTED[name])
    assert count(model) == sum(eval(formula, {}, known | values) for formula, where in terms for values in places[where])


def test_every_page_is_named_in_the_overview() -> None:
    overview = (DOCS / "methods.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(methods/(\w+)\.md\)", overview)) == {*PAGES, "peft"}
