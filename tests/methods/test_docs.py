"""The numbers that the pages on methods promise are those that train."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from engrain import registry
from engrain.methods._low_rank import adapted
from engrain.methods._probe import probe
from training import method, small_model, trainable

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / "methods" / f"{name}.md").read_text(encoding="utf-8") for name in registry.own("methods")}
LIBRARY = dict(
    re.findall(r"^\| \[`(\w+)`\]\(https://\S+\) \| [^|]+ \| ([^|]+) \|", (DOCS / "methods" / "peft.md").read_text("utf-8"), re.MULTILINE)
)
OPTIONS = {
    "c3a": {"block_size": 16},
    "fourierft": {"n_frequency": 100},
    "road": {"group_size": 16},
    "vblora": {"num_vectors": 8, "vector_length": 16},
    "waveft": {"n_frequency": 100},
}
"""Of methods whose usual settings do not fit a small model."""
SETTINGS: dict[str, dict[str, Any]] = {
    "adaption_prompt": {"target_modules": "default"},
    "ia3": {"target_modules": "q_proj,v_proj,down_proj"},
    "ln_tuning": {"target_modules": "default"},
    "lokr": {"rank": 2},
}
"""Of methods that adapt something else than the others, or whose formula holds for small ranks."""


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


def side(number: int) -> int:
    return max(n for n in range(1, number) if number % n == 0 and n * n <= number)


def test_every_method_of_the_library_has_its_row() -> None:
    told = (DOCS / "methods" / "peft.md").read_text("utf-8").partition("## All of them")[0]
    refused = {name for name in registry.names("methods") if f"`{name}`" in told}
    assert set(LIBRARY) == set(registry.names("methods")) - set(PAGES) - refused


def places(model: Any) -> dict[str, list[dict[str, int]]]:
    """Where a formula counts → the widths of each such place in a model of which q_proj, v_proj and down_proj can be adapted."""

    def linears(*ends: str) -> list[dict[str, int]]:
        return [{"inputs": m.in_features, "outputs": m.out_features} for n, m in model.named_modules() if n.endswith(ends)]

    adapted, layers = linears("q_proj", "v_proj"), len(model.model.layers)
    return {
        "a layer": adapted,
        "a layer of the attention": adapted,
        "a layer of the feed-forward": linears("down_proj"),
        "a kind of layer": adapted[:2],
        "a layer of the model": [{}] * layers,
        "a norm": [{} for name, _ in model.named_modules() if name.endswith("norm")],
        "in all": [{}],
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LIBRARY)
def test_the_librarys_methods_train_as_many_numbers_as_the_page_says(name: str) -> None:
    model = small_model(hidden_size=64, intermediate_size=96, num_hidden_layers=3)
    there = places(model)
    own = {field.name for field in fields(registry.find("methods", name).Settings)}
    usual = {"rank": 4, "virtual_tokens": 6, "target_modules": "q_proj,v_proj"} | SETTINGS.get(name, {})
    chosen, options = {key: value for key, value in usual.items() if key in own}, OPTIONS.get(name, {})
    method(name, **chosen, tuner_options=",".join(f"{key}={value}" for key, value in options.items())).apply(model)
    widths = {"width": 64, "kv_width": there["a layer"][1]["outputs"], "layers": len(model.model.layers)}
    known = {**chosen, **options, **widths, "min": min, "side": side}
    terms = re.findall(rf"`([^`]+)` ({'|'.join(sorted(there, key=len, reverse=True))})", LIBRARY[name])
    assert terms, f"docs/methods/peft.md does not say how many numbers {name} trains"
    assert count(model) == sum(eval(formula, {}, known | values) for formula, where in terms for values in there[where])


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_where_the_method_does_not_start_at_the_base(name: str) -> None:
    assert ("Before the first step it answers as" in PAGES[name]) != method(name).starts_at_base


@pytest.mark.filterwarnings("ignore")
def test_the_librarys_methods_that_do_not_start_at_the_base_are_named() -> None:
    told = re.search(r"Before the first step these do not(.+?)All others do", (DOCS / "methods" / "peft.md").read_text("utf-8"), re.DOTALL)
    assert told
    assert set(re.findall(r"`(\w+)`", told[1])) == {name for name in LIBRARY if not probe(name).starts_at_base}


def test_every_page_is_named_in_the_overview() -> None:
    overview = (DOCS / "methods.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(methods/(\w+)\.md\)", overview)) == {*PAGES, "peft"}
