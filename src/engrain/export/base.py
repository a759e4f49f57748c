"""The contract of a target: a form of a run's model that other programs read, and the command that uses it there.

What is exported is the tuned model alone. What engrain puts around it stays behind: the gate that leaves everyday questions to
the untouched model, the trained questions in whose words it is asked, the passages, and the look at what supports an answer.
`Source.notes` says so, with figures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from engrain.evaluate import Evaluation
from engrain.gate import FILE as GATE
from engrain.imaging.classifier import NOTICE
from engrain.methods.base import method_of
from engrain.models import on_disk
from engrain.verdict import by_itself

if TYPE_CHECKING:
    from engrain.methods.base import Method
    from engrain.models import Base
    from engrain.progress import Progress
    from engrain.run import Run

CHAT, CODE, IMAGES = "chat", "code", "image-classification"
TEXT = (CHAT, CODE)
"""Tasks whose models write text."""
BYTES = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32}
"""Bytes that a number takes in each format; q8_0 keeps 32 numbers of 8 bits with one scale of 16."""
GATE_STAYS = (
    "The gate stays behind. In engrain it leaves questions that do not concern the documents to the untouched model; "
    "an exported model answers them itself."
)
WORDS_STAY = (
    "The trained questions stay behind. In engrain the model is asked in the words of the nearest of them; "
    "an exported model is asked in whatever words people use."
)
UNMEASURED = "How well, this run has not measured."
FROM_MEMORY = "It answers from memory: no passages are looked up, and nothing says whether the documents support an answer."


@dataclass(frozen=True)
class Check:
    """How what was written compares with the run's own model: read back with `reader` and given `count` inputs.

    `same` of them got the same answer; `difference` (in the words of `measure`) may be at most `tolerance`.
    """

    reader: str
    count: int
    same: int
    inputs: str
    measure: str
    difference: float
    tolerance: float

    def __str__(self) -> str:
        return (
            f"read back with {self.reader}: the same answer to {self.same} of {self.count} {self.inputs}, "
            f"{self.measure} {self.difference:.1e} (allowed: {self.tolerance:.0e})"
        )


@dataclass(frozen=True)
class Exported:
    """What an export left in `folder`: its files with their sizes in bytes, and the command that uses them there.

    `type` is the number format where the target has several; `check` is None where nothing was compared.
    """

    target: str
    folder: Path
    type: str
    files: dict[str, int]
    command: str
    notes: tuple[str, ...]
    check: Check | None = None


@dataclass(frozen=True)
class Source:
    """The run that is exported, and the number format that was asked for ("" means the target's usual one)."""

    run: Run
    type: str = ""

    @cached_property
    def info(self) -> dict[str, Any]:
        """What `run.json` says."""
        return self.run.info

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that the run was made with."""
        found: dict[str, Any] = self.info.get("settings", {})
        return found

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.run.path.resolve().name

    @property
    def task(self) -> str:
        """The task that the run was made for."""
        return str(self.settings.get("task", CHAT))

    @cached_property
    def method(self) -> Method:
        """The method that trained it."""
        return method_of(self.settings)

    @cached_property
    def base(self) -> Base | None:
        """The base model if it is on this disk."""
        return on_disk(str(self.settings["base"]))

    @property
    def hub_id(self) -> str:
        """The name under which anybody finds the base on the Hugging Face Hub; "" where it comes from elsewhere."""
        return str(self.settings["base"]) if self.info.get("base", {}).get("source") == "hub" else ""

    @property
    def base_name(self) -> str:
        """The base's name, without the folders that it lies in here."""
        return self.hub_id or Path(str(self.info.get("base", {}).get("name") or self.settings.get("base", ""))).name

    @property
    def notes(self) -> tuple[str, ...]:
        """What somebody who uses the exported model has to know."""
        if self.task == IMAGES:
            return (NOTICE,)
        if self.task != CHAT:
            return ()
        gated, rewrites = (self.run.path / GATE).is_file(), bool(self.settings.get("encoder") and self.info.get("documents"))
        stays = [words for words, there in ((GATE_STAYS, gated), (WORDS_STAY, rewrites)) if there]
        return (FROM_MEMORY, *([f"{' '.join(stays)} {self.measured_alone()}"] if stays else []))

    def measured_alone(self) -> str:
        """What this run's model answers and keeps by itself, as far as that was measured."""
        measured = (self.run.path / "evaluation.json").is_file()
        evaluation = Evaluation.from_dict(self.run.read_json("evaluation.json")) if measured else None
        return by_itself(evaluation) if evaluation and evaluation.alone else UNMEASURED


@dataclass(frozen=True)
class Made:
    """What a target wrote beyond its files: how it compares, and what else is to be known."""

    check: Check | None = None
    notes: tuple[str, ...] = field(default=())


class Target(ABC):
    """A form in which a run's model is taken away. `title` and `text` tell people what it is for."""

    title: ClassVar[str]
    text: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]] = TEXT
    types: ClassVar[tuple[str, ...]] = ()
    """Number formats to choose among."""
    usual: ClassVar[str] = ""
    """The number format where none is asked for; "" means that of the training."""
    refused: ClassVar[str] = ""
    """What to do for a number format that is not among them."""

    @abstractmethod
    def obstacle(self, source: Source) -> str:
        """Why this run cannot be exported like this and what to do instead; "" where it can."""

    @abstractmethod
    def size(self, source: Source) -> int:
        """About how many bytes it will take; 0 where that is not known."""

    @abstractmethod
    def write(self, source: Source, folder: Path, checked: bool, progress: Progress) -> Made:
        """Put the files into an empty folder, and compare what they hold with the run's own model where `checked`.

        Raises ModelError where the two differ by more than the number format explains.
        """

    @abstractmethod
    def command(self, source: Source, folder: str) -> str:
        """What to type in a shell, where the files lie in `folder`."""


CONTRACT = Target
