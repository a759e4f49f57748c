"""The PEFT library's methods: each folder of its tuners becomes a method under that name (see `registry.guests`).

Nothing is listed here. What a method can be told is read from its configuration's fields without importing the library,
and whether it works here is tried out (`_probe`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, make_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from engrain.errors import ModelError, SettingError
from engrain.fetch import quiet
from engrain.methods._low_rank import named
from engrain.methods._probe import KEPT, probe
from engrain.methods.base import Method, SizeUnknown
from engrain.models import decoder_layers
from engrain.settings import Around, check, setting

if TYPE_CHECKING:
    import torch
    from torch import nn

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
PAPER = re.compile(r"https?://(?:huggingface\.co/papers|(?:www\.)?arxiv\.org/\w+|openreview\.net|doi\.org)/[\w.?=&/-]*\w")
ARXIV = re.compile(r"\d{4}\.\d{5}")
PAPERS = {
    "glora": "2306.07967", "gralora": "2505.20355", "p_tuning": "2103.10385", "prefix_tuning": "2101.00190",
    "prompt_tuning": "2104.08691", "shira": "2406.13175", "waveft": "2505.12532",
}  # fmt: skip
"""On arXiv, of tuners whose own files name none."""
BETWEEN_OPTIONS = re.compile(r",(?![^\[]*\])")
"""A comma that stands in no list."""
OUTLINE = re.compile(r"(?<![a-z])meta(?![a-z])")
"""In what torch says where values are needed and there is an outline only."""
ADAPTER_TOKENS = 10
"""Learned tokens a layer of adaption prompts, as in their paper (arXiv 2303.16199); the library has no usual number."""
OWN = {"r": "rank", "target_modules": "target_modules", "num_virtual_tokens": "virtual_tokens"}
"""Options of the library that are settings of ours."""
ON_CUDA = {"boft_n_butterfly_factor": 1}
"""Options of the library that need a kernel of its own for CUDA → what it silently takes elsewhere."""
PROMPT_BASE = "Prompt"
"""In the names of configurations of methods that put virtual tokens before the text."""


@dataclass(frozen=True)
class Declared:
    """What a tuner's configuration says of itself: its class, its own fields with their literal defaults, and a paper."""

    config: str
    fields: dict[str, Any]
    prompts: bool
    paper: str


class Tuner(Method):
    """A method of the PEFT library, put into the model in place and saved in the library's format."""

    artifact: ClassVar[str] = "adapter"
    learning_rate: ClassVar[float] = 2e-3
    keeps_float32: ClassVar[bool] = True
    tuner: ClassVar[str]
    declared: ClassVar[Declared]

    @property
    def merges(self) -> bool:  # type: ignore[override]
        """Whether the library can turn the result into a plain model, which was tried out."""
        return probe(self.tuner).merges

    def pace(self, model: nn.Module) -> float:
        """1 where only vectors train, scales or virtual tokens: what holds of matrices in wide models is not known of these."""
        vectors = all(p.numel() == max(p.shape) for p in model.parameters() if p.requires_grad)
        return 1.0 if self.declared.prompts or vectors else super().pace(model)

    def apply(self, model: nn.Module) -> None:
        """Let the library freeze the model and put its parts in. Raises SettingError with the library's reason where it cannot."""
        wrap(model, self.config(model), self.tuner)

    def config(self, model: nn.Module) -> Any:
        """The library's configuration for this model. Raises SettingError where a value does not fit."""
        import peft

        chosen, declared = self.settings, self.declared
        if declared.prompts and not hasattr(model, "get_input_embeddings"):
            raise SettingError(f"method={self.tuner!r} puts learned tokens before a text, and this model reads none", "Use --method lora.")
        values: dict[str, Any] = {"task_type": "CAUSAL_LM"}
        if declared.fields.get("r"):
            values["r"] = chosen.rank
        if "target_modules" in declared.fields and chosen.target_modules != "default":
            values["target_modules"] = targets(chosen.target_modules, model)
        if declared.prompts:
            values["num_virtual_tokens"] = chosen.virtual_tokens
        if "adapter_layers" in declared.fields:
            values |= {"adapter_len": ADAPTER_TOKENS, "adapter_layers": len(decoder_layers(model))}
        if "encoder_hidden_size" in declared.fields:
            values["encoder_hidden_size"] = model.get_input_embeddings().weight.shape[1]
        if "progressbar" in declared.fields:
            values["progressbar"] = False
        with told(self.tuner):
            return getattr(peft, declared.config)(**{**values, **options(chosen.tuner_options)})

    def narrow(self, model: nn.Module) -> Collection[str]:
        """What the library itself leaves in the model's own format."""
        import torch

        return [name for name, p in model.named_parameters() if p.requires_grad and p.dtype != torch.float32]

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write `adapter_config.json` and `adapter_model.safetensors`."""
        with quiet():
            getattr(model, KEPT).save_pretrained(folder)

    def load(self, model: nn.Module, folder: Path) -> None:
        """Read an adapter back; ModelError lists every tensor that does not fit."""
        from peft import get_peft_model_state_dict, set_peft_model_state_dict
        from safetensors.torch import load_file

        missing = [f"{name}: not there" for name in (TENSORS, CONFIG) if not (folder / name).is_file()]
        if missing:
            raise ModelError(f"{folder} holds no adapter:", "Choose the folder that the run wrote (adapter/).", missing)
        wrapper, tensors = getattr(model, KEPT), load_file(folder / TENSORS)
        check_fit(folder / TENSORS, tensors, get_peft_model_state_dict(wrapper))
        set_peft_model_state_dict(wrapper, tensors)
        wrapper.peft_config["default"].inference_mode = True

    def merge(self, model: nn.Module) -> None:
        """Let the library add its parts to the weights and take them out."""
        if not self.merges:
            raise SettingError(f"method={self.tuner!r}: its result cannot be merged into the weights", "Use --method lora, or the adapter.")
        with quiet():
            getattr(model, KEPT).merge_and_unload()
        vars(model).pop(KEPT)


@cache
def member(name: str, folder: Path) -> type[Tuner]:
    """The method that a folder of the library's tuners becomes."""
    declared = declaration(folder)
    values = {"__module__": f"engrain.methods.{name}", "__doc__": f"The PEFT library's {name}.", "tuner": name, "declared": declared}
    rate = {"learning_rate": 1e-2} if declared.prompts else {}
    return type(
        name.title().replace("_", ""), (Tuner,), {**values, **rate, "paper": declared.paper, "Settings": settings_of(name, declared)}
    )


def declaration(folder: Path) -> Declared:
    """What the files of a tuner say, read without importing them."""
    source = (folder / "config.py").read_text(encoding="utf-8")
    classes = [n for n in ast.parse(source).body if isinstance(n, ast.ClassDef) and n.name.endswith("Config") and n.bases]
    kind = classes[-1]
    found = {s.target.id: _default(s.value) for s in kind.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)}
    model = folder / "model.py"
    text = source + (model.read_text(encoding="utf-8") if model.is_file() else "")
    link, number = PAPER.search(text), ARXIV.search(text)
    known = number[0] if number else PAPERS.get(folder.name)
    paper = link[0] if link else f"https://arxiv.org/abs/{known}" if known else ""
    prompts = any(PROMPT_BASE in ast.unparse(base) for base in kind.bases)
    return Declared(kind.name, found, prompts, paper.replace("huggingface.co/papers", "arxiv.org/abs"))


def _default(value: ast.expr | None) -> Any:
    """A field's default where it is written down as a literal, else None."""
    if isinstance(value, ast.Call):
        value = next((k.value for k in value.keywords if k.arg == "default"), None)
    try:
        return ast.literal_eval(value) if value is not None else None
    except ValueError:
        return None


def settings_of(name: str, declared: Declared) -> type:
    """The settings of a tuner: rank, targets and virtual tokens where it has them, and any of its own by name."""
    made: list[tuple[str, type, Any]] = []
    if declared.fields.get("r"):
        made.append(("rank", int, setting(declared.fields["r"], "Rank r of the update.", sweep=Around(4))))
    if "target_modules" in declared.fields:
        made.append(("target_modules", str, setting("default", "Layers to adapt: default, all-linear, or names separated by commas.")))
    if declared.prompts:
        made.append(("virtual_tokens", int, setting(20, "Virtual tokens that stand before the text and are learned.", sweep=Around(4))))
    made.append(("tuner_options", str, setting("", "What else the PEFT library's configuration takes: name=value, separated by commas.")))

    def verify(self: Any) -> None:
        check(
            self,
            **{n: (getattr(self, n) > 0, "must be at least 1") for n in ("rank", "virtual_tokens") if hasattr(self, n)},
            tuner_options=(options(self.tuner_options) is not None, "must be name=value, separated by commas, a text with signs in quotes"),
        )
        reason = probe(name).reason
        if reason:
            raise SettingError(f"method={name!r} is not supported, because {reason}", "`engrain methods` lists those that are.")
        known = set(all_fields(declared.config))
        chosen = options(self.tuner_options)
        unknown = sorted(chosen.keys() - known)
        if unknown:
            raise SettingError(f"tuner_options: {name} has no {', '.join(unknown)}", f"It has: {', '.join(sorted(known))}.")
        check_cuda(chosen)
        twice = [f"{option} is --{own.replace('_', '-')}" for option, own in OWN.items() if option in chosen and hasattr(self, own)]
        if twice:
            raise SettingError(f"tuner_options: {', '.join(twice)}", "Give it there, and leave it out here.")

    return make_dataclass(f"{declared.config}Settings", made, namespace={"__post_init__": verify}, frozen=True)


def check_cuda(chosen: dict[str, Any]) -> None:
    """Raise SettingError for options that the library would pass over, because this machine has no CUDA."""
    import torch

    lost = [f"{name}={chosen[name]}" for name, elsewhere in ON_CUDA.items() if chosen.get(name, elsewhere) != elsewhere]
    if lost and not torch.cuda.is_available():
        raise SettingError(f"tuner_options: {', '.join(lost)} needs CUDA, which this machine does not have", "Leave it out.")


def all_fields(config: str) -> list[str]:
    """The names of everything that a configuration of the library takes."""
    with quiet():
        import peft

    return [f.name for f in fields(getattr(peft, config))]


def options(text: str) -> Any:
    """Name → value of `name=value` parts separated by commas, values as YAML reads them; None where one cannot be read."""
    import yaml

    pairs = [part.partition("=") for part in BETWEEN_OPTIONS.split(text) if part.strip()]
    if any(not name.strip() or not equals for name, equals, _ in pairs):
        return None
    try:
        return {name.strip(): yaml.safe_load(value) for name, _, value in pairs}
    except yaml.YAMLError:
        return None


def targets(text: str, model: nn.Module) -> str | list[str]:
    """Target modules as the library takes them. Raises SettingError for names that the model does not have, which that passes over."""
    if text == "all-linear":
        return text
    there = [name for name, module in model.named_modules() if any(True for _ in module.parameters(recurse=False))]
    found = named(text, there)
    missing = [part for part, names in found.items() if not names]
    if missing or not found:
        have = ", ".join(sorted({name.rpartition(".")[2] for name in there}))
        raise SettingError(f"target_modules: there is no {', '.join(missing) or 'name'}", f"This model has: {have}.")
    return list(found)


def wrap(model: nn.Module, config: Any, name: str) -> None:
    """Put the library's parts into the model, and keep its handle to them beside it."""
    from peft import get_peft_model

    with told(name), quiet():
        wrapper = get_peft_model(model, config)
        if config.is_prompt_learning:
            from engrain.methods._soft_prompt import put_before

            put_before(model, wrapper)
    vars(model)[KEPT] = wrapper  # not as a part of the model, which would then be a part of itself


@contextmanager
def told(name: str) -> Iterator[None]:
    """What the library raises becomes a SettingError with its words."""
    try:
        yield
    except SettingError:
        raise
    except Exception as error:
        words = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, RuntimeError) and OUTLINE.search(words):
            raise SizeUnknown(f"method={name!r}: its size depends on the model's values", "Leave out the plan and build.") from error
        if not isinstance(error, ValueError | ImportError):
            words = f"it cannot be put into a model with these settings ({type(error).__name__}: {words})"
        raise SettingError(f"method={name!r} cannot be used like this: {words}", "Change its settings.") from error


def check_fit(file: Path, tensors: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> None:
    """Raise ModelError that lists every tensor that only one side has, or in another shape."""
    problems = [f"{name}: not in the model" for name in tensors if name not in own]
    problems += [f"{name}: not in the file" for name in own if name not in tensors]
    problems += [
        f"{name}: {tuple(t.shape)} in the file, {tuple(own[name].shape)} in the model"
        for name, t in tensors.items()
        if name in own and t.shape != own[name].shape
    ]
    if problems:
        raise ModelError(f"{file} does not fit this model:", "Load it into the base model it was trained from.", problems)
