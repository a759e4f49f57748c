"""Conversations become token ids here, for training and for serving alike.

Shapes: T tokens of one conversation, C candidates for one of them.

The text of a prompt ends where the model starts to write. The tokens of the text before that point never depend on
what comes after it, so a training example and the prompt at query time are equal token by token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from jinja2.exceptions import TemplateError

from engrain.errors import ModelError
from engrain.examples import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

GUARD = "\uffff"
"""A code point that no text may use (a noncharacter of Unicode); it marks where a control word was broken."""


@dataclass(frozen=True, eq=False)
class Likely:
    """What a model expects at each token, given those before it: the likeliest `tokens` (T, C) and their `shares` (T, C)."""

    tokens: np.ndarray
    shares: np.ndarray


@dataclass(frozen=True, eq=False)
class Encoded:
    """A conversation as tokens: `ids` (T,) int32; `supervised` (T,) bool, true on what the assistant says and its end.

    Where `likely` is there, it is what the loss is measured against, instead of the tokens themselves.
    """

    ids: np.ndarray
    supervised: np.ndarray
    likely: Likely | None = None

    def __len__(self) -> int:
        return len(self.ids)


def encode_example(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> Encoded:
    """The conversation up to its last assistant turn; such turns (of weight 1) and their end-of-turn tokens are supervised.

    Raises ModelError when the chat template changes earlier turns afterwards, so that no turn could be learned as asked.
    """
    guarded = _guard(tokenizer, messages)
    last = max((i for i, message in enumerate(guarded) if message.role == "assistant" and message.weight), default=-1)
    ids, spans, _ = _walk(tokenizer, guarded[: last + 1])
    supervised = np.zeros(len(ids), dtype=bool)
    for start, end in spans:
        supervised[start:end] = True
    return Encoded(np.array(ids, dtype=np.int32), supervised)


def encode_prompt(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """The conversation as the tokens after which the assistant's next turn follows."""
    guarded = _guard(tokenizer, messages)
    ids, _, text = _walk(tokenizer, guarded)
    return _go_on(tokenizer, ids, text, _render(tokenizer, guarded, prompt=True))


def question_messages(question: str, passages: Sequence[str] = (), history: Sequence[Message] = ()) -> tuple[Message, ...]:
    """What a user's question becomes: the question alone, or passages first (see `passage`) and then the question."""
    content = "\n\n".join([*passages, f"Question: {question}"]) if passages else question
    return (*history, Message("user", content))


@dataclass(frozen=True)
class Shown:
    """What a model is shown, and its tokens; `passages` stand before the question, `forgotten` turns gave way.

    Where it is asked a trained question, `asked_as`, in place of the user's, the tokens are those of that; answers are still weighed
    after the `messages`.
    """

    messages: tuple[Message, ...]
    ids: list[int]
    passages: tuple[str, ...] = ()
    forgotten: int = 0
    asked_as: str = ""


def fitted(
    tokenizer: PreTrainedTokenizerBase,
    question: str,
    passages: Sequence[str],
    turns: Sequence[Message],
    most: int,
    first: Sequence[Message] = (),
) -> Shown:
    """The question after what comes `first` and the earlier `turns` (a question and its answer each), with its passages.

    Where there are more than `most` tokens the oldest turns give way, then the last passages; nothing else does.
    """
    kept, read = list(turns), tuple(passages)
    while True:
        messages = question_messages(question, read, [*first, *kept])
        ids = encode_prompt(tokenizer, messages)
        if len(ids) <= most or not (kept or read):
            return Shown(messages, ids, read, (len(turns) - len(kept)) // 2)
        kept, read = (kept[2:], read) if kept else (kept, read[:-1])


def turn_messages(turns: Iterable[tuple[str, str]]) -> list[Message]:
    """The messages of (question, answer) turns."""
    return [Message(role, text) for turn in turns for role, text in zip(("user", "assistant"), turn, strict=True)]


def passage(place: str, text: str) -> str:
    """A passage to answer from, headed by its place."""
    return f"[{place}]\n{text.strip()}"


def shared_prefix(encoded: Sequence[Encoded]) -> int:
    """How many leading tokens all conversations share, none of them supervised."""
    if not encoded:
        return 0
    limit = min(int(np.argmax(e.supervised)) if e.supervised.any() else len(e) for e in encoded)
    first = encoded[0].ids
    for other in encoded[1:]:
        differs = np.flatnonzero(first[:limit] != other.ids[:limit])
        limit = int(differs[0]) if len(differs) else limit
    return limit


def _walk(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> tuple[list[int], list[tuple[int, int]], str]:
    """The tokens up to the end of the last assistant turn, the token span of each that is to be learned, and the text so far."""
    ids: list[int] = []
    spans: list[tuple[int, int]] = []
    text = ""
    for i, message in enumerate(messages):
        if message.role != "assistant":
            continue
        prompt = _render(tokenizer, messages[:i], prompt=True)
        turn = _render(tokenizer, messages[: i + 1], prompt=False)
        if not prompt.startswith(text) or not turn.startswith(prompt):
            raise ModelError(
                f"the base's chat template rewrites earlier turns: turn {i + 1} does not follow from the turns before it",
                "Make one example of each answer, or choose another base.",
            )
        ids = _go_on(tokenizer, ids, text, prompt)
        start, end = len(ids), turn.rstrip() if len(turn.rstrip()) > len(prompt) else turn
        ids, text = _go_on(tokenizer, ids, prompt, end), end
        spans += [(start, len(ids))] * message.weight
    return ids, spans, text


def _go_on(tokenizer: PreTrainedTokenizerBase, ids: list[int], text: str, longer: str) -> list[int]:
    """The tokens of `longer`, which begin with `ids`, the tokens of its beginning `text`.

    Tokenizing in one go is what the base saw; where that would melt tokens across the seam, the seam wins.
    """
    whole = _tokenize(tokenizer, longer)
    return whole if whole[: len(ids)] == ids else ids + _tokenize(tokenizer, longer[len(text) :])


def _tokenize(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    ids: list[int] = []
    for piece in text.split(GUARD):
        ids += tokenizer.encode(piece, add_special_tokens=False, verbose=False)
    return ids


def _render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, prompt: bool) -> str:
    """The conversation in the words of the chat template; a template without a system role gets it with the first turn."""
    try:
        return _template(tokenizer, messages, prompt)
    except TemplateError as error:
        if len(messages) < 2 or messages[0].role != "system":
            raise ModelError(f"the base's chat template refuses this conversation: {error}", "Choose another base.") from error
        first = Message(messages[1].role, f"{messages[0].content}\n\n{messages[1].content}")
        return _render(tokenizer, [first, *messages[2:]], prompt=prompt)


def _template(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], prompt: bool) -> str:
    rows = [{"role": message.role, "content": message.content} for message in messages]
    return str(tokenizer.apply_chat_template(rows, tokenize=False, add_generation_prompt=prompt))


def _guard(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[Message]:
    """The messages with every control word of the tokenizer broken: what a text says must not act as a command."""
    control = _control_words(tokenizer)
    return [replace(message, content=control.sub(rf"\1{GUARD}", message.content)) for message in messages]


@lru_cache(maxsize=8)
def _control_words(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    """Finds the first character of each control word, overlapping ones too."""
    words = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special and len(token.content) > 1}
    return re.compile("(?=" + "|".join(re.escape(word) for word in sorted(words)) + ")(.)" if words else r"(?!)()", re.DOTALL)
