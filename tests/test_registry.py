from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from engrain import registry
from engrain.config import as_options, settings_from
from engrain.errors import SettingError
from engrain.methods.base import ELSEWHERE

SOURCE = Path(registry.__file__).parent
FAMILIES = sorted(path.parent.name for path in SOURCE.glob("*/base.py") if "\nCONTRACT = " in path.read_text(encoding="utf-8"))


def test_members_are_the_files_of_the_folder() -> None:
    assert {"full", "layerwise", "lora"} <= set(registry.names("methods"))
    assert not {"base", "__init__"} & set(registry.names("methods"))


def test_helpers_are_not_members() -> None:
    assert not [name for name in registry.names("cli") if name.startswith("_")]


def refusal(family: str, name: str) -> str:
    with pytest.raises(SettingError) as caught:
        registry.find(family, name)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_an_unknown_member_names_the_nearest_and_all() -> None:
    told = refusal("methods", "lorra")
    assert "did you mean 'lora', '" in told
    assert "Choose one of: adalora, dora, " in told
    assert "did you mean 'layerwise'? Choose" in refusal("methods", "layer-wise")
    assert "did you mean 'qlora', " in refusal("methods", "QLoRA")
    assert "did you mean" not in refusal("methods", "zzz")


@pytest.mark.parametrize("name", [*ELSEWHERE, "rs-LoRA", "P tuning", "LoRA+"])
def test_a_name_that_people_know_is_told_what_it_is_here(name: str) -> None:
    told = refusal("methods", name)
    assert "did you mean" not in told
    known = re.search(r"method (?:')?(\w+)", told)
    assert known
    typed = re.search(r"\((--method .+)\)", told)
    values = dict(pair.split("=") for pair in re.findall(r"\b\w+=[\w.]+", told))
    settings = settings_from({"method": known[1], **values})
    assert not typed or set(re.findall(r"--[\w-]+", typed[1])) == {"--method", *(o for o in as_options(settings) if o.startswith("--"))}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_member_defines_the_contract_and_sums_itself_up(family: str) -> None:
    for name in registry.names(family):
        assert registry.summary(family, name).endswith((".", ")")), f"{family}/{name}.py: the first line of its docstring is no sentence"
        assert registry.find(family, name).__module__ == f"engrain.{family}.{name}"


def test_names_and_summaries_import_no_member() -> None:
    code = (
        "import sys; from engrain import registry;"
        "[registry.summary('methods', name) for name in registry.names('methods')];"
        "print([m for m in sys.modules if m.startswith('engrain.methods')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
