"""A run's model as a GGUF file, read back and compared: what the targets `gguf` and `ollama` share."""

from __future__ import annotations

from pathlib import Path

from engrain.export import _gguf, _text
from engrain.export.base import Check, Source
from engrain.fetch import read_gguf
from engrain.progress import Progress


def kind(source: Source) -> str:
    """The number format: as asked for, or the usual one."""
    return source.type or _gguf.USUAL


def file_name(source: Source) -> str:
    """The name of the file."""
    return f"{source.name}-{kind(source)}.gguf"


def obstacle(source: Source) -> str:
    """A method whose result is no plain model, or a base that has no place in such a file; "" where both do."""
    return _text.cannot_merge(source) or (_gguf.obstacle(source.base.folder) if source.base else "")


def size(source: Source) -> int:
    """About how many bytes the file takes."""
    return _text.folder_size(Source(source.run, kind(source)))


def write(source: Source, folder: Path, checked: bool, progress: Progress) -> Check | None:
    """Write the file into the folder; read it back with engrain's own reader and compare where `checked`."""
    folder.mkdir(exist_ok=True)
    file = folder / file_name(source)
    model, tokenizer = _text.plain_model(source, progress)
    prompts = _text.probes(source, tokenizer) if checked else []
    ours = _text.answers(model, tokenizer, prompts, progress) if checked else None
    _gguf.write_gguf(model, tokenizer, file, source.name, kind(source), progress)
    del model
    if ours is None:
        return None
    theirs, again = read_gguf(file, progress)
    _text.same_tokens(tokenizer, again, prompts)
    return _text.compared(ours, _text.answers(theirs, again, prompts, progress), "engrain's GGUF reader", kind(source))
