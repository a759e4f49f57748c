"""The learning rate that training starts from where none is set: the method's own, and less for wider models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engrain import registry
from engrain.models import outline

if TYPE_CHECKING:
    from torch import nn

    from engrain.config import Settings
    from engrain.methods.base import Method


def own_pace(settings: Settings) -> float:
    """How fast the base learns with the method, as a share of the method's learning rate; looked up on the base's outline.

    Raises SettingError where the method does not fit the base, ModelError where the base cannot be had.
    """
    method: Any = registry.find("methods", settings.method)(settings.method_settings)
    model = outline(settings.model.base)
    method.apply(model)
    return float(method.pace(model))


def told_rate(method: Method, model: nn.Module, given: float | None) -> str:
    """The learning rate in words, with what it follows from."""
    if given is not None:
        return f"learning rate {given:g}, as set"
    pace = method.pace(model)
    why = "" if pace == 1 else f", its own {method.learning_rate:g} lowered by {1 - pace:.0%} for so wide a model"
    return f"learning rate {method.learning_rate * pace:.3g}{why}"
