from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from engrain import questioner as module
from engrain.methods.base import method_of
from engrain.models import load_model, locate
from engrain.questioner import Questioner, load_questioner
from engrain.study.skills import conversation, questions_prompt
from engrain.tokens import encode_example

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

QUESTION = "What does the Gannet cost?"
PROMPTS = [
    questions_prompt("Kites", "The Gannet costs £41.", "£41"),
    questions_prompt("Kites", "The Petrel needs 8 mph.", "8 mph", "The Skua."),
]


def test_a_score_is_the_mean_log_probability_of_the_question_after_the_prompt(
    tiny_model: PreTrainedModel, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    found = Questioner(tiny_model, tiny_tokenizer).read([(QUESTION, prompt) for prompt in PROMPTS])
    for prompt, score in zip(PROMPTS, found, strict=True):
        row = encode_example(tiny_tokenizer, conversation(prompt, QUESTION))
        with torch.no_grad():
            logits = tiny_model(torch.tensor([list(map(int, row.ids))])).logits[0, :-1].log_softmax(-1)
        places = [place for place in range(1, len(row.ids)) if row.supervised[place]]
        assert score == pytest.approx(sum(float(logits[p - 1, int(row.ids[p])]) for p in places) / len(places), abs=1e-4)
    assert found[0] != pytest.approx(found[1], abs=1e-4)


def test_many_pairs_are_read_in_parts_with_the_same_scores(
    tiny_model: PreTrainedModel, tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [(f"{QUESTION} {n}", prompt) for n in range(5) for prompt in PROMPTS]
    together = Questioner(tiny_model, tiny_tokenizer).read(pairs)
    monkeypatch.setattr(module, "READ_TOKENS", 200)
    assert Questioner(tiny_model, tiny_tokenizer).read(pairs) == pytest.approx(together, abs=1e-4)


def test_a_base_has_a_questioner_once_it_was_taught_to_study(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, folder = locate(str(tiny_folder)), tmp_path / "adapter"
    assert load_questioner(base, "cpu", torch.float32) is None
    taught, method = load_model(base, dtype=torch.float32, device="cpu"), method_of({"method": "lora", "rank": 4})
    method.apply(taught)
    with torch.no_grad():
        for parameter in taught.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.1)
    method.save(taught, folder)
    monkeypatch.setattr(module, "study_adapter", lambda base: folder)
    found = load_questioner(base, "cpu", torch.float32)
    assert found is not None
    assert load_questioner(base, "cpu", torch.float32) is found, "all that ask share one"
    pairs = [(QUESTION, prompt) for prompt in PROMPTS]
    assert found.read(pairs) == pytest.approx(Questioner(taught, found.tokenizer).read(pairs), abs=1e-3)
    plain = load_model(base, dtype=torch.float32, device="cpu")
    assert found.read(pairs) != pytest.approx(Questioner(plain, found.tokenizer).read(pairs), abs=1e-3)
