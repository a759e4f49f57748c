"""Code as token rows: from left to right, or with the middle moved to the end so that it is learned from both sides.

Fill in the middle after arXiv 2207.14255. Two orders are practised: prefix, suffix, middle (PSM), and suffix, prefix,
middle (SPM). The prompt of a completion is built by the functions that build the training rows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from engrain.healing import healed
from engrain.tasks._new_rows import put
from engrain.tokens import Encoded

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

KNOWN = (
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),
    ("[PREFIX]", "[SUFFIX]", "[MIDDLE]"),
)
"""Sentinels of prefix, suffix and middle that bases were trained with; the first are added where a base has none."""
MEANINGS = ("the text before", "the text after", "the text between")
"""Words whose mean embedding an added sentinel starts from."""
FILE = ("<file_sep>", "<|file_sep|>", "<filename>")
"""What stands before the path of a file, where the vocabulary has such a token."""
LONGEST_MIDDLE = 5
"""Lines that are taken out at most."""
ROOM = 8
"""Tokens kept free for the sentinels and the end."""
PREFIX_SHARE = 0.75
"""The prefix's share of a prompt that must be cut."""


@dataclass(frozen=True)
class Sentinels:
    """Token ids; `file` is None where the vocabulary has no such token, `added` says that the base was not trained with them."""

    prefix: int
    suffix: int
    middle: int
    end: int
    file: int | None
    added: bool

    @property
    def marks(self) -> tuple[int, int, int]:
        """Those that stand around a gap."""
        return self.prefix, self.suffix, self.middle


def find_sentinels(tokenizer: PreTrainedTokenizerBase) -> Sentinels:
    """The base's own sentinels, or new ones, which the tokenizer gets."""
    from tokenizers import AddedToken

    vocabulary = tokenizer.get_vocab()
    own = next((names for names in KNOWN if all(name in vocabulary for name in names)), None)
    if own is None:
        tokenizer.add_tokens([AddedToken(name, special=True, normalized=False) for name in KNOWN[0]], special_tokens=True)
    prefix, suffix, middle = tokenizer.convert_tokens_to_ids(list(own or KNOWN[0]))
    file = next((vocabulary[name] for name in FILE if name in vocabulary), None)
    return Sentinels(prefix, suffix, middle, int(tokenizer.eos_token_id), file, own is None)


def make_room(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, sentinels: Sentinels, trained: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Give added sentinels their embeddings: those that a run has `trained`, or else the mean of words that say what they stand for.

    The mean is the same in every process.
    """
    if not sentinels.added:
        return
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    if trained:
        put(model, sentinels.marks, trained)
        return
    tables = {id(table.weight): table.weight for table in (model.get_input_embeddings(), model.get_output_embeddings())}
    with torch.no_grad():
        for token, meaning in zip(sentinels.marks, MEANINGS, strict=True):
            words = tokenize(tokenizer, meaning)
            for weight in tables.values():
                weight[token] = weight[words].float().mean(0).to(weight.dtype)


def tokenize(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The tokens of a text; what looks like a control word in it stays text."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True, verbose=False)
    return ids


def heading(tokenizer: PreTrainedTokenizerBase, sentinels: Sentinels, path: str) -> list[int]:
    """The tokens that name the file; none without a path."""
    start = [] if sentinels.file is None else [sentinels.file]
    return [*start, *tokenize(tokenizer, f"{path}\n")] if path else []


def prompt(
    tokenizer: PreTrainedTokenizerBase, sentinels: Sentinels, path: str, before: str, after: str, room: int, *, heal: bool = True
) -> tuple[list[int], str]:
    """The tokens after which the missing code follows, at most `room` of them, and what the answer has to begin with (see `healing`).

    What is far from the gap is cut off. Without anything `after` code simply goes on. With sentinels that only this training gave
    a meaning the suffix comes first, so that what is missing goes on with what stands before it, as the base can already; others
    know PSM best, where the prefix does not come last and nothing has to be written again.
    """
    shown, begin = healed(before) if heal and (sentinels.added or not after) else (before, "")
    if not (path or shown or after):
        shown, begin = before, ""  # a model goes on with something
    head, prefix, suffix = heading(tokenizer, sentinels, path), tokenize(tokenizer, shown), tokenize(tokenizer, after)
    left = max(2, room - len(head) - len(begin) - ROOM)
    if not after:
        return [*head, *prefix[-left:]], begin
    most_suffix = max(left - len(prefix), int(left * (1 - PREFIX_SHARE)))
    suffix = suffix[:most_suffix]
    return middle_last(sentinels, head, prefix[-(left - len(suffix)) :], suffix, suffix_first=sentinels.added), begin


def middle_last(sentinels: Sentinels, head: list[int], prefix: list[int], suffix: list[int], *, suffix_first: bool) -> list[int]:
    """Head, prefix and suffix in one of the two orders, up to where the middle begins."""
    if suffix_first:
        return [*head, sentinels.prefix, sentinels.suffix, *suffix, sentinels.middle, *prefix]
    return [*head, sentinels.prefix, *prefix, sentinels.suffix, *suffix, sentinels.middle]


def left_to_right(tokenizer: PreTrainedTokenizerBase, sentinels: Sentinels, path: str, text: str, *, ends: bool) -> Encoded:
    """A piece of a file as it stands; the file's name is given, not learned. `ends` says that the file ends with it."""
    head = heading(tokenizer, sentinels, path)
    ids = [*head, *tokenize(tokenizer, text), *([sentinels.end] if ends else [])]
    return Encoded(np.array(ids, np.int32), np.arange(len(ids)) >= len(head))


def fill_in(tokenizer: PreTrainedTokenizerBase, sentinels: Sentinels, path: str, text: str, random: random.Random) -> Encoded:
    """A piece of a file with some lines, or the rest of a line, taken out of its middle and put last.

    With the suffix first, prefix and middle are one text, in the tokens of one: where the gap begins is not to be seen.
    """
    start, end = gap(text, random)
    suffix_first = random.random() < 0.5
    parts = ("", text[:end]) if suffix_first else (text[:start], text[start:end])
    prefix, middle, suffix = (tokenize(tokenizer, part) for part in (*parts, text[end:]))
    head = heading(tokenizer, sentinels, path)
    before = middle_last(sentinels, head, prefix, suffix, suffix_first=suffix_first)
    ids = np.array([*before, *middle, sentinels.end], np.int32)
    return Encoded(ids, ~np.isin(ids, sentinels.marks) & (np.arange(len(ids)) >= len(head)))


def gap(text: str, random: random.Random) -> tuple[int, int]:
    """Where what is taken out begins and ends: whole lines, or from somewhere in a line to its end.

    Every other time the end of the last whole line stays, as where an editor asks for lines at the cursor.
    """
    starts = [0, *(i + 1 for i, c in enumerate(text[:-1]) if c == "\n")]
    first = random.randrange(len(starts))
    if random.random() < 0.5:
        last = min(len(starts), first + random.randint(1, LONGEST_MIDDLE))
        end = starts[last] if last < len(starts) else len(text)
        return starts[first], end - (text[end - 1] == "\n" and random.random() < 0.5)
    stop = text.find("\n", starts[first])
    stop = len(text) if stop < 0 else stop
    return random.randint(starts[first], stop), stop


def pieces(tokenizer: PreTrainedTokenizerBase, text: str, limit: int) -> Iterator[str]:
    """The text in pieces of whole lines with at most `limit` tokens; a longer line is left out."""
    lines = text.splitlines(keepends=True)
    counts = [len(ids) for ids in tokenizer(lines, add_special_tokens=False, verbose=False)["input_ids"]] if lines else []
    piece, room = "", limit
    for line, count in zip(lines, counts, strict=True):
        if count > room and piece:
            yield piece
            piece, room = "", limit
        if count <= limit:
            piece, room = piece + line, room - count
    if piece.strip():
        yield piece
