"""engrain: turn documents into a fine-tuned language model that people can query, and prove what it learned."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engrain.api import Answer, Assistant, Result, build, load, tune, update

__all__ = ["Answer", "Assistant", "Result", "build", "load", "tune", "update"]
__version__ = version("engrain")


def __getattr__(name: str) -> Any:
    """A name of the Python interface, imported on first use, so that `import engrain` costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'engrain' has no attribute {name!r}")
    return getattr(import_module("engrain.api"), name)
