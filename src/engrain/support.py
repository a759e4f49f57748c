"""Answers with a source: whether what an answer says stands in the documents, and where.

Adapted weights blur exact values. So every value of an answer (number, money, time, date, name, or the phrase itself)
must stand in a place of the documents that is about what was asked: one that shares enough of the question's words,
the rarer the word the more it weighs. Two facts count as one place where one of them says whom or what the other is about, and
the question is about more of both than of any one place. A name is no answer to "how much", wherever it stands. Values that the question
brought say nothing by themselves: where an answer has no others, most of its own words must stand in the place as well.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from engrain.documents.base import Section
from engrain.knowledge.facts import Fact
from engrain.knowledge.values import find_values, kind_of, verdict
from engrain.retrieval import Asked
from engrain.suiting import suits
from engrain.words import CURRENCIES, STOP_WORDS, canonical, holds, keywords, refused, stem

NEAR = 0.5
"""How much of the best place's overlap with the question a place needs to count as being about it."""

PHRASE = 2 / 3
"""How many of an answer's own words must stand in one place where the answer holds no value."""

EXACT = 1.25
"""How much more a fact with the very value weighs than a place that only mentions it."""

ASKS_TWICE = re.compile(r",? and (?=(?:who|what|when|where|which|why|how)\b)", re.IGNORECASE)
SIGNS = {
    sign: frozenset(name for word, meant in CURRENCIES.items() if meant.endswith(sign) for name in (meant, stem(word)))
    for sign in CURRENCIES.values()
}
"""Sign of a currency → the keywords that name it; a mere $ may be that of any dollars."""
TITLES = frozenset({"mr", "mrs", "ms", "miss", "dr", "prof", "professor", "sir"})
NTH = re.compile(r"\b\d{1,2}(?:st|nd|rd|th)\b", re.IGNORECASE)
VALUE = re.compile(r"(?<!\S)(?:\d+(?:\.\d+)? (?:sec|minute|hour|day|night|week|month|year|kg|km)(?![\w-])|\S*\d\S*|\S+@\S+)")
NAME = re.compile(r"[^\W\d_a-z][\w'’-]*(?:[ ](?:(?:of|de|la|van|von|and|&)[ ](?:the[ ])?)?[^\W\d_a-z][\w'’-]*)*")


@dataclass(frozen=True)
class Support:
    """What the documents say to an answer; all but `status` is empty unless that is `supported`.

    `status` is supported (its values stand in the documents), unsupported or refused. `section` is the place of the section that
    `value` stands in; `source` names it, and a second one where two facts are needed.
    """

    status: str
    source: str = ""
    value: str = ""
    section: str = ""


@dataclass(frozen=True)
class Place:
    """Somewhere values stand: a fact, or a row, list item or paragraph of a section, with all that says what it is about."""

    text: str
    about: str
    section: str
    value: str = ""
    beside: str = ""
    """The place of the section with the second fact, where this is two."""

    def support(self, value: str) -> Support:
        """That this place supports an answer, of which it says `value`."""
        second = f" and {self.beside}" if self.beside not in ("", self.section) else ""
        return Support("supported", self.section + second, value, self.section)

    @cached_property
    def canonical(self) -> str:
        """The text in the one spelling that values are compared in."""
        return canonical(self.text)

    def states(self, value: str) -> bool:
        """Whether this is a fact with this (canonical) value."""
        return self._has(canonical(self.value), value)

    def holds(self, value: str) -> bool:
        """Whether the (canonical) value stands in the text."""
        return self._has(self.canonical, value)

    def _has(self, text: str, value: str) -> bool:
        """A column headed 'Price (GBP)' or 'Weight (kg)' names the currency or unit once, above bare numbers; "at nine" is 9:00."""
        if holds(text, value) or (value.isdecimal() and holds(text, f"{int(value):02}:00")):
            return True
        measured = re.fullmatch(r"(\d\S*?) ?([a-z]+|%)", value)
        if measured and holds(canonical(self.about), measured[2]) and holds(text, measured[1]):
            return True
        sign = re.sub(r"\d.*", "", value)
        amount = value.removeprefix(sign)
        cells = (amount, amount.rstrip("0") if "." in amount else f"{amount}.00")
        return bool(SIGNS.get(sign, frozenset()) & self.words) and any(holds(text, cell) for cell in cells)

    @cached_property
    def words(self) -> frozenset[str]:
        """The keywords of text, headings and, for a fact, subject and relation."""
        return frozenset(keywords(f"{self.about} {self.text}"))


VERDICT_WORD = re.compile(r"^\W*(yes|no)\b(?:\W*$|\s*[,.;:!–—-]+\s*)", re.IGNORECASE)
"""The word that answers a yes/no question before the statement does; alone it says nothing that a document could hold."""
DENIES = re.compile(r"\b(?:no|not|never|cannot|nor|neither|nobody|nothing|none|forbidden|prohibited|banned)\b|n['’]t\b", re.IGNORECASE)
LIMITS = re.compile(r"\b(?:only|except|unless|but|without|closed|instead|rather|until|after|before)\b", re.IGNORECASE)
"""Words by which a sentence that denies nothing may yet mean no."""
RUNG, WRITTEN_TO = "phone telephone number call ring dial reach contact", "email e-mail mail address website write reach contact"
"""What people say who want a number or an address, whether or not the documents say it."""
PERMISSION = frozenset(keywords("allowed permitted possible"))
"""Words for what a rule says without them: no smoking in the rooms."""
SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n")
WORD = re.compile(r"[^\W_](?:\S*[^\W_])?|[£$€¥]\S*[^\W_]")
MOST_WORDS = 8
"""Of a value that is looked for in another spelling."""
CLAUSE = re.compile(r"[.!?;,]\s+|\n|\b(?:but|though|although)\b")


class Index:
    """The places of a run's facts and sections, found by their words; those of two facts are told by questions made of two."""

    def __init__(self, facts: Sequence[Fact], sections: Mapping[str, Section], asked: Sequence[Asked] = ()) -> None:
        self._places = [_fact_place(fact, sections) for fact in facts if fact.section in sections]
        self._places += [place for section in sections.values() for place in _section_places(section)]
        self._single = len(self._places)
        led = ((each, each.clue) for each in asked if each.clue)
        self._places += dict.fromkeys(_double_place(*pair, sections) for pair in led if {each.section for each in pair} <= sections.keys())
        self._holding: dict[str, list[int]] = defaultdict(list)
        for number, place in enumerate(self._places):
            for word in place.words:
                self._holding[word].append(number)
        counts = {word: bisect_left(numbers, self._single) for word, numbers in self._holding.items()}
        self._rarity = {word: math.log(1 + self._single / count) for word, count in counts.items() if count}

    def check(self, question: str, answer: str) -> Support:
        """Whether the documents support `answer` as an answer to `question`, and the place that does it best."""
        if refused(answer):
            return Support("refused")
        if not suits(question, answer):
            return Support("unsupported")
        single, double = zip(*map(self._about, ASKS_TWICE.split(question)), strict=True)
        found = (self._supported(dict(chain(*map(dict.items, parts))), question, answer) for parts in (single, double))
        return next((support for support in found if support.status == "supported"), Support("unsupported"))

    def _supported(self, places: Mapping[int, float], question: str, answer: str) -> Support:
        """Whether some of these places (number → weight), which are about the question, support the answer."""
        wanted = _values(answer)
        if not wanted:
            return self._phrase(places, question, answer)
        own = {value: shown for value, shown in wanted.items() if not holds(canonical(question), value)}
        if not own:
            said = set(keywords(answer)) - set(keywords(question))
            places = {number: weight for number, weight in places.items() if self._tells(number, said, answer)}
        wanted = own or wanted
        found = {value: {n for n in places if self._places[n].holds(value) and not self._outdone(n, question, value)} for value in wanted}
        if not all(found.values()):
            return Support("unsupported")
        held = Counter(number for numbers in found.values() for number in numbers)

        def fit(number: int) -> tuple[float, ...]:
            exact = any(self._places[number].states(value) for value in wanted)
            return -held[number], -places[number] * (EXACT if exact else 1), number

        best = self._places[min(held, key=fit)]
        shown = next(value for value in wanted if best.holds(value))
        return best.support(best.value if best.states(shown) else wanted[shown])

    def _outdone(self, number: int, question: str, value: str) -> bool:
        """Whether, of a place's several sentences, one with another value of this kind is about more of the question."""
        asked = set(keywords(question))
        told = [(sentence, asked & set(keywords(sentence))) for sentence in SENTENCE.split(self._places[number].text)]
        own = [shared for sentence, shared in told if holds(canonical(sentence), value)]
        if len(told) < 2 or len(own) != 1 or not (kind := kind_of(value)):
            return False
        return any(shared > own[0] and any(each.kind == kind for each in find_values(sentence)) for sentence, shared in told)

    def _about(self, question: str) -> tuple[dict[int, float], dict[int, float]]:
        """Number → weight of the places that are about the question, and of two facts at once that are about more of it than any place."""
        weights: dict[int, float] = defaultdict(float)
        for word in sorted(set(keywords(question)) & self._rarity.keys()):
            for number in self._holding[word]:
                weights[number] += self._rarity[word]
        single = {number: weight for number, weight in weights.items() if number < self._single}
        most = max(single.values(), default=0)
        near = {number: weight for number, weight in single.items() if weight >= NEAR * most}
        return near, {number: weight for number, weight in weights.items() if number >= self._single and weight > most}

    def _tells(self, number: int, said: set[str], answer: str) -> bool:
        """Whether a place holds most of what an answer `said` in words of its own, and does not deny it."""
        place = self._places[number]
        return len(said & place.words) >= PHRASE * len(said) and not _contradicts(place.text, answer)

    def _phrase(self, places: Mapping[int, float], question: str, answer: str) -> Support:
        """Support for an answer of plain words: the place that holds most of those the question did not bring.

        Where it brought them all, one place must hold every one; a bare yes or no must be the very value of a fact about all of it.
        """
        words, asked = set(keywords(answer)), set(keywords(question))
        own = words - asked

        def share(place: Place) -> float:
            if own:
                return len(own & place.words) / len(own)
            if words:
                return float(words - PERMISSION <= place.words)
            return float(canonical(place.value) == canonical(answer) and asked <= place.words)

        shares = {number: share(self._places[number]) for number in places}
        best = min(shares, key=lambda number: (-shares[number], -places[number], number), default=None)
        if best is None or shares[best] < PHRASE or _contradicts(self._places[best].text, answer):
            return Support("unsupported")
        place, said = self._places[best], answer.strip().rstrip(".")
        return place.support(said if place.holds(canonical(said)) else place.value or answer.strip())


def stretch(text: str, value: str) -> tuple[int, int] | None:
    """Where in a text a value stands, in whatever spelling ("ninety days" for 90 day): start and end of the shortest stretch of words."""
    wanted = canonical(value)
    if not wanted:
        return None
    start = text.find(value)
    if start >= 0:
        return start, start + len(value)
    words = [word.span() for word in WORD.finditer(text)]
    spans = ((start, end) for length in range(MOST_WORDS) for (start, _), (_, end) in zip(words, words[length:], strict=False))
    return next(((start, end) for start, end in spans if holds(canonical(text[start:end]), wanted)), None)


def _contradicts(text: str, answer: str) -> bool:
    """Whether an answer says yes where `text` denies what it is about, or no where the likest sentence neither denies nor limits."""
    verdict, words = VERDICT_WORD.match(answer), set(keywords(answer))
    if not words:
        return False
    if verdict[1].lower() == "no" if verdict else DENIES.search(answer):
        sentence = max(SENTENCE.split(text), key=lambda part: len(words & set(keywords(part))))
        return not DENIES.search(sentence) and not LIMITS.search(sentence)
    if not verdict or DENIES.search(answer):
        return False
    clauses = [(words & set(keywords(part)), bool(DENIES.search(part))) for part in CLAUSE.split(text)]
    best, denied = max(clauses, key=lambda each: len(each[0]))
    return denied or any(denied and shared - best for shared, denied in clauses)


def _fact_place(fact: Fact, sections: Mapping[str, Section]) -> Place:
    section = sections[fact.section]
    asked = "" if fact.kind != "contact" else WRITTEN_TO if re.search(r"@|//|www", fact.value) else RUNG
    about = f"{fact.subject} {fact.relation} {' '.join(section.headings)} {asked}"
    value = verdict(fact.value) or fact.value
    return Place(f"{value} | {fact.evidence}", about, section.place, value)


def _double_place(asked: Asked, clue: Asked, sections: Mapping[str, Section]) -> Place:
    """Where two facts stand: the one that answers a question, and the one by which that question says whom or what it is about."""
    told, leading = sections[asked.section], sections[clue.section]
    value = asked.answer.rstrip(".")
    return Place(f"{value} | {asked.evidence}", " ".join(told.headings), told.place, value, leading.place)


def _section_places(section: Section) -> Iterator[Place]:
    """Each table row, list item and paragraph. A row is about its table's header, an item about the line above its list."""
    headings = " ".join(section.headings)
    for block in re.split(r"\n\s*\n", section.text):
        lines = block.strip().splitlines()
        single = [line for line in lines if re.match(r"\s*(?:\||[-*+•]\s|\d+[.)]\s)", line)]
        if not single:
            yield Place(" ".join(lines), headings, section.place)
            continue
        lead = " ".join(line for line in lines if line not in single) or (single[0] if single[0].lstrip().startswith("|") else "")
        for line in single:
            yield Place(line, f"{headings} {lead}", section.place)


def _values(answer: str) -> dict[str, str]:
    """The answer's values, canonical → as shown."""
    said = canonical(answer)
    found = {value: value for value in VALUE.findall(said)}
    return found | {canonical(name): name for name in (*_names(answer), *NTH.findall(answer)) if holds(said, canonical(name))}


def _names(answer: str) -> Iterator[str]:
    """Runs of words with capitals. A single one at the start of a sentence says nothing, so it is left out."""
    for match in NAME.finditer(answer):
        words = match[0].split()
        while words and words[0].casefold() in STOP_WORDS | TITLES:
            words.pop(0)
        before = answer[: match.start()].rstrip()
        opens_sentence = not before or before.endswith((".", "!", "?", ":"))
        if words and words[0][0].isupper() and (len(words) > 1 or not opens_sentence):
            yield " ".join(words)
