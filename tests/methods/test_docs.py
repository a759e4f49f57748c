"""The numbers that the pages on methods promise are those that train."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from engrain import registry
from engrain.methods._low_rank import adapted
from training import method, small_model, trainable

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / "methods" / f"{name}.md").read_text(encoding="utf-8") for name in registry.own("methods")}
LIBRARY = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)`", (DOCS / "methods" / "peft.md").read_text(encoding="utf-8"), re.MULTILINE))


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


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LIBRARY)
def test_the_librarys_methods_train_as_many_numbers_as_the_page_says(name: str) -> None:
    assert set(LIBRARY) == {"vera", "loha", "hra", "prompt_tuning"}
    model = small_model(hidden_size=64, intermediate_size=96)
    linears = [m.weight.shape for n, m in model.named_modules() if n.endswith(("q_proj", "v_proj"))]
    if name == "prompt_tuning":
        method(name, virtual_tokens=6).apply(model)
        assert count(model) == eval(LIBRARY[name], {}, {"virtual_tokens": 6, "width": 64})
        return
    method(name, rank=4, target_modules="q_proj,v_proj").apply(model)
    assert count(model) == sum(eval(LIBRARY[name], {}, {"rank": 4, "inputs": i, "outputs": o}) for o, i in linears)


def test_every_page_is_named_in_the_overview() -> None:
    overview = (DOCS / "methods.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(methods/(\w+)\.md\)", overview)) == {*PAGES, "peft"}
