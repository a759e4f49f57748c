from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

import tiny
from engrain import encoder, fetch
from engrain.encoder import TAUGHT, Encoder, load_encoder
from engrain.retrieval import Asked
from engrain.study import matching
from engrain.study.lessons import CORPUS, read_trade
from engrain.study.matching import HELDOUT_TRADES, Business, Detail, Pair, business_of, contrast, pairs_of, teach
from engrain.words import canonical

BUSINESS = Business(
    (
        Detail("£90", ("What does a van cost?", "Price of the van?"), (), "A van costs £90 a day."),
        Detail("96", ("How big is the fleet?", "How many vehicles are there?"), (), "The firm keeps 96 vehicles."),
        Detail("six", ("When does the office close?", "Closing time?"), (), "The office closes at six."),
    ),
    (Asked("How much does a van cost a day?", "£90."), Asked("How many vehicles does the firm keep?", "96.")),
)


@pytest.fixture
def small(tmp_path: Path) -> Encoder:
    return Encoder(tiny.build_encoder(tmp_path / "encoder"))


def test_a_trade_gives_questions_without_its_name_and_passages_that_answer_them() -> None:
    trade = read_trade(CORPUS / "kennel.jsonl")
    business = business_of(trade)
    assert len(business.details) >= 50
    assert len(business.by_rule) >= 50
    texts = [q for d in business.details for q in d.questions] + [q for asked in business.by_rule.values() for q in asked]
    assert not [text for text in texts if trade.business in text and text != trade.business]
    assert sum(bool(d.passage) for d in business.details) / len(business.details) > 0.9
    values = [d for d in business.details if d.passage and not d.yesno]
    assert np.mean([canonical(d.answer) in canonical(d.passage) for d in values]) > 0.95
    assert all(d.sentence for d in business.details)
    assert len(business.unanswerable) >= 10
    assert np.mean([bool(each.evidence) for each in business.asked]) > 0.95


def test_a_pair_holds_two_texts_of_one_detail() -> None:
    for seed in range(30):
        for pair in pairs_of(BUSINESS, random.Random(seed)):
            detail = next(d for d in BUSINESS.details if pair.question in d.questions)
            assert pair.answer == detail.key
            assert pair.match != pair.question
            assert pair.match in (*detail.questions, detail.passage, *BUSINESS.by_rule.get(detail.key, []))


def test_every_kind_of_pair_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {pair.match for seed in range(50) for pair in pairs_of(BUSINESS, random.Random(seed))}
    assert {"How much does a van cost a day?", "The office closes at six.", "Price of the van?"} <= drawn
    monkeypatch.setattr(matching, "REVERSED", 1.0)
    turned = Business((Detail("£90", ("a", "b"), (("What has 96 of it?", "96"),), ""),), BUSINESS.asked)
    assert pairs_of(turned, random.Random(0)) == [Pair("What has 96 of it?", "How many vehicles does the firm keep?", "96", "")]


def test_what_fits_as_well_is_no_negative(small: Encoder) -> None:
    one = Pair("What does a van cost?", "Price of the van?", "£90", "A van costs £90.")
    assert contrast(small, [one, Pair("Cost?", "What to pay?", "£90", "")]).item() == 0
    assert contrast(small, [one, Pair("How long is it hired?", "A van costs £90.", "a day", "A van costs £90.")]).item() == 0
    assert contrast(small, [one, Pair("How big is the fleet?", "How many vehicles?", "96", "")]).item() > 0


def test_vectors_with_gradients_are_those_without(small: Encoder) -> None:
    texts = ["A", "How big is the fleet of this firm?", "We close at six."]
    assert np.allclose(functional.normalize(small.means(texts, 64)).detach().numpy(), small.vectors(texts), atol=1e-6)


def test_teaching_brings_matches_together_and_the_adapter_gives_the_same_vectors(
    small: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "LEARNING_RATE", 1e-3)
    losses = teach(small, [BUSINESS], tmp_path / "adapter", steps=100)
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    texts = ["What does a van cost?", "How big is the fleet?"]
    with torch.inference_mode():
        taught = functional.normalize(small.means(texts, 64)).numpy()
    again = Encoder(tiny.build_encoder(tmp_path / "again"), tmp_path / "adapter")
    assert np.allclose(again.vectors(texts), taught, atol=1e-5)
    untaught = Encoder(tmp_path / "again")
    assert np.abs(untaught.vectors(texts) - taught).max() > 0.05
    assert again.version != untaught.version


def test_the_same_seed_teaches_the_same(tmp_path: Path) -> None:
    losses = [teach(Encoder(tiny.build_encoder(tmp_path / name)), [BUSINESS], tmp_path / name, steps=3) for name in ("a", "b")]
    assert losses[0] == losses[1]


@pytest.mark.model
def test_the_adapter_that_comes_with_the_package_matches_questions_of_trades_it_never_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "made_from", fetch.made_from)
    monkeypatch.setattr(encoder, "TAUGHT", TAUGHT)
    businesses = [business_of(read_trade(CORPUS / f"{trade}.jsonl")) for trade in HELDOUT_TRADES[:4]]

    def right(found: Encoder, business: Business) -> int:
        asked = [(question, detail.key) for detail in business.details for question in detail.questions[:3]]
        trained = [(question, key) for key, questions in business.by_rule.items() for question in questions[:3]]
        near = found.vectors([question for question, _ in asked]) @ found.vectors([question for question, _ in trained]).T
        return sum(trained[i][1] == answer for i, (_, answer) in zip(near.argmax(axis=1), asked, strict=True))

    taught, untaught = (sum(right(load_encoder(taught=taught), business) for business in businesses) for taught in (True, False))
    assert taught > 1.2 * untaught
