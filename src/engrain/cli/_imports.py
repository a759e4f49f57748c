"""Importing what a command works with, without looking for garbage meanwhile."""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType


def imported(name: str) -> ModuleType:
    """The module of that name.

    Importing makes hundreds of thousands of objects that stay, and Python would look through them for garbage again and again, which
    takes a fifth of the time. It looks for none until the module is there, nor at those objects afterwards.
    """
    if name in sys.modules or not gc.isenabled():
        return importlib.import_module(name)
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()
