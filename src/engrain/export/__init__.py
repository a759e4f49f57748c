"""A run's model in the forms that other programs read: each target is a file in this folder, found by its name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import yaml

from engrain import registry
from engrain.assistant import check_trained
from engrain.errors import RunError, SettingError
from engrain.export.base import Exported, Made, Source, Target
from engrain.files import staged
from engrain.progress import SILENT, Progress

if TYPE_CHECKING:
    from engrain.run import Run

FAMILY = "export"
ROOT = Path("exports")
CARD = "README.md"


@dataclass(frozen=True)
class Form:
    """A number format ("" means that of the training): about how many bytes it takes (0: not known), and the command.

    The command is for a folder `RUN-TARGET` that lies where it is typed.
    """

    type: str
    bytes: int
    command: str


@dataclass(frozen=True)
class Offer:
    """A target, the usual form first. `obstacle` says why it does not fit the run and what to do; "" means that it does."""

    target: str
    title: str
    text: str
    forms: tuple[Form, ...]
    obstacle: str


def offers(run: Run) -> list[Offer]:
    """Every target, with why it does not fit the run where it does not. Raises RunError for a run without a trained model."""
    source, found = checked_source(run, ""), []
    for name in registry.names(FAMILY):
        target = target_of(name)
        why = obstacle(target, source)
        found.append(Offer(name, target.title, target.text, () if why else forms(target, name, source), why))
    return found


def forms(target: Target, name: str, source: Source) -> tuple[Form, ...]:
    """Every number format of a target, the usual one first."""
    types = dict.fromkeys((target.usual, *target.types))
    chosen = [replace(source, type="" if kind == target.usual else kind) for kind in types]
    folder = f"./{source.name}-{name}"
    return tuple(Form(kind, target.size(each), target.command(each, folder)) for kind, each in zip(types, chosen, strict=True))


def export(run: Run, to: str, *, out: Path | None = None, type: str = "", check: bool = True, progress: Progress = SILENT) -> Exported:
    """The run's model in the form of the target `to`, in the folder `out` (default: `exports/<run>-<to>`), whole or not at all.

    `type` is a number format; with `check` off, what was written is not compared with the run's own model, which saves
    time and memory. Raises SettingError for a target that does not fit the run, and for a folder that holds something.
    """
    target, source = target_of(to), checked_source(run, type)
    if type and type not in target.types:
        known = f"Choose one of: {', '.join(target.types)}. {target.refused}" if target.types else "Leave it out."
        raise SettingError(f"type={type!r}: {to} has no such number format", known.strip())
    why = obstacle(target, source)
    if why:
        raise SettingError(f"to={to!r}: {why}", f"`engrain export {quote(str(run.path))}` lists what there is for this run.")
    folder = out or ROOT / f"{source.name}-{to}"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingError(f"out={str(folder)!r} holds something already", "Choose a new or an empty folder with --out.")
    with staged(folder) as temporary:
        temporary.mkdir()
        made = target.write(source, temporary, check, progress)
        done = exported(target, to, source, folder, temporary, made)
        (temporary / CARD).write_text(card(target, source, done), encoding="utf-8")
    return replace(done, files=sizes(folder))


def target_of(name: str) -> Target:
    """The target of that name. Raises SettingError naming those that there are."""
    found: Target = registry.find(FAMILY, name)()
    return found


def checked_source(run: Run, type: str) -> Source:
    """The run as a source. Raises RunError where its training did not end."""
    check_trained(run.path, run.info)
    if run.info.get("status") != "complete":
        raise RunError(f"{run.path} is not complete (status: {run.info.get('status')})", "Go on with it by --resume, or name another run.")
    return Source(run, type)


def obstacle(target: Target, source: Source) -> str:
    """Why a target does not fit a run, its task first; "" where it does."""
    if source.task not in target.tasks:
        return f"the run was made for the task {source.task!r}, and this is for {' and '.join(target.tasks)}"
    return target.obstacle(source)


def exported(target: Target, name: str, source: Source, folder: Path, written: Path, made: Made) -> Exported:
    """What the export amounts to."""
    notes = (*made.notes, *source.notes)
    return Exported(name, folder, source.type or target.usual, sizes(written), target.command(source, str(folder)), notes, made.check)


def sizes(folder: Path) -> dict[str, int]:
    """Every file of a folder with its size in bytes."""
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}


def card(target: Target, source: Source, done: Exported) -> str:
    """The README.md of an export: what it is, how to use it, what to know. Its head is what the Hugging Face Hub reads."""
    head = {"base_model": source.base_name, "tags": ["engrain", source.task, str(source.settings.get("method", ""))]}
    lines = [f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n", f"# {source.name}: {target.title}\n"]
    lines += [f"Made by engrain from `{source.base_name}`. {target.text}\n", "## Use it\n"]
    lines += ["In this folder:\n", "```sh", target.command(source, "."), "```\n"]
    if done.notes:
        lines += ["## What to know\n", *(f"- {note}" for note in done.notes), ""]
    if done.check:
        lines += ["## Checked\n", f"{str(done.check)[0].upper()}{str(done.check)[1:]}.\n"]
    return "\n".join(lines)
