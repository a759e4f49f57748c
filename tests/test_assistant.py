from __future__ import annotations

from pathlib import Path

import pytest

from engrain.assistant import check_base
from engrain.errors import ModelError
from engrain.models import Base
from engrain.pipeline import base_row


@pytest.fixture
def base(tmp_path: Path) -> Base:
    for name in ("model-1.safetensors", "model-2.safetensors", "config.json"):
        (tmp_path / name).write_text(name)
    return Base("mine", tmp_path, "", "folder")


def again(base: Base, source: str = "folder", revision: str = "") -> Base:
    """The same base, looked at anew."""
    return Base(base.name, base.folder, revision, source)


def test_a_base_whose_weights_have_changed_is_refused(base: Base) -> None:
    trained = base_row(base)
    check_base(again(base), trained)
    (base.folder / "config.json").write_text("{}")
    (base.folder / "more.json").write_text("{}")
    check_base(again(base), trained)
    (base.folder / "model-1.safetensors").write_text("other")
    (base.folder / "model-2.safetensors").unlink()
    with pytest.raises(ModelError, match="mine is not the base that this run was trained on") as caught:
        check_base(again(base), trained)
    assert caught.value.problems == ("model-1.safetensors", "model-2.safetensors")


def test_a_commit_of_the_hub_vouches_for_its_files(base: Base) -> None:
    trained = base_row(again(base, "hub", "abc"))
    (base.folder / "model-1.safetensors").write_text("other")
    check_base(again(base, "hub", "abc"), trained)
    with pytest.raises(ModelError, match="not the base"):
        check_base(again(base, "hub", "def"), trained)


def test_a_run_that_noted_no_files_is_believed(base: Base) -> None:
    check_base(base, {})
