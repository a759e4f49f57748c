"""The studying model: a base with the small adapter that taught it to study (see `lessons.py`).

It lists the details of a sentence, writes questions about them, turns them round, and keeps of all this what its own
reading of the source confirms.
"""

from __future__ import annotations

import calendar
import math
import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engrain.documents.base import Section
from engrain.examples import Message
from engrain.generate import Completion, generate
from engrain.knowledge.blocks import Block, blocks, plain, sentence_before
from engrain.knowledge.dataset import Dropped, Studied
from engrain.knowledge.extract import GAP, Detail, text_kind
from engrain.knowledge.facts import Fact, fact_of, facts_at
from engrain.knowledge.forms import wordings
from engrain.knowledge.values import kind_of
from engrain.knowledge.wording import STUDIED, Wording, answer
from engrain.progress import SILENT, Progress, Stage
from engrain.study.base import Writer
from engrain.study.skills import (
    REFUSAL,
    absent_prompt,
    conversation,
    details_prompt,
    lines,
    pairs,
    questions_prompt,
    reverse_prompt,
)
from engrain.tasks.chat import log_likelihood
from engrain.tokens import encode_example, encode_prompt, passage, question_messages
from engrain.words import canonical, holds

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SHIPPED = Path(__file__).parent / "adapters"
"""Adapters that come with the package, in folders named as `fetch.version_key` names their base."""
QUESTION_TOKENS, REVERSE_TOKENS, DETAIL_TOKENS, BATCH_SIZE = 150, 60, 80, 64
TEMPERATURE, TOP_P = 0.7, 0.95
LEAST_LIKELY = -1.0
"""Mean log-probability (nats a token) of the answer, read from its source, below which a question is dropped."""
LEAST_FLUENT = -1.05
"""Mean log-probability of a written question's tokens, as they were written, below which it is dropped."""
KEPT, KEPT_REVERSE = 12, 3
"""Questions kept of each fact: those whose reading gives the value most surely."""
UNNOTICED = 0.3
"""Weight of a fact in words that the studying model does not list among its sentence's details."""
NUM_LISTS = 2
"""Lists of questions that are drawn about each fact."""
WAVE = 32
"""Facts that are studied together: their lists fill a batch."""
WRITING = 0.6
"""Share of the time that writing takes; the rest is turning round and checking."""
NUM_ANCHORS = 2
"""Questions by rules that a reply begins with."""
NAME_WITHIN = re.compile(r"(?<=[a-z,;] )(?:(?!I\b|I['’])[A-Z][\w'’-]+|\d[\w.,:]*)")
"""A word with a capital or a number inside a sentence."""
DAYS_AND_MONTHS = " ".join((*calendar.day_name, *calendar.month_name[1:], "Christmas", "Easter", "English"))
SPACED = re.compile(r" ([,.;:)])")
"""A mark that a space before it was left of."""
SHORTEST_SENTENCE, LONGEST_SHOWN = 4, 3000
"""Words of a sentence that can hold details, and characters of a section that are shown at once."""


class StudyingModel(Writer):
    """Studies a business's sections; every list it returns holds only what its own reading of the source confirms.

    It writes questions for as long as `minutes`, about what people ask for most first; 0 sets no limit.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        seed: int = 0,
        progress: Progress = SILENT,
        minutes: float = 0,
    ) -> None:
        self.model, self.tokenizer, self.seed, self.progress, self.minutes = model, tokenizer, seed, progress, minutes

    def notice(self, facts: Sequence[Fact], sections: Sequence[Section], business: str) -> list[Fact]:
        """The facts, weighed by whether it lists them, and those it lists beyond them, in reading order."""
        places = [(section, block) for section in sections for block in blocks(section.text, *section.headings[-1:]) if is_sentence(block)]
        prompts = [
            details_prompt(headed(business, section), plain(block.text), sentence_before(section.text, block.text))
            for section, block in places
        ]
        replies = self._write(prompts, DETAIL_TOKENS, 0.0, self.progress, "Studying: listing details")
        listed = [
            (section, block, span)
            for (section, block), reply in zip(places, replies, strict=True)
            for span in spans_in(block.text, lines(reply.text))
        ]
        return in_order(merged(facts, listed, business), sections)

    def study(self, facts: Sequence[Fact], sections: Mapping[str, Section]) -> Studied:
        """Wordings of the facts that are worth asking for, the surest first, and questions that no section answers."""
        dropped: list[Dropped] = []
        wordings: dict[str, list[Wording]] = {}
        wanted = most_wanted(facts, self.seed)
        begun = time.perf_counter()
        with self.progress.stage("Studying: writing questions", len(wanted), "facts") as stage:
            for start in range(0, len(wanted), WAVE):
                wordings |= self._wordings(wanted[start : start + WAVE], sections, dropped, self.seed + start, stage)
                most = self._room(len(wordings), time.perf_counter() - begun)
                stage.expect(min(most, len(wanted)))
                if most <= len(wordings) < len(wanted):
                    self.progress.note(
                        f"{self.minutes:g} minutes were enough to study {len(wordings)} of {len(wanted)} facts, those first that people "
                        "ask for most (study_minutes=0: all)."
                    )
                    break
        return Studied(wordings, self._absent(list(sections.values()), facts[0].business if facts else ""), dropped)

    def _room(self, studied: int, seconds: float) -> float:
        """How many facts there is time for in whole waves, where so many took so many seconds."""
        return 60 * self.minutes * studied / seconds // WAVE * WAVE if self.minutes else math.inf

    def _wordings(
        self, facts: Sequence[Fact], sections: Mapping[str, Section], dropped: list[Dropped], seed: int, stage: Stage
    ) -> dict[str, list[Wording]]:
        plain = [plainest(found) for found in wordings(facts)] * NUM_LISTS
        asked = [questions_prompt(*place(f, sections)) for f in facts] * NUM_LISTS
        turned = [reverse_prompt(*place(f, sections)) for f in facts]
        replies = self._write(asked, QUESTION_TOKENS, TEMPERATURE, begun=plain, seed=seed)
        stage.advance(WRITING * len(facts))
        reversals = self._write(turned, REVERSE_TOKENS, 0.0)
        kept = {}
        for i, (fact, reversal) in enumerate(zip(facts, reversals, strict=True)):
            written = dict.fromkeys(q for reply in replies[i :: len(facts)] for q in fluent(self.tokenizer, reply))
            known = canonical(" ".join((*place(fact, sections), DAYS_AND_MONTHS)))
            forward = [Wording("question", STUDIED, q, answer(fact)) for q in written if sensible(fact, q) and not names_beyond(q, known)]
            back = [Wording("reverse", STUDIED, q, a) for q, a in pairs(reversal.text) if reversible(fact, q, a)]
            shown = passage(headed(fact.business, sections[fact.section]), fact.evidence)
            sure = self._surest(shown, forward, [fact.value] * len(forward))
            kept[fact.id] = [*sure[:KEPT], *self._surest(shown, back, [w.answer for w in back])[:KEPT_REVERSE]]
            lost = {
                "unlikely even to the model that wrote it": [
                    q for r in replies[i :: len(facts)] for q in lines(r.text) if q not in written
                ],
                "gives its answer away, or is too short or too long": [q for q in written if not sensible(fact, q)],
                "it names what its source does not": [q for q in written if sensible(fact, q) and names_beyond(q, known)],
                "reading the source does not give the value": [w.prompt for w in forward if w not in sure],
                "more than are practised": [w.prompt for w in sure[KEPT:]],
            }
            dropped += [Dropped(fact.section, reason, q) for reason, texts in lost.items() for q in texts]
            stage.advance(1 - WRITING)
        return kept

    def _absent(self, sections: Sequence[Section], business: str) -> dict[str, list[str]]:
        """Section id → questions on its subject on which its own reading of it declines."""
        shown = [section.text[:LONGEST_SHOWN] for section in sections]
        prompts = [absent_prompt(headed(business, section), text) for section, text in zip(sections, shown, strict=True)]
        kept = {}
        replies = self._write(prompts, QUESTION_TOKENS, TEMPERATURE, self.progress, "Studying: what is not said", seed=self.seed)
        for section, text, reply in zip(sections, shown, replies, strict=True):
            asked = [Wording("unanswerable", STUDIED, q, REFUSAL) for q in lines(reply.text) if of_length(q)]
            kept[section.id] = [w.prompt for w in self._surest(passage(headed(business, section), text), asked, [REFUSAL] * len(asked))]
        return kept

    def _write(
        self,
        prompts: Sequence[str],
        length: int,
        temperature: float,
        progress: Progress = SILENT,
        title: str = "",
        begun: Sequence[str] = (),
        seed: int = 0,
    ) -> list[Completion]:
        """What it replies to the prompts; to the text with which a reply has `begun`, it writes the rest."""
        rows = [encode_prompt(self.tokenizer, conversation(prompt, "")[:1]) for prompt in prompts]
        rows = [
            row + self.tokenizer.encode(text, add_special_tokens=False) for row, text in zip(rows, begun or [""] * len(rows), strict=True)
        ]
        return generate(
            self.model,
            self.tokenizer,
            rows,
            max_new_tokens=length,
            temperature=temperature,
            top_p=TOP_P,
            seed=seed,
            batch_size=BATCH_SIZE,
            progress=progress,
            title=title,
        )

    def _surest(self, shown: str, wordings: Sequence[Wording], answers: Sequence[str]) -> list[Wording]:
        """The wordings whose answer is what reading the passage gives, the surest first."""
        if not wordings:
            return []
        asked = zip(wordings, answers, strict=True)
        rows = [encode_example(self.tokenizer, (*question_messages(w.prompt, [shown]), Message("assistant", a))) for w, a in asked]
        found = log_likelihood(self.model, rows)
        sure = [each.total / each.tokens for each in found]
        return [wordings[i] for i in np.argsort(sure)[::-1] if sure[i] > LEAST_LIKELY and found[i].foremost]


def plainest(found: Sequence[Wording]) -> str:
    """The first questions that rules make of a fact, one a line: what is written after them asks for the same thing."""
    asked = [w.prompt for w in found if w.kind == "question" and not re.search(r"\+|wrap-|in-place-", w.form)]
    return "".join(f"{question}\n" for question in asked[:NUM_ANCHORS])


def fluent(tokenizer: PreTrainedTokenizerBase, reply: Completion) -> list[str]:
    """The lines of a reply that the model found likely as it wrote them, each once: where it drifts off, it guesses."""
    kept: list[str] = []
    ids: list[int] = []
    scores: list[float] = []
    for number, (token, score) in enumerate(zip(reply.ids, reply.scores, strict=True), 1):
        ids, scores = [*ids, token], [*scores, score]
        if "\n" in tokenizer.decode([token]) or (reply.finished and number == len(reply.ids)):
            kept += lines(tokenizer.decode(ids, skip_special_tokens=True)) if sum(scores) / len(scores) > LEAST_FLUENT else []
            ids, scores = [], []
    return list(dict.fromkeys(kept))


def is_sentence(block: Block) -> bool:
    """Whether a block is a statement of some words: cells and short items are whole facts already."""
    return block.kind != "cell" and len(block.text.split()) >= SHORTEST_SENTENCE


def spans_in(text: str, details: Sequence[str]) -> list[tuple[int, int]]:
    """Where the details stand in a text, each once; one that does not stand there verbatim is left out."""
    found = [(text.find(detail), len(detail)) for detail in details]
    return [(start, start + length) for start, length in found if start >= 0 and length < len(text)]


def merged(facts: Sequence[Fact], listed: Sequence[tuple[Section, Block, tuple[int, int]]], business: str) -> list[Fact]:
    """The facts with less weight for those in words that are not listed, and new ones for each listed detail that none holds."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for section, block, (start, end) in listed:
        spans.setdefault(section.id, []).append((block.start + start, block.start + end))
    known = [
        replace(f, weight=1.0 if overlaps(f, spans.get(f.section, ())) else UNNOTICED) if f.kind == "text" and f.form == "statement" else f
        for f in facts
    ]
    values: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.kind != "yesno":
            values.setdefault(fact.section, []).append(fact)
    missing = [
        (section, block, span)
        for section, block, span in listed
        if not any(overlaps(fact, [(block.start + span[0], block.start + span[1])]) for fact in values.get(section.id, ()))
    ]
    return list({f.id: f for f in [*known, *new_facts(missing, business)]}.values())


def in_order(facts: Sequence[Fact], sections: Sequence[Section]) -> list[Fact]:
    """The facts in the order in which they stand in the sections."""
    order = {section.id: i for i, section in enumerate(sections)}
    return sorted(facts, key=lambda fact: (order[fact.section], fact.start))


def overlaps(fact: Fact, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether a fact's value shares a character with any of the spans."""
    return any(fact.start < end and start < fact.end for start, end in spans)


def new_facts(listed: Sequence[tuple[Section, Block, tuple[int, int]]], business: str) -> list[Fact]:
    """Listed details as facts: each with the statements that hold it, or else with its whole sentence."""
    sections = list({section.id: section for section, _, _ in listed}.values())
    spans: dict[str, list[tuple[int, int]]] = {}
    for section, block, (start, end) in listed:
        spans.setdefault(section.id, []).append((block.start + start, block.start + end))
    stated = facts_at(spans, sections, business)
    held = {(fact.section, fact.start, fact.end) for fact in stated}
    loose = [
        whole_sentence(section, block, span, business)
        for section, block, span in listed
        if (section.id, block.start + span[0], block.start + span[1]) not in held
    ]
    return [replace(fact, weight=1.0) for fact in (*stated, *loose)]


def whole_sentence(section: Section, block: Block, span: tuple[int, int], business: str) -> Fact:
    """A listed detail as a fact: what it says is its sentence with a gap."""
    start, end = span
    value = block.text[start:end]
    relation = f"{plain(block.text[:start])} {GAP} {plain(block.text[end:])}".strip(" .") + "."
    topic = plain(section.headings[-1]) if section.headings else ""
    detail = Detail(
        block.start + start, block.start + end, kind_of(value) or text_kind(value), "", SPACED.sub(r"\1", relation), plain(block.text)
    )
    return fact_of(detail, section, topic, business)


def worth_asking(fact: Fact) -> bool:
    """Whether people would ask for the value."""
    return fact.kind != "yesno" and fact.weight >= 0.5


def most_wanted(facts: Sequence[Fact], seed: int) -> list[Fact]:
    """The facts that are worth asking for, those first that people ask for most; among equals those of all documents mixed."""
    wanted = [fact for fact in facts if worth_asking(fact)]
    return sorted(random.Random(seed).sample(wanted, len(wanted)), key=lambda fact: -fact.weight)


def place(fact: Fact, sections: Mapping[str, Section]) -> tuple[str, str, str, str]:
    """A fact as the prompts of the skills name it: heading, sentence, value and what stands before the sentence."""
    return headed(fact.business, sections[fact.section]), fact.evidence, fact.value, fact.before


def headed(business: str, section: Section) -> str:
    """Business and section heading, as the lessons name a passage."""
    return " › ".join(part for part in (business, *section.headings[-1:]) if part)


def of_length(question: str) -> bool:
    """Whether a question has as many words as questions have."""
    return 3 <= len(question.split()) <= 30


def sensible(fact: Fact, question: str) -> bool:
    """Whether a line can be a question about the fact: of some length, and it does not give the value away."""
    return of_length(question) and not holds(canonical(question), canonical(fact.value))


def names_beyond(question: str, known: str) -> list[str]:
    """The names and numbers in a question that do not stand in what is known, a canonical text: a small model makes them up."""
    return [name for name in NAME_WITHIN.findall(question) if not holds(known, canonical(re.sub(r"['’]s?$|[.,:]$", "", name)))]


def reversible(fact: Fact, question: str, reply: str) -> bool:
    """Whether a pair can turn the fact round: it names the value and its answer, which stands in the source, is another."""
    source = canonical(f"{fact.business} {fact.topic} {fact.evidence}")
    asked = canonical(question)
    return (
        of_length(question)
        and holds(asked, canonical(fact.value))
        and holds(source, canonical(reply))
        and not holds(asked, canonical(reply))
    )
