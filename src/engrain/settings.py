"""How a part declares its settings: a frozen dataclass whose fields carry type, default and one sentence.

The command line, the configuration file and `run.json` are derived from these fields (see `config.py`), so a
setting is written once, by the part that uses it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from engrain.errors import SettingError


@dataclass(frozen=True)
class Around:
    """Values worth trying: from the usual one divided by `factor` to the usual one times `factor`, evenly by ratio."""

    factor: float


def setting(default: Any, sentence: str, *, flag: str = "", choices: tuple[str, ...] = (), sweep: Around | tuple[Any, ...] = ()) -> Any:
    """A dataclass field with its help sentence.

    `flag` overrides the command-line name (default: the field's name with dashes); `choices` lists the only values;
    `sweep` gives those that `engrain sweep` tries, where the setting is worth tuning.
    """
    return field(default=default, metadata={"help": sentence, "flag": flag, "choices": choices, "sweep": sweep})


def check(settings: Any, **rules: tuple[bool, str]) -> None:
    """Raise one SettingError that lists every broken rule; a rule is `name=(holds, "what it must be")`."""
    broken = [f"{name}={getattr(settings, name)!r}: {must}" for name, (holds, must) in rules.items() if not holds]
    if broken:
        raise SettingError("These settings cannot be used:", "Change them and start again.", broken)


def check_choices(settings: Any) -> None:
    """Raise SettingError for any field whose value is not among its declared choices."""
    check(
        settings,
        **{
            f.name: (getattr(settings, f.name) in f.metadata["choices"], f"choose one of {', '.join(f.metadata['choices'])}")
            for f in fields(settings)
            if f.metadata.get("choices")
        },
    )
