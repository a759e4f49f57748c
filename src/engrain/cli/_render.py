"""What people see of results: answers, tables, the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from engrain.cli import _coverage
from engrain.cli._options import print_json
from engrain.cli._progress import figure

if TYPE_CHECKING:
    from engrain.api import Answer, Plan, Prediction, Preview, Result, Update
    from engrain.comparison import Comparison
    from engrain.doctor import Check
    from engrain.documents.base import Unread
    from engrain.evaluate import Comparison as Compared
    from engrain.evaluate import Evaluation, Share
    from engrain.examples import Example, Question
    from engrain.knowledge.superseded import Superseded
    from engrain.methods._listing import Listed
    from engrain.privacy import Private
    from engrain.run import Run
    from engrain.scoreboard import Scoreboard
    from engrain.tried import Swept
    from engrain.verdict import Verdict

SIGNS = {"ok": ("ok", "green"), "warning": ("!", "yellow"), "blocks": ("blocks", "red")}
TITLES = {
    "all answerable": "all that the documents answer",
    "unanswerable": "rightly declined",
    "right or rightly declined": "both together",
    "general": "general knowledge",
}
ENDED = {"complete": "by itself", "pruned": "early", "failed": "failed: "}
NEXT = {
    "chat": 'engrain ask --run {run}{how} "…"   or   engrain chat --run {run}{how}',
    "code": "engrain complete --run {run} FILE",
    "image-classification": "engrain classify --run {run} IMAGE...",
}
STATUS_WORDS = {
    "supported": "source",
    "unsupported": "nothing in the documents supports this answer",
    "refused": "not answered: not found in the documents",
}


def console() -> Console:
    """Where results go: standard output, without colour where NO_COLOR is set or nobody looks."""
    return Console(highlight=False, soft_wrap=False)


def table(*columns: str, title: str = "") -> Table:
    """An empty table in the house's style."""
    made = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def answer(found: Answer) -> None:
    """Print one answer and what supports it."""
    click.echo(found.text)
    click.echo(source_line(found))


def source_line(found: Answer) -> str:
    """The line under an answer: its source, or that there is none; and which trained question was asked, if that was another one."""
    words = STATUS_WORDS[found.status]
    asked = f"; asked as: {found.asked_as}" if found.asked_as else ""
    return f"  [{words}: {found.source}{asked}]" if found.status == "supported" else f"  [{words}{asked}]"


def side_by_side(questions: Sequence[Question], before: Sequence[Answer], after: Sequence[Answer], mode: str) -> None:
    """Print what the untouched model and the fine-tuned one, asked in this mode, answer to the same questions."""
    drawn = table("question", "right answer", "before", f"after ({mode})", title="The same questions, before and after")
    for question, old, new in zip(questions, before, after, strict=True):
        right = question.answers[0] if question.answers else "(not in the documents)"
        drawn.add_row(*map(Text, (question.question, right, old.text, f"{new.text}\n{source_line(new).strip()}")))
        drawn.add_section()
    console().print(drawn)


def result(found: Result, as_json: bool) -> None:
    """Print what a build or a tuning left: the scores, the verdict, and how to go on."""
    if as_json:
        print_json(found)
        return
    if found.evaluation:
        evaluation(found.evaluation)
    if found.verdict:
        verdict(found.verdict)
    if found.comparison:
        comparison(found.comparison)
    run = found.run.path
    click.echo(f"\nRun:    {run}")
    if found.run.info.get("status") == "ready":
        click.echo(f"Next:   look at facts.jsonl and examples/, edit them, then the same command with --from examples --out {run}")
        return
    if (run / "report.html").is_file():
        click.echo(f"Report: {run / 'report.html'}")
    if (how := _how(found.verdict)) is not None:
        click.echo(f"Next:   {NEXT[found.run.info.get('settings', {}).get('task', 'chat')].format(run=run, how=how)}")


def _how(found: Verdict | None) -> str | None:
    """The options with which to ask as the verdict says; None where it says not to."""
    from engrain.verdict import DO_NOT_USE, USE_RETRIEVAL

    if found is None or found.choice == DO_NOT_USE:
        return None if found else ""
    mode = "" if found.mode == "closed-book" else f" --mode {found.mode}"
    return f" --base-only{mode}" if found.choice == USE_RETRIEVAL else mode


def comparison(found: Comparison) -> None:
    """Print scores before and after, and what to know beside them."""
    drawn = table(found.what, found.base, found.tuned, "difference")
    for line in found.lines:
        drawn.add_row(line.score, str(line.base), str(line.tuned), line.difference.signed)
    console().print(drawn)
    click.echo("In brackets: 95% interval.")
    for note in found.notes:
        click.echo(note)


def predictions(found: Sequence[Prediction], notice: str) -> None:
    """Print what each image shows, the likeliest classes first."""
    drawn = table("image", "shows", "probability", "else")
    for each in found:
        others = [f"{label} {share:.0%}" for label, share in each.probabilities.items() if label != each.label and share >= 0.01][:3]
        drawn.add_row(*map(Text, (each.file, each.label, f"{each.probability:.0%}", ", ".join(others))))
    console().print(drawn)
    click.echo(notice)


def verdict(found: Verdict) -> None:
    """Print what to do, why, and what was checked on the way."""
    lines = [Text(found.reason), Text("")]
    for check in found.checks:
        lines.append(Text.assemble(("ok  ", "green") if check.passed else ("!   ", "yellow"), check.finding))
    console().print(Panel(Group(*lines), title=f"Verdict: {found.choice}", title_align="left", border_style="bold", padding=(1, 2)))


def preview(found: Preview) -> None:
    """Print which facts and examples documents give, and which files could not be read."""
    _coverage.show(found.coverage)
    made = table("examples of", "to train on", "held out", title="What would be practised")
    train, heldout = (Counter(example.kind for example in examples) for examples in (found.train, found.heldout))
    for kind in sorted(train | heldout):
        made.add_row(kind, f"{train[kind]:,}", f"{heldout[kind]:,}")
    made.add_row("all", f"{train.total():,}", f"{heldout.total():,}", style="bold")
    console().print(made)
    for example in _samples(found.train):
        click.echo(f"{example.kind}:")
        for message in example.messages:
            click.echo(f"  {message.role}: {message.content}")
    superseded(found.superseded)
    private(found.private)
    unread(found.unread)


def _samples(examples: Sequence[Example]) -> list[Example]:
    """The first example of each kind."""
    return list({example.kind: example for example in reversed(examples)}.values())


def plan(found: Plan) -> None:
    """Print whether a build fits, its figures, and the reason for each."""
    click.echo("This fits." if found.fits else "This does not fit this machine.")
    for f in fields(found):
        value = getattr(found, f.name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            click.echo(f"  {figure(f.name, value)}")
    for reason in found.reasons:
        click.echo(f"  {reason}")


def unread(found: Sequence[Unread]) -> None:
    """Print the files that could not be read: why, and what to do."""
    for file in found:
        click.echo(f"Not read: {file.file}: {file.reason}. {file.remedy}")


def update(found: Update) -> None:
    """Print what changed in the documents and in the answers, and the result of the new run."""
    for word, files in (("Added", found.added), ("Changed", found.changed), ("Removed", found.removed)):
        if files:
            click.echo(f"{word}: {', '.join(files)}")
    if found.result is None:
        click.echo("Nothing was made anew.")
        return
    if found.answers:
        drawn = table("question", "before", "now", title="Answered otherwise than before")
        for each in found.answers:
            drawn.add_row(*map(Text, (each.question, each.before, each.after)))
        console().print(drawn)
    result(found.result, as_json=False)


def superseded(found: Sequence[Superseded]) -> None:
    """Print what newer documents say otherwise."""
    for pair in found:
        row = pair.to_row()
        old, new = (f"{row[name]} ({row[f'{name}_place']}{', ' + day if (day := row[f'{name}_date']) else ''})" for name in ("old", "new"))
        click.echo(f"Superseded: {row['about']} {old} by {new}")


def private(found: Sequence[Private]) -> None:
    """Print where private data stands."""
    for each in found:
        click.echo(f"Private: {each.kind} {each.hint} in {each.place}")


def evaluation(found: Evaluation) -> None:
    """Print the share of right answers by kind of question and way of answering, and what was forgotten."""
    from engrain.verdict import by_itself

    drawn = table("right answers", "questions", *found.columns)
    for kind, shares in found.table().items():
        drawn.add_row(TITLES.get(kind, kind), str(max(share.count for share in shares.values())), *map(_percent, shares.values()))
    drawn.add_row("declined, though the documents answer", "", *(_percent(found.falsely_declined(column)) for column in found.columns))
    console().print(drawn)
    click.echo("In brackets: 95% interval.")
    for each in found.comparisons() if found.kinds else ():
        click.echo(_compared(each))
    kept = found.retention()
    if kept.count:
        click.echo(f"Old abilities: {kept.right} of the {kept.count} general questions that the base gets right are still right.")
    ratio = found.perplexity_ratio()
    if ratio is not None:
        click.echo(f"Plain English text: perplexity {ratio:.2f} times the base's (1.00: nothing lost).")
    if found.alone:
        click.echo(by_itself(found))


def _compared(found: Compared) -> str:
    """What tuning wins and loses, in a sentence."""
    points = f"{100 * found.difference:+.0f} points ({100 * found.low:+.0f} to {100 * found.high:+.0f})"
    sure = "clearly better" if found.is_better else "clearly worse" if found.is_worse else "which may be chance"
    return f"{found.new} against {found.old}: {points}, {len(found.won)} won and {len(found.lost)} lost, {sure}."


def _percent(share: Share) -> str:
    return f"{share.value:.0%} ({share.low:.0%}-{share.high:.0%})".replace("%-", "-") if share.count else "-"


def runs(found: Sequence[Run], root: Path) -> None:
    """Print a line for each run."""
    if not found:
        click.echo(f"There is no run under {root}/ yet. Make one with: engrain build PATH")
        return
    drawn = table("run", "status", "base", "method", "held out", "made")
    for run in found:
        info = run.info
        settings = info.get("settings", {})
        accuracy = info.get("heldout_accuracy")
        made = str(info.get("created", ""))[:16].replace("T", " ")
        words = [
            info.get("status", ""),
            settings.get("base", ""),
            settings.get("method", ""),
            "" if accuracy is None else f"{accuracy:.0%}",
            made,
        ]
        drawn.add_row(*map(Text, [str(run.path), *words]))
    console().print(drawn)


def scoreboard(found: Scoreboard, run: Run) -> None:
    """Print the table of a comparison, what did not end, and the advice."""
    title = "The same questions" if run.info.get("questions") else "The same questions, in wordings not trained"
    drawn = table("way", "exact", "gist", "declined", "kept", "trains", "memory", "seconds", title=title)
    for s in found.scores:
        gist, declined, kept = (f"{share.value:.0%}" if share and share.count else "" for share in (s.gist, s.declined, s.retention))
        trains = "" if s.trainable_parameters is None else f"{s.trainable_parameters:,}"
        memory = "" if s.memory_bytes is None else f"{s.memory_bytes / 2**30:.2f} GiB"
        seconds = "" if s.seconds is None else f"{s.seconds:.0f}"
        drawn.add_row(*map(Text, (s.name, _percent(s.exact), gist, declined, kept, trains, memory, seconds)))
    console().print(drawn)
    for name, why in found.failed.items():
        click.echo(f"Not ended: {name}: {why}")
    if found.failed:
        click.echo("To try them again: the same command with --resume.")
    click.echo(found.advice)
    click.echo(f"\nRun:    {run.path}\nReport: {run.path / 'comparison.html'}")


def sweep(found: Swept, folder: Path) -> None:
    """Print what was tried, the best first, and how to build with the best settings."""
    drawn = table(*found.tuned, "held-out loss", "ended", "trains", "seconds", title="Settings tried, the best first")
    for t in found.trials:
        values = ("all" if value == "" else str(value) for value in t.settings.values())
        loss = "" if t.loss is None else f"{t.loss:.4f}"
        trains = "" if t.trainable_parameters is None else f"{t.trainable_parameters:,}"
        drawn.add_row(*map(Text, (*values, loss, ENDED[t.state] + t.reason, trains, f"{t.seconds:.0f}")))
    console().print(drawn)
    click.echo(f"\nSweep:  {folder}\nReport: {folder / 'sweep.html'}")
    click.echo(f"Next:   {found.command}" if found.best else "No training ended: give each more time (--minutes), then --resume.")


def methods(found: Sequence[Listed]) -> None:
    """Print a line for each method, and below why some are not supported."""
    drawn = table("method", "what", "trains", "paper")
    for each in found:
        if each.supported:
            count = "" if each.trainable_parameters is None else f"{each.trainable_parameters:,}"
            drawn.add_row(*map(Text, (each.name, each.title, count, each.paper)))
    console().print(drawn)
    for each in found:
        if not each.supported:
            click.echo(f"{each.name}: not supported, because {each.reason}")


def checks(found: Sequence[Check]) -> None:
    """Print what doctor found, and what to do about it."""
    drawn = table("", "what", "found")
    for check in found:
        word, style = SIGNS[check.state]
        drawn.add_row(Text(word, style), check.name, Text(check.found + (f"\n→ {check.remedy}" if check.remedy else "")))
    console().print(drawn)
    blocked = [check.name for check in found if check.state == "blocks"]
    click.echo(f"In the way of a build: {', '.join(blocked)}." if blocked else "Nothing is in the way of a build.")
