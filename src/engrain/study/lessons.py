"""Lessons: the corpus of hand-written businesses as examples that teach the skills of `skills.py`."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from engrain.documents.base import Document, read_documents
from engrain.examples import Example
from engrain.knowledge.blocks import blocks, plain, sentence_before
from engrain.knowledge.sheets import Sheets
from engrain.study.checks import names_beyond
from engrain.study.skills import REFUSAL, absent_prompt, conversation, details_prompt, questions_prompt, reverse_prompt
from engrain.tokens import passage, question_messages
from engrain.words import canonical, keywords

CORPUS = Path(__file__).parent / "corpus"
HEADING = re.compile(r"(#+) +(.*\S)")
WITHIN = " › "
"""What stands between a heading and one below it."""
READINGS = 0.3
"""Share of the details of which a question practises reading, and of the questions without an answer."""
WHOLE_SECTION = 0.25
"""Share of readings from a whole section rather than the sentence alone."""
DECLINES = 0.6
"""Readings whose passage lacks the answer, as a share of those that have it."""
NEAR = 2 / 3
"""Share of such passages from the same section as the answer: the nearer, the harder to see that they do not say it."""


Place: TypeAlias = tuple[str, int, int]
"""A section's id, and from where to where in its text."""
NOWHERE: Place = ("", 0, 0)


@dataclass(frozen=True)
class Trade:
    """One business of the corpus: section headings, the outermost first ("Rooms › Kiln"), → text, and its rows.

    A row is a detail (heading, sentence, answer, questions, reverse), a question on two details (two, q, a) or one without an answer.
    """

    name: str
    documents: tuple[Document, ...]
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

    def place(self, row: Mapping[str, Any]) -> Place:
        """Where a row's sentence stands: below its heading, where it stands in several places."""
        held = [(s, start) for d in self.documents for s in d.sections if (start := s.text.find(row["sentence"])) >= 0]
        held.sort(key=lambda each: each[0].headings[-1:] != (innermost(row["heading"]),))
        return next(((s.id, start, start + len(row["sentence"])) for s, start in held), NOWHERE)

    @cached_property
    def cells(self) -> list[tuple[Place, str]]:
        """What stands in tables and under headings whose lists share keys, and the record of each, as facts show it."""
        sections = [section for document in self.documents for section in document.sections]
        sheets = Sheets.of(sections)
        parts = ((s, sheets.cells(blocks(s.text, *s.headings[-1:]), s.headings, self.business)) for s in sections)
        return [((s.id, b.start, b.start + len(b.text)), plain(b.evidence)) for s, found in parts for b in found if b.kind == "cell"]

    def shown(self, row: Mapping[str, Any]) -> tuple[str, str, str]:
        """What a studying model is shown of a row's detail, as `details.place` has it: heading, sentence, and what stands before that."""
        heading = named(row["business"], row["heading"])
        section, start, _ = self.place(row)
        at = start + row["sentence"].find(row["answer"])
        records = (text for (other, a, b), text in self.cells if other == section and a <= at < b and row["answer"] in text)
        record = next(records, "")
        before = "" if record else sentence_before(self.sections.get(row["heading"], ""), row["sentence"])
        return heading, record or row["sentence"], before


def read_corpus(folder: Path = CORPUS) -> list[Trade]:
    """Every trade of the corpus, in alphabetical order."""
    return [read_trade(path) for path in sorted(folder.glob("*.jsonl"))]


def read_trade(path: Path) -> Trade:
    """The trade whose rows are in `path` and whose documents are in the .txt beside it."""
    sections: dict[str, str] = {}
    headings: list[str] = []
    for line in path.with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        heading = WITHIN.join(headings)
        if found := HEADING.match(line):
            headings = [*headings[: len(found[1]) - 1], found[2]]
        elif line.strip():
            sections[heading] = "\n".join(part for part in (sections.get(heading, ""), line.strip()) if part)
    rows = tuple(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return Trade(path.stem, tuple(read_documents([path.with_suffix(".txt")]).documents), sections, rows)


def asked_elsewhere(count: int, seed: int = 0, folder: Path = CORPUS) -> list[str]:
    """At most `count` different questions that people ask the businesses of the corpus, as many of each; none names its business."""
    rng, found, files = random.Random(seed), dict[str, None](), sorted(folder.glob("*.jsonl"))
    for path in files:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = (row for row in map(json.loads, rng.sample(lines, len(lines))) if "answer" in row)
        asked = ((row, rng.choice([*row["questions"], *(turned["q"] for turned in row.get("reverse", ()))])) for row in rows)
        nameless = (question for row, question in asked if row["business"].lower() not in question.lower())
        found |= dict.fromkeys(islice(nameless, -(-count // len(files))))
    return list(found)[:count]


def named(business: str, headings: str) -> str:
    """Business and innermost heading, as `details.headed` names a section."""
    return f"{business}{WITHIN}{innermost(headings)}"


def innermost(headings: str) -> str:
    """The last of headings of which each is below the one before."""
    return headings.rsplit(WITHIN, 1)[-1]


def lessons(trades: Sequence[Trade], seed: int, copies: int = 1) -> list[Example]:
    """Examples of every skill from every trade, shuffled; `copies` orders of the questions of each detail."""
    rng = random.Random(seed)
    rows = [row for trade in trades for row in _trade_lessons(trade, rng, copies)]
    rng.shuffle(rows)
    return rows


def _trade_lessons(trade: Trade, rng: random.Random, copies: int) -> Iterator[Example]:
    yield from _details(trade)
    for row in trade.facts:
        heading, sentence, before = trade.shown(row)
        place = heading, sentence, row["answer"], before
        asked = askable(row["questions"], " ".join((heading, sentence, before)))
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
    """The details of each sentence; cells are whole facts already, and nobody asks for theirs."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for row in trade.facts:
        place = trade.shown(row)
        if not row.get("yesno") and not row["sentence"].startswith("|") and place[1] == row["sentence"]:
            found.setdefault(place, []).append(row["answer"])
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
    messages = question_messages(question, [passage(innermost(heading), text)])
    return Example((*messages, *conversation("", answer)[1:]), "read", "", "", trade.name)


def _absent(trade: Trade) -> Iterator[Example]:
    """What each section is asked and does not say."""
    asked: dict[str, list[str]] = {}
    for row in trade.rows:
        if "unanswerable" in row:
            asked.setdefault(_nearest(row["unanswerable"], trade), []).append(row["unanswerable"])
    for heading, questions in asked.items():
        yield _lesson("absent", trade, absent_prompt(named(trade.business, heading), trade.sections[heading]), "\n".join(questions))


def _nearest(question: str, trade: Trade) -> str:
    """The heading of the section that shares most words with the question."""
    words = set(keywords(question))
    return max(trade.sections, key=lambda h: len(words & set(keywords(f"{h} {trade.sections[h]}"))))


def _lesson(skill: str, trade: Trade, prompt: str, reply: str) -> Example:
    return Example(conversation(prompt, reply), skill, "", "", trade.name)
