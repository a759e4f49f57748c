"""Base models: find one by alias, Hub id, folder or GGUF file, and load it; device, precision, sizes.

Only safetensors and JSON are loaded, and no code that a model carries is run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from engrain.cores import limit_threads
from engrain.errors import ModelError, SettingError
from engrain.fetch import (
    EMBEDDED,
    MANIFEST,
    cached_hub,
    convert_gguf,
    embedded,
    embedded_folder,
    fetch_hub,
    hub_config,
    is_whole,
    loading,
    manifest,
    model_errors,
    quiet,
    read_json,
)
from engrain.files import sha256_of
from engrain.progress import SILENT, Progress
from engrain.settings import check_choices, setting

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

KEPT_PRODUCTS = dict.fromkeys(("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"), "64")
"""How many products oneDNN, and what PyTorch puts around it, keep code for, half a megabyte each: their own 1,024 would fill up.

Rows of text have ever other lengths; the products of one step are some dozens.
"""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].capitalize() + ': ' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}"
)
"""The template for bases that were never taught to chat and carry none."""


@dataclass(frozen=True)
class BaseSettings:
    """Which pre-trained model to start from, and how it computes."""

    base: str = setting("smollm2-135m", "The pre-trained model: smollm2-135m, a Hub id (org/name), a folder or a .gguf file.")
    precision: str = setting("auto", "The number format the model computes in.", choices=("auto", "float32", "bfloat16"))
    device: str = setting("auto", "Where the model computes.", choices=("auto", "cpu", "cuda", "mps"))

    def __post_init__(self) -> None:
        check_choices(self)

    def resolve(self) -> tuple[str, torch.dtype]:
        """The device and the number format that these settings mean on this machine."""
        import torch

        device = choose_device(self.device)
        return device, choose_dtype(device) if self.precision == "auto" else getattr(torch, self.precision)


@dataclass(frozen=True)
class Base:
    """A base model on this disk, in Hugging Face layout; `source` is embedded, hub, folder or gguf.

    `revision` names the exact version where the source has versions: package version, Hub commit, sha256 of the GGUF.
    """

    name: str
    folder: Path
    revision: str
    source: str

    @property
    def key(self) -> str:
        """A name for files that belong to exactly this base: its name and version, or what its files hash to."""
        if self.source == "embedded":
            return re.sub(r"[^\w.-]+", "-", f"{self.name}-{self.revision}")
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def files(self) -> dict[str, str]:
        """The sha256 of every file, by name: from the manifest where there is one, else computed now."""
        if (self.folder / MANIFEST).is_file():
            return {name: entry["sha256"] for name, entry in manifest(self.folder).items()}
        return {path.name: sha256_of(path) for path in sorted(self.folder.iterdir()) if path.suffix in {".json", ".safetensors", ".jinja"}}


def locate(base: str, progress: Progress = SILENT) -> Base:
    """The base model that `base` names, on this disk; fetched and converted first if need be.

    `base` is an embedded alias, a folder in Hugging Face layout, a `.gguf` file or a Hub id `org/name`.
    Raises ModelError when it cannot be found, lacks files, or could only be loaded by running what it carries.
    """
    path = Path(base).expanduser()
    if base in EMBEDDED:
        return Base(base, *embedded(base, progress), "embedded")
    if path.is_dir():
        return _checked(Base(base, path.resolve(), "", "folder"))
    if path.suffix.lower() == ".gguf":
        return Base(base, *convert_gguf(path, progress), "gguf")
    if _is_hub_id(base):
        return _checked(Base(base, *fetch_hub(base, progress), "hub"))
    known = ", ".join(EMBEDDED)
    raise ModelError(f"base={base!r}: no such model, folder or file", f"Use {known}, a Hub id (org/name), a folder, or a .gguf file.")


def on_disk(base: str) -> Base | None:
    """The base model that `base` names if nothing has to be fetched for it; else None. Raises ModelError as `locate` does."""
    if base in EMBEDDED:
        return locate(base) if is_whole(embedded_folder(base)) else None
    if not _is_hub_id(base):
        return locate(base)
    folder = cached_hub(base)
    return _checked(Base(base, folder, folder.name, "hub")) if folder else None


def outline(base: str) -> PreTrainedModel:
    """The model that `base` names without its weights (on torch's meta device), made of its configuration alone; frozen."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    found = on_disk(base)
    with loading(f"the configuration of base={base!r} cannot be used"):
        if found is None and base in EMBEDDED:
            config = AutoConfig.for_model(**EMBEDDED[base].config)
        else:
            file = found.folder / "config.json" if found else hub_config(base)
            config = AutoConfig.from_pretrained(file, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    return model.eval().requires_grad_(False)


def load_model(base: Base, *, dtype: torch.dtype | None = None, device: str | None = None) -> PreTrainedModel:
    """The model in evaluation mode with every parameter frozen; None means this machine's best device and format.

    Raises ModelError when the files do not fit the configuration: a tensor that lacks would silently be random.
    """
    from transformers import AutoModelForCausalLM

    limit_threads()
    for name, count in KEPT_PRODUCTS.items():
        os.environ.setdefault(name, count)
    device = device or choose_device()
    options = {"trust_remote_code": False, "use_safetensors": True, "local_files_only": True, "output_loading_info": True}
    with loading(f"base={base.name!r} cannot be loaded"):
        model, report = AutoModelForCausalLM.from_pretrained(base.folder, dtype=dtype or choose_dtype(device), **options)
        model = model.to(device)
    problems = [f"{name} is missing" for name in sorted(report["missing_keys"])]
    problems += [f"{name} has shape {found}, not {wanted}" for name, found, wanted in sorted(report["mismatched_keys"])]
    if problems:
        raise ModelError(f"base={base.name!r}: its weights do not fit its config.json:", "Fetch it again.", problems)
    return model.eval().requires_grad_(False)


def load_tokenizer(base: Base) -> PreTrainedTokenizerBase:
    """The base's tokenizer, with a chat template (PLAIN_TEMPLATE if it came with none) and a padding token."""
    from transformers import AutoTokenizer

    with quiet(), model_errors(f"the tokenizer of base={base.name!r} cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(base.folder, trust_remote_code=False, local_files_only=True)
    if tokenizer.eos_token is None:
        raise ModelError(f"base={base.name!r}: its tokenizer has no end-of-text token", "Set eos_token in tokenizer_config.json.")
    tokenizer.chat_template = tokenizer.chat_template or PLAIN_TEMPLATE
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return tokenizer


def choose_device(asked: str = "auto") -> str:
    """The device `asked` for; "auto" means ENGRAIN_DEVICE, or else the fastest there is (cuda, mps, cpu)."""
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    have = [name for name, there in available.items() if there]
    origin = "ENGRAIN_DEVICE" if asked == "auto" else "device"
    device = os.environ.get("ENGRAIN_DEVICE") or have[0] if asked == "auto" else asked
    if device.partition(":")[0] not in have:
        raise SettingError(f"{origin}={device!r}: torch finds no such device on this machine", f"Choose one of: {', '.join(have)}.")
    return device


def choose_dtype(device: str) -> torch.dtype:
    """bfloat16 where the device multiplies it in hardware, else float32."""
    import torch

    if device.startswith("cuda"):
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.startswith("mps"):
        fast = torch.backends.mps.is_macos_or_newer(14, 0)
    else:
        features: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # a torch that cannot say gets the safe choice
        fast = any(features.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.bfloat16 if fast else torch.float32


def count_parameters(model: torch.nn.Module, *, trainable: bool = False) -> int:
    """How many numbers the model holds (shared ones once); only those that train if `trainable`."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable)


def decoder_layers(model: torch.nn.Module) -> torch.nn.ModuleList:
    """The stack of decoder layers, whatever the architecture calls it: its longest module list.

    Raises SettingError when the model has none.
    """
    from torch import nn

    stacks = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    if not stacks:
        raise SettingError(f"{type(model).__name__} has no stack of layers", "Name modules in --layers, or use --method full or lora.")
    return max(stacks, key=len)


def lowest_trained(model: torch.nn.Module) -> int | None:
    """The number of the lowest decoder layer in which something trains; None where nothing does."""
    return next((i for i, layer in enumerate(decoder_layers(model)) if any(p.requires_grad for p in layer.parameters())), None)


def context_length(model: PreTrainedModel) -> int:
    """How many tokens the model can see at once; a very large number where its configuration sets no limit."""
    config = model.config.get_text_config()
    return getattr(config, "max_position_embeddings", None) or sys.maxsize


def _is_hub_id(base: str) -> bool:
    path = Path(base).expanduser()
    taken = path.is_dir() or path.suffix.lower() == ".gguf"
    return bool(HUB_ID.fullmatch(base)) and not base.startswith(".") and not taken


def _checked(base: Base) -> Base:
    """The base itself, once its folder holds all that is needed and nothing that would have to be run."""
    problems = _missing(base.folder) or _unsafe(base.folder)
    if problems:
        raise ModelError(f"base={base.name!r} cannot be used:", "Choose another base, or complete this one.", problems)
    return base


def _missing(folder: Path) -> list[str]:
    problems = [f"{path.name} is missing" for path in (folder / "config.json", *_weights(folder)) if not path.is_file()]
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
        why = f" ({', '.join(pickled)} is a pickle: loading it can run code, so it is not read)" if pickled else ""
        problems.append(f"model.safetensors is missing{why}")
    if not (folder / "tokenizer.json").is_file() and not (folder / "vocab.json").is_file():
        problems.append("tokenizer.json is missing")
    return problems


def _weights(folder: Path) -> list[Path]:
    """The weight files: those the index names, else all."""
    index = folder / "model.safetensors.index.json"
    names = set(read_json(index)["weight_map"].values()) if index.is_file() else {path.name for path in folder.glob("*.safetensors")}
    return [folder / name for name in sorted(names)]


def _unsafe(folder: Path) -> list[str]:
    configs = [folder / name for name in ("config.json", "tokenizer_config.json")]
    carriers = [path.name for path in configs if path.is_file() and "auto_map" in read_json(path)]
    return [f"{name} has auto_map: the model needs code that it carries itself, and engrain runs no such code" for name in carriers]
