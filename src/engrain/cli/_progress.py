"""How the command line shows progress: a live line on a terminal, a plain line now and then anywhere else.

With ENGRAIN_PROGRESS=json it writes JSON lines instead, for programs that watch.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from engrain.progress import Progress, Stage

WINDOW_SECONDS = 60.0
PLAIN_EVERY_SECONDS = 20.0
JSON_EVERY_SECONDS = 1.0
FORMAT = "ENGRAIN_PROGRESS"
LEFT_OUT = {"step", "epoch", "tokens", "learning_rate", "gradient_norm"}
"""Figures that metrics.jsonl has and a line has no room for."""
Clock = Callable[[], float]


class Pace:
    """How far a stage is, and when it will be done as judged by its last minute."""

    def __init__(self, total: float | None, clock: Clock = time.monotonic) -> None:
        self.total, self.clock = total, clock
        self.started, self.done = clock(), 0.0
        self.recent: deque[tuple[float, float]] = deque([(self.started, 0.0)])

    def advance(self, amount: float) -> None:
        """Count `amount` more as done."""
        self.done += amount
        now = self.clock()
        self.recent.append((now, self.done))
        while len(self.recent) > 2 and now - self.recent[1][0] > WINDOW_SECONDS:
            self.recent.popleft()

    @property
    def elapsed(self) -> float:
        """Seconds since the stage began."""
        return self.clock() - self.started

    @property
    def remaining(self) -> float | None:
        """Seconds until the stage is done; None while that would be a guess (under 3 seconds or 1% of the work)."""
        (then, before), (last, done) = self.recent[0], self.recent[-1]
        if not self.total or len(self.recent) < 3 or self.elapsed < 3 or done < self.total / 100 or done <= before:
            return None
        return max(0.0, (self.total - done) * (last - then) / (done - before) - (self.clock() - last))


class Live(Progress):
    """A live line for each stage under way, on a terminal; a finished stage leaves one line."""

    def __init__(self, console: Console) -> None:
        self.console = console
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[figures]}"))
        self.bars = Bars(*columns, console=console, transient=True, refresh_per_second=4)
        self.depth = 0

    @contextmanager
    def stage(self, title: str, total: float | None = None, unit: str = "") -> Iterator[Stage]:
        """A piece of work shown as a bar."""
        self.depth += 1
        self.bars.start()
        task = self.bars.add_task(title, total=total, figures="")
        stage = _LiveStage(self.bars, task, total, unit)
        try:
            yield stage
            self.note(ended(title, stage.pace, unit, stage.figures))
        finally:
            self.bars.remove_task(task)
            self.depth -= 1
            if self.depth == 0:
                self.bars.stop()

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self.console.print(text, markup=False, highlight=False)


class _LiveStage(Stage):
    def __init__(self, bars: Bars, task: TaskID, total: float | None, unit: str) -> None:
        self.bars, self.task, self.unit = bars, task, unit
        self.pace, self.figures = Pace(total), dict[str, float]()

    def advance(self, amount: float = 1, **figures: float) -> None:
        self.pace.advance(amount)
        self.figures |= figures
        self.bars.update(self.task, completed=self.pace.done, figures=status(self.pace, self.unit, self.figures))

    def expect(self, total: float) -> None:
        self.pace.total = total
        self.bars.update(self.task, total=total)


class Plain(Progress):
    """A line when a stage begins, every 20 seconds, and when it ends; for logs and pipes."""

    def __init__(self, write: Callable[[str], object], clock: Clock = time.monotonic) -> None:
        self.write, self.clock = write, clock

    @contextmanager
    def stage(self, title: str, total: float | None = None, unit: str = "") -> Iterator[Stage]:
        """A piece of work reported in plain lines."""
        self.write(f"{title} ({total:,.0f} {unit})".replace(" )", ")") if total else title)
        stage = _PlainStage(self, title, total, unit)
        yield stage
        self.write(ended(title, stage.pace, unit, stage.figures))

    def note(self, text: str) -> None:
        """Write the line."""
        self.write(text)


class _PlainStage(Stage):
    def __init__(self, plain: Plain, title: str, total: float | None, unit: str) -> None:
        self.plain, self.title, self.unit = plain, title, unit
        self.pace, self.figures = Pace(total, plain.clock), dict[str, float]()
        self.written = plain.clock()

    def advance(self, amount: float = 1, **figures: float) -> None:
        self.pace.advance(amount)
        self.figures |= figures
        now = self.plain.clock()
        if now - self.written >= PLAIN_EVERY_SECONDS:
            self.written = now
            self.plain.write(f"  {self.title}: {status(self.pace, self.unit, self.figures)}")

    def expect(self, total: float) -> None:
        self.pace.total = total


class JsonLines(Progress):
    """A JSON object on each line: `event` is stage, progress, done or note; numbers as they are, `remaining` in seconds."""

    def __init__(self, write: Callable[[str], object], clock: Clock = time.monotonic) -> None:
        self.send: Callable[[dict[str, object]], object] = lambda event: write(json.dumps(event, ensure_ascii=False))
        self.clock = clock

    @contextmanager
    def stage(self, title: str, total: float | None = None, unit: str = "") -> Iterator[Stage]:
        """A piece of work reported when it begins, at most once a second, and when it ends."""
        stage = _JsonStage(self, title, total, unit)
        stage.tell("stage")
        yield stage
        stage.tell("done")

    def note(self, text: str) -> None:
        """Write the line."""
        self.send({"event": "note", "text": text})


class _JsonStage(Stage):
    def __init__(self, lines: JsonLines, title: str, total: float | None, unit: str) -> None:
        self.lines, self.title, self.unit = lines, title, unit
        self.pace, self.figures = Pace(total, lines.clock), dict[str, float]()
        self.told = lines.clock()

    def tell(self, event: str) -> None:
        state = {"title": self.title, "done": self.pace.done, "total": self.pace.total, "unit": self.unit}
        self.lines.send({"event": event, **state, "remaining": self.pace.remaining, "figures": self.figures})

    def advance(self, amount: float = 1, **figures: float) -> None:
        self.pace.advance(amount)
        self.figures |= figures
        now = self.lines.clock()
        if now - self.told >= JSON_EVERY_SECONDS:
            self.told = now
            self.tell("progress")

    def expect(self, total: float) -> None:
        self.pace.total = total


def ended(title: str, pace: Pace, unit: str, figures: dict[str, float]) -> str:
    """The line a finished stage leaves."""
    amount = [f"{pace.done:,.0f} {unit}".strip()] if pace.done else []
    return f"{title}: " + ", ".join([*amount, *shown(figures), f"done in {duration(pace.elapsed)}"])


def status(pace: Pace, unit: str, figures: dict[str, float]) -> str:
    """How far a stage is: amount, the time that is left, and figures."""
    of = f"/{pace.total:,.0f}" if pace.total else ""
    left = [] if pace.remaining is None else [f"{duration(pace.remaining)} left"]
    return ", ".join([f"{pace.done:,.0f}{of} {unit}".strip(), *left, *shown(figures)])


def shown(figures: dict[str, float]) -> list[str]:
    """The figures in the form in which people read them."""
    return [figure(name, value) for name, value in figures.items() if name not in LEFT_OUT]


def figure(name: str, value: float) -> str:
    """A figure with its name, in the unit that its name ends with."""
    title = name.replace("_", " ")
    if name.endswith("_bytes"):
        return f"{title.removesuffix(' bytes')} {value / 2**30:.1f} GB"
    if name.endswith("_per_second"):
        return f"{value:,.0f} {title.removesuffix(' per second')}/s"
    if name.endswith("accuracy"):
        return f"{title} {value:.0%}"
    return f"{title} {value:,.0f}" if abs(value) >= 1000 else f"{title} {value:.3g}"


def duration(seconds: float) -> str:
    """Seconds in words, no more exact than they deserve."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def listener() -> Progress:
    """The right display for standard error, where all progress goes."""
    if os.environ.get(FORMAT) == "json":
        return JsonLines(lambda line: print(line, file=sys.stderr, flush=True))
    console = Console(stderr=True)
    return Live(console) if console.is_terminal else Plain(lambda line: print(line, file=sys.stderr, flush=True))
