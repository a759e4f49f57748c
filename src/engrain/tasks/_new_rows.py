"""Rows of new tokens that train while the rest of their tables (embedding and output head) stays as it is.

The tables hold the newest values of these rows, so that whatever reads them computes what a plain model computes; only the
gradient goes to a small parameter, whatever the method trains.

Shapes: R new tokens, B rows, T tokens, D model width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from engrain.tasks._trunk import depth

if TYPE_CHECKING:
    from torch import Tensor

NAME = "new_rows"
TABLES = ("embedding", "head")


def put(model: nn.Module, tokens: Sequence[int], rows: Mapping[str, Tensor]) -> None:
    """Write the rows (R, D) of these tokens into the embedding and the head."""
    with torch.no_grad():
        for name, table in zip(TABLES, _tables(model), strict=True):
            table.weight[list(tokens)] = rows[name].to(table.weight)


class NewRows:
    """The rows of `tokens`, as a parameter `new_rows` of each table; one for both where the tables are tied."""

    def __init__(self, model: nn.Module, tokens: Sequence[int]) -> None:
        self.model, self.tokens = model, list(tokens)
        embedding, head = _tables(model)
        rows_RD = nn.Parameter(embedding.weight.detach()[self.tokens])
        embedding.new_rows = rows_RD
        head.new_rows = rows_RD if head.weight is embedding.weight else nn.Parameter(head.weight.detach()[self.tokens])
        self._hooks = [embedding.register_forward_pre_hook(self._write), embedding.register_forward_hook(self._reach)]

    @property
    def values(self) -> dict[str, Tensor]:
        """Table → the rows (R, D) as they are now."""
        return {name: table.new_rows.detach() for name, table in zip(TABLES, _tables(self.model), strict=True)}

    @property
    def of_head(self) -> tuple[list[int], nn.Parameter]:
        """The tokens and their rows (R, D) in the head."""
        return self.tokens, self.model.get_output_embeddings().new_rows

    def fold(self) -> dict[str, Tensor]:
        """Leave the rows in their tables and the model plain; returns what they are."""
        values = {name: rows.clone() for name, rows in self.values.items()}
        self._write()
        for hook in self._hooks:
            hook.remove()
        for table in _tables(self.model):
            del table.new_rows
        return values

    def _write(self, *_: Any) -> None:
        put(self.model, self.tokens, self.values)

    def _reach(self, embedding: Any, inputs: tuple[Tensor, ...], out_BTD: Tensor) -> Tensor:
        """The same states, from which a gradient reaches the rows."""
        rows_RD, tokens_R = embedding.new_rows, torch.tensor(self.tokens, device=out_BTD.device)
        is_new_BTR = (inputs[0][..., None] == tokens_R).to(rows_RD.dtype)
        scale = getattr(embedding, "embed_scale", 1.0)  # of models that scale what they look up
        return out_BTD + (is_new_BTR @ (rows_RD - rows_RD.detach()) * scale).to(out_BTD.dtype)


def free(model: nn.Module, tokens: Sequence[int]) -> NewRows | None:
    """Let the rows of these tokens train; None where the tables train whole, or no gradient comes down to the embedding.

    Layers below the lowest one that trains are computed once for all epochs; for a few rows they would cost every step.
    """
    whole = any(table.weight.requires_grad for table in _tables(model))
    return None if not tokens or whole or depth(model) else NewRows(model, tokens)


def _tables(model: nn.Module) -> tuple[Any, Any]:
    return model.get_input_embeddings(), model.get_output_embeddings()
