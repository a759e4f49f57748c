from __future__ import annotations

import inspect

import pytest

from engrain import errors
from engrain.errors import EngrainError, Interrupted, SettingError


def test_message_problems_and_next_step_come_in_that_order() -> None:
    error = EngrainError("Two files cannot be read:", "Save them as UTF-8.", ["a.txt: line 3", "b.txt: line 9"])
    assert str(error) == "Two files cannot be read:\n  - a.txt: line 3\n  - b.txt: line 9\nSave them as UTF-8."


def test_a_message_alone_stands_alone() -> None:
    assert str(EngrainError("It failed.")) == "It failed."


def test_a_long_list_is_cut_and_says_so() -> None:
    lines = str(EngrainError("Many.", "Mend them.", [f"line {n}" for n in range(1, 251)])).splitlines()
    assert lines[100:] == ["  - line 100", "  - and 150 more", "Mend them."]


def test_a_file_that_somebody_waits_for_is_told_whole() -> None:
    lines = EngrainError("Many.", "Mend them.", [f"line {n}" for n in range(1, 251)]).told().splitlines()
    assert lines == ["Many.", *(f"  - line {n}" for n in range(1, 251)), "Mend them."]


def test_exit_codes() -> None:
    assert EngrainError("x").exit_code == 1
    assert SettingError("x").exit_code == 2
    assert Interrupted("x").exit_code == 130
    assert Interrupted("x", signal_number=15).exit_code == 143


def test_the_tree_at_the_top_names_every_error_and_no_other() -> None:
    defined = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__}
    tree = (errors.__doc__ or "").split("\n\n")[1]
    drawn = {line.replace("├──", "").replace("└──", "").split()[0] for line in tree.splitlines()}
    assert drawn == defined


@pytest.mark.parametrize("kind", [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, EngrainError)])
def test_every_error_is_caught_as_an_engrain_error(kind: type[EngrainError]) -> None:
    with pytest.raises(EngrainError, match="what happened"):
        raise kind("what happened", "what to do")
