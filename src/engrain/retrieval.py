"""Retrieval: the passages of the documents that fit a question best, by BM25 (Robertson and Zaragoza 2009)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engrain.documents.base import Section
from engrain.words import keywords

PASSAGE_WORDS = 120
TABLE_RULE = re.compile(r"^\s*\|?[\s:|-]*-[\s:|-]*\|[\s:|-]*$")


class Retriever:
    """An index over sections, cut into passages of about 120 words that keep their section's file and headings."""

    def __init__(self, sections: Sequence[Section], passage_words: int = PASSAGE_WORDS) -> None:
        self.passages = [passage for section in sections for passage in cut(section, passage_words)]
        self._tokens = [list(keywords(" ".join([*p.headings, p.text]))) for p in self.passages]
        self._vocabulary = {token for tokens in self._tokens for token in tokens}
        if self._vocabulary:
            import bm25s

            self._index = bm25s.BM25()
            self._index.index(self._tokens, show_progress=False)

    def search(self, question: str, k: int = 3) -> list[Section]:
        """At most `k` passages, the best first; none where no word of the question stands in the documents.

        Passages that fit equally come in the documents' order.
        """
        words = [word for word in keywords(question) if word in self._vocabulary]
        if not words:
            return []
        scores = self._index.get_scores(words)
        best = np.argsort(-scores, kind="stable")[:k]
        return [self.passages[i] for i in best if scores[i] > 0]


def cut(section: Section, words: int = PASSAGE_WORDS) -> list[Section]:
    """The section as passages of at most about `words` words, cut between lines or sentences.

    A table cut in two repeats its header, because a row means nothing without the names of its columns.
    """
    passages: list[Section] = []
    start, count, header = 0, 0, ""
    for piece in re.finditer(r"[^\n]+?(?:[.!?](?=\s)|$)\s*|\n", section.text, re.MULTILINE):
        size = len(piece[0].split())
        if count and count + size > words:
            passages.append(_passage(section, start, piece.start(), header))
            start, count, header = piece.start(), 0, _header(section.text, piece.start())
        count += size
    return [passage for passage in [*passages, _passage(section, start, len(section.text), header)] if passage.text.strip()]


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
