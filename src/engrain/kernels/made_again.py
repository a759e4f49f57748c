"""What a single pass over memory makes is not kept for the way back, but made again there (arXiv 1604.06174, of single tensors).

Most of what products keep of their inputs is the outcome of a norm or a gate, whose own inputs are kept anyway. Reference: the same
without `making_again`, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class Recipe:
    """How to make a tensor again, for all who wait for it: it is there from when the first one asks until the last one has."""

    def __init__(self, make: Callable[..., Tensor], *inputs: Tensor) -> None:
        self._make, self._inputs, self._waiting = make, inputs, 0
        self._made: Tensor | None = None

    def expect(self) -> None:
        """One more will ask for it."""
        self._waiting += 1

    def made(self) -> Tensor:
        """The tensor."""
        made = self._make(*self._inputs) if self._made is None else self._made
        self._waiting -= 1
        self._made = made if self._waiting > 0 else None
        return made


def made_by(y: Tensor, make: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """y, which `make` makes again, bit for bit, from these inputs, which are kept anyway."""
    if torch.is_grad_enabled():
        y.recipe = Recipe(make, *(x.detach() for x in inputs))
    return y


@contextmanager
def making_again() -> Iterator[None]:
    """Inside, what has a recipe is not kept for the way back, nor are views of all of it."""
    with torch.autograd.graph.saved_tensors_hooks(_kept, _given):
        yield


def _kept(saved: Tensor) -> Tensor | tuple[Recipe, torch.Size]:
    whole = saved if saved._base is None else saved._base
    recipe: Recipe | None = getattr(whole, "recipe", None)
    if recipe is None or saved.numel() != whole.numel() or not saved.is_contiguous():
        return saved
    recipe.expect()
    return recipe, saved.shape


def _given(kept: Tensor | tuple[Recipe, torch.Size]) -> Tensor:
    if isinstance(kept, Tensor):
        return kept
    recipe, shape = kept
    return recipe.made().view(shape)
