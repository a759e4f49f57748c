"""A chat template as Ollama's template language (Go's text/template) says it, found by looking at what it writes.

The template is asked to write conversations of known words. What it puts before and after each turn follows from that; and
what the new template writes is compared with what the old one writes, so that a template that does more is noticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2.exceptions import TemplateError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ROLES = ("system", "user", "assistant")
S, U, A, V = "SYSTEMWORDS", "USERWORDS", "ASSISTANTWORDS", "VERYLASTWORDS"
Turn = tuple[str, str]
TALKS: tuple[tuple[Turn, ...], ...] = (
    (("user", U),),
    (("system", S), ("user", U)),
    (("user", U), ("assistant", A), ("user", V)),
    (("system", S), ("user", U), ("assistant", A), ("user", V)),
    (("system", S), ("user", "1 < 2"), ("assistant", "two\nlines"), ("user", V), ("assistant", U), ("user", A)),
)
"""Conversations that are written in both languages."""
UNSAID = ('"""', "{{", "}}")
"""What no piece may hold: it would mean something in the recipe or in the template."""


@dataclass(frozen=True)
class GoTemplate:
    """What stands before (`before`) and after each role's words, at the `start` and where the model goes `on`.

    `system` is what the chat template says where a conversation brings no system text of its own.
    """

    start: str
    before: dict[str, str]
    after: dict[str, str]
    on: str
    system: str = ""

    @property
    def text(self) -> str:
        """The template in Go's language."""
        cases = [f'eq .Role "{role}" }}}}{self.before[role]}{{{{ .Content }}}}{self.after[role]}' for role in ROLES]
        return f"{self.start}{{{{ range .Messages }}}}{{{{ if " + "{{ else if ".join(cases) + "{{ end }}{{ end }}" + self.on

    def written(self, talk: Sequence[Turn]) -> str:
        """What Ollama makes of a conversation."""
        turns = list(talk) if not self.system or talk[0][0] == "system" else [("system", self.system), *talk]
        return self.start + "".join(f"{self.before[role]}{words}{self.after[role]}" for role, words in turns) + self.on


def go_template(tokenizer: PreTrainedTokenizerBase) -> GoTemplate | None:
    """The tokenizer's chat template in Go's language; None where that cannot write the same."""
    try:
        wanted = {talk: _rendered(tokenizer, talk) for talk in TALKS}
    except TemplateError:
        return None
    fits = (found for found in _guesses(wanted) if all(found.written(talk) == text for talk, text in wanted.items()))
    return next((found for found in fits if not any(mark in piece for mark in UNSAID for piece in _pieces(found))), None)


def _rendered(tokenizer: PreTrainedTokenizerBase, talk: Sequence[Turn]) -> str:
    rows = [{"role": role, "content": words} for role, words in talk]
    return str(tokenizer.apply_chat_template(rows, tokenize=False, add_generation_prompt=True))


def _pieces(found: GoTemplate) -> list[str]:
    return [found.start, found.on, found.system, *found.before.values(), *found.after.values()]


def _guesses(wanted: dict[tuple[Turn, ...], str]) -> Iterator[GoTemplate]:
    """Ways to cut what stands between turns into the end of one and the beginning of the next, the most readable first."""
    lone, whole = wanted[TALKS[0]].partition(U), wanted[TALKS[3]]
    parts = _between(whole, (S, U, A, V))
    if parts is None or not lone[1]:
        return
    opening, system_user, user_assistant, assistant_user, last = parts
    system = _usual_system(lone[0], opening, system_user)
    same, asked = _shared(system_user, user_assistant, assistant_user), _shared(system_user, user_assistant)
    for ends in (_at_a_mark(same), _at_a_mark(asked), asked, ""):
        user, on = system_user[len(ends) :], last[len(ends) :]
        if not (system_user.startswith(ends) and user_assistant.startswith(ends) and last.startswith(ends)):
            continue
        ended = assistant_user.removesuffix(user) if assistant_user.endswith(user) else assistant_user
        start = "" if system else lone[0].removesuffix(user)
        before = {"system": opening.removeprefix(start), "user": user, "assistant": user_assistant[len(ends) :]}
        yield GoTemplate(start, before, {"system": ends, "user": ends, "assistant": ended}, on, system)


def _between(text: str, marks: Sequence[str]) -> tuple[str, ...] | None:
    """What stands before, between and after the marks; None where one is missing or comes twice."""
    found = []
    for mark in marks:
        before, there, text = text.partition(mark)
        if not there or mark in text:
            return None
        found.append(before)
    return (*found, text)


def _usual_system(lone: str, opening: str, system_user: str) -> str:
    """The system text of a conversation that brings none, between what stands around one; "" where there is none."""
    inside = lone.startswith(opening) and lone.endswith(system_user) and len(lone) > len(opening) + len(system_user)
    return lone[len(opening) : len(lone) - len(system_user)] if inside else ""


def _shared(*texts: str) -> str:
    """What all texts begin with."""
    letters = zip(*texts, strict=False)
    return texts[0][: next((i for i, each in enumerate(letters) if len(set(each)) > 1), min(map(len, texts)))]


def _at_a_mark(text: str) -> str:
    """The text up to where its last mark in angle or square brackets begins, or its last line ends."""
    place = max(text.rfind("<"), text.rfind("["), text.rfind("\n") + 1)
    return text[:place] if place > 0 else text
