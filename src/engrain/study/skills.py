"""The skills of a studying model, as prompts: the same text when they are taught and when they are used.

Given a passage it lists the details in it, writes the questions people ask about one, turns one around, and asks
what the passage does not say. Reading an answer out of passages needs no prompt of its own: it is what a user's
question with passages becomes (`tokens.question_messages`).
"""

from __future__ import annotations

import re

from engrain.examples import Message

REFUSAL = "The documents do not say."
"""How a reader declines: one short sentence that needs no context."""
NUM_QUESTIONS = 9
"""Questions the corpus teaches to write about one detail."""


def details_prompt(heading: str, text: str, before: str = "") -> str:
    """Asks for the details of a sentence, one a line; `before` is the sentence before it, for what "it" and "they" mean."""
    return f"{_passage(heading, text, before)}\nList the details."


def questions_prompt(heading: str, text: str, value: str, before: str = "") -> str:
    """Asks for the questions that `value` answers, one a line."""
    return f"{_passage(heading, text, before)}\nAsk {NUM_QUESTIONS} questions answered by: {value}"


def reverse_prompt(heading: str, text: str, value: str, before: str = "") -> str:
    """Asks for questions that name `value` and ask for what it belongs to, one `question => answer` a line."""
    return f"{_passage(heading, text, before)}\nAsk questions that name: {value}"


def absent_prompt(heading: str, text: str) -> str:
    """Asks for questions on the passage's subject that it does not answer, one a line."""
    return f"{_passage(heading, text)}\nAsk what this does not say."


def led_in(prompt: str, before: str) -> str:
    """The prompt of one sentence (`questions_prompt`, `reverse_prompt`) with another one before that, in place of what stood there."""
    heading, *lines = prompt.split("\n")
    own = lines[1:] if len(lines) > 2 and re.fullmatch(r"\(.*\)", lines[0]) else lines  # a sentence may be in brackets itself
    return "\n".join([heading, f"({before})", *own])


def conversation(prompt: str, reply: str) -> tuple[Message, Message]:
    """A prompt and its reply as a conversation."""
    return Message("user", prompt), Message("assistant", reply)


def pairs(reply: str) -> list[tuple[str, str]]:
    """The (question, answer) pairs of a reply to `reverse_prompt`."""
    halves = (line.split(" => ", 1) for line in lines(reply))
    return [(half[0].strip(), half[1].strip()) for half in halves if len(half) == 2 and half[1].strip()]


def lines(reply: str) -> list[str]:
    """The lines of a reply, without blanks and repetitions."""
    return list(dict.fromkeys(line.strip() for line in reply.splitlines() if line.strip()))


def _passage(heading: str, text: str, before: str = "") -> str:
    return "\n".join(part for part in (f"[{heading}]", before and f"({before})", text) if part)
