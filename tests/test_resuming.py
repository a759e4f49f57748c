from __future__ import annotations

from pathlib import Path

import pytest

from engrain.config import settings_from
from engrain.errors import Interrupted, RunError, SettingError
from engrain.progress import SILENT
from engrain.resuming import check_unchanged, removed_if_empty, settings_of_examples, status_of, stopped, stopped_update
from engrain.run import Run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_newest_stopped_run_of_that_name_is_meant() -> None:
    shop, other = Run.create(None, "shop"), Run.create(None, "study")
    shop.update(status="interrupted")
    other.update(status="ready")
    assert stopped(None, "shop").path == shop.path
    with shop.lock(), pytest.raises(SettingError, match="named shop"):
        stopped(None, "shop")
    shop.update(status="complete")
    with pytest.raises(SettingError, match="named shop"):
        stopped(None, "shop")
    with pytest.raises(SettingError, match="is complete"):
        stopped(shop.path, "shop")


def test_only_an_update_of_the_same_run_goes_on() -> None:
    earlier, new = Run.create(Path("a"), "docs"), Run.create(None, "docs")
    new.update(updates="a", status="interrupted")
    assert stopped_update(earlier, None).path == new.path
    assert stopped_update(Run.open(Path("a").resolve()), None).path == new.path
    with pytest.raises(SettingError, match="no stopped update"):
        stopped_update(new, None)


def test_what_has_changed_is_listed() -> None:
    run = Run.create(Path("run"), "docs")
    run.update(settings=settings_from({"redact": False}).to_dict())
    check_unchanged(run, settings_of_examples(settings_from({"minutes": 3, "gate": False})))
    check_unchanged(run, {"tuned": ("rank",)}, {"tuned": ["rank"]})
    with pytest.raises(RunError) as caught:
        check_unchanged(run, settings_of_examples(settings_from({"redact": True, "seed": 7})))
    assert list(caught.value.problems) == ["redact was False, is True", "seed was 0, is 7"]


def test_a_new_run_that_made_nothing_is_removed_unless_another_holds_it() -> None:
    for name, held in (("alone", False), ("shared", True)):
        run = Run.create(Path(name), name)
        lock = run.lock()
        if held:
            lock.__enter__()
        with pytest.raises(OSError, match="full"), removed_if_empty(run, is_new=True):
            raise OSError("full")
        assert run.path.is_dir() == held
        if held:
            lock.__exit__(None, None, None)


def test_how_work_ended_is_noted() -> None:
    run = Run.create(Path("run"), "docs")
    for error, status in ((Interrupted("stopped", "Go on.", 2), "interrupted"), (OSError("full"), "failed")):
        with pytest.raises(type(error)), status_of(run, SILENT):
            raise error
        assert run.info["status"] == status
