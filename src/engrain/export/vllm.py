"""For a vLLM server: the adapter where vLLM can fetch its base itself, else the merged folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from shlex import quote
from typing import ClassVar

from engrain.export import _text
from engrain.export.base import CHAT, Made, Source, Target
from engrain.files import write_text
from engrain.models import PLAIN_TEMPLATE, load_tokenizer
from engrain.progress import Progress

FILES = ("adapter_config.json", "adapter_model.safetensors")
TEMPLATE = "chat_template.jinja"
MOST_RANK = 512
"""The largest rank that vLLM serves."""
NOT_PLAIN = ("use_dora", "modules_to_save", "rank_pattern", "alpha_pattern", "trainable_token_indices", "target_parameters", "lora_bias")
"""What an adapter must not have for vLLM to lay it over a base: it knows two products beside a linear layer."""
LAID_OVER = "vLLM fetches the base itself and lays the adapter over it; other adapters of the same base can be served beside it."


class Vllm(Target):
    """What `vllm serve` takes. With a number format the model is always merged."""

    title: ClassVar[str] = "vLLM"
    text: ClassVar[str] = "For a server with a graphics card that many people use, with an OpenAI-compatible API."
    types: ClassVar[tuple[str, ...]] = ("f32", "f16", "bf16")
    refused: ClassVar[str] = "vLLM makes fewer bits itself: vllm serve --quantization."

    def obstacle(self, source: Source) -> str:
        """A method whose result is neither a plain model nor a plain LoRA adapter."""
        return "" if beside(source) else _text.cannot_merge(source)

    def size(self, source: Source) -> int:
        """That of the adapter, or of the base's weights."""
        return (source.run.path / "adapter" / FILES[1]).stat().st_size if beside(source) else _text.folder_size(source)

    def write(self, source: Source, folder: Path, checked: bool, progress: Progress) -> Made:
        """The adapter's files, read back by the PEFT library, or the merged model, read back by transformers."""
        if not beside(source):
            return Made(_text.write_folder(source, folder, checked, progress))
        for name in FILES:
            shutil.copyfile(source.run.path / "adapter" / name, folder / name)
        config = _text.adapter_config(source) | {"base_model_name_or_path": source.hub_id}
        write_text(folder / FILES[0], json.dumps(config, indent=2) + "\n")
        if prompts := template(source):
            write_text(folder / TEMPLATE, prompts)
        return Made(_text.adapter_compared(source, folder, progress) if checked else None, (LAID_OVER,))

    def command(self, source: Source, folder: str) -> str:
        """A server under the run's name, without the base's way of sampling."""
        if not beside(source):
            return f"vllm serve {quote(folder)} --served-model-name {quote(source.name)}"
        rank = int(_text.adapter_config(source)["r"])
        least = next(size for size in (8, 16, 32, 64, 128, 256, 320, MOST_RANK) if size >= rank)
        module = quote(f"{source.name}={folder}")
        prompts = f" --chat-template {quote(f'{folder}/{TEMPLATE}')}" if template(source) else ""
        return f"vllm serve {source.hub_id} --generation-config vllm{prompts} --enable-lora --max-lora-rank {least} --lora-modules {module}"


def template(source: Source) -> str:
    """The chat template that training used because the base has none; "" where it has one, or is not on this disk."""
    used = load_tokenizer(source.base).chat_template if source.base else ""
    return PLAIN_TEMPLATE if used == PLAIN_TEMPLATE else ""


def beside(source: Source) -> bool:
    """Whether the adapter is served beside its base: plain LoRA on a base from the Hub as it is, and no number format asked for."""
    config = _text.adapter_config(source)
    plain = config.get("peft_type") == "LORA" and config.get("bias", "none") == "none" and not any(map(config.get, NOT_PLAIN))
    fits = plain and not _text.beside_rounded(source) and int(config["r"]) <= MOST_RANK
    return bool(source.hub_id) and not source.type and source.task == CHAT and fits
