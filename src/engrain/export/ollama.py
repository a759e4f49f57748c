"""For Ollama: the GGUF file and a Modelfile with the prompt's form, the usual system text and where answers stop."""

from __future__ import annotations

import re
from pathlib import Path
from shlex import quote
from typing import ClassVar

from engrain.errors import ModelError
from engrain.export import _gguf_check
from engrain.export._gguf import TO_QUANTIZE, TYPES, USUAL
from engrain.export._go_template import GoTemplate, go_template
from engrain.export.base import CHAT, Made, Source, Target
from engrain.files import write_text
from engrain.models import load_tokenizer, locate
from engrain.progress import Progress

FILE = "Modelfile"
PARAMETERS = {"temperature": "0", "repeat_penalty": "1.0"}
"""The likeliest token each time, as engrain answers; Ollama's own penalty on repetition would change prices and names."""


class Ollama(Target):
    """A folder from which `ollama create` makes a model."""

    title: ClassVar[str] = "Ollama"
    text: ClassVar[str] = "A file and a recipe from which Ollama makes a model to talk to on your own computer."
    tasks: ClassVar[tuple[str, ...]] = (CHAT,)
    types: ClassVar[tuple[str, ...]] = TYPES
    usual: ClassVar[str] = USUAL
    refused: ClassVar[str] = TO_QUANTIZE

    def obstacle(self, source: Source) -> str:
        """What stands in the way of a GGUF file."""
        return _gguf_check.obstacle(source)

    def size(self, source: Source) -> int:
        """That of the GGUF file."""
        return _gguf_check.size(source)

    def write(self, source: Source, folder: Path, checked: bool, progress: Progress) -> Made:
        """The file and the recipe. Raises ModelError for a chat template that Ollama's language cannot say."""
        tokenizer = load_tokenizer(locate(str(source.settings["base"]), progress))
        template = go_template(tokenizer)
        if template is None:
            raise ModelError(
                "The base's chat template does more than Ollama's template language can say",
                "Take --to gguf: llama.cpp reads the template itself.",
            )
        check = _gguf_check.write(source, folder, checked, progress)
        write_text(folder / FILE, modelfile(_gguf_check.file_name(source), template, str(tokenizer.eos_token)))
        return Made(check)

    def command(self, source: Source, folder: str) -> str:
        """Make the model, then talk to it."""
        name = re.sub(r"[^a-z0-9._-]+", "-", source.name.lower()).strip("-._") or "engrain"
        return f"ollama create {name} -f {quote(f'{folder}/{FILE}')} && ollama run {name}"


def modelfile(file: str, template: GoTemplate, stop: str) -> str:
    """The recipe's text."""
    lines = [f"FROM ./{file}", f'TEMPLATE """{template.text}"""']
    if template.system:
        lines.append(f'SYSTEM """{template.system}"""')
    lines += [f"PARAMETER {name} {value}" for name, value in PARAMETERS.items()]
    return "\n".join([*lines, f'PARAMETER stop "{stop}"']) + "\n"
