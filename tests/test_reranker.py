"""How well answers fit a question."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import tiny
from engrain import reranker as module
from engrain.encoder import Encoder
from engrain.errors import ModelError
from engrain.remembered import Remembered
from engrain.reranker import BIAS, MAX_TOKENS, WEIGHT, Reranker, load_reranker, put_score_in
from engrain.retrieval import Asked

QUESTION = "What does a van cost?"
ASKED = (Asked("How much is a van?", "£90.", evidence="A van costs £90 a day."), Asked("", "96.", evidence="The firm keeps 96 vehicles."))
CANDIDATES = [each.shown for each in ASKED]


@pytest.fixture
def reranker(tmp_path: Path) -> Reranker:
    found = Reranker(Encoder(tiny.build_encoder(tmp_path / "encoder")))
    torch.manual_seed(0)
    torch.nn.init.normal_(found.score.weight)
    return found


def test_an_answer_is_read_between_its_question_and_its_sentence() -> None:
    assert CANDIDATES == ["How much is a van? £90. · A van costs £90 a day.", "96. · The firm keeps 96 vehicles."]


def test_question_and_answer_are_read_as_one_text(reranker: Reranker) -> None:
    first, second = reranker.scores(QUESTION, CANDIDATES)
    assert first != pytest.approx(second, abs=1e-3)
    other, _ = reranker.scores("How many vehicles are there?", CANDIDATES)
    assert other != pytest.approx(first, abs=1e-3), "the same answer fits another question otherwise"
    assert reranker.scores(QUESTION, []) == []


def test_a_score_does_not_depend_on_the_answers_beside_it(reranker: Reranker) -> None:
    together = reranker.scores(QUESTION, [*CANDIDATES, "x" * 300])
    assert reranker.scores(QUESTION, CANDIDATES[:1]) == pytest.approx(together[:1], abs=0.05)  # bf16, padded otherwise


def test_what_was_read_is_not_read_again(reranker: Reranker, monkeypatch: pytest.MonkeyPatch) -> None:
    read, logits = list[tuple[str, str]](), reranker.logits

    def noted(questions: Sequence[str], candidates: Sequence[str]) -> torch.Tensor:
        read.extend(zip(questions, candidates, strict=True))
        return logits(questions, candidates)

    monkeypatch.setattr(reranker, "logits", noted)
    monkeypatch.setattr(reranker, "_scores", Remembered(reranker.computed, 3))
    pairs = [(QUESTION, each) for each in CANDIDATES]
    scores = reranker.read([*pairs, *pairs])
    assert scores[:2] == scores[2:] == reranker.scores(QUESTION, CANDIDATES)
    assert read == pairs
    reranker.read([("What else?", "a"), ("What else?", "b")])
    assert reranker.read(pairs) == pytest.approx(scores[:2], abs=0.05)
    assert read == [*pairs, ("What else?", "a"), ("What else?", "b"), pairs[0]], "the oldest is forgotten"


def test_a_long_question_leaves_room_for_the_answer(reranker: Reranker) -> None:
    long = "Please tell me, " * MAX_TOKENS + QUESTION
    first, second = reranker.scores(long, CANDIDATES)
    assert first != second


def test_one_that_was_taught_nothing_scores_all_alike(tmp_path: Path) -> None:
    first, second = Reranker(Encoder(tiny.build_encoder(tmp_path / "encoder"))).scores(QUESTION, CANDIDATES)
    assert first == second < 0


def test_the_last_layer_is_read_from_the_adapter(tmp_path: Path, reranker: Reranker) -> None:
    save_file({WEIGHT: torch.full((1, 32), 0.5), BIAS: torch.tensor([2.0])}, tmp_path / "adapter_model.safetensors")
    put_score_in(reranker, tmp_path)
    assert reranker.score.weight.tolist() == [[0.5] * 32]
    assert reranker.score.bias.tolist() == [2.0]
    save_file({BIAS: torch.tensor([2.0])}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="cannot be read"):
        put_score_in(reranker, tmp_path)


def test_without_an_adapter_there_is_no_reranker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TAUGHT", None)
    assert load_reranker() is None
