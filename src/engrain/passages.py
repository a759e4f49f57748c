"""Passages: sections cut between lines or sentences into pieces of about sixty words, each with its file and headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from engrain.documents.base import Section

PASSAGE_WORDS = 60
PIECE = re.compile(r"[^\n]+?(?:[.!?](?=\s)|$)\s*|\n", re.MULTILINE)
LEADS = re.compile(r"[?:]\s*$")
TABLE_RULE = re.compile(r"^\s*\|?[\s:|-]*-[\s:|-]*\|[\s:|-]*$")


def cut(section: Section, words: int = PASSAGE_WORDS) -> list[Section]:
    """The section as passages of at most about `words` words, cut between lines or sentences.

    A question stays with what follows it, its answer, and so does what ends in a colon with the first item of its list. A table
    cut in two repeats its header, because a row means nothing without the names of its columns.
    """
    passages: list[Section] = []
    start, count, header = 0, 0, ""
    for begin, end in pieces(section.text):
        size = len(section.text[begin:end].split())
        if count and count + size > words:
            passages.append(_passage(section, start, begin, header))
            start, count, header = begin, 0, _header(section.text, begin)
        count += size
    return [passage for passage in [*passages, _passage(section, start, len(section.text), header)] if passage.text.strip()]


def pieces(text: str) -> Iterator[tuple[int, int]]:
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
