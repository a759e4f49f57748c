"""Lessons: the corpus of hand-written businesses as examples that teach the skills of `skills.py`."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engrain.examples import Example
from engrain.knowledge.blocks import sentence_before
from engrain.study.checks import names_beyond
from engrain.study.skills import REFUSAL, absent_prompt, conversation, details_prompt, questions_prompt, reverse_prompt
from engrain.tokens import passage, question_messages
from engrain.words import canonical, keywords

CORPUS = Path(__file__).parent / "corpus"
READINGS = 0.3
"""Share of the details of which a question practises reading, and of the questions without an answer."""
WHOLE_SECTION = 0.25
"""Share of readings from a whole section rather than the sentence alone."""
DECLINES = 0.6
"""Readings whose passage lacks the answer, as a share of those that have it."""
NEAR = 2 / 3
"""Share of such passages from the same section as the answer: the nearer, the harder to see that they do not say it."""


@dataclass(frozen=True)
class Trade:
    """One business of the corpus: section heading → text, and its rows.

    A row is a detail (heading, sentence, answer, questions, reverse), a question on two details (two, q, a) or one without an answer.
    """

    name: str
    sections: dict[str, str]
    rows: tuple[dict[str, Any], ...]

    @property
    def business(self) -> str:
        """The name its owner gave it."""
        return str(self.rows[0]["business"])

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The rows about one detail."""
        return [row for row in self.rows if "answer" in row]


def read_corpus(folder: Path = CORPUS) -> list[Trade]:
    """Every trade of the corpus, in alphabetical order."""
    return [read_trade(path) for path in sorted(folder.glob("*.jsonl"))]


def read_trade(path: Path) -> Trade:
    """The trade whose rows are in `path` and whose documents are in the .txt beside it."""
    sections: dict[str, str] = {}
    heading = ""
    for line in path.with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            heading = line[2:].strip()
        elif line.strip():
            sections[heading] = "\n".join(part for part in (sections.get(heading, ""), line.strip()) if part)
    rows = tuple(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return Trade(path.stem, sections, rows)


def lessons(trades: Sequence[Trade], seed: int, copies: int = 1) -> list[Example]:
    """Examples of every skill from every trade, shuffled; `copies` orders of the questions of each detail."""
    rng = random.Random(seed)
    rows = [row for trade in trades for row in _trade_lessons(trade, rng, copies)]
    rng.shuffle(rows)
    return rows


def _trade_lessons(trade: Trade, rng: random.Random, copies: int) -> Iterator[Example]:
    yield from _details(trade)
    for row in trade.facts:
        place = (
            f"{row['business']} › {row['heading']}",
            row["sentence"],
            row["answer"],
            sentence_before(trade.sections.get(row["heading"], ""), row["sentence"]),
        )
        asked = askable(row["questions"], " ".join((place[0], place[1], place[3])))
        for _ in range(copies if asked else 0):
            yield _lesson("questions", trade, questions_prompt(*place), "\n".join(rng.sample(asked, len(asked))))
        if row.get("reverse"):
            reply = "\n".join(f"{turned['q']} => {turned['a']}" for turned in row["reverse"])
            yield _lesson("reverse", trade, reverse_prompt(*place), reply)
    yield from _readings(trade, rng)
    yield from _absent(trade)


def askable(questions: Sequence[str], shown: str) -> list[str]:
    """The questions that can be asked from what is shown: one that names more teaches a small model to invent names."""
    known = canonical(shown)
    return [question for question in questions if not names_beyond(question, known)]


def _details(trade: Trade) -> Iterator[Example]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for row in trade.facts:
        if not row.get("yesno"):
            key = (
                f"{row['business']} › {row['heading']}",
                row["sentence"],
                sentence_before(trade.sections.get(row["heading"], ""), row["sentence"]),
            )
            found.setdefault(key, []).append(row["answer"])
    for place, answers in found.items():
        yield _lesson("details", trade, details_prompt(*place), "\n".join(dict.fromkeys(answers)))


def _readings(trade: Trade, rng: random.Random) -> Iterator[Example]:
    """Questions with a passage that answers them, or one that does not."""
    headings = list(trade.sections)
    for row in rng.sample(trade.facts, round(READINGS * len(trade.facts))):
        question = rng.choice(row["questions"])
        shown = trade.sections.get(row["heading"], row["sentence"]) if rng.random() < WHOLE_SECTION else row["sentence"]
        yield _reading(trade, row["heading"], shown, question, row["answer"])
        if rng.random() < DECLINES:
            other = row["heading"] if rng.random() < NEAR else rng.choice(headings)
            yield from _declined(trade, other, question, row, rng)
    unanswerable = [row["unanswerable"] for row in trade.rows if "unanswerable" in row]
    for question in rng.sample(unanswerable, round(READINGS * len(unanswerable))):
        heading = _nearest(question, trade)
        yield _reading(trade, heading, trade.sections[heading], question, REFUSAL)


def _declined(trade: Trade, heading: str, question: str, row: dict[str, Any], rng: random.Random) -> Iterator[Example]:
    """The question with another detail's sentence under `heading`, which does not answer it; nothing where there is none."""
    others = sorted(
        {f["sentence"] for f in trade.facts if f["heading"] == heading and row["answer"] not in f["sentence"]} - {row["sentence"]}
    )
    if others:
        yield _reading(trade, heading, rng.choice(others), question, REFUSAL)


def _reading(trade: Trade, heading: str, text: str, question: str, answer: str) -> Example:
    messages = question_messages(question, [passage(heading, text)])
    return Example((*messages, *conversation("", answer)[1:]), "read", "", "", trade.name)


def _absent(trade: Trade) -> Iterator[Example]:
    """What each section is asked and does not say."""
    asked: dict[str, list[str]] = {}
    for row in trade.rows:
        if "unanswerable" in row:
            asked.setdefault(_nearest(row["unanswerable"], trade), []).append(row["unanswerable"])
    for heading, questions in asked.items():
        yield _lesson("absent", trade, absent_prompt(f"{trade.business} › {heading}", trade.sections[heading]), "\n".join(questions))


def _nearest(question: str, trade: Trade) -> str:
    """The heading of the section that shares most words with the question."""
    words = set(keywords(question))
    return max(trade.sections, key=lambda h: len(words & set(keywords(f"{h} {trade.sections[h]}"))))


def _lesson(skill: str, trade: Trade, prompt: str, reply: str) -> Example:
    return Example(conversation(prompt, reply), skill, "", "", trade.name)
