"""Text that ends within a token: what is taken off, and that it is written again, in whatever tokens the model likes."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from engrain.generate import generate, stream
from engrain.healing import Beginnings, after, healed, rest_of

CODE = ["def rise(step):\n        return total\n        total += step\n"] * 40


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        ("if x:\n        ", "\n        "),
        ("if x:\n", "\n"),
        ("x = ", " "),
        ("return sel", " sel"),
        ("self.fo", "fo"),
        ("print(", "("),
        ("a +=", " +="),
        ("", ""),
        ("x = " + "=" * 65, ""),
        ("x" + "\n" * 70 + "word", "word"),
        ("x" + " " * 70, ""),
        ("naïve", "ve"),
        ("x = 日本", ""),
        ("print('😀", ""),
    ],
)
def test_the_end_that_may_go_on_is_taken_off(text: str, begin: str) -> None:
    assert healed(text) == (text[: len(text) - len(begin)], begin)


def test_a_long_line_of_signs_is_soon_looked_at() -> None:
    started = time.perf_counter()
    assert healed("=" * 1_000_000)[1] == healed("a" * 1_000_000)[1] == healed(" " * 1_000_000)[1] == ""
    assert time.perf_counter() - started < 30, "not each place from each place"


def trained(kind: str) -> PreTrainedTokenizerFast:
    """A tokenizer with tokens of several characters: of bytes as GPT-2's, or with a sign for spaces as Llama's."""
    backend = Tokenizer(models.BPE())
    if kind == "bytes":
        backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(split=False), decoders.Metaspace()
        alphabet = []
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(CODE, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")


@pytest.mark.parametrize("kind", ["bytes", "spaces"])
def test_tokens_that_begin_so_or_are_a_beginning_of_it_are_allowed(kind: str) -> None:
    tokenizer = trained(kind)
    found = Beginnings(tokenizer)
    text = {token: tokenizer.decode([*tokenizer.encode("a"), token])[1:] for token in range(len(tokenizer))}
    assert any(len(each) > 5 and each.startswith((" ", "\n ")) for each in text.values()), "a token goes over the end of white space"
    for rest in (" ", "\n", "\n        ", " re", "total", "zzz"):
        allowed = found.allowed(rest).tolist()
        assert {text[token] for token in allowed} >= {each for each in text.values() if len(each) > 1 and each.startswith(rest)}
        assert all(text[token].startswith(rest) or rest.startswith(text[token]) for token in allowed)
        assert not {tokenizer.eos_token_id, *(token for token in text if not text[token])} & set(allowed)
        assert found.mask(rest, 500).nonzero()[0].tolist() == sorted(allowed)


def test_what_is_left_of_a_beginning() -> None:
    assert [rest_of("  if", written) for written in ("", "  ", "  if", "  if x", " x", "y")] == ["  if", "if", "", "", "", ""]


def test_what_comes_after_a_beginning_or_in_place_of_it() -> None:
    assert [after("  if", written) for written in ("", "  ", "  if", "  if x", "else", "  else")] == ["", "", "", " x", "else", "else"]
    assert after("", "x") == "x"


def test_a_completion_begins_as_it_has_to_and_that_is_no_part_of_it(tiny_model: Any, tiny_tokenizer: Any) -> None:
    prompts, begins = [tiny_tokenizer.encode(text) for text in ("Open", "Who runs")], ["ing, ", ""]
    free = generate(tiny_model, tiny_tokenizer, prompts, max_new_tokens=12)
    told, same = generate(tiny_model, tiny_tokenizer, prompts, max_new_tokens=12, begins=begins, stop=("ing",))
    assert tiny_tokenizer.decode(told.ids) == f"ing, {told.text}"
    assert (told.begun, told.tokens) == (len("ing, "), 12), "it does not count among the tokens"
    assert same == free[1]
    after = generate(tiny_model, tiny_tokenizer, [tiny_tokenizer.encode("Opening, ")], max_new_tokens=12)[0]
    assert told.text == after.text, "in a tokenizer of single bytes it is as if it had been part of the prompt"
    pieces = list(stream(tiny_model, tiny_tokenizer, prompts[0], max_new_tokens=12, begin="ing, "))
    assert "".join(pieces) == told.text
