"""One GGUF file with weights, tokenizer and chat template, for llama.cpp and everything built on it."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import ClassVar

from engrain.export import _gguf, _gguf_check
from engrain.export.base import CHAT, Made, Source, Target
from engrain.progress import Progress


class Gguf(Target):
    """The merged model, its matrices in the chosen format."""

    title: ClassVar[str] = "llama.cpp (GGUF)"
    text: ClassVar[str] = "One file with everything in it, for llama.cpp, LM Studio and other programs on small computers."
    types: ClassVar[tuple[str, ...]] = _gguf.TYPES
    usual: ClassVar[str] = _gguf.USUAL
    refused: ClassVar[str] = _gguf.TO_QUANTIZE

    def obstacle(self, source: Source) -> str:
        """A method whose result is no plain model, or a base that has no place in such a file."""
        return _gguf_check.obstacle(source)

    def size(self, source: Source) -> int:
        """That of the base's weights in the chosen format."""
        return _gguf_check.size(source)

    def write(self, source: Source, folder: Path, checked: bool, progress: Progress) -> Made:
        """Write the file, read it back with engrain's own reader and compare."""
        return Made(_gguf_check.write(source, folder, checked, progress))

    def command(self, source: Source, folder: str) -> str:
        """A server with llama.cpp, or one piece of code."""
        file = quote(f"{folder}/{_gguf_check.file_name(source)}")
        return (
            f"llama-server -m {file} --temp 0"
            if source.task == CHAT
            else f"llama-completion -m {file} --temp 0 -n 64 -no-cnv -p 'def main():'"
        )
