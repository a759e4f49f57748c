"""The page of a comparison: one self-contained file with the tables, the plots and the advice; and one table in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from engrain.files import write_text
from engrain.report import charts
from engrain.report.charts import PERCENT, Axis, Dot
from engrain.run import Run
from engrain.scoreboard import Score, Scoreboard

FOLDER = Path(__file__).parent
PAGE, TABLE = "comparison.html", "comparison.md"
STYLES = {True: "c-tuned", False: "c-base-retrieval"}


def write_comparison(run: Run, board: Scoreboard) -> Path:
    """Write `comparison.html`, `comparison.md` and the plots as pictures, which the latter shows; the path of the page."""
    path, style = run.path / PAGE, style_of_page()
    drawn = [(title, f"{title.lower().replace(' ', '-')}.svg", drawing) for title, drawing in plots(board.scores)]
    for _, file, drawing in drawn:
        write_text(run.path / file, charts.alone(drawing, style))
    write_text(path, render(run, board))
    write_text(run.path / TABLE, "\n".join([markdown(board), *(f"![{title}]({file})\n" for title, file, _ in drawn)]))
    return path


def render(run: Run, board: Scoreboard) -> str:
    """The page as HTML; every text in it is escaped."""
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": "{:.0%}".format, "size": size}
    shown = [
        charts.Bar(s.name, s.exact.value, s.exact.low, s.exact.high, STYLES[s.tuned], f"{s.exact.right}/{s.exact.count}")
        for s in board.scores
    ]
    return environment.get_template("compare.html").render(
        run=run.path.resolve().name,
        info=run.info,
        board=board,
        bars=charts.bars(shown) if shown else "",
        kinds=kinds_of(board),
        plots=plots(board.scores),
        style=style_of_page(),
    )


def style_of_page() -> Markup:
    """The style sheet of every page."""
    return Markup((FOLDER / "page.css").read_text(encoding="utf-8"))


def kinds_of(board: Scoreboard) -> list[str]:
    """The kinds of questions that were asked."""
    return list(dict.fromkeys(kind for s in board.scores for kind in s.kinds))


def markdown(board: Scoreboard) -> str:
    """All of a comparison in one table of Markdown, 95% intervals in brackets, with the advice below."""
    kinds = kinds_of(board)
    costs = ("trains", "memory", "seconds", "tokens/s", "result")
    alone = ("exact by itself", "gist by itself", "kept by itself")
    head = ["way", "exact", "gist", *kinds, "rightly declined", "right or rightly declined", "kept", *alone, "perplexity", *costs]
    rows = [head, ["---"] * len(head), *(_row(score, kinds) for score in board.scores)]
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), "", board.advice, ""])


def _row(score: Score, kinds: Sequence[str]) -> list[str]:
    right = [score.exact, score.gist, *(score.kinds.get(kind) for kind in kinds)]
    shares = [*right, score.declined, score.handled, score.retention, score.alone_exact, score.alone_gist, score.alone]
    told = [f"{s.value:.0%} ({s.low:.0%} to {s.high:.0%})" if s and s.count else "" for s in shares]
    perplexity = f"{score.perplexity_ratio:.2f}" if score.perplexity_ratio else ""
    if score.trainable_parameters is None or score.retrieves:
        return [score.name, *told, perplexity, "", "", "", "", ""]
    counts = [f"{score.trainable_parameters:,}", size(score.memory_bytes or 0), f"{score.seconds or 0:.0f}"]
    return [score.name, *told, perplexity, *counts, f"{score.tokens_per_second or 0:.0f}", size(score.artifact_bytes or 0)]


def plots(scores: Sequence[Score]) -> list[tuple[str, Markup]]:
    """Title and drawing: accuracy against memory, accuracy against time, forgetting against learning."""
    tuned = [s for s in scores if s.tuned and s.memory_bytes is not None and not s.retrieves]
    memory = [Dot(s.name, (s.memory_bytes or 0) / 2**20, s.exact.value) for s in tuned]
    time = [Dot(s.name, s.seconds or 0.0, s.exact.value) for s in tuned]
    forgotten = [Dot(s.name, s.exact.value, 1 - s.alone.value) for s in tuned if s.alone and s.alone.count]
    found = [
        ("Right answers against memory", _against(memory, "memory in MiB", charts.number)),
        ("Right answers against time", _against(time, "seconds of training", charts.number)),
        ("Forgotten by itself against learned", _against(forgotten, "right answers", PERCENT)),
    ]
    return [(title, drawing) for title, drawing in found if drawing]


def _against(dots: Sequence[Dot], across: str, told: Callable[[float], str]) -> Markup:
    x, y = (Axis.of([0.0, *values], how) for values, how in (([d.x for d in dots], told), ([d.y for d in dots], PERCENT)))
    return charts.scatter(dots, across, x, y)


def size(value: float) -> str:
    """Bytes for people."""
    return f"{value / 2**30:.1f} GiB" if value >= 2**30 else f"{value / 2**20:.1f} MiB"
