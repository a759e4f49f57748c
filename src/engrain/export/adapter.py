"""Only what was learned, in the PEFT library's format, to be laid over the untouched base."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import ClassVar

from engrain.errors import ModelError
from engrain.export import _text
from engrain.export.base import CHAT, Made, Source, Target
from engrain.fetch import quiet
from engrain.files import write_text
from engrain.models import load_tokenizer
from engrain.progress import Progress

CONFIG = "adapter_config.json"


class Adapter(Target):
    """The run's adapter with the base's tokenizer; small, and worth nothing without exactly its base."""

    title: ClassVar[str] = "Only what was learned"
    text: ClassVar[str] = "A small file, an adapter in the PEFT library's format, that is laid over the untouched model."
    tasks: ClassVar[tuple[str, ...]] = (CHAT,)

    def obstacle(self, source: Source) -> str:
        """A method that trains the model itself, or beside other weights than the base's own."""
        if not _text.adapter_config(source):
            return f"the method {source.settings['method']} trains the model itself and leaves no adapter; take --to merged"
        return "its adapter was trained beside weights rounded to 4 bits; take --to merged" if _text.beside_rounded(source) else ""

    def size(self, source: Source) -> int:
        """That of the run's adapter."""
        return sum(path.stat().st_size for path in (source.run.path / "adapter").iterdir())

    def write(self, source: Source, folder: Path, checked: bool, progress: Progress) -> Made:
        """Copy it, name its base as others know it, and let the PEFT library read it back."""
        shutil.copytree(source.run.path / "adapter", folder, dirs_exist_ok=True)
        base = source.base
        if base is None:
            raise ModelError(f"base={source.settings['base']!r} is not on this disk", "Ask the run something once: engrain ask.")
        with quiet():
            load_tokenizer(base).save_pretrained(folder)
        config = _text.adapter_config(source) | {"base_model_name_or_path": source.hub_id or source.base_name}
        write_text(folder / CONFIG, json.dumps(config, indent=2) + "\n")
        made = Made(notes=() if source.hub_id else (f"Its base is {where(source)}; take that folder along.",))
        return Made(_text.adapter_compared(source, folder, progress), made.notes) if checked and source.method.merges else made

    def command(self, source: Source, folder: str) -> str:
        """Lay it over its base with the PEFT library."""
        base, merge = source.hub_id or where(source), ".merge_and_unload()" if source.method.merges else ""
        code = (
            "from peft import PeftModel; from transformers import AutoModelForCausalLM as M, AutoTokenizer as T, pipeline; "
            f"m = PeftModel.from_pretrained(M.from_pretrained({base!r}), {folder!r}){merge}; "
            f"p = pipeline('text-generation', m, tokenizer=T.from_pretrained({folder!r})); {_text.ASK}"
        )
        return _text.python(code)


def where(source: Source) -> str:
    """The folder of a base that has no name on the Hub."""
    return str(source.base.folder) if source.base else source.base_name
