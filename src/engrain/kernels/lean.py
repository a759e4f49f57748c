"""All the fast parts of a model at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engrain.kernels.gated import lean_gates
from engrain.kernels.linear import lean_linears
from engrain.kernels.packed_attention import packed
from engrain.kernels.rms_norm import lean_norms
from engrain.kernels.rotary import lean_rotary

if TYPE_CHECKING:
    from torch import nn


@contextmanager
def lean(model: nn.Module) -> Iterator[None]:
    """Inside, the model computes a packed row with the fast parts."""
    with packed(model), lean_linears(model), lean_norms(model), lean_gates(model), lean_rotary(model):
        yield


@contextmanager
def lean_steps(model: nn.Module, *, kept: bool) -> Iterator[None]:
    """Inside, the model that writes token after token does so with the fast parts; where `kept`, each weight is packed once.

    Rotary positions are a function that all models of a class share, and stay as they are: others may be writing in other threads.
    """
    with lean_linears(model, kept=kept), lean_norms(model), lean_gates(model):
        yield
