"""Retrieval: the passages of the documents that fit a question best, by BM25 (Robertson and Zaragoza 2009).

A passage is also found by the questions that were made of it, in words that it does not use itself (doc2query: Nogueira
and others 2019, arXiv 1904.08375).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from engrain.documents.base import Section
from engrain.words import keywords

PASSAGE_WORDS = 60
JOINS = re.compile(r"(?:and|or|but|so|then|what about|how about)\b", re.IGNORECASE)
"""How a question begins that leans on the one before it."""
FEW_WORDS = 2
"""Words that say something, of a question that leans on the one before it."""
PIECE = re.compile(r"[^\n]+?(?:[.!?](?=\s)|$)\s*|\n", re.MULTILINE)
LEADS = re.compile(r"[?:]\s*$")
TABLE_RULE = re.compile(r"^\s*\|?[\s:|-]*-[\s:|-]*\|[\s:|-]*$")


@dataclass(frozen=True)
class Asked:
    """A question and its `answer`, which stands at `position` in the text of the section with this id."""

    question: str
    answer: str
    section: str
    position: int


class Retriever:
    """An index over sections, cut into passages of about 60 words that keep their section's file and headings.

    `asked` are questions that the sections answer; each helps to find the passage with its answer.
    """

    def __init__(self, sections: Sequence[Section], asked: Sequence[Asked] = (), passage_words: int = PASSAGE_WORDS) -> None:
        self.passages = [passage for section in sections for passage in cut(section, passage_words)]
        questions = _questions(self.passages, {section.id: section.start for section in sections}, asked)
        self._texts = _Texts([" ".join([*p.headings, p.text, *questions[i]]) for i, p in enumerate(self.passages)])
        self._asked, self._questions = asked, _Texts([each.question for each in asked])

    def search(self, question: str, k: int = 3) -> list[Section]:
        """At most `k` passages, the best first; none where no word of the question stands in the documents.

        Passages that fit equally come in the documents' order.
        """
        return [self.passages[i] for i in self._texts.best(question)[:k]]

    def answers(self, question: str, k: int) -> list[str]:
        """The answers of the questions that are most like this one: `k` different ones at most, the best first."""
        found = (self._asked[i].answer for i in self._questions.best(question))
        return list(islice(dict.fromkeys(found), k))


class _Texts:
    """Texts, found by the words they share with another."""

    def __init__(self, texts: Sequence[str]) -> None:
        tokens = [list(keywords(text)) for text in texts]
        self._vocabulary = {token for each in tokens for token in each}
        if self._vocabulary:
            import bm25s

            self._index = bm25s.BM25()
            self._index.index(tokens, show_progress=False)

    def best(self, text: str) -> list[int]:
        """The numbers of the texts that share a word with this one, the best first; equal ones in their order."""
        words = [word for word in keywords(text) if word in self._vocabulary]
        if not words:
            return []
        scores = self._index.get_scores(words)
        return [int(i) for i in np.argsort(-scores, kind="stable") if scores[i] > 0]


def in_full(question: str, earlier: Sequence[str]) -> str:
    """What to search for: the question, after the last of the `earlier` ones where it leans on that ("And on Sunday?")."""
    leans = JOINS.match(question) or len(set(keywords(question))) <= FEW_WORDS
    return f"{earlier[-1]} {question}" if earlier and leans else question


def _questions(passages: Sequence[Section], starts: Mapping[str, int], asked: Sequence[Asked]) -> dict[int, list[str]]:
    """By the number of a passage the questions whose answer it holds; `starts` says where in its file each section begins."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, found in enumerate(passages):
        numbers[found.id].append(number)
    questions: dict[int, list[str]] = defaultdict(list)
    for each in asked:
        before = [n for n in numbers[each.section] if passages[n].start - starts[each.section] <= each.position]
        if before:
            questions[before[-1]].append(each.question)
    return questions


def cut(section: Section, words: int = PASSAGE_WORDS) -> list[Section]:
    """The section as passages of at most about `words` words, cut between lines or sentences.

    A question stays with what follows it, its answer, and so does what ends in a colon with the first item of its list. A table
    cut in two repeats its header, because a row means nothing without the names of its columns.
    """
    passages: list[Section] = []
    start, count, header = 0, 0, ""
    for begin, end in _pieces(section.text):
        size = len(section.text[begin:end].split())
        if count and count + size > words:
            passages.append(_passage(section, start, begin, header))
            start, count, header = begin, 0, _header(section.text, begin)
        count += size
    return [passage for passage in [*passages, _passage(section, start, len(section.text), header)] if passage.text.strip()]


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Where each sentence or line begins and ends, together with the question or colon that leads to it."""
    begin = 0
    for end in (piece.end() for piece in PIECE.finditer(text)):
        if not LEADS.search(text[begin:end]) or end == len(text):
            yield begin, end
            begin = end


def _passage(section: Section, start: int, end: int, header: str) -> Section:
    return replace(section, text=header + section.text[start:end].rstrip(), start=section.start + start)


def _header(text: str, position: int) -> str:
    """The header lines of the table that goes on at `position`, or nothing."""
    if not text[position:].startswith("|"):
        return ""
    above = text[:position].splitlines()
    table = next((i + 1 for i in range(len(above) - 1, -1, -1) if not above[i].lstrip().startswith("|")), 0)
    head = above[table : table + 2]
    return "\n".join(head) + "\n" if len(head) == 2 and TABLE_RULE.match(head[1]) else ""
