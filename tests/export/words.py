"""Tokenizers that cut text in the ways that GGUF has names for, trained on a few lines."""

from __future__ import annotations

from typing import Any

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
LINES = [
    "The Gannet costs £41 and the Petrel £29; repairs take nine days.",
    "We're open from 9:00 to 17:30, don't wait\n\n2024",
    "日本語 ünïcödé",
]
TEXTS = [
    "What does the Gannet cost?",
    "We're open\n\n2024 at 17:30,  don't  \n wait",
    "<|im_start|>user\nWho runs it?<|im_end|>\n",
    "日本語 ünïcödé — £1,234.50\t12345",
    "a<think>b c",
]
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def cutting(name: str) -> Any:
    from tokenizers import Regex, pre_tokenizers

    by_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    found = {
        "gpt-2": pre_tokenizers.ByteLevel(add_prefix_space=False),
        "smollm": pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        ),
        "qwen2": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN2), "isolated"), by_bytes]),
        "llama-bpe": pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")), "isolated"), by_bytes]
        ),
        "nameless": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"\w+|."), "isolated"), by_bytes]),
    }
    return found[name]


def tokenizer_of(name: str) -> Any:
    """A tokenizer with the special words above, one added word that is not special, and about sixty merges."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE(ignore_merges=name == "llama-bpe"))
    backend.pre_tokenizer = cutting(name)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet, special_tokens=SPECIAL, show_progress=False)
    backend.train_from_iterator(LINES * 3, trainer)
    backend.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<|im_start|>", eos_token="<|im_end|>", unk_token="<|endoftext|>", pad_token="<|im_end|>"
    )
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    return tokenizer
