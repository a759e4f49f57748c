"""Retrieval: the passages of the documents that fit a question best, by BM25 (Robertson and Zaragoza 2009) and by their meaning.

A passage is also found by the questions that were made of it, in words that it does not use itself (doc2query: Nogueira
and others 2019, arXiv 1904.08375).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from engrain.batches import batches
from engrain.documents.base import Section
from engrain.passages import PASSAGE_WORDS, cut, pieces
from engrain.remembered import Remembered
from engrain.suiting import suits
from engrain.words import canonical, holds, keywords, refused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engrain.encoder import Meaning, Vectors
    from engrain.pairs import PairScores

JOINS = re.compile(r"(?:and|or|but|so|then|what about|how about)\b", re.IGNORECASE)
"""How a question begins that leans on the one before it."""
FEW_WORDS = 2
"""Words that say something, of a question that leans on the one before it."""
CHAINED = 3
"""Questions before a follow-up that may lean on each other."""
WORDS = 0.3
"""What shared words weigh beside meaning, where passages are sought."""
KNOWN_WORDS = 0.5
"""Cosine from which a question may be asked in the words of a trained one."""
NUM_KNOWN = 3
"""Trained questions that a model is asked from memory in place of one."""
WORDINGS, SUITS, SHARED, NAMED = 0.5, 0.2, 0.1, 0.3
"""What counts beside a trained question's nearest wording: the mean over its wordings, an answer of the kind asked for, shared words,
and that it names the same prices, times, dates and numbers.
"""
STANDING, SAID, FITTING = 0.5, 0.3, 8
"""What counts of the sentence that an answer stands in: how near it is in meaning, and the words that it and its headings share with the
question. What stands in none fits as well as so many sentences, the best of the nearest things', on average.
"""
READ_AGAIN, ASKED = 12, 0.1
"""Of so many things that a question likely asks for a reranker reads the nearest wording, and what a nat of its counts then."""
PUT_AGAIN, PUT = 6, 0.7
"""Of so many of these, in the order that then holds, a questioner reads the fact, and what a nat a token of its counts then; nothing
after them can be meant.
"""
LESS = 0.1
"""How much less likely a question is about what is no fact than about the likeliest fact, where it is put in words (nats a token)."""
RECENT = 1024
"""Questions of which is remembered what was found of them."""
UNKNOWN = -1.0
"""How likely a question is about what is no fact, against the likeliest fact (nats a token)."""
TINY = 1e-9


@dataclass(frozen=True)
class Asked:
    """A question and its `answer`, which stands at `position` in the text of the section with this id; in none if it is to be declined.

    `evidence` is the sentence or row that it stands in, with what that needs beside it. A pass of training practised it `repeats` times.
    `about` is what the studying model is shown when it writes such questions; empty where a question is not about a fact. One that was
    made of two (`linked`) has the one that leads to this fact as its `clue`.
    """

    question: str
    answer: str
    section: str = ""
    position: int = -1
    evidence: str = ""
    repeats: int = 1
    about: str = ""
    clue: Asked | None = None

    @property
    def thing(self) -> tuple[str, int, str]:
        """What is asked for: the answer that stands in one place."""
        return self.section, self.position, canonical(self.answer)

    @property
    def shown(self) -> str:
        """The answer as a reranker reads it: after the question, if there is one, and before what it stands in."""
        return f"{self.question} {self.answer} · {self.evidence}".strip()


class Retriever:
    """An index over sections, cut into passages of about 60 words that keep their section's file and headings.

    `asked` are questions that the sections answer; each helps to find the passage with its answer. With a `meaning` both are found by
    what they mean too. A reranker tells how well answers fit, and a questioner how likely a question is about a fact; both are loaded
    when they are first needed.
    """

    def __init__(
        self,
        sections: Sequence[Section],
        asked: Sequence[Asked] = (),
        passage_words: int = PASSAGE_WORDS,
        meaning: Meaning | None = None,
        load_reranker: Callable[[], PairScores | None] = lambda: None,
        load_questioner: Callable[[], PairScores | None] = lambda: None,
    ) -> None:
        self.passages = [passage for section in sections for passage in cut(section, passage_words)]
        holding = _holding(self.passages, {section.id: section.start for section in sections}, asked)
        questions = defaultdict(list)
        for each, number in zip(asked, holding, strict=True):
            questions[number].append(each.question)
        self._texts = _Texts([" ".join([*p.headings, p.text, *questions[i]]) for i, p in enumerate(self.passages)])
        self._asked, self._headings = asked, {section.id: " ".join(section.headings) for section in sections}
        self._meanings = _Meanings(self.passages, asked, holding, meaning) if meaning and self.passages else None
        self._plain, self._load_reranker, self._load_questioner = meaning.plain if meaning else str, load_reranker, load_questioner
        self._likely = lru_cache(maxsize=RECENT, typed=True)(self._likely_meant)  # a question's is read ahead, and then used

    def search(self, question: str, k: int = 3) -> list[Section]:
        """At most `k` passages, the best first; none where no word of the question stands in the documents and there is no encoder.

        Passages that fit equally come in the documents' order.
        """
        return [self.passages[i] for i in _best(self._scores(question))[:k]]

    def answers(self, question: str, k: int) -> list[str]:
        """The answers of the questions that are most like this one: `k` different ones at most, the best first."""
        found = (self._asked[i].answer for i in _best(self._alike(question)) if self._asked[i].section)
        return list(islice(dict.fromkeys(found), k))

    def fits(self, question: str, answers: Sequence[str]) -> list[float]:
        """How well each answer fits (log-odds against none of them), read with what it stands in; 0 without a reranker.

        A follow-up is read by itself, too, and with what it leans on, and the mean counts. Names that all texts share are left out of
        everything but the answer, which may be one.
        """
        if not self._reranker:
            return [0.0] * len(answers)
        return self._fits(question, [self.candidate(question, answer) for answer in answers])

    def _fits(self, question: str, candidates: Sequence[Asked]) -> list[float]:
        if not candidates or not self._reranker:
            return [0.0] * len(candidates)
        scores = np.reshape(self._reranker.read(self._pairs(question, candidates)), (len(candidates), -1))
        return list(map(float, scores.mean(axis=1)))

    def asks(self, question: str, answers: Sequence[str]) -> list[float]:
        """How likely the question is about what each answer answers, against the likeliest of them (nats a token, at most 0).

        One that is no fact's answer is a nat less likely than the likeliest. 0 for all without a questioner, and where none is a fact's.
        """
        found = self._put(question, [self.candidate(question, answer) for answer in answers] if self._questioner else [])
        best = max((each for each in found if each is not None), default=None)
        if best is None:
            return [0.0] * len(answers)
        return [UNKNOWN if each is None else each - best for each in found]

    def _put(self, question: str, candidates: Sequence[Asked]) -> list[float | None]:
        """How likely the studying model would put the question in these words when it writes some about each candidate's fact.

        A follow-up is read by itself, too, and with what it leans on, and the mean counts. None for what is about no fact.
        """
        pairs = _put_pairs(question, candidates)
        if not pairs or not self._questioner:
            return [None] * len(candidates)
        scores = np.reshape(self._questioner.read(pairs), (-1, len(_forms(question)))).mean(axis=1)
        found = iter(map(float, scores))
        return [next(found) if each.about else None for each in candidates]

    def _pairs(self, question: str, candidates: Sequence[Asked]) -> list[tuple[str, str]]:
        """What the reranker reads of a question and of each candidate for its answer."""
        asked = _forms(question)
        shown = [replace(each, question=self._plain(each.question), evidence=self._plain(each.evidence)).shown for each in candidates]
        return [(self._plain(text), each) for each in shown for text in asked]

    def read_questions(self, questions: Iterable[str]) -> None:
        """Let reranker and questioner read at once, which is faster, all that `known_words` needs of them for these questions."""
        if self._meanings and self._asked:
            new = [question for question in questions if question not in self._numbers]
            self._meanings.look_up(new)
            if self._reranker:
                self._reranker.read([pair for question in new for pair in self._pairs(question, self._likely(question)[2])])
            if self._questioner:
                self._questioner.read([pair for question in new for pair in _put_pairs(question, self._first(question)[2])])

    def read_answers(self, offered: Iterable[tuple[str, Sequence[str]]]) -> None:
        """Let reranker and questioner read at once all that `fits` and `asks` need of them for these questions with their answers."""
        if not self._reranker and not self._questioner:
            return
        offered = list(offered)
        if self._meanings:
            self._meanings.look_up([question for question, _ in offered])
        found = [(question, [self.candidate(question, answer) for answer in answers]) for question, answers in offered]
        if self._reranker:
            self._reranker.read([pair for question, candidates in found for pair in self._pairs(question, candidates)])
        if self._questioner:
            self._questioner.read([pair for question, candidates in found for pair in _put_pairs(question, candidates)])

    def candidate(self, question: str, answer: str) -> Asked:
        """The nearest question that has this answer; where none has, the answer with the sentence of fitting passages that holds it."""
        value = canonical(answer)
        numbers = [i for i in self._answered.get(value, ()) if self._asked[i].section]
        if numbers and self._meanings:
            near = self._meanings.near(question)
            return self._asked[max(numbers, key=lambda i: float(near[i]))]
        sentences = ((found, found.text[begin:end].strip()) for found in self.search(question) for begin, end in pieces(found.text))
        held = (". ".join([*found.headings[-1:], sentence]) for found, sentence in sentences if holds(canonical(sentence), value))
        return Asked("", answer, evidence=next(held, ""))

    def nearness(self, question: str, answers: Sequence[str]) -> list[float]:
        """How near in meaning (cosine) the nearest question is that has each of these answers; 0 where none has, or without meaning."""
        if not self._meanings:
            return [0.0] * len(answers)
        near = self._meanings.near(question)
        return [max((float(near[i]) for i in self._answered.get(canonical(answer), ())), default=0.0) for answer in answers]

    def nearest(self, questions: Sequence[str]) -> list[float | None]:
        """How near the documents come to each question: the cosines of the nearest trained question with an answer, and of the sentence
        that this stands in, together. None without meaning, and where none has an answer.
        """
        if not self._meanings or not self._answerable.any():
            return [None] * len(questions)
        found = list[float | None]()
        for group in batches(questions, RECENT // 2):  # a follow-up has two vectors, and all must be remembered until they are used
            self._meanings.look_up(group)
            found += [float(self._meanings.asked(question)[self._answerable].max()) for question in group]
        return found

    @property
    def has_meaning(self) -> bool:
        """Whether things are found by what they mean, too."""
        return self._meanings is not None

    def known_words(self, question: str, k: int) -> list[str]:
        """What a model that was trained on these questions is asked in place of this one, the likeliest to be meant first.

        For each of the `k` things that trained questions ask for and this one most likely asks for too, that is the wording that was
        practised most. Things that no wording near this one asks for are left out; so is all else where the question was trained itself.
        None where it is that wording, and without meaning.
        """
        if not self._meanings or not self._asked:
            return []
        near = self._meanings.near(question)
        number = self._numbers.get(question)
        found = [self._asking.like(number)] if number is not None else self._meant(question, k)
        meant = [same for same in found if near[same].max() >= KNOWN_WORDS]
        whole = ([number for number in same if not self._asked[number].clue] for same in meant)
        known = [self._asked[max(same, key=lambda number: (self._asked[number].repeats, near[number]))].question for same in whole]
        return known if known != [question] else []

    def _meant(self, question: str, k: int) -> list[NDArray[np.intp]]:
        """The `k` things that a question asks for most likely, once a reranker has read the nearest wording of each of the first, and a
        questioner the facts of the first of these.
        """
        found, read, nearest = self._first(question)
        put = self._put(question, nearest)
        best = max((each for each in put if each is not None), default=0.0)
        likely = read + PUT * np.array([best - LESS if each is None else each for each in put])
        return [found[i] for i in np.argsort(-likely, kind="stable")[:k]]

    def _first(self, question: str) -> tuple[list[NDArray[np.intp]], NDArray[np.float64], list[Asked]]:
        """The first of what a question likely asks for once a reranker has read them; what `_likely_meant` says of each."""
        found, scores, nearest = self._likely(question)
        fits = self._fits(question, nearest)
        read = scores + ASKED * np.array([0.0 if refused(each.answer) else fit for each, fit in zip(nearest, fits, strict=True)])
        first = np.argsort(-read, kind="stable")[:PUT_AGAIN]
        return [found[i] for i in first], read[first], [nearest[i] for i in first]

    def _likely_meant(self, question: str) -> tuple[list[NDArray[np.intp]], Vectors, list[Asked]]:
        """What a question likely asks for, without a reranker: all wordings of each, their scores, and the nearest wording of each."""
        assert self._meanings is not None
        near = self._meanings.near(question)
        centred, sentences = self._meanings.centred(question), self._meanings.sentences(question)
        found, scores = self._asking.found(self._plain(question), centred, sentences, READ_AGAIN)
        return found, scores, [self._asked[max(same, key=near.__getitem__)] for same in found]

    @cached_property
    def _asking(self) -> _Asking:
        assert self._meanings is not None
        return _Asking(self._asked, self._meanings.centred_questions, self._plain, self._headings)

    @cached_property
    def _questions(self) -> _Texts:
        """The questions by their words, which only those without meaning are found by."""
        return _Texts([each.question for each in self._asked])

    @cached_property
    def _answerable(self) -> NDArray[np.bool_]:
        """Which of the questions have an answer in the documents."""
        return np.array([bool(each.section) for each in self._asked], bool)

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        """By its words the number of a question."""
        return {each.question: number for number, each in enumerate(self._asked)}

    @cached_property
    def _reranker(self) -> PairScores | None:
        return self._load_reranker()

    @cached_property
    def _questioner(self) -> PairScores | None:
        return self._load_questioner()

    @cached_property
    def _answered(self) -> Mapping[str, list[int]]:
        """By an answer in its one spelling the numbers of the questions that have it."""
        numbers: dict[str, list[int]] = defaultdict(list)
        for number, each in enumerate(self._asked):
            numbers[canonical(each.answer)].append(number)
        return numbers

    def _scores(self, question: str) -> Vectors:
        """How well each passage fits: by its words and by what it and the questions that it answers mean (Bruch and others 2022)."""
        words = self._texts.scores(question)
        return WORDS * words + self._meanings.passages(question) if self._meanings else words

    def _alike(self, question: str) -> Vectors:
        """How well each question that was asked fits: by what it and the sentence with its answer mean; without meaning by its words."""
        return self._meanings.asked(question) if self._meanings else self._questions.scores(question)


class _Asking:
    """Trained questions by what they ask for, all wordings of one together: which of them another question asks for.

    What an answer stands in counts as well, the answer itself by its kind alone. Of wordings that were made of two questions only the
    nearest counts.
    """

    def __init__(self, asked: Sequence[Asked], centred: Vectors, plain: Callable[[str], str], headings: Mapping[str, str]) -> None:
        groups: dict[tuple[str, int, str], list[int]] = defaultdict(list)
        for number, each in enumerate(asked):
            groups[_asks_for(each, number)].append(number)
        self._groups: list[NDArray[np.intp]] = [np.array(numbers) for numbers in groups.values()]
        self._group = np.zeros(len(asked), int)
        for number, group in enumerate(self._groups):
            self._group[group] = number
        own = [np.array([i for i in group if not asked[i].clue]) for group in self._groups]
        self._centred, self._means = centred, np.stack([centred[group].mean(axis=0) for group in own])
        self._texts = _Texts([" ".join(plain(asked[i].question) for i in group) for group in own])
        self._named = [set[str]().union(*(_values(asked[i].question) for i in group)) for group in own]
        self._firsts = np.array([group[0] for group in self._groups])
        self._answers = [asked[i].answer for i in self._firsts]
        self._stands = np.array([bool(asked[i].evidence) for i in self._firsts])
        self._said = _Texts([plain(f"{headings.get(asked[i].section, '')} {asked[i].evidence}") for i in self._firsts])

    def like(self, number: int) -> NDArray[np.intp]:
        """The numbers of all wordings of a question."""
        return self._groups[int(self._group[number])]

    def _naming(self, question: str) -> Vectors:
        """Which share of the question's values the wordings of each thing name; 0 where it has none."""
        values = _values(question)
        return np.array([len(values & named) / max(len(values), 1) for named in self._named], np.float32)

    def _standing(self, question: str, near: Vectors, sentences: Vectors) -> Vectors:
        """How well what the answer of each thing stands in fits the question; `near` says how near the things are themselves."""
        found: Vectors = STANDING * sentences[self._firsts] + SAID * self._said.scores(question)
        if not self._stands.all():
            nearest = np.argsort(-near[self._stands], kind="stable")[:READ_AGAIN]
            found[~self._stands] = np.sort(found[self._stands][nearest])[-FITTING:].mean() if len(nearest) else 0
        return found

    def found(self, question: str, centred: Vectors, sentences: Vectors, k: int) -> tuple[list[NDArray[np.intp]], Vectors]:
        """The numbers of all wordings of each of the `k` things that `question` asks for most likely, the likeliest first; their scores.

        `sentences` are how near the sentence is that the answer of each trained question stands in.
        """
        nearest = np.full(len(self._groups), -np.inf, np.float32)
        np.maximum.at(nearest, self._group, self._centred @ centred)
        near = nearest + WORDINGS * (self._means @ centred)
        scores = near + SHARED * self._texts.scores(question) + NAMED * self._naming(question) + self._standing(question, near, sentences)
        least = np.sort(scores)[-min(k, len(scores))]
        close = np.flatnonzero(scores >= least - SUITS)  # nothing else can come among the first
        suiting = [refused(self._answers[i]) or suits(question, self._answers[i]) for i in close]
        suited = scores[close] + SUITS * np.array(suiting)
        best = np.argsort(-suited, kind="stable")[:k]
        return [self._groups[int(close[i])] for i in best], suited[best]


def _values(text: str) -> set[str]:
    """The words of a text with a number in them, each in its one spelling."""
    return {word for word in keywords(text) if any(map(str.isdigit, word))}


def _asks_for(asked: Asked, number: int) -> tuple[str, int, str]:
    """What a question asks for: the answer that stands in one place; where it stands in none, what nothing else asks for."""
    return asked.thing if asked.section else ("", number, "")


def _best(scores: Vectors) -> list[int]:
    """The numbers of what fits at all, the best first; equal ones in their order."""
    return [int(i) for i in np.argsort(-scores, kind="stable") if scores[i] > 0]


class _Meanings:
    """Passages, the questions that they answer and the sentences with the answers as vectors, and how near they are to another question."""

    def __init__(self, passages: Sequence[Section], asked: Sequence[Asked], holding: Sequence[int], meaning: Meaning) -> None:
        self._vectors = Remembered(meaning.of, RECENT)  # a question's is used several times on its way to an answer
        evidence = list(dict.fromkeys(each.evidence for each in asked if each.evidence))
        shown = [" ".join([*p.headings, p.text]) for p in passages]
        vectors = meaning.of_all([*shown, *(each.question for each in asked), *evidence])
        self._passages, self._asked, self._evidence = np.split(vectors, np.cumsum([len(passages), len(asked)]))
        self._common = self._asked.mean(axis=0) if len(asked) else np.float32(0)
        numbers = {text: number for number, text in enumerate(evidence)}
        self._standing = np.array([numbers.get(each.evidence, -1) for each in asked], dtype=int)
        self._holding = np.array(holding, dtype=int)
        self._held = self._holding >= 0

    def look_up(self, questions: Sequence[str]) -> None:
        """Have the vectors of these questions computed at once, which is faster."""
        self._vectors.of([text for question in questions for text in _forms(question)])

    def _vector(self, question: str) -> Vectors:
        """The question's vector (width). Of a follow-up what itself asks counts twice: else the nearest is what was asked before it."""
        vectors = self._vectors.of(_forms(question))
        return _unit(vectors[0] + vectors[1]) if len(vectors) > 1 else vectors[0]

    def passages(self, question: str) -> Vectors:
        """How near each passage is, itself and through the nearest question that it answers."""
        vector = self._vector(question)
        nearest = np.zeros(len(self._passages), np.float32)
        np.maximum.at(nearest, self._holding[self._held], (self._asked @ vector)[self._held])
        return 0.5 * (self._passages @ vector + nearest)

    def near(self, question: str) -> Vectors:
        """How near each question is."""
        return self._asked @ self._vector(question)

    @property
    def centred_questions(self) -> Vectors:
        """The questions' vectors (N, width) without what all have in common, as `centred` has it of another one."""
        return _unit(self._asked - self._common)

    def centred(self, question: str) -> Vectors:
        """The question's vector (width) without what the trained ones have in common, which tells none from another."""
        return _unit(self._vector(question) - self._common)

    def sentences(self, question: str) -> Vectors:
        """How near the sentence is that the answer of each question stands in; 0 where it stands in none."""
        found: Vectors = np.append(self._evidence @ self._vector(question), np.float32(0))[self._standing]  # -1 names the last one
        return found

    def asked(self, question: str) -> Vectors:
        """How near each question is, itself and through the sentence that its answer stands in."""
        return self.near(question) + self.sentences(question)


def _unit(vectors: Vectors) -> Vectors:
    """The vectors (…, width) at length 1; zeros stay."""
    found: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), TINY)
    return found


class _Texts:
    """Texts, found by the words they share with another."""

    def __init__(self, texts: Sequence[str]) -> None:
        tokens = [list(keywords(text)) for text in texts]
        self._count = len(tokens)
        self._vocabulary = {token for each in tokens for token in each}
        if self._vocabulary:
            import bm25s

            self._index = bm25s.BM25()
            self._index.index(tokens, show_progress=False)

    def scores(self, text: str) -> Vectors:
        """How well each of the texts fits this one, as a share of the best; 0 where they share no word."""
        words = [word for word in keywords(text) if word in self._vocabulary]
        if not words:
            return np.zeros(self._count, np.float32)
        scores = np.asarray(self._index.get_scores(words), np.float32)
        return scores / max(float(scores.max()), TINY)


class FollowUp(str):
    """A question after what it leans on ("And on Sunday?"); `alone` is the question itself."""

    alone: str

    def __new__(cls, before: str, alone: str) -> FollowUp:
        """Both in one text."""
        made = super().__new__(cls, f"{before.rstrip('?. ')}? {alone}")
        made.alone = alone
        return made


def _put_pairs(question: str, candidates: Sequence[Asked]) -> list[tuple[str, str]]:
    """What the questioner reads of a question and of each candidate that is about a fact."""
    return [(text, each.about) for each in candidates if each.about for text in _forms(question)]


def _forms(question: str) -> tuple[str, ...]:
    """The texts in which a question is read: a follow-up with what it leans on, and by itself."""
    return (question, question.alone) if isinstance(question, FollowUp) else (question,)


def in_full(question: str, earlier: Sequence[str]) -> str:
    """What to search for: the question, as a FollowUp of the last of the `earlier` ones where it leans on that, which may lean itself."""
    leans = JOINS.match(question) or len(set(keywords(question))) <= FEW_WORDS
    if not earlier or not leans:
        return question
    before = in_full(earlier[-1], earlier[-CHAINED:-1]) if JOINS.match(earlier[-1]) else earlier[-1]
    return FollowUp(before, question)


def _holding(passages: Sequence[Section], starts: Mapping[str, int], asked: Sequence[Asked]) -> list[int]:
    """For each question the number of the passage with its answer, or -1; `starts` says where in its file each section begins."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, found in enumerate(passages):
        numbers[found.id].append(number)
    before = ([n for n in numbers[a.section] if passages[n].start - starts[a.section] <= a.position] for a in asked)
    return [found[-1] if found else -1 for found in before]
