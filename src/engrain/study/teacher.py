"""The teacher: a large model, behind any OpenAI-compatible endpoint or on this machine, that does what the studying model does.

What it writes is checked by rules, for nobody reads it again: values stand in the source letter by letter, questions do
not give their answers away. Every reply is kept on the disk, so that work which was stopped asks only for the rest.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from engrain.documents.base import Section
from engrain.knowledge.blocks import Block
from engrain.knowledge.dataset import Dropped, Studied
from engrain.knowledge.facts import Fact
from engrain.knowledge.wording import STUDIED, Wording, answer
from engrain.models import locate
from engrain.progress import SILENT, Progress
from engrain.study.base import StudySettings, Writer
from engrain.study.checks import of_length, reversible, sensible
from engrain.study.details import in_order, merged, spans_in, worth_asking
from engrain.study.teacher_asking import Asking, Price
from engrain.study.teacher_endpoint import KEYS, Endpoint, checked_url, mapping, mappings, one_line, strings
from engrain.study.teacher_local import LocalEndpoint
from engrain.study.teacher_prompts import (
    LONGEST_SHOWN,
    NUM_ABSENT,
    NUM_QUESTIONS,
    NUM_REVERSE,
    NUM_TWO,
    absent_requests,
    detail_requests,
    numbered,
    question_requests,
    two_requests,
)
from engrain.words import canonical, holds

NOT_VERBATIM = "details that do not stand in their sentence letter by letter"
GIVEN_AWAY = "questions that give their answer away, or are too short or too long"
NOT_HELD = "reversed questions whose answer the source does not hold"
NOT_TWO = "questions on two details that name what links them, or need one only"
LENGTH = "unanswerable questions that are too short or too long"
NO_JSON = "replies that were no JSON"


class Teacher(Writer):
    """Studies a business's sections by asking a large model; what it returns has passed the rules of the studying model."""

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        cache: Path,
        progress: Progress = SILENT,
        concurrency: int = StudySettings.teacher_concurrency,
        price: Price | None = None,
    ) -> None:
        self.progress = progress
        self.asking = Asking(endpoint, model, cache, progress, concurrency, price)
        self.dropped: list[Dropped] = []

    def notice(self, facts: Sequence[Fact], sections: Sequence[Section], business: str) -> list[Fact]:
        """The facts, weighed by whether it lists them, and those it lists beyond them, in reading order."""
        asked = detail_requests(sections, business)
        replies = self.asking.ask([prompt for _, _, prompt in asked], "Teacher: listing details")
        listed = [
            (section, block, span)
            for section, batch, prompt in asked
            for number, block in numbered(batch)
            for span in self._spans(section, block, strings(replies.get(prompt, {}).get(number)))
        ]
        self._note_dropped()
        missed = {section.id for section, _, prompt in asked if prompt not in replies}
        unweighed = {fact.id: fact for fact in facts if fact.section in missed}
        return in_order([unweighed.get(fact.id, fact) for fact in merged(facts, listed, business)], sections)

    def study(self, facts: Sequence[Fact], sections: Mapping[str, Section]) -> Studied:
        """Wordings of the facts that are worth asking for, and by section questions that it does not answer."""
        worth = [fact for fact in facts if worth_asking(fact)]
        asked, paired = question_requests(worth, sections), two_requests(worth, sections)
        near = absent_requests(facts[0].business if facts else "", sections)
        prompts = [prompt for _, prompt in (*asked, *paired)] + [prompt for _, prompt in near]
        replies = self.asking.ask(prompts, "Teacher: writing questions")
        wordings = self._wordings(asked, replies)
        for group, prompt in paired:
            for fact, wording in self._two(group, replies.get(prompt, {})):
                if fact.id in wordings:  # A fact whose own questions were lost stays without an entry, to be asked about again.
                    wordings[fact.id].append(wording)
        absent: dict[str, list[str]] = {section.id: [] for section in sections.values() if len(section.text) > LONGEST_SHOWN}
        absent |= {section.id: self._absent(section, replies[prompt]) for section, prompt in near if prompt in replies}
        return Studied(dict(wordings), absent, self._note_dropped())

    # Reading replies: what fails its check is counted

    def _wordings(self, asked: Sequence[tuple[list[Fact], str]], replies: Mapping[str, dict[str, Any]]) -> dict[str, list[Wording]]:
        found: dict[str, list[Wording]] = defaultdict(list)
        for batch, prompt in asked:
            for number, fact in numbered(batch if prompt in replies else []):
                reply = mapping(replies[prompt].get(number))
                found[fact.id] += [*self._questions(fact, reply), *self._reverse(fact, reply)]
        return found

    def _questions(self, fact: Fact, reply: Mapping[str, Any]) -> Iterator[Wording]:
        for question in strings(reply.get("questions"))[:NUM_QUESTIONS]:
            if self._keep(sensible(fact, question), GIVEN_AWAY, fact.section, question):
                yield Wording("question", STUDIED, question, answer(fact))

    def _reverse(self, fact: Fact, reply: Mapping[str, Any]) -> Iterator[Wording]:
        for row in mappings(reply.get("reverse"))[:NUM_REVERSE]:
            question, said = one_line(row.get("question")), one_line(row.get("answer"))
            if self._keep(reversible(fact, question, said), NOT_HELD, fact.section, f"{question} {said}"):
                yield Wording("reverse", STUDIED, question, said)

    def _two(self, facts: Sequence[Fact], reply: Mapping[str, Any]) -> Iterator[tuple[Fact, Wording]]:
        """Each question that needs two facts, with the second: its value is the answer."""
        known = dict(numbered(facts))
        for row in mappings(reply.get("questions"))[:NUM_TWO]:
            pair = [known[n] for n in (str(row.get("first")), str(row.get("second"))) if n in known]
            question = one_line(row.get("question"))
            good = len(pair) == 2 and linked(pair[0], pair[1], one_line(row.get("link")), question)
            if self._keep(good, NOT_TWO, facts[0].section, question):
                yield pair[1], Wording("two", STUDIED, question, answer(pair[1]))

    def _absent(self, section: Section, reply: Mapping[str, Any]) -> list[str]:
        asked = strings(reply.get("questions"))[:NUM_ABSENT]
        return [question for question in asked if self._keep(of_length(question), LENGTH, section.id, question)]

    def _spans(self, section: Section, block: Block, details: Sequence[str]) -> list[tuple[int, int]]:
        """Where the details stand in a block; one that a line break cuts in two stands there too."""
        text, found = block.text.replace("\n", " "), []
        for detail in details:
            spans = [span for span in spans_in(text, [detail]) if whole_words(block.text, span)]
            if self._keep(bool(spans), NOT_VERBATIM, section.id, detail):
                found += spans
        return found

    def _keep(self, good: bool, reason: str, section: str, text: str) -> bool:
        """Whether something is good; notes it under the reason where it is not."""
        if not good:
            self.dropped.append(Dropped(section, reason, text))
        return good

    def _note_dropped(self) -> list[Dropped]:
        """What was dropped since the last time, told in numbers."""
        found = [*self.dropped, *(Dropped("", NO_JSON, prompt[:200]) for prompt in self.asking.failed)]
        self.dropped.clear()
        self.asking.failed.clear()
        if counts := Counter(one.reason for one in found):
            told = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
            self.progress.note(f"Dropped of what the teacher wrote: {told}.")
        return found


def teacher_from(settings: StudySettings, cache: Path, progress: Progress = SILENT) -> Teacher:
    """The teacher that `URL` or `URL#model` names, with its key from the environment only (see KEYS), or a model for this machine.

    Where no model of a URL is named it is the only one that the endpoint has. Raises SettingError when there are others, or the URL is
    none, ModelError where a model cannot be had.
    """
    asked = settings.teacher or ""
    if "://" in asked or "#" in asked:
        endpoint, model = remote(asked)
    else:
        base = locate(asked, progress)
        endpoint, model = LocalEndpoint(base, settings.teacher_concurrency), str(base.folder)
    return Teacher(endpoint, model, cache, progress, settings.teacher_concurrency, price_of(settings))


def remote(asked: str) -> tuple[Endpoint, str]:
    """The endpoint of `URL` or `URL#model`, and the name of its model."""
    url, _, model = asked.partition("#")
    host = httpx.URL(checked_url(url)).host
    is_openai = host == "openai.com" or host.endswith(".openai.com")
    names = KEYS if is_openai else KEYS[:1]  # a key goes nowhere it is not meant for
    key = next((value for name in names if (value := os.environ.get(name, "").strip())), None)
    endpoint = Endpoint(url, key)
    return endpoint, model or endpoint.only_model()


def price_of(settings: StudySettings) -> Price | None:
    """What the settings say that tokens cost; None where they do not."""
    if settings.teacher_price_sent is None and settings.teacher_price_received is None:
        return None
    return Price(settings.teacher_price_sent or 0.0, settings.teacher_price_received or 0.0)


def whole_words(text: str, span: tuple[int, int]) -> bool:
    """Whether a span cuts no word or number of the text in two."""
    start, end = span
    edges = (text[max(0, start - 1) : start + 1], text[end - 1 : end + 1])
    return not any(len(edge) == 2 and edge.isalnum() for edge in edges)


def linked(first: Fact, second: Fact, link: str, question: str) -> bool:
    """Whether a question needs two facts: what links them stands in the source of both, and it leaves that out."""
    name = canonical(link)
    sources = [canonical(f"{fact.business} {fact.topic} {fact.subject} {fact.evidence}") for fact in (first, second)]
    shared = first.id != second.id and all(holds(source, name) for source in sources)
    return shared and sensible(second, question) and not holds(canonical(question), name)
