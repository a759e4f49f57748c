"""What commands share in parsing: options for a run, for JSON, and for the settings of the parts a command uses."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import click

from engrain import config
from engrain.cli._imports import imported
from engrain.cores import limit_threads
from engrain.run import Run

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
ANY = click.Path(exists=True, path_type=Path)

MOST_NAMED, MOST_CHOICES = 4, 12
"""Methods that a title names, and choices that a help text lists."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class SettingOption(click.Option):
    """An option made from a setting; help lists it under the part it belongs to."""

    def __init__(self, *args: Any, section: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class Command(click.Command):
    """A command whose help lists settings by part and ends with an example; `uses` is the module that it works with."""

    def __init__(self, *args: Any, uses: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.uses = uses

    def invoke(self, ctx: click.Context) -> Any:
        """What the command returns; the module it works with is imported now, as help and a wrong call need none."""
        limit_threads()
        imported(self.uses)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options first, then each part's settings."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record and isinstance(parameter, click.Option):
                sections.setdefault(getattr(parameter, "section", "Options"), []).append(record)
        for title in sorted(sections, key=lambda title: title != "Options"):
            with formatter.section(title):
                formatter.write_dl(sections[title])


def command(example: str, uses: str = "engrain.api") -> Callable[[Callable[..., Any]], click.Command]:
    """A decorator making a click command of a function, whose docstring is the help and `example` its last line.

    `uses` names the module that the function works with, which it imports itself.
    """
    debug = click.option("--debug", is_flag=True, expose_value=False, help="Show the full traceback when something fails.")
    make = click.command(cls=Command, uses=uses, epilog=f"\b\nExample:\n  {example}")

    def decorate(function: Callable[..., Any]) -> click.Command:
        made = make(debug(function))
        made.params.sort(key=lambda parameter: parameter.name == "debug")
        return made

    return decorate


out_option = click.option("--out", type=FOLDER, help="Folder of the new run.  [default: a new one in runs/]")
run_option = click.option("--run", "run", type=FOLDER, help="Folder of the run to use.  [default: the newest in runs/]")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; progress goes to standard error.")
mode_option = click.option(
    "--mode",
    type=click.Choice(["closed-book", "retrieval", "both"]),
    default="closed-book",
    show_default=True,
    help="Answer from the model's weights, from passages found in the documents, or ask both ways and take the answer that fits best.",
)
gate_option = click.option(
    "--gate/--no-gate", default=True, help="Leave questions that do not concern the documents to the untouched base model.  [default: gate]"
)
rewrite_option = click.option(
    "--rewrite/--no-rewrite",
    default=True,
    help="From memory (closed-book), ask in the words of the trained question that is meant, and weigh the answer against declining; "
    "not: what the model says by itself, as an exported one does.  [default: rewrite]",
)
resume_option = click.option("--resume", is_flag=True, help="Go on with a run that was stopped, from its last checkpoint.")


def settings_options(*parts: str) -> Decorator:
    """A decorator giving a command `--config` and an option for every setting of `parts` (or of that name); it gets all as `settings`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        chosen = [setting for setting in config.catalogue().values() if _offered(setting, parts)]

        @functools.wraps(function)
        def call(*args: Any, config_file: Path | None, **options: Any) -> Any:
            given = {setting.name: _given(setting, options.pop(setting.name)) for setting in chosen}
            named = {name: value for name, value in given.items() if value is not None}
            return function(*args, settings=config.settings_from(named, config_file, parts), **options)

        made: Callable[..., Any] = call
        for setting in reversed(chosen):
            made = _option(setting)(made)
        return click.option("--config", "config_file", type=FILE, help="YAML or JSON file with settings; options win over it.")(made)

    return decorate


def dataclass_options(declared: type) -> Decorator:
    """A decorator giving a command an option for every field of a dataclass of settings that stands apart from a run's.

    The function gets those that were given, by name.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        chosen = list(config.declared_by(declared, "server").values())

        @functools.wraps(function)
        def call(**options: Any) -> Any:
            given = {setting.name: _given(setting, options.pop(setting.name)) for setting in chosen}
            return function(**options, **{s.name: config.convert(given[s.name], s.kind) for s in chosen if given[s.name] is not None})

        made: Callable[..., Any] = call
        for setting in reversed(chosen):
            made = _option(setting)(made)
        return made

    return decorate


def _offered(setting: config.Setting, parts: Sequence[str]) -> bool:
    """Whether a command that uses `parts` has this setting; methods belong to training."""
    return setting.name in parts or any(owner in parts or (owner not in config.PARTS and "training" in parts) for owner in setting.owners)


def _given(setting: config.Setting, value: Any) -> Any:
    """The value of an option, None where it was not given; a flag that was given means the opposite of the default."""
    if setting.kind is bool:
        return not setting.default if value else None
    return value


def _option(setting: config.Setting) -> Decorator:
    """The click option of a setting."""
    few = 0 < len(setting.choices) <= MOST_CHOICES  # of many, the settings tell the nearest
    kind: Any = click.Choice(setting.choices) if few else setting.kind if setting.kind in (int, float) else str
    shape: dict[str, Any] = {"is_flag": True} if setting.kind is bool else {"type": kind}
    hidden = setting.default in (None, "", ()) or setting.kind is bool
    text = setting.help if hidden else f"{setting.help}  [default: {_shown(setting.default)}]"
    methods = [owner for owner in setting.owners if owner not in config.PARTS]
    several = f"the methods {', '.join(methods[:MOST_NAMED])}" + ", …" * (len(methods) > MOST_NAMED)
    title = f"Settings of {several if len(methods) > 1 else setting.owners[0]}"
    if setting.choices and not few:
        shape["metavar"] = "NAME"
    return click.option(f"--{setting.flag}", setting.name, default=None, help=text, section=title, cls=SettingOption, **shape)


def _shown(default: Any) -> str:
    """The default value as it would be typed."""
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def print_json(value: Any) -> None:
    """Write a result to standard output as JSON."""
    json.dump(plain(value), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def plain(value: Any) -> Any:
    """The value as JSON knows it: dataclasses become objects, a run what its run.json says, paths and other values text."""
    if isinstance(value, Run):
        return {"path": str(value.path)} | value.info
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
