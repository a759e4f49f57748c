"""Importing without looking for garbage meanwhile."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engrain.cli._imports import imported

NAME = "looks_for_garbage"


@pytest.fixture(autouse=True)
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a module that can be imported, and afterwards the collector as it was."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / f"{NAME}.py"
    sys.modules.pop(NAME, None)
    gc.unfreeze()
    gc.enable()


def test_no_garbage_is_looked_for_while_a_module_is_imported(found: Path) -> None:
    found.write_text("import gc\nenabled = gc.isenabled()\nkept = [[] for _ in range(1000)]")
    before = gc.get_freeze_count()
    assert imported(NAME).enabled is False
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + 1000, "what importing made is looked through for garbage later"


def test_a_module_that_is_there_already_is_given_as_it_is() -> None:
    before = gc.get_freeze_count()
    assert imported("gc") is gc
    assert gc.get_freeze_count() == before


def test_garbage_is_looked_for_again_after_an_import_that_failed(found: Path) -> None:
    found.write_text("raise OSError('no such library')")
    with pytest.raises(OSError, match="no such library"):
        imported(NAME)
    assert gc.isenabled()


def test_who_looks_for_no_garbage_at_all_is_left_so(found: Path) -> None:
    found.write_text("")
    gc.disable()
    imported(NAME)
    assert not gc.isenabled()
