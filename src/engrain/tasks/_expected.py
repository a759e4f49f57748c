"""What an untouched model expects of everyday rows, kept on the disk: every training from the same base asks for the same.

Shapes: N tokens of all rows, T tokens of one, C candidates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from engrain.fetch import cache_folder
from engrain.files import delete, staged
from engrain.tokens import Encoded, Likely

if TYPE_CHECKING:
    from torch import nn

CANDIDATES = 64
"""Tokens kept of what the untouched model expects at a place; the rest of the vocabulary shares some hundredths."""
MOST_FILES = 8
"""The newest so many stay: 200 everyday rows take 8 MB."""
EIGHT = 8
"""Bytes of the whole numbers that are added up."""


def expected(model: nn.Module, rows: Sequence[Encoded], compute: Callable[[], Sequence[Likely]]) -> list[Likely]:
    """What the model expects at each token of the rows: as it was computed before, else what `compute` gives."""
    if not rows:
        return []
    file = cache_folder() / "expected" / f"{_key(model, rows)}.safetensors"
    try:
        found = load_file(file)
    except (OSError, SafetensorError):
        found = _put(file, list(compute()))
    places = np.cumsum([len(row) for row in rows])[:-1]
    return [Likely(*parts) for parts in zip(*(np.split(found[name], places) for name in ("tokens", "shares")), strict=True)]


def _put(file: Path, made: list[Likely]) -> dict[str, np.ndarray]:
    joined = {"tokens": np.concatenate([m.tokens for m in made]), "shares": np.concatenate([m.shares for m in made])}
    with staged(file) as temporary:
        save_file(joined, temporary)
    for old in sorted(file.parent.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)[:-MOST_FILES]:
        delete(old)
    return joined


def _key(model: nn.Module, rows: Sequence[Encoded]) -> str:
    """A digest of all that the outcome depends on: the model's numbers and settings, the device, the rows, what is kept."""
    told = hashlib.sha256(f"{CANDIDATES} {model.config.to_json_string()} {next(model.parameters()).device.type}".encode())
    for name, parameter in model.named_parameters():
        told.update(f"{name} {parameter.dtype} {tuple(parameter.shape)} {_sum(parameter.detach())}".encode())
    for row in rows:
        told.update(row.ids.tobytes() + row.supervised.tobytes())
    return told.hexdigest()[:32]


def _sum(numbers: torch.Tensor) -> int:
    """The sum of the bits as whole numbers: a pass over memory, where hashing a large model would take minutes."""
    aligned = numbers.contiguous() if numbers.storage_offset() * numbers.element_size() % EIGHT == 0 else numbers.clone()
    flat = aligned.view(-1).view(torch.uint8)
    whole = len(flat) // EIGHT * EIGHT
    return int(flat[:whole].view(torch.int64).sum()) + int(flat[whole:].sum())
