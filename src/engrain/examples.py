"""Training examples and test questions: the rows everything after the documents works on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True)
class Example:
    """A conversation to learn from; the loss counts on its assistant turns only.

    `kind` says what it practises (question, reverse, statement, unanswerable, replay, own), `form` which wording
    it uses, `fact` and `document` where it came from; empty where they do not apply.
    """

    messages: tuple[Message, ...]
    kind: str = "own"
    form: str = ""
    fact: str = ""
    document: str = ""


@dataclass(frozen=True)
class Question:
    """A test question; a reply is right if it contains any of `answers`, or declines where `kind` is unanswerable."""

    id: str
    question: str
    answers: tuple[str, ...]
    kind: str = "direct"
    source: str = ""
