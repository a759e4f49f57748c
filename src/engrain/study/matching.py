"""Matching: the sentence encoder learns from the corpus which texts ask for the same detail, and which passage holds it.

A good writer's question belongs to another wording of it, to what rules ask about the same value, and to the passage that
answers it; the other details of the same business are what it has to be told from. They are the negatives of one batch
(Henderson and others 2017, arXiv 1705.00652) in a softmax over cosines (van den Oord and others 2018, arXiv 1807.03748).
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from engrain.documents.base import read_documents
from engrain.encoder import Encoder, without
from engrain.knowledge.dataset import make_examples
from engrain.knowledge.facts import find_facts, names_of
from engrain.progress import SILENT, Progress
from engrain.retrieval import cut
from engrain.study.lessons import CORPUS, Trade
from engrain.words import canonical

HELDOUT_TRADES = ("campsite", "dentist", "ferry", "guesthouse", "heating", "kennel", "library", "museum")
"""Trades that nothing is learned of: matching is scored on them."""
RANK = 32
LEARNING_RATE = 1e-3
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


@dataclass(frozen=True)
class Detail:
    """What a good writer asks about one value: `questions` (two or more), reversed ones with their answers, the passage."""

    answer: str
    questions: tuple[str, ...]
    reversed: tuple[tuple[str, str], ...]
    passage: str


@dataclass(frozen=True)
class Business:
    """The details of one trade of the corpus, all without its names; its passages; and by answer what rules ask about it."""

    trade: str
    details: tuple[Detail, ...]
    passages: tuple[str, ...]
    by_rule: dict[str, list[str]]


@dataclass(frozen=True)
class Pair:
    """Two texts that belong together, the answer they share, and the passage of it."""

    question: str
    match: str
    answer: str
    passage: str


def business_of(trade: Trade, folder: Path = CORPUS) -> Business:
    """The trade whose text lies in `folder`, read and asked about by rules as a build does it."""
    documents = read_documents([folder / f"{trade.name}.txt"]).documents
    facts = find_facts(documents)
    plain = without(names_of(facts))
    passages = [(p.text, plain(" ".join([*p.headings, p.text]))) for d in documents for s in d.sections for p in cut(s)]
    by_rule = defaultdict(list)
    for example in make_examples(facts).train:
        if example.kind in ("question", "reverse"):
            by_rule[canonical(example.messages[-1].content)].append(plain(example.messages[-2].content))
    details = tuple(
        Detail(
            canonical(row["answer"]) if not row.get("yesno") else f"{row['answer']}: {row['questions'][0]}",
            tuple(map(plain, row["questions"])),
            tuple((plain(turned["q"]), canonical(turned["a"])) for turned in row.get("reverse", [])),
            next((shown for text, shown in passages if row["sentence"] in text), ""),
        )
        for row in trade.facts
        if len(row["questions"]) > 1
    )
    return Business(trade.name, details, tuple(shown for _, shown in passages), dict(by_rule))


def pairs_of(business: Business, rng: random.Random) -> list[Pair]:
    """One pair of each of at most BATCH_SIZE details."""
    details = rng.sample(business.details, min(BATCH_SIZE, len(business.details)))
    return [_pair(detail, business.by_rule, rng) for detail in details]


def _pair(detail: Detail, by_rule: dict[str, list[str]], rng: random.Random) -> Pair:
    turned = [(question, answer) for question, answer in detail.reversed if answer in by_rule]
    if turned and rng.random() < REVERSED:
        question, answer = rng.choice(turned)
        return Pair(question, rng.choice(by_rule[answer]), answer, detail.passage)
    question, other = rng.sample(detail.questions, 2)
    drawn = rng.random()
    if drawn < BY_RULE and detail.answer in by_rule:
        other = rng.choice(by_rule[detail.answer])
    elif BY_RULE <= drawn < BY_RULE + IN_PASSAGE and detail.passage:
        other = detail.passage
    return Pair(question, other, detail.answer, detail.passage)


def teach(
    encoder: Encoder, businesses: Sequence[Business], out: Path, seed: int = 0, steps: int = STEPS, progress: Progress = SILENT
) -> list[float]:
    """Teach the encoder with LoRA, write the adapter to `out` in PEFT's format, and return the loss (nats) of each step."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    rng = random.Random(seed)
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=["query", "key", "value", "dense"], exclude_modules=r".*pooler.*")
    model: Any = get_peft_model(encoder.model, config)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=LEARNING_RATE, weight_decay=0.0)
    losses = []
    with progress.stage("Teaching the encoder", steps, "steps") as stage:
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * min(1, (step + 1) / WARMUP) * (1 + math.cos(math.pi * step / steps)) / 2
            loss = contrast(encoder, pairs_of(rng.choice(businesses), rng))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
            stage.advance(1, loss=losses[-1])
    model.save_pretrained(out)
    return losses


def contrast(encoder: Encoder, pairs: Sequence[Pair]) -> torch.Tensor:
    """How badly (nats) each text of a pair is told from the others' matches, both ways.

    What shares the answer, or is the passage of another pair, is no other match: it fits as well.
    """
    with torch.autocast("cpu", torch.bfloat16):
        means = encoder.means([text for pair in pairs for text in (pair.question, pair.match)], MAX_TOKENS).float()
    scores = means[0::2] @ means[1::2].T / TEMPERATURE
    alike = [[i != j and _fits(a, b) for j, b in enumerate(pairs)] for i, a in enumerate(pairs)]
    scores = scores.masked_fill(torch.tensor(alike), -math.inf)
    target = torch.arange(len(pairs))
    return (functional.cross_entropy(scores, target) + functional.cross_entropy(scores.T, target)) / 2


def _fits(one: Pair, other: Pair) -> bool:
    return one.answer == other.answer or one.passage == other.match or other.passage == one.match
