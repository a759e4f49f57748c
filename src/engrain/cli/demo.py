"""Run everything on the bundled business, to see it work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engrain import api
from engrain.cli import _options, _render
from engrain.cli._progress import listener
from engrain.config import PARTS, Settings

BUSINESS = Path(__file__).parent.parent / "data" / "demo"
ASKED = 5


@_options.command("engrain demo")
@_options.out_option
@_options.resume_option
@_options.json_option
@_options.settings_options(*PARTS)
def command(out: Path | None, resume: bool, as_json: bool, settings: Settings) -> None:
    """Make a model of the bundled business, then ask it and the untouched base model the same five questions.

    The business is invented and opened two days after the base model's last training day, so what the model answers
    about it, it learned here.
    """
    progress = listener()
    questions = BUSINESS / "questions.jsonl"
    result = api.build([BUSINESS / "docs"], settings=settings, out=out, questions=questions, resume=resume, progress=progress)
    asked = five(questions)
    texts = [row["question"] for row in asked]
    before = api.load(result.run.path, base_only=True, progress=progress).ask_many(texts, progress)
    after = api.load(result.run.path, progress=progress).ask_many(texts, progress)
    if as_json:
        _options.print_json({"result": result, "before": before, "after": after})
        return
    _render.result(result, as_json=False)
    _render.side_by_side([row["answers"] for row in asked], before, after)


def five(questions: Path) -> list[dict[str, Any]]:
    """The questions to show: those named in ask.json, or else the first of each kind, and then the next ones."""
    rows = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines() if line.strip()]
    named = questions.with_name("ask.json")
    if named.is_file():
        wanted = json.loads(named.read_text(encoding="utf-8"))
        return [row for identifier in wanted for row in rows if row["id"] == identifier]
    firsts = {row.get("kind", ""): row for row in reversed(rows)}
    return sorted(rows, key=lambda row: row not in firsts.values())[:ASKED]
