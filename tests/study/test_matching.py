from __future__ import annotations

import json
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

ABOUT_VANS, ABOUT_FLEET = {"£90": ["How much does a van cost a day?"]}, {"96": ["How many vehicles does the firm keep?"]}
BUSINESS = Business(
    (
        Detail("£90", ("What does a van cost?", "Price of the van?"), (), "A van costs £90 a day.", by_rule=ABOUT_VANS),
        Detail("96", ("How big is the fleet?", "How many vehicles are there?"), (), "The firm keeps 96 vehicles.", by_rule=ABOUT_FLEET),
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
    assert sum(d.key in d.by_rule for d in business.details) >= 40
    texts = [q for d in business.details for q in d.questions] + [each.question for each in business.asked]
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
            assert pair.match in (*detail.questions, detail.passage, *detail.by_rule.get(detail.key, []))


def test_what_rules_ask_elsewhere_is_not_about_a_detail_though_the_answer_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "hire.txt").write_text("# Hire\nVans cost £90 a day.\n\n# Fees\nA lost key costs £90.\n\n## Key\n- Price: £12\n")
    rows = [
        {"business": "Orrin Hire", "heading": "Hire", "sentence": "Vans cost £90 a day.", "answer": "£90", "questions": ["a", "b"]},
        {"business": "Orrin Hire", "heading": "Fees › Key", "sentence": "Price: £12", "answer": "£12", "questions": ["c", "d"]},
    ]
    (tmp_path / "hire.jsonl").write_text("\n".join(map(json.dumps, rows)))
    business = business_of(read_trade(tmp_path / "hire.jsonl"))
    vans, key = (detail.by_rule[detail.key] for detail in business.details)
    lost = [each.question for each in business.asked if each.answer == "£90." and "key" in each.question]
    assert lost
    assert vans
    assert not set(vans) & set(lost)
    assert set(key) == {each.question for each in business.asked if canonical(each.answer) == "£12"}
    assert business.details[1].heading == "Key"


def test_every_kind_of_pair_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {pair.match for seed in range(50) for pair in pairs_of(BUSINESS, random.Random(seed))}
    assert {"How much does a van cost a day?", "The office closes at six.", "Price of the van?"} <= drawn
    monkeypatch.setattr(matching, "REVERSED", 1.0)
    turned = Business((Detail("£90", ("a", "b"), (("What has 96 of it?", "96"),), by_rule=ABOUT_FLEET),))
    assert pairs_of(turned, random.Random(0)) == [Pair("What has 96 of it?", "How many vehicles does the firm keep?", "96", "")]


def test_what_fits_as_well_is_no_negative(small: Encoder) -> None:
    one = Pair("What does a van cost?", "Price of the van?", "£90", "A van costs £90.")
    assert contrast(small, [one, Pair("Cost?", "What to pay?", "£90", "")]).item() == 0
    assert contrast(small, [one, Pair("How long is it hired?", "A van costs £90.", "a day", "A van costs £90.")]).item() == 0
    assert contrast(small, [one, Pair("How big is the fleet?", "How many vehicles?", "96", "")]).item() > 0


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are encoded in fp32, also where the machine has bf16."""
    monkeypatch.setattr(encoder, "choose_dtype", lambda device: torch.float32)


@pytest.mark.usefixtures("exact")
def test_vectors_with_gradients_are_those_without(small: Encoder) -> None:
    texts = ["A", "How big is the fleet of this firm?", "We close at six."]
    assert np.allclose(functional.normalize(small.means(texts, 64)).detach().numpy(), small.vectors(texts), atol=1e-6)


@pytest.mark.usefixtures("exact")
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
        trained = [(each.question, canonical(each.answer)) for each in business.asked]
        near = found.vectors([question for question, _ in asked]) @ found.vectors([question for question, _ in trained]).T
        return sum(trained[i][1] == answer for i, (_, answer) in zip(near.argmax(axis=1), asked, strict=True))

    taught, untaught = (sum(right(load_encoder(taught=taught), business) for business in businesses) for taught in (True, False))
    assert taught > 1.2 * untaught
