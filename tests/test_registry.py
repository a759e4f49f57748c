from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engrain import registry
from engrain.errors import SettingError

SOURCE = Path(registry.__file__).parent
FAMILIES = sorted(path.parent.name for path in SOURCE.glob("*/base.py") if "\nCONTRACT = " in path.read_text(encoding="utf-8"))


def test_members_are_the_files_of_the_folder() -> None:
    assert {"full", "layerwise", "lora"} <= set(registry.names("methods"))
    assert not {"base", "__init__"} & set(registry.names("methods"))


def test_helpers_are_not_members() -> None:
    assert not [name for name in registry.names("cli") if name.startswith("_")]


def test_an_unknown_member_names_the_nearest_and_all() -> None:
    with pytest.raises(SettingError) as caught:
        registry.find("methods", "lorra")
    assert "did you mean 'lora'?" in str(caught.value)
    assert "full" in str(caught.value)
    assert caught.value.exit_code == 2


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
