"""Code: learn to go on with code, and to fill in what is missing between what stands before and after.

Files are cut into rows of whole lines; rows of many files are computed together without padding, each after its file's path.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from engrain.coding.repository import CodeFile
from engrain.kernels.supervised_loss import supervised_loss
from engrain.progress import SILENT, Progress
from engrain.tasks._fim import ROOM, Sentinels, fill_in, heading, left_to_right, pieces
from engrain.tasks._new_rows import NewRows, free
from engrain.tasks._packed import PackedTask, common_prefix, head
from engrain.tasks.base import Loss
from engrain.tokens import Encoded

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

SHORTEST = 24
"""Tokens below which a row has too little around a gap."""


class Code(PackedTask):
    """Rows of source files; `prepare_model` gives the model what it lacks (see `tasks._fim.make_room`), `new_tokens` of it train."""

    def __init__(
        self,
        train: Sequence[Encoded],
        heldout: Sequence[Encoded],
        prepare_model: Callable[[nn.Module], None],
        new_tokens: Sequence[int] = (),
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(train, heldout, label_smoothing)
        self.prepare_model, self.new_tokens = prepare_model, new_tokens
        self.new_rows: NewRows | None = None

    def prepare(self, model: nn.Module, progress: Progress = SILENT) -> None:
        """Make room for sentinels that the base does not have."""
        self.prepare_model(model)

    def free(self, model: nn.Module) -> None:
        """Let the embeddings of new tokens train."""
        self.new_rows = free(model, self.new_tokens)

    def fold(self, model: nn.Module) -> dict[str, Tensor]:
        """The rows of new tokens in the embedding and the head."""
        found = self.new_rows.fold() if self.new_rows else {}
        self.new_rows = None
        return found

    def loss(self, model: nn.Module, batch: Sequence[Encoded]) -> Loss:
        """The summed cross-entropy of the batch's supervised tokens. Raises ModelError for a model that cannot be packed."""
        self.check(model)
        hidden_KD, targets_K = self.reached(model, batch, common_prefix(batch))
        weight, softcap = head(model)
        apart = self.new_rows.of_head if self.new_rows else None
        total, correct = supervised_loss(hidden_KD, weight, targets_K, softcap, apart=apart, smoothing=self.smoothing(model))
        return Loss(total, len(targets_K), int(correct))


def rows_of(
    tokenizer: PreTrainedTokenizerBase, sentinels: Sentinels, files: Sequence[CodeFile], limit: int, fim_rate: float, seed: int
) -> list[Encoded]:
    """The rows of files, at most `limit` tokens each; about `fim_rate` of them with a gap. The same for the same seed."""
    rows = []
    for file in files:
        room = limit - ROOM - len(heading(tokenizer, sentinels, file.path))
        parts = list(pieces(tokenizer, file.text, room))
        draws = random.Random(f"{seed} {file.path}")
        for number, part in enumerate(parts, 1):
            if draws.random() < fim_rate:
                row = fill_in(tokenizer, sentinels, file.path, part, draws)
            else:
                row = left_to_right(tokenizer, sentinels, file.path, part, ends=number == len(parts))
            if SHORTEST <= len(row) <= limit:
                rows.append(row)
    return rows
