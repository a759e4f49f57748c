"""Matching: the sentence encoder learns from the corpus which texts ask for the same detail, and which passage holds it.

A good writer's question belongs to another wording of it, to what rules ask about the same value, and to the passage that
answers it; the other details of the same business are what it has to be told from. They are the negatives of one batch
(Henderson and others 2017, arXiv 1705.00652) in a softmax over cosines (van den Oord and others 2018, arXiv 1807.03748).
"""

from __future__ import annotations

import math
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.nn import functional

from engrain.encoder import Encoder, without
from engrain.knowledge.dataset import make_examples
from engrain.knowledge.facts import Fact, find_facts, names_of
from engrain.passages import cut
from engrain.progress import SILENT, Progress
from engrain.retrieval import Asked
from engrain.study.adapting import Adapting, adapt
from engrain.study.lessons import NOWHERE, Place, Trade, innermost
from engrain.words import canonical, holds

HELDOUT_TRADES = ("campsite", "dentist", "ferry", "guesthouse", "heating", "kennel", "library", "museum")
"""Trades that nothing is learned of: matching is scored on them."""
RANK = 32
LEARNING_RATE = 1e-4
WARMUP = 30
STEPS = 800
BATCH_SIZE = 64
"""Details of one business that are told from each other in a step."""
TEMPERATURE = 0.05
"""What cosines are divided by (Gao and others 2021, arXiv 2104.08821)."""
MAX_TOKENS = 96
BY_RULE, IN_PASSAGE = 0.5, 0.25
"""Shares of questions matched with one by rules and with their passage; the others with another wording of a good writer."""
REVERSED = 0.1
YES_OR_NO = re.compile(r"(?:yes|no)\b")


@dataclass(frozen=True)
class Detail:
    """What a good writer asks about one value: `questions` (two or more), reversed ones with their answers.

    The `passage` holds the value, and so does the `sentence` under the `heading`, which stands at `place`: a section's id, and from
    where to where in its text. `by_rule` has what rules ask about that sentence, by the answer in its one spelling.
    """

    answer: str
    questions: tuple[str, ...]
    reversed: tuple[tuple[str, str], ...] = ()
    passage: str = ""
    sentence: str = ""
    heading: str = ""
    yesno: bool = False
    place: Place = NOWHERE
    by_rule: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What the same answer to another question shares; a yes or no shares nothing."""
        return self.questions[0] if self.yesno else canonical(self.answer)


@dataclass(frozen=True)
class Business:
    """The details of one trade of the corpus, all without its names; what rules ask; what the documents do not say."""

    details: tuple[Detail, ...]
    asked: tuple[Asked, ...] = ()
    unanswerable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """Two texts that belong together, the answer they share, and the passage of it."""

    question: str
    match: str
    answer: str
    passage: str


def business_of(trade: Trade) -> Business:
    """A trade's documents, read and asked about by rules as a build does it."""
    documents = trade.documents
    facts = find_facts(documents)
    plain = without(names_of(facts))
    passages = [(p.text, plain(" ".join([*p.headings, p.text]))) for d in documents for s in d.sections for p in cut(s)]
    contexts = {fact.id: plain(fact.in_context) for fact in facts}
    found = {fact.id: fact for fact in facts}
    asked = tuple(
        Asked(plain(question), answer, found[fact].section, found[fact].start, contexts[fact])
        for question, answer, fact in _asked_by_rule(facts)
    )
    details = []
    for row in (row for row in trade.facts if len(row["questions"]) > 1):
        place = trade.place(row)
        details.append(
            Detail(
                row["answer"],
                tuple(map(plain, row["questions"])),
                tuple((plain(turned["q"]), turned["a"]) for turned in row.get("reverse", [])),
                next((shown for text, shown in passages if row["sentence"] in text), ""),
                plain(row["sentence"]),
                plain(innermost(row["heading"])),
                bool(row.get("yesno")),
                place,
                _by_answer([each for each in asked if stands_at(each, place)], canonical(row["answer"])),
            )
        )
    unanswerable = tuple(plain(row["unanswerable"]) for row in trade.rows if "unanswerable" in row)
    return Business(tuple(details), asked, unanswerable)


def _asked_by_rule(facts: Sequence[Fact]) -> list[tuple[str, str, str]]:
    """The questions of rules about facts, their answers, and the id of the fact of each."""
    made = (example for example in make_examples(facts).train if example.kind in ("question", "reverse"))
    return [(example.messages[-2].content, example.messages[-1].content, example.fact) for example in made if example.fact]


def stands_at(asked: Asked, place: Place) -> bool:
    """Whether a question's answer stands at this place."""
    section, start, end = place
    return asked.section == section and start <= asked.position < end


def _by_answer(asked: Sequence[Asked], value: str) -> dict[str, list[str]]:
    """By an answer in its one spelling the questions that have it; `value` is also had by what says a little more, or less."""
    found = defaultdict(list)
    for each in asked:
        answer = canonical(each.answer)
        alike = (holds(answer, value) or holds(value, answer)) and not YES_OR_NO.match(answer)
        for key in {answer, value} if alike else {answer}:
            found[key].append(each.question)
    return dict(found)


def different(order: Iterable[int], answers: Sequence[str], most: int | None = None) -> list[int]:
    """The first numbers in this order that have different answers; at most `most` of them."""
    first: dict[str, int] = {}
    for number in order:
        first.setdefault(answers[number], int(number))
        if len(first) == most:
            break
    return list(first.values())


def pairs_of(business: Business, rng: random.Random) -> list[Pair]:
    """One pair of each of at most BATCH_SIZE details."""
    details = rng.sample(business.details, min(BATCH_SIZE, len(business.details)))
    return [_pair(detail, rng) for detail in details]


def _pair(detail: Detail, rng: random.Random) -> Pair:
    by_rule = detail.by_rule
    turned = [(question, key) for question, answer in detail.reversed if (key := canonical(answer)) in by_rule]
    if turned and rng.random() < REVERSED:
        question, key = rng.choice(turned)
        return Pair(question, rng.choice(by_rule[key]), key, detail.passage)
    question, other = rng.sample(detail.questions, 2)
    drawn = rng.random()
    if drawn < BY_RULE and detail.key in by_rule:
        other = rng.choice(by_rule[detail.key])
    elif BY_RULE <= drawn < BY_RULE + IN_PASSAGE and detail.passage:
        other = detail.passage
    return Pair(question, other, detail.key, detail.passage)


def teach(
    encoder: Encoder, businesses: Sequence[Business], out: Path, seed: int = 0, steps: int = STEPS, progress: Progress = SILENT
) -> list[float]:
    """Teach the encoder, write the adapter to `out` in PEFT's format, and return the loss (nats) of each step."""
    rng = random.Random(seed)
    adapting = Adapting(RANK, LEARNING_RATE, WARMUP, steps, seed)

    def loss(_: int) -> torch.Tensor:
        return contrast(encoder, pairs_of(rng.choice(businesses), rng))

    return adapt(encoder, loss, out, adapting, progress=progress)


def contrast(encoder: Encoder, pairs: Sequence[Pair]) -> torch.Tensor:
    """How badly (nats) each text of a pair is told from the others' matches, both ways.

    What shares the answer, or is the passage of another pair, is no other match: it fits as well.
    """
    with torch.autocast("cpu", torch.bfloat16):
        means = encoder.means([text for pair in pairs for text in (pair.question, pair.match)], MAX_TOKENS).float()
    means = functional.normalize(means, dim=-1)
    scores = means[0::2] @ means[1::2].T / TEMPERATURE
    alike = [[i != j and _fits(a, b) for j, b in enumerate(pairs)] for i, a in enumerate(pairs)]
    scores = scores.masked_fill(torch.tensor(alike), -math.inf)
    target = torch.arange(len(pairs))
    return (functional.cross_entropy(scores, target) + functional.cross_entropy(scores.T, target)) / 2


def _fits(one: Pair, other: Pair) -> bool:
    return one.answer == other.answer or one.passage == other.match or other.passage == one.match
