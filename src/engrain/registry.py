"""Families of interchangeable parts: a member is a file in the family's folder, named as users name it.

`methods/lora.py` is the method `lora`. Nothing lists members: a new file is found. Names and summaries are
read without importing a member, so that help texts stay fast.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
from functools import cache
from pathlib import Path

from engrain.errors import SettingError

PACKAGE = "engrain"


@cache
def names(family: str) -> tuple[str, ...]:
    """The members of a family (a folder of this package), in alphabetical order."""
    folder = Path(__file__).parent / family
    return tuple(sorted(path.stem for path in folder.glob("*.py") if path.stem != "base" and not path.stem.startswith("_")))


@cache
def summary(family: str, name: str) -> str:
    """The first line of the member's module docstring, read without importing it."""
    source = (Path(__file__).parent / family / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def find(family: str, name: str) -> type:
    """The class that the member `name` defines: the one that carries out the family's contract (`base.CONTRACT`).

    Raises SettingError when no such member exists, naming the ones that do.
    """
    if name not in names(family):
        close = difflib.get_close_matches(name, names(family), n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise SettingError(f"{family}: there is no {name!r}", f"{hint}Choose one of: {', '.join(names(family))}.")
    module = importlib.import_module(f"{PACKAGE}.{family}.{name}")
    contract = importlib.import_module(f"{PACKAGE}.{family}.base").CONTRACT
    found = [c for _, c in inspect.getmembers(module, inspect.isclass) if issubclass(c, contract) and c.__module__ == module.__name__]
    assert len(found) == 1, f"{module.__name__} must define exactly one {contract.__name__}, not {len(found)}"
    return found[0]
