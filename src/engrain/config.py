"""Settings of one run, composed of what each part declares for itself.

Every setting is a field of its owner's frozen dataclass (see `settings.py`). Command-line options, configuration
files, the configuration in `run.json` and the JSON schema are derived from those fields here; nothing is written a
second time. Seen from outside, all settings stand side by side under their own names.
"""

from __future__ import annotations

import difflib
import importlib
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engrain import registry
from engrain.errors import SettingError
from engrain.settings import Around

if TYPE_CHECKING:
    from engrain.coding.repository import CodeSettings
    from engrain.examples import ChatSettings
    from engrain.imaging.pictures import ImageSettings
    from engrain.knowledge.dataset import KnowledgeSettings
    from engrain.models import BaseSettings
    from engrain.privacy import PrivacySettings
    from engrain.study.base import StudySettings
    from engrain.tasks.base import TaskSettings
    from engrain.train import TrainingSettings
    from engrain.verdict import VerdictSettings

PARTS = {
    "task": "engrain.tasks.base:TaskSettings",
    "model": "engrain.models:BaseSettings",
    "privacy": "engrain.privacy:PrivacySettings",
    "knowledge": "engrain.knowledge.dataset:KnowledgeSettings",
    "study": "engrain.study.base:StudySettings",
    "chat": "engrain.examples:ChatSettings",
    "training": "engrain.train:TrainingSettings",
    "verdict": "engrain.verdict:VerdictSettings",
    "code": "engrain.coding.repository:CodeSettings",
    "images": "engrain.imaging.pictures:ImageSettings",
}
"""Part → where its settings are declared; imported on use, because some parts import torch."""

TASK, DEFAULT_TASK = "task", "chat"
USED = {
    DEFAULT_TASK: ("task", "model", "privacy", "knowledge", "study", "chat", "training", "verdict"),
    "code": ("task", "model", "training", "code"),
    "image-classification": ("task", "device", "training", "images"),
}
"""Task → the parts, or single settings, that can take effect in it."""
DOCUMENT_PARTS = tuple(part for part in USED[DEFAULT_TASK] if part != TASK)
METHOD = "method"
DEFAULT_METHOD = "lora"
TOP_LAYERS = "0.5"
"""What lora adapts for documents where nothing is said: in the same time fewer layers make more steps, which teach more by heart."""
BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class Settings:
    """Everything that decides how a run turns out; made by `settings_from`."""

    task: TaskSettings
    model: BaseSettings
    privacy: PrivacySettings
    knowledge: KnowledgeSettings
    study: StudySettings
    chat: ChatSettings
    training: TrainingSettings
    verdict: VerdictSettings
    code: CodeSettings
    images: ImageSettings
    method: str
    method_settings: Any

    def for_documents(self) -> Settings:
        """These settings as documents are built with: of lora's layers the top ones, where nothing is said."""
        usual = {name: value for name, value in as_built(self.method).items() if not getattr(self.method_settings, name)}
        return replace(self, method_settings=replace(self.method_settings, **usual))

    def within_budget(self, besides: float = 0.0) -> Settings:
        """These settings, with a time budget for training where nothing says how long; `besides` it a build takes so many seconds."""
        return replace(self, training=self.training.within_budget(besides))

    def to_dict(self) -> dict[str, Any]:
        """Every setting that takes effect, under its own name, as JSON knows it; `settings_from` makes the same Settings of it."""
        owners = {part: getattr(self, part) for part in PARTS} | {self.method: self.method_settings}
        used = (*USED[self.task.task], self.method)
        values = {f.name: getattr(o, f.name) for part, o in owners.items() for f in fields(o) if part in used or f.name in used}
        return {METHOD: self.method} | {name: _plain(value) for name, value in values.items()}


@dataclass(frozen=True)
class Setting:
    """A setting as seen from outside; `owners` are the parts and methods that have it, `kind` its type without None.

    The flag of a yes-or-no setting is given to choose the opposite of the default (`--no-shuffle`). `sweep` says which values
    are worth trying.
    """

    name: str
    kind: Any
    optional: bool
    default: Any
    help: str
    choices: tuple[str, ...]
    flag: str
    owners: tuple[str, ...]
    sweep: Around | tuple[Any, ...] = ()


def as_built(method: str) -> dict[str, Any]:
    """The settings of a method, by name, that documents are built with where nothing else is said and that are not its own defaults."""
    return {"layers": TOP_LAYERS} if method == DEFAULT_METHOD else {}


def compared_names() -> tuple[str, ...]:
    """The settings that hold for every method of a comparison: those for documents, but those of the verdict, the method and the seed."""
    parts = set(DOCUMENT_PARTS) - {"verdict"}
    return tuple(s.name for s in catalogue().values() if set(s.owners) & parts and s.name not in (METHOD, "seed"))


def settings_from(values: Mapping[str, Any], file: Path | None = None, parts: Sequence[str] = tuple(PARTS)) -> Settings:
    """The Settings in which `values` (name → value) win over those of a YAML or JSON file, and those over the defaults.

    Raises SettingError listing together every unknown name, every value of a wrong type or range, and every setting
    that cannot take effect: because the method does not have it, or because it belongs to none of `parts` (of which
    some may be names of single settings).
    """
    given = read_config(file) if file else {}
    given |= {name: (value, "") for name, value in values.items()}
    method = str(given.get(METHOD, (DEFAULT_METHOD, ""))[0])
    registry.find("methods", method)
    task = str(given.get(TASK, (DEFAULT_TASK, ""))[0])
    problems: list[str] = []
    checked: dict[str, Any] = {}
    for name, (value, place) in given.items():
        try:
            checked[name] = _value(name, value, method, parts, task)
        except ValueError as error:
            problems.append(f"{place}{name}={value!r}: {error}")
    made = {owner: _make(owner, checked, problems) for owner in [*PARTS, method]}
    if problems:
        raise SettingError("These settings cannot be used:", "Change them and start again; --help lists all settings.", problems)
    return Settings(**{part: made[part] for part in PARTS}, method=method, method_settings=made[method])


def catalogue() -> dict[str, Setting]:
    """Name → Setting for all there are: `method`, then the parts' settings, then those of every method."""
    methods = registry.names("methods")
    how = "How the model is fine-tuned; `engrain methods` lists all."
    found = {METHOD: Setting(METHOD, str, False, DEFAULT_METHOD, how, methods, METHOD, ("training",))}
    for owner in [*PARTS, *methods]:
        for name, declared in _declared(owner).items():
            earlier = found.get(name)
            found[name] = declared if earlier is None else Setting(**vars(earlier) | {"owners": (*earlier.owners, owner)})
    return found


def json_schema() -> dict[str, Any]:
    """The JSON schema of a configuration file; `x-owners` names the parts and methods a setting belongs to."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "engrain configuration",
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _schema(setting) for name, setting in catalogue().items()},
    }


def owner_class(owner: str) -> type:
    """The dataclass with the settings of a part, or of the method of that name."""
    if owner not in PARTS:
        return typing.cast(type, getattr(registry.find("methods", owner), "Settings"))  # noqa: B009 - `type` declares no Settings
    module, _, name = PARTS[owner].partition(":")
    return typing.cast(type, getattr(importlib.import_module(module), name))


@cache
def _declared(owner: str) -> dict[str, Setting]:
    """Name → Setting for the fields of one owner."""
    return declared_by(owner_class(owner), owner)


def sweepable(method: str) -> dict[str, Setting]:
    """Name → Setting for all that a sweep can tune: settings of training, and of the method."""
    return {name: found for owner in ("training", method) for name, found in _declared(owner).items() if found.sweep}


def as_options(settings: Settings) -> list[str]:
    """What has to be typed so that these settings come out: every option whose value is not the default."""
    typed = [] if settings.method == DEFAULT_METHOD else ["--method", settings.method]
    values = settings.to_dict()
    for owner in (*PARTS, settings.method):
        for name, found in _declared(owner).items():
            if name in values and values[name] != _plain(found.default):
                typed += [f"--{found.flag}"] if found.kind is bool else [f"--{found.flag}", _typed(values[name])]
    return typed


def _typed(value: Any) -> str:
    """A value as it is typed after its option."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def declared_by(declared: type, owner: str) -> dict[str, Setting]:
    """Name → Setting for the fields of a dataclass of settings."""
    hints = typing.get_type_hints(declared)
    return {f.name: _setting(f, hints[f.name], owner) for f in fields(declared)}


def _setting(f: Field[Any], hint: Any, owner: str) -> Setting:
    union = isinstance(hint, types.UnionType)
    kind = next(t for t in typing.get_args(hint) if t is not types.NoneType) if union else hint
    default = f.default_factory() if f.default_factory is not MISSING else f.default
    flag = f.metadata.get("flag", "").removeprefix("--") or ("no-" if default is True else "") + f.name.replace("_", "-")
    told = {name: f.metadata.get(name, "" if name == "help" else ()) for name in ("help", "choices", "sweep")}
    return Setting(f.name, kind, union, default, flag=flag, owners=(owner,), **told)


def _value(name: str, value: Any, method: str, parts: Sequence[str], task: str) -> Any:
    """The value in the setting's type; ValueError says why it cannot be."""
    setting = catalogue().get(name)
    if setting is None:
        close = difflib.get_close_matches(name.replace("-", "_"), catalogue(), n=1)
        raise ValueError("there is no such setting" + (f"; did you mean {close[0]!r}?" if close else ""))
    if name != METHOD and not _has(setting, USED.get(task, parts), method) and _has(setting, parts, method):
        raise ValueError(f"it cannot take effect: the task {task!r} does not use it")
    if not _has(setting, parts, method):
        of_methods = [owner for owner in setting.owners if owner not in PARTS]
        why = f"the method {method!r} has no such setting ({', '.join(of_methods)} has)" if "training" in parts else "it is not used here"
        raise ValueError(f"it cannot take effect: {why if of_methods else 'it is not used here'}")
    if value is None and setting.optional:
        return None
    return convert(value, setting.kind)


def _has(setting: Setting, parts: Sequence[str], method: str) -> bool:
    """Whether a setting is one of `parts`, belongs to one, or to the method where there is training."""
    usable = [*parts, method] if "training" in parts else parts
    return setting.name in parts or bool(set(setting.owners) & set(usable))


def convert(value: Any, kind: Any) -> Any:
    """The value as `kind`: from a configuration file all come as text, from Python in their own type."""
    if kind is bool:
        found = BOOLEANS.get(str(value).lower())
        if found is None:
            raise ValueError("it must be true or false")
        return found
    if typing.get_origin(kind) is tuple:
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise ValueError("it must be a list")
        return tuple(convert(item.strip() if isinstance(item, str) else item, typing.get_args(kind)[0]) for item in items)
    if kind in (int, float):
        return _number(value, kind)
    if isinstance(value, bool | list | dict | None):
        raise ValueError("it must be a single text")
    return kind(value)


def _number(value: Any, kind: type[int] | type[float]) -> int | float:
    try:
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise TypeError
        number = kind(value)
        if not math.isfinite(number):
            raise ValueError
        return number
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"it must be a {'whole number' if kind is int else 'number'}") from None


def _make(owner: str, checked: Mapping[str, Any], problems: list[str]) -> Any:
    """The owner's dataclass with those of its settings that were given; its own complaints join `problems`."""
    try:
        return owner_class(owner)(**{name: value for name, value in checked.items() if name in _declared(owner)})
    except SettingError as error:
        problems.extend(error.problems or [error.message])


def read_config(file: Path) -> dict[str, tuple[Any, str]]:
    """Name → value as text, and its place, for a YAML or JSON file. Raises SettingError for one that holds no settings."""
    import yaml

    try:
        # Tabs never occur inside JSON's strings; outside them the YAML parser does not accept them.
        text = file.read_text(encoding="utf-8").expandtabs() if file.suffix == ".json" else file.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingError(f"--config {file}: it cannot be read: {error}", "Give a YAML or JSON file of `name: value` lines.") from error
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise SettingError(f"--config {file}: it holds no `name: value` lines", "Write one setting a line, such as `epochs: 3`.")
    places = [(str(key.value), _text(value), f"{file}, line {key.start_mark.line + 1}: ") for key, value in node.value]
    names = [name for name, _, _ in places]
    twice = [f"{place}{name}: given a second time" for index, (name, _, place) in enumerate(places) if name in names[:index]]
    if twice:
        raise SettingError(f"--config {file} contradicts itself:", "Leave one line of each setting.", twice)
    return {name: (value, place) for name, value, place in places}


def _text(node: Any) -> Any:
    """A YAML value with its scalars as text: so `1e-4` is a number and `20:29` is not, whatever YAML 1.1 says."""
    if isinstance(node.value, list):
        return [_text(item) for item in node.value] if node.id == "sequence" else {}
    return None if node.tag.endswith(":null") else node.value


def _schema(setting: Setting) -> dict[str, Any]:
    """The JSON schema of one setting."""
    names = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string"}
    kind = names.get(setting.kind, "array")
    entry: dict[str, Any] = {"type": [kind, "null"] if setting.optional else kind, "description": setting.help}
    entry["default"] = _plain(setting.default)
    if setting.choices:
        entry["enum"] = list(setting.choices)
    return entry | {"x-owners": list(setting.owners)}


def _plain(value: Any) -> Any:
    """The value as JSON knows it."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
