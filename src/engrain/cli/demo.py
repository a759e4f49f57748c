"""Run everything on the bundled business, to see it work."""

from __future__ import annotations

import json
from pathlib import Path

from engrain.cli import _options, _render
from engrain.cli._progress import listener
from engrain.config import DOCUMENT_PARTS, Settings
from engrain.evaluate import read_questions
from engrain.examples import Question

BUSINESS = Path(__file__).parent.parent / "data" / "demo"


@_options.command("engrain demo")
@_options.out_option
@_options.resume_option
@_options.json_option
@_options.settings_options(*DOCUMENT_PARTS)
def command(out: Path | None, resume: bool, as_json: bool, settings: Settings) -> None:
    """Make a model of the bundled business, then ask it and the untouched base model the same five questions.

    The tuned model is asked in the mode that the verdict names.

    The business is invented and opened two days after the base model's last training day, so what the model answers
    about it, it learned here.
    """
    from engrain import api

    progress = listener()
    questions = BUSINESS / "questions.jsonl"
    result = api.build([BUSINESS / "docs"], settings=settings, out=out, questions=questions, resume=resume, progress=progress)
    asked = five(questions)
    texts = [question.question for question in asked]
    before = api.load(result.run.path, base_only=True, progress=progress).ask_many(texts, progress)
    mode = result.verdict.mode if result.verdict else "closed-book"
    after = api.load(result.run.path, mode=mode, progress=progress).ask_many(texts, progress)
    if as_json:
        _options.print_json({"result": result, "before": before, "after": after})
        return
    _render.result(result, as_json=False)
    _render.side_by_side(asked, before, after, mode)


def five(file: Path) -> list[Question]:
    """The questions to show: those that ask.json beside the file names."""
    by_id = {question.id: question for question in read_questions(file)}
    return [by_id[identifier] for identifier in json.loads(file.with_name("ask.json").read_text(encoding="utf-8"))]
