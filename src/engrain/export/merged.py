"""The whole model in Hugging Face layout, merged, with tokenizer and chat template."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from engrain.export import _text
from engrain.export.base import CHAT, Made, Source, Target
from engrain.progress import Progress


class Merged(Target):
    """What the run learned is added into the base's weights; nothing of engrain is needed to use it."""

    title: ClassVar[str] = "The whole model"
    text: ClassVar[str] = "One folder in Hugging Face layout, for the transformers library and everything that reads its models."
    types: ClassVar[tuple[str, ...]] = ("f32", "f16", "bf16")
    refused: ClassVar[str] = "Fewer bits have --to gguf --type q8_0."

    def obstacle(self, source: Source) -> str:
        """A method whose result is no plain model."""
        return _text.cannot_merge(source)

    def size(self, source: Source) -> int:
        """That of the base's weights."""
        return _text.folder_size(source)

    def write(self, source: Source, folder: Path, checked: bool, progress: Progress) -> Made:
        """Load, merge, save, read back."""
        return Made(_text.write_folder(source, folder, checked, progress))

    def command(self, source: Source, folder: str) -> str:
        """One question, or one piece of code, with transformers alone."""
        last = _text.ASK if source.task == CHAT else _text.GO_ON
        code = f"from transformers import pipeline; p = pipeline('text-generation', {folder!r}); {last}"
        return _text.python(code)
