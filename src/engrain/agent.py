"""A small agent over the documents: it searches, reads and answers, and searches again where its answer has no support.

At most three steps. First it searches with the question, then with the question and the words of what it read, then with
words that the model itself would search with. Passages it has read do not come again.
"""

from __future__ import annotations

from collections.abc import Sequence

from engrain.assistant import MAX_NEW_TOKENS, NUM_PASSAGES, Assistant
from engrain.documents.base import Section
from engrain.examples import Message
from engrain.generate import generate
from engrain.progress import SILENT, Progress
from engrain.tokens import encode_prompt, passage, question_messages
from engrain.words import keywords

STEPS = 3
CANDIDATES = 12
"""Passages looked through for those that were not read yet."""
SEARCH = "Which words would you search for to answer this question? Give only the words.\n\n{question}"


def replies(assistant: Assistant, questions: Sequence[str], progress: Progress = SILENT) -> list[str]:
    """The agent's last answer to each question. The assistant must have documents."""
    with progress.stage("Asking the agent", len(questions), "questions") as stage:
        found = []
        for question in questions:
            found.append(_answer(assistant, question))
            stage.advance(1)
    return found


def _answer(assistant: Assistant, question: str) -> str:
    read: list[Section] = []
    reply = ""
    for step in range(STEPS):
        new = _unread(assistant, _query(assistant, question, read, step), read)
        if not new and reply:
            continue
        read += new
        reply = _say(assistant, question_messages(question, [passage(p.place, p.text) for p in new]))
        if assistant.check(question, reply).status == "supported":
            break
    return reply


def _query(assistant: Assistant, question: str, read: Sequence[Section], step: int) -> str:
    if step == 0:
        return question
    if step == 1 and read:
        return f"{question} {' '.join(read[0].headings)} {' '.join(keywords(read[0].text))}"
    return f"{question} {_say(assistant, (Message('user', SEARCH.format(question=question)),))}"


def _unread(assistant: Assistant, query: str, read: Sequence[Section]) -> list[Section]:
    assert assistant.retriever is not None, "an agent needs documents to search"
    return [found for found in assistant.retriever.search(query, CANDIDATES) if found not in read][:NUM_PASSAGES]


def _say(assistant: Assistant, messages: Sequence[Message]) -> str:
    """The model's next turn; the question's end is kept where the model cannot see all."""
    ids = encode_prompt(assistant.tokenizer, messages)[-assistant.room :]
    made = generate(assistant.model, assistant.tokenizer, [ids], max_new_tokens=MAX_NEW_TOKENS)
    return made[0].text.strip()
