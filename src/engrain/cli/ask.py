"""Answer a question, or a file of questions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engrain.cli import _options, _render
from engrain.cli._progress import listener
from engrain.errors import ExampleError
from engrain.files import write_text
from engrain.rows import Row, parse_rows

if TYPE_CHECKING:
    from engrain.api import Answer


@_options.command('engrain ask "When are you open on Saturday?"')
@click.argument("question", required=False)
@click.option("--input", "source", type=_options.FILE, help="JSONL or CSV file of questions: id, question.")
@click.option("--output", "target", type=click.Path(dir_okay=False, path_type=Path), help="JSONL file for the answers.")
@_options.mode_option
@click.option("--base-only", is_flag=True, help="Ask the untouched base model.")
@click.option("--base", help="The base model to ask with --base-only; default: the run's.")
@_options.gate_option
@_options.rewrite_option
@_options.run_option
@_options.json_option
def command(question: str | None, source: Path | None, target: Path | None, as_json: bool, **choice: Any) -> None:
    """Answer one question, or every question of a file in batches.

    Each answer comes with the place in the documents that supports it, or with the word that nothing does. Rows
    written to --output hold id, question, answer, source, status (supported, unsupported or refused) and asked_as,
    the trained question that was put to the model in place of this one (empty where none was).
    """
    _check(question, source, target, choice)
    from engrain import api

    progress = listener()
    rows: list[dict[str, Any]] = parse_rows(source, _question) if source else [{"id": "1", "question": question}]
    assistant = api.load(progress=progress, **choice)
    answers = assistant.ask_many([row["question"] for row in rows], progress)
    if source is None:
        _options.print_json(answers[0]) if as_json else _render.answer(answers[0])
        return
    lines = [json.dumps(_row(row["id"], answer), ensure_ascii=False) + "\n" for row, answer in zip(rows, answers, strict=True)]
    _write(lines, target)
    if target:
        click.echo(f"{len(answers)} answers in {target}", err=True)


def _check(question: str | None, source: Path | None, target: Path | None, choice: dict[str, Any]) -> None:
    """Raise UsageError for a combination that says nothing, or says two things at once."""
    if (question is None) == (source is None):
        raise click.UsageError("give either one question or --input FILE")
    if target and not source:
        raise click.UsageError("--output goes with --input; one answer is printed")
    if target and not target.resolve().parent.is_dir():
        raise click.UsageError(f"--output {target}: there is no folder {target.resolve().parent}; make it first")
    if choice["base"] and not choice["base_only"]:
        raise click.UsageError("--base goes with --base-only; a run brings its own base model")


def _question(row: Row) -> dict[str, Any]:
    """The row's values, once they can be asked and their answer told from others."""
    if row.values.get("id") in (None, ""):
        raise ExampleError("it has no id")
    if not isinstance(row.values.get("question"), str) or not row.values["question"].strip():
        raise ExampleError("its question is missing or empty")
    return row.values


def _row(identifier: Any, answer: Answer) -> dict[str, Any]:
    return {
        "id": identifier,
        "question": answer.question,
        "answer": answer.text,
        "source": answer.source,
        "status": answer.status,
        "asked_as": answer.asked_as,
    }


def _write(lines: Iterable[str], target: Path | None) -> None:
    """Write the answers to standard output, or to a file that is either whole or not there."""
    if target is None:
        click.echo("".join(lines), nl=False)
        return
    write_text(target, "".join(lines))
