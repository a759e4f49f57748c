"""A tokenizer as GGUF's metadata: words, merges, special tokens, how text is cut first, and the chat template.

llama.cpp knows by name how a tokenizer cuts text before it merges bytes; a wrong name would make other tokens of the same
text, so a way of cutting that has no name here is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gguf import GGUFWriter, TokenType

from engrain.errors import ModelError
from engrain.fetch import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
CUTS: dict[tuple[Any, ...], str] = {
    (("ByteLevel", True),): "gpt-2",
    (("Digits", True), ("ByteLevel", True)): "smollm",
    (("Split", QWEN2), ("ByteLevel", False)): "qwen2",
    (("Split", LLAMA3), ("ByteLevel", False)): "llama-bpe",
}
"""The steps in which text is cut (see `cut`), and llama.cpp's name for them."""
WHOLE_WORDS_FIRST = ("llama-bpe",)
"""Names that also say that a word of the vocabulary is taken as it is, whatever its merges."""
LETTERS_OF_BYTES = "gpt2"
"""GGUF's name for merges of bytes that are written as letters."""


def words_obstacle(folder: Path) -> str:
    """Why the tokenizer in a folder cannot be written; "" where it can."""
    file = folder / "tokenizer.json"
    return _unknown(read_json(file)) if file.is_file() else "its tokenizer has no tokenizer.json"


def add_words(writer: GGUFWriter, tokenizer: PreTrainedTokenizerBase, rows: int) -> None:
    """Tell the writer of a tokenizer for a model whose embedding has so many `rows`.

    Nothing is put before a prompt: the chat template writes all that belongs there, as it did in training.
    Raises ModelError for a tokenizer that has no place in such a file.
    """
    held = json.loads(tokenizer.backend_tokenizer.to_str())
    why = _unknown(held)
    if why:
        raise ModelError(f"This model cannot be written as GGUF: {why}", "Take --to merged.")
    added = {token["id"]: token for token in held["added_tokens"]}
    words = {number: word for word, number in held["model"]["vocab"].items()} | {i: token["content"] for i, token in added.items()}
    writer.add_tokenizer_model(LETTERS_OF_BYTES)
    writer.add_tokenizer_pre(CUTS[cut(held["pre_tokenizer"])])
    writer.add_token_list([words.get(i, f"[PAD{i}]") for i in range(rows)])
    writer.add_token_types([_kind(i, words, added) for i in range(rows)])
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in held["model"]["merges"]])
    for name in ("bos", "eos", "unk", "pad"):
        number = getattr(tokenizer, f"{name}_token_id")
        if number is not None:
            getattr(writer, f"add_{name}_token_id")(number)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(str(tokenizer.get_chat_template()))


def cut(steps: Mapping[str, Any] | None) -> tuple[Any, ...]:
    """The steps of a pre-tokenizer as what tells them apart: ByteLevel with whether it cuts, Split with its pattern."""
    listed = (steps or {}).get("pretokenizers") or [steps or {}]
    return tuple(_step(step) for step in listed)


def _step(step: Mapping[str, Any]) -> tuple[Any, ...]:
    kind = step.get("type")
    if kind == "ByteLevel" and not step["add_prefix_space"]:
        return kind, step.get("use_regex", True)
    if kind == "Digits":
        return kind, step["individual_digits"]
    if kind == "Split" and step["behavior"] == "Isolated" and not step["invert"]:
        return kind, step["pattern"].get("Regex")
    return kind, None


def _unknown(held: Mapping[str, Any]) -> str:
    """What of a tokenizer has no place in such a file, or an empty string."""
    model = held["model"]
    if model["type"] != "BPE" or model.get("byte_fallback"):
        return "its tokenizer does not merge bytes that are written as letters (SentencePiece and others do not)"
    if not model["merges"]:
        return "its tokenizer merges nothing"
    name = CUTS.get(cut(held["pre_tokenizer"]))
    if name is None or bool(model.get("ignore_merges")) != (name in WHOLE_WORDS_FIRST):
        return "its tokenizer cuts text in a way that has no name here"
    form = (held.get("normalizer") or {}).get("type")
    return "" if form in (None, "NFC") else f"its tokenizer changes text first ({form})"


def _kind(number: int, words: Mapping[int, str], added: Mapping[int, Mapping[str, Any]]) -> TokenType:
    if number not in words:
        return TokenType.UNUSED
    if number not in added:
        return TokenType.NORMAL
    return TokenType.CONTROL if added[number]["special"] else TokenType.USER_DEFINED
