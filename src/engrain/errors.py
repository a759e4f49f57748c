"""What can go wrong, each with the next step.

EngrainError                the work failed (exit code 1)
├── SettingError            a setting or an argument of the call is wrong (exit code 2)
├── DocumentError           no document could be used
├── ExampleError            training examples or questions could not be used
├── ModelError              a base model could not be found, read or loaded
├── RunError                a run folder is missing, locked, incomplete or changed
├── TrainingError           training cannot go on (a loss that is no number, no memory, no room on the disk)
└── Interrupted             stopped by a signal (exit code 130 for Ctrl-C, 143 for SIGTERM)

Every message names the thing (file and line, or setting and value) and ends with what to do next.
An `assert` marks a fault of ours, never one of the user's.
"""

from __future__ import annotations

from collections.abc import Sequence

MOST_SHOWN = 100
"""Problems that a message lists; the first ones tell what is wrong with the rest of a long file."""


class EngrainError(Exception):
    """A failure the user can act on.

    `problems` holds every single fault of one input, so that all can be mended at once.
    """

    exit_code = 1

    def __init__(self, message: str, next_step: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return self.told(MOST_SHOWN)

    def told(self, most: int | None = None) -> str:
        """The message, its problems (at most so many, or all) and the next step, a line each."""
        lines = [self.message, *(f"  - {problem}" for problem in self.problems[:most])]
        if most is not None and len(self.problems) > most:
            lines.append(f"  - and {len(self.problems) - most:,} more")
        return "\n".join(lines + ([self.next_step] if self.next_step else []))


class SettingError(EngrainError):
    """A setting or an argument that cannot be used as given."""

    exit_code = 2


class DocumentError(EngrainError):
    """No document could be used."""


class ExampleError(EngrainError):
    """Training examples or questions that cannot be used."""


class ModelError(EngrainError):
    """A base model that cannot be found, read or loaded."""


class RunError(EngrainError):
    """A run folder that is missing, locked, incomplete or changed."""


class TrainingError(EngrainError):
    """Training that cannot go on."""


class Interrupted(EngrainError):
    """Work stopped by a signal; `signal_number` decides the exit code (128 + number)."""

    def __init__(self, message: str, next_step: str = "", signal_number: int = 2) -> None:
        super().__init__(message, next_step)
        self.exit_code = 128 + signal_number
