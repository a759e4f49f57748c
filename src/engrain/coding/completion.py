"""Code completion with a run's model: what stands before and after a gap becomes what belongs between."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from safetensors.torch import load_file

from engrain.assistant import base_settings, check_base, check_trained, put_in
from engrain.errors import RunError, SettingError
from engrain.generate import generate, stream
from engrain.models import BaseSettings, context_length, load_model, load_tokenizer, locate
from engrain.progress import SILENT, Progress
from engrain.tasks._fim import Sentinels, find_sentinels, make_room, prompt
from engrain.tasks.base import FILE

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from engrain.run import Run

MOST_CONTEXT = 2048
"""Tokens of code around a gap that are looked at."""


@dataclass(frozen=True)
class Gap:
    """A place to complete: what stands before and after it, and the path of its file in the code base."""

    before: str
    after: str = ""
    path: str = ""


@dataclass(frozen=True)
class Completed:
    """The code for a gap; `finished` says that the model ended by itself or at a stop text. `tokens` were written in `seconds`."""

    text: str
    finished: bool
    tokens: int
    seconds: float


class Completer:
    """Completes code. `knows_gaps` is false for a base that was never trained with its sentinels: it sees what stands before only."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, sentinels: Sentinels, knows_gaps: bool) -> None:
        self.model, self.tokenizer, self.sentinels, self.knows_gaps = model, tokenizer, sentinels, knows_gaps

    def complete(self, before: str, after: str = "", *, path: str = "", max_new_tokens: int = 64, stop: Sequence[str] = ()) -> Completed:
        """The code that belongs between `before` and `after`, the likeliest token each time."""
        return self.complete_many([Gap(before, after, path)], max_new_tokens=max_new_tokens, stop=stop)[0]

    def complete_many(
        self, gaps: Sequence[Gap], *, max_new_tokens: int = 64, stop: Sequence[str] = (), progress: Progress = SILENT
    ) -> list[Completed]:
        """The code for many gaps, in batches; `seconds` are shared out among them."""
        started = time.perf_counter()
        prompts, begins = zip(*(self.prompt(gap, max_new_tokens) for gap in gaps), strict=True) if gaps else ((), ())
        made = generate(
            self.model,
            self.tokenizer,
            prompts,
            begins=begins,
            max_new_tokens=max_new_tokens,
            stop=stop,
            progress=progress,
            title="Completing",
            batch_size=8,
        )
        seconds = (time.perf_counter() - started) / max(1, len(gaps))
        return [Completed(c.text, c.finished, c.tokens, seconds) for c in made]

    def stream(self, gap: Gap, *, max_new_tokens: int = 64, stop: Sequence[str] = ()) -> Iterator[str]:
        """The code for a gap piece by piece as it is written."""
        ids, begin = self.prompt(gap, max_new_tokens)
        return stream(self.model, self.tokenizer, ids, max_new_tokens=max_new_tokens, stop=stop, begin=begin)

    def prompt(self, gap: Gap, max_new_tokens: int) -> tuple[list[int], str]:
        """The tokens that are written on, as the server does it, and what has to come first. Raises SettingError for an empty gap."""
        if not (gap.before or gap.after):
            raise SettingError("There is nothing to complete: no code stands before or after the gap", "Give some code.")
        room = min(MOST_CONTEXT, context_length(self.model) - max_new_tokens)
        if room < 16:
            raise SettingError(f"max_new_tokens={max_new_tokens}: it leaves no room for code in the model's context", "Lower it.")
        return prompt(self.tokenizer, self.sentinels, gap.path, gap.before, gap.after if self.knows_gaps else "", room)


def load_completer(run: Run, *, base_only: bool = False, progress: Progress = SILENT, where: BaseSettings | None = None) -> Completer:
    """The completer of a run, or of its untouched base; `where` has another device and precision than the run's settings.

    Raises RunError when the run is not complete or was made for another task, ModelError when its base model has changed since.
    """
    info = run.info
    settings = info.get("settings", {})
    if settings.get("task") != "code":
        raise RunError(f"{run.path} was not made for code", "Name a run of `engrain build --task code`.")
    if not base_only:
        check_trained(run.path, info)
    chosen = where or base_settings(settings)
    base = locate(settings["base"], progress)
    if not base_only:
        check_base(base, info.get("base", {}))
    device, dtype = chosen.resolve()
    model, tokenizer = load_model(base, dtype=dtype, device=device), load_tokenizer(base)
    sentinels = find_sentinels(tokenizer)
    if base_only:
        return Completer(model, tokenizer, sentinels, knows_gaps=not sentinels.added)
    make_room(model, tokenizer, sentinels, load_file(run.path / FILE) if (run.path / FILE).is_file() else None)
    put_in(model, run.path, info)
    return Completer(model, tokenizer, sentinels, knows_gaps=settings["fim_rate"] > 0 or not sentinels.added)
