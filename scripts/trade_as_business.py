"""A trade of the studying corpus as a business to measure: `trade_as_business.py TRADE FOLDER` writes documents and questions.

The trades that no lesson is made of (heating, library) measure what the others taught; then
`engrain build FOLDER/docs --out RUN` and `engrain evaluate RUN FOLDER/questions.jsonl`.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engrain.study.lessons import CORPUS, Trade, read_trade

SEED = 0
MAX_QUESTIONS = {"paraphrase": 80, "reverse": 20, "multi": 20, "unanswerable": 40}


def main(name: str, folder: Path) -> None:
    trade = read_trade(CORPUS / f"{name}.jsonl")
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    sections = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in trade.sections.items())
    (folder / "docs" / f"{name}.md").write_text(f"# {trade.business}\n\n{sections}\n", encoding="utf-8")
    rows = chosen(list(questions(trade, random.Random(SEED))))
    lines = (json.dumps({"id": f"{name}-{number:03}", **row}, ensure_ascii=False) for number, row in enumerate(rows))
    (folder / "questions.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def questions(trade: Trade, rng: random.Random) -> Iterator[dict[str, Any]]:
    """One question about each detail, one from it back, those on two details, and those without an answer."""
    for row in trade.rows:
        if "unanswerable" in row:
            yield {"question": row["unanswerable"], "answers": ["UNANSWERABLE"], "kind": "unanswerable"}
        elif "two" in row:
            yield {"question": row["q"], "answers": [row["a"]], "kind": "multi"}
        elif "answer" in row and not row.get("yesno"):
            yield {"question": rng.choice(row["questions"]), "answers": [row["answer"]], "kind": "paraphrase"}
            for back in row.get("reverse", ())[:1]:
                yield {"question": back["q"], "answers": [back["a"]], "kind": "reverse"}


def chosen(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most MAX_QUESTIONS of each kind."""
    rng = random.Random(SEED)
    by_kind = {kind: [row for row in rows if row["kind"] == kind] for kind in MAX_QUESTIONS}
    return [row for kind, each in by_kind.items() for row in rng.sample(each, min(len(each), MAX_QUESTIONS[kind]))]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
