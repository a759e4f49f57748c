"""The studying model: a base with the small adapter that taught it to study (see `lessons.py`).

It lists the details of a sentence, writes questions about them, turns them round, and keeps of all this what its own
reading of the source confirms.
"""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from engrain.documents.base import Section
from engrain.examples import Message
from engrain.fetch import cache_folder
from engrain.generate import Completion, generate
from engrain.knowledge.blocks import blocks, plain, sentence_before
from engrain.knowledge.dataset import Dropped, Studied
from engrain.knowledge.extract import MAX_CHARACTERS
from engrain.knowledge.facts import Fact
from engrain.knowledge.forms import IN_CONTEXT, wordings
from engrain.knowledge.wording import STUDIED, Wording, answer, gap_answer, said
from engrain.progress import SILENT, Progress, Stage
from engrain.study.base import Writer
from engrain.study.checks import fluent, names_beyond, of_length, reversible, sensible
from engrain.study.details import headed, in_order, is_sentence, merged, place, spans_in, worth_asking
from engrain.study.fitting import Rivals, asks_beyond, asks_for
from engrain.study.skills import REFUSAL, absent_prompt, conversation, details_prompt, lines, pairs, questions_prompt, reverse_prompt
from engrain.study.turning import turned
from engrain.tasks.chat import log_likelihood
from engrain.tokens import encode_example, encode_prompt, passage, question_messages
from engrain.words import canonical

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from engrain.models import Base

SHIPPED = Path(__file__).parent / "adapters"
"""Adapters that come with the package, in folders named as `fetch.version_key` names their base."""
QUESTION_TOKENS, REVERSE_TOKENS, DETAIL_TOKENS, BATCH_SIZE = 150, 60, 80, 64
TEMPERATURE, TOP_P = 0.7, 0.95
LEAST_LIKELY = -1.0
"""Mean log-probability (nats a token) of the answer, read from its source, below which a question is dropped."""
KEPT, KEPT_REVERSE = 12, 3
"""Questions kept of each fact: those whose reading gives the value most surely."""
NUM_LISTS = 2
"""Lists of questions that are drawn about each fact, the second ones once every fact has one."""
WAVE, SMALLEST_WAVE = BATCH_SIZE, BATCH_SIZE // 4
"""Facts that are studied together, whose lists fill a batch, and how few still are where time runs out: fewer take nearly as long."""
WRITING = 0.6
"""Share of a wave's time that writing takes; the rest is turning round and checking."""
UNSAID = 0.2
"""Share of the minutes that questions on what the documents do not say may take."""
NUM_ANCHORS = 2
"""Questions by rules that a reply begins with."""
LONGEST_SHOWN = 3000
"""Characters of a section that are shown at once."""
UNLIKELY = "unlikely even to the model that wrote it"
SENSELESS = "gives its answer away, or is too short or too long"
BEYOND = "names what its source does not"
OTHERWISE = "asks for something else than the value"
ELSEWHERE = "fits another fact as well"
NOT_READ = "reading the source does not give the value"
TOO_MANY = "more than are practised"


@dataclass
class Notes:
    """What was written about one fact: questions with how surely reading gives their answer, reversed ones, and what was dropped.

    `plain` are the questions by rules that the lists begin with; `backwards` tells whether rules turn the fact round, too.
    """

    questions: dict[Wording, float] = field(default_factory=dict)
    reversals: list[Wording] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    backwards: bool = False

    def turn(self, fact: Fact) -> None:
        """Lead from a price back to what the surest question asks the price of, where nothing else does."""
        if not self.backwards and not self.reversals:
            self.reversals = turned(fact, [wording.prompt for wording in surest(self.questions)])

    def wordings(self) -> list[Wording]:
        """What is practised: the surest questions, and a few reversed ones."""
        return [*surest(self.questions)[:KEPT], *self.reversals[:KEPT_REVERSE]]

    def dropped(self, section: str) -> list[Dropped]:
        """What is not practised, each with its reason."""
        return [
            Dropped(section, reason, text) for reason, text in (*self.lost, *((TOO_MANY, w.prompt) for w in surest(self.questions)[KEPT:]))
        ]


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
        self.rivals = Rivals(())

    def notice(self, facts: Sequence[Fact], sections: Sequence[Section], business: str) -> list[Fact]:
        """The facts, weighed by whether it lists them, and those it lists beyond them, in reading order."""
        found = [(section, block) for section in sections for block in blocks(section.text, *section.headings[-1:])]
        places = [(section, block) for section, block in found if is_sentence(block) and len(block.text) <= MAX_CHARACTERS]
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
        wanted, self.rivals = most_wanted(facts, self.seed), Rivals(facts)
        notes = self._notes(wanted, sections)
        studied = [fact for fact in wanted if fact.id in notes]
        for fact in studied:
            notes[fact.id].turn(fact)
        dropped = [each for fact in studied for each in notes[fact.id].dropped(fact.section)]
        absent = self._absent(list(sections.values()), facts[0].business if facts else "")
        return Studied({identity: found.wordings() for identity, found in notes.items()}, absent, dropped)

    def _notes(self, wanted: Sequence[Fact], sections: Mapping[str, Section]) -> dict[str, Notes]:
        """Fact id → what was written about it, for as many facts as there is time for."""
        notes: dict[str, Notes] = {}
        left = [(number, fact) for number in range(NUM_LISTS) for fact in wanted]
        lists, done = len(left), 0
        begun = time.perf_counter()
        with self.progress.stage("Studying: writing questions", lists, "lists") as stage:
            while left and (room := self._room(done, time.perf_counter() - begun, 1 - UNSAID)):
                stage.expect(min(lists, done + room))
                number = left[0][0]
                facts = [fact for n, fact in left[: min(room, WAVE)] if n == number]
                self._write_list(number, facts, sections, notes, stage)
                left, done = left[len(facts) :], done + len(facts)
        if left:
            self.progress.note(
                f"{self.minutes:g} minutes were enough to study {len(notes)} of {len(wanted)} facts, {max(0, done - len(wanted))} of them "
                "again, those first that people ask for most (study_minutes=0: all)."
            )
        return notes

    def _room(self, done: int, seconds: float, share: float) -> int:
        """How many more there is time for, where so many took so many seconds of a share of it; none where a wave would hardly begin."""
        if not self.minutes or not done:
            return sys.maxsize
        room = int(done * (60 * share * self.minutes / seconds - 1))
        return room if room >= SMALLEST_WAVE else 0

    def _write_list(
        self, number: int, facts: Sequence[Fact], sections: Mapping[str, Section], notes: dict[str, Notes], stage: Stage
    ) -> None:
        """Add to the notes a list of questions about each fact, its lines checked; with the first list also reversed questions of those
        that rules do not turn round.
        """
        if not number:
            notes |= {
                fact.id: Notes(plain=plain_questions(found), backwards=any(wording.kind == "reverse" for wording in found))
                for fact, found in zip(facts, wordings(facts), strict=True)
            }
        begun = [anchors(notes[fact.id].plain, number) for fact in facts]
        asked = [questions_prompt(*place(f, sections)) for f in facts]
        replies = self._write(asked, QUESTION_TOKENS, TEMPERATURE, begun=begun, seed=self.seed + number)
        stage.advance(WRITING * len(facts))
        to_turn = [] if number else [fact for fact in facts if not notes[fact.id].backwards]
        turns = self._write([reverse_prompt(*place(f, sections)) for f in to_turn], REVERSE_TOKENS, 0.0)
        reversals = {fact.id: reply for fact, reply in zip(to_turn, turns, strict=True)}
        for fact, reply in zip(facts, replies, strict=True):
            self._check(notes[fact.id], fact, sections[fact.section], reply, reversals.get(fact.id))
            stage.advance(1 - WRITING)

    def _check(self, notes: Notes, fact: Fact, section: Section, reply: Completion, reversal: Completion | None) -> None:
        """Add the lines of a reply to a fact's notes: those that hold, and those that do not with the reason."""
        shown = passage(headed(fact.business, section), fact.evidence)
        likely = fluent(self.tokenizer, reply)
        notes.lost += [(UNLIKELY, q) for q in lines(reply.text) if q not in likely]
        faults = {q: fault_of(fact, q, f"{shown} {fact.before}", self.rivals) for q in likely}
        notes.lost += [(fault, q) for q, fault in faults.items() if fault]
        asked = [Wording("question", STUDIED, q, answer(fact)) for q, fault in faults.items() if not fault]
        forward = [wording for wording in asked if wording not in notes.questions]
        sure = self._sure(shown, forward, [fact.value] * len(forward))
        notes.lost += [(NOT_READ, w.prompt) for w in forward if w not in sure]
        notes.questions |= sure
        if reversal:
            back = [Wording("reverse", STUDIED, q, a) for q, a in pairs(reversal.text) if reversible(fact, q, a)]
            notes.reversals += [as_said(fact, w) for w in surest(self._sure(shown, back, [w.answer for w in back]))]

    def _absent(self, sections: Sequence[Section], business: str) -> dict[str, list[str]]:
        """Section id → questions on its subject on which its own reading of it declines; none where it cannot be shown whole, or where
        there is no time for it.
        """
        shown = [section for section in sections if len(section.text) <= LONGEST_SHOWN]
        left, done, begun = random.Random(self.seed).sample(shown, len(shown)), 0, time.perf_counter()
        kept: dict[str, list[str]] = {section.id: [] for section in sections}
        with self.progress.stage("Studying: what is not said", len(shown), "sections") as stage:
            while left and (room := self._room(done, time.perf_counter() - begun, UNSAID)):
                stage.expect(min(len(shown), done + room))
                wave, left = left[: min(room, SMALLEST_WAVE)], left[min(room, SMALLEST_WAVE) :]
                prompts = [absent_prompt(headed(business, section), section.text) for section in wave]
                replies = self._write(prompts, QUESTION_TOKENS, TEMPERATURE, seed=self.seed + done)
                for section, reply in zip(wave, replies, strict=True):
                    kept[section.id] = self._declined(passage(headed(business, section), section.text), reply)
                    stage.advance(1)
                done += len(wave)
        if left:
            self.progress.note(f"{self.minutes:g} minutes were enough to ask what {done} of {len(shown)} sections do not say.")
        return kept

    def _declined(self, source: str, reply: Completion) -> list[str]:
        """The lines of a reply that reading the source declines to answer, those first that it declines most surely."""
        likely = [q for q in fluent(self.tokenizer, reply) if of_length(q) and not names_beyond(q, canonical(source))]
        asked = [Wording("unanswerable", STUDIED, q, REFUSAL) for q in likely]
        return [w.prompt for w in surest(self._sure(source, asked, [REFUSAL] * len(asked)))]

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

    def _sure(self, shown: str, wordings: Sequence[Wording], answers: Sequence[str]) -> dict[Wording, float]:
        """The wordings whose answer is what reading the passage gives, each with that answer's mean log-probability."""
        if not wordings:
            return {}
        asked = zip(wordings, answers, strict=True)
        rows = [encode_example(self.tokenizer, (*question_messages(w.prompt, [shown]), Message("assistant", a))) for w, a in asked]
        found = zip(wordings, log_likelihood(self.model, rows), strict=True)
        return {w: each.total / each.tokens for w, each in found if each.total / each.tokens > LEAST_LIKELY and each.foremost}


def study_adapter(base: Base) -> Path | None:
    """The folder of the base's study adapter: the one that `engrain prepare` made here, or the one that comes with the package."""
    return next((f for f in (cache_folder() / "study" / base.key, SHIPPED / base.key) if (f / "adapter_config.json").is_file()), None)


def fault_of(fact: Fact, question: str, source: str, rivals: Rivals) -> str:
    """Why a line cannot be a question about a fact, as far as its words tell; "" where it can."""
    if not sensible(fact, question):
        return SENSELESS
    if names_beyond(question, canonical(source)):
        return BEYOND
    if not asks_for(fact, question) or asks_beyond(question, source):
        return OTHERWISE
    return ELSEWHERE if rivals.fit(fact, question) else ""


def as_said(fact: Fact, turned: Wording) -> Wording:
    """A reversed question as people say its value, with its answer as a sentence."""
    shown, prompt = said(fact.value, fact.relation), turned.prompt
    if shown not in prompt:
        prompt = re.sub(rf"(?<!\w){re.escape(fact.value)}(?!\w)", lambda _: shown, prompt)
    return replace(turned, prompt=prompt, answer=gap_answer(replace(fact, value=turned.answer, relation="")))


def surest(found: Mapping[Wording, float]) -> list[Wording]:
    """The wordings, those first whose answer is surest."""
    return sorted(found, key=lambda wording: -found[wording])


def plain_questions(found: Sequence[Wording]) -> list[str]:
    """The questions by rules that stand alone, without a greeting or the like."""
    return [w.prompt for w in found if w.kind == "question" and w.form not in IN_CONTEXT and not re.search(r"\+|wrap-|in-place-", w.form)]


def anchors(plain: Sequence[str], number: int) -> str:
    """What a list begins with, one a line, other questions for each list: what is written after them asks for the same thing."""
    chosen = plain[number * NUM_ANCHORS : (number + 1) * NUM_ANCHORS] or plain[:NUM_ANCHORS]
    return "".join(f"{question}\n" for question in chosen)


def most_wanted(facts: Sequence[Fact], seed: int) -> list[Fact]:
    """The facts that are worth asking for, those first that people ask for most; among equals those of all documents mixed."""
    wanted = [fact for fact in facts if worth_asking(fact)]
    return sorted(random.Random(seed).sample(wanted, len(wanted)), key=lambda fact: -fact.weight)
