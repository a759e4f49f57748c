"""For Apple silicon: the merged folder, which mlx-lm reads as it is."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import ClassVar

from engrain.export import _text
from engrain.export.base import CHAT, Made, Source, Target
from engrain.progress import Progress

READ_AS_IT_IS = "mlx-lm reads folders in Hugging Face layout; nothing is converted. engrain reads this one back with transformers."


class Mlx(Target):
    """The same files as `merged`, with the command of mlx-lm."""

    title: ClassVar[str] = "Apple silicon (MLX)"
    text: ClassVar[str] = "The whole model as a folder that mlx-lm reads, for a Mac with Apple silicon."
    types: ClassVar[tuple[str, ...]] = ("f32", "f16", "bf16")
    refused: ClassVar[str] = "Fewer bits makes mlx-lm itself there: mlx_lm.convert -q."

    def obstacle(self, source: Source) -> str:
        """A method whose result is no plain model."""
        return _text.cannot_merge(source)

    def size(self, source: Source) -> int:
        """That of the base's weights."""
        return _text.folder_size(source)

    def write(self, source: Source, folder: Path, checked: bool, progress: Progress) -> Made:
        """Load, merge, save, read back."""
        return Made(_text.write_folder(source, folder, checked, progress), (READ_AS_IT_IS,))

    def command(self, source: Source, folder: str) -> str:
        """A conversation, or one piece of code."""
        if source.task == CHAT:
            return f"pip install mlx-lm && mlx_lm.chat --model {quote(folder)} --temp 0"
        return f"pip install mlx-lm && mlx_lm.generate --model {quote(folder)} --ignore-chat-template --temp 0 --prompt 'def main():'"
