"""Families of interchangeable parts: a member is a file in the family's folder, named as users name it.

`methods/lora.py` is the method `lora`. Nothing lists members: a new file is found. Names and summaries are
read without importing a member, so that help texts stay fast.

A family may have guests too: members that a library brings. They are the folders of the library's tuners, read without
importing it; the family's file named after the library (`methods/_peft.py`) makes a member of each. A file of ours
goes before a guest of the same name.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import inspect
import re
from functools import cache
from pathlib import Path

from engrain.errors import SettingError

PACKAGE = "engrain"
GUESTS = {"methods": ("peft", "tuners/*/config.py")}
"""Family → the library that brings further members, and the file that each of these has."""
TITLE = re.compile(r"^Creates (?:an? )?(.+?),? (?:(?:adapter )?model|from|around)\b", re.IGNORECASE)


@cache
def names(family: str) -> tuple[str, ...]:
    """The members of a family (a folder of this package), in alphabetical order; guests come last."""
    return (*own(family), *(name for name in guests(family) if name not in own(family)))


@cache
def own(family: str) -> tuple[str, ...]:
    """The members that are files of this package."""
    folder = Path(__file__).parent / family
    return tuple(sorted(path.stem for path in folder.glob("*.py") if path.stem != "base" and not path.stem.startswith("_")))


@cache
def guests(family: str) -> dict[str, Path]:
    """Name → folder of the members that a library brings; none where it is not installed."""
    library, pattern = GUESTS.get(family, ("", ""))
    found = importlib.util.find_spec(library) if library else None
    places = [Path(place) for place in (found.submodule_search_locations or ())] if found else []
    return {path.parent.name: path.parent for place in places for path in sorted(place.glob(pattern))}


@cache
def summary(family: str, name: str) -> str:
    """The first line of the member's module docstring, read without importing it; of a guest what its library calls it."""
    if name not in own(family):
        return f"{_title(guests(family)[name])} ({GUESTS[family][0]})."
    source = (Path(__file__).parent / family / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def find(family: str, name: str) -> type:
    """The class that the member `name` defines: the one that carries out the family's contract (`base.CONTRACT`).

    Raises SettingError when no such member exists: it says what people who use that name mean, or which members there are.
    """
    if name not in names(family):
        raise SettingError(f"{family}: there is no {name!r}", _instead(family, name))
    if name not in own(family):
        host = importlib.import_module(f"{PACKAGE}.{family}._{GUESTS[family][0]}")
        guest: type = host.member(name, guests(family)[name])
        return guest
    module = importlib.import_module(f"{PACKAGE}.{family}.{name}")
    contract = importlib.import_module(f"{PACKAGE}.{family}.base").CONTRACT
    found = [c for _, c in inspect.getmembers(module, inspect.isclass) if issubclass(c, contract) and c.__module__ == module.__name__]
    assert len(found) == 1, f"{module.__name__} must define exactly one {contract.__name__}, not {len(found)}"
    return found[0]


def _instead(family: str, name: str) -> str:
    """What to choose where there is no such member: what its family says the name stands for, or the nearest names and all."""
    elsewhere = getattr(importlib.import_module(f"{PACKAGE}.{family}.base"), "ELSEWHERE", {})
    told = elsewhere.get(re.sub("[-_ ]", "", name.lower()))
    if told:
        return str(told)
    close = [repr(near) for near in difflib.get_close_matches(name.lower().replace("-", "_"), names(family))]
    hint = f"did you mean {' or '.join(filter(None, [', '.join(close[:-1]), close[-1]]))}? " if close else ""
    return f"{hint}Choose one of: {', '.join(names(family))}."


def _title(folder: Path) -> str:
    """What the documentation of a guest's model says it creates, or else its name."""
    file = folder / "model.py"
    classes = [n for n in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(n, ast.ClassDef)] if file.is_file() else []
    told = " ".join(next((doc for doc in map(ast.get_docstring, classes) if doc), "").split())
    found = TITLE.match(told)
    return found[1] if found else folder.name.replace("_", " ").capitalize()
