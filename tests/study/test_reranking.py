"""The lessons of which answer a question is after, and what they teach."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

import tiny
from engrain import encoder, fetch
from engrain import reranker as module
from engrain.encoder import Encoder, load_encoder
from engrain.reranker import TAUGHT, Reranker, load_reranker, put_score_in
from engrain.retrieval import Asked
from engrain.study import reranking
from engrain.study.lessons import CORPUS, read_trade
from engrain.study.matching import HELDOUT_TRADES, Business, Detail, business_of
from engrain.study.reranking import CHOICES, Lesson, choice_of, choosing, lessons_of, teach

VAN = Asked("How much is a van?", "£90.", "s", 12, evidence="A van costs £90.")
FLEET = Asked("How many vehicles?", "96.", "s", 25, evidence="We keep 96.")
OPEN = Asked("Is the yard open?", "Yes.", "s", 40, evidence="The yard is open on Sunday.")
BUSINESS = Business(
    (
        Detail(
            "£90",
            ("What does a van cost?", "Price?"),
            (("What costs £90?", "A van"),),
            "",
            "A van costs £90.",
            "Prices",
            place=("s", 0, 16),
        ),
        Detail("Yes", ("Can I come on Sunday?", "Sundays?"), (), "", "The yard is open on Sunday.", "Hours", True, ("s", 29, 56)),
        Detail("Yes", ("Can I pay by card?", "Cards?"), (), "", "We take cards.", "Prices", yesno=True),
    ),
    (VAN, FLEET, OPEN),
    ("Do you hire boats?",),
)


@pytest.fixture
def small(tmp_path: Path) -> Encoder:
    return Encoder(tiny.build_encoder(tmp_path / "encoder"))


def test_a_lesson_has_the_right_answers_of_rules_and_of_the_writer_and_all_others_as_wrong_ones(small: Encoder) -> None:
    lessons = {lesson.question: lesson for lesson in lessons_of(BUSINESS, small)}
    cost = lessons["What does a van cost?"]
    assert cost.right == (VAN, Asked("", "£90.", evidence=VAN.evidence)), "spelled and shown as rules do, so that only the question tells"
    assert set(cost.wrong) == {FLEET, OPEN}
    assert lessons["What costs £90?"].right == (Asked("", "A van.", evidence=VAN.evidence),)
    assert lessons["Cards?"].right == (Asked("", "Yes.", evidence="Prices. We take cards."),), "no rule asks about this sentence"


def test_a_yes_is_right_only_where_it_stands(small: Encoder) -> None:
    lessons = {lesson.question: lesson for lesson in lessons_of(BUSINESS, small)}
    assert OPEN in lessons["Sundays?"].right
    assert OPEN not in lessons["Cards?"].right
    assert OPEN not in lessons["Cards?"].wrong, "the word is right, though for another reason"


def test_what_the_documents_do_not_answer_has_no_right_answer(small: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reranking, "UNANSWERABLE", 2)
    lessons = [lesson for lesson in lessons_of(BUSINESS, small, ["Who wrote Hamlet?"]) if not lesson.right]
    assert [lesson.question for lesson in lessons] == ["Do you hire boats?"] * 2 + ["Who wrote Hamlet?"]
    assert all(set(lesson.wrong) == {VAN, FLEET, OPEN} for lesson in lessons)


def test_a_choice_ends_with_the_right_answer_or_has_none() -> None:
    wrong = tuple(Asked(f"q{i}", str(i)) for i in range(20))
    lesson, rng, seen = Lesson("?", (VAN,), wrong), random.Random(0), set()
    for _ in range(200):
        choice, has_right = choice_of(lesson, 0.5, rng)
        assert len({each.answer for each in choice}) == len(choice) == CHOICES
        assert (choice[-1].answer == VAN.answer) is has_right
        assert VAN.answer not in {each.answer for each in choice[:-1]}
        seen.add((has_right, bool(choice[-1].question)))
    assert seen >= {(True, True), (True, False), (False, True)}
    assert choice_of(Lesson("?", (), wrong[:2]), 0.5, rng)[1] is False


def test_wrong_answers_become_harder() -> None:
    lesson, rng = Lesson("?", (VAN,), tuple(Asked(f"q{i}", str(i)) for i in range(24))), random.Random(0)

    def hard(progress: float) -> float:
        choices = [choice_of(lesson, progress, rng)[0] for _ in range(100)]
        return float(np.mean([each.answer != VAN.answer and int(each.answer) < reranking.HARD for choice in choices for each in choice]))

    assert hard(0) < hard(0.5) < hard(1)


def test_the_loss_is_that_of_one_choice_with_none_of_these(small: Encoder) -> None:
    reranker = Reranker(small)
    reranker.score.bias.data.fill_(0.0)
    assert choosing(reranker, [("q", [VAN, FLEET], True)]).item() == pytest.approx(np.log(3), abs=1e-5)
    reranker.score.bias.data.fill_(-20.0)
    assert choosing(reranker, [("q", [VAN, FLEET], False)]).item() == pytest.approx(0, abs=1e-5)
    assert choosing(reranker, [("q", [VAN, FLEET], False), ("q", [VAN], True)]).item() == pytest.approx(10, abs=1e-4)


def test_what_was_taught_is_read_again(small: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reranking, "LEARNING_RATE", 3e-3)
    monkeypatch.setattr(reranking, "WARMUP", 5)
    lessons = [Lesson(question, (VAN,), (FLEET, OPEN)) for question in ("What does a van cost?", "Price of the van?")]
    losses = teach(small, lessons, tmp_path / "adapter", steps=100)
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
    again = Reranker(Encoder(tiny.build_encoder(tmp_path / "again"), tmp_path / "adapter"))
    taught = Reranker(small)
    for reranker in (again, taught):
        put_score_in(reranker, tmp_path / "adapter")
    shown = [each.shown for each in (FLEET, OPEN, VAN)]
    scores = again.scores("What is the price of a van?", shown)
    assert np.argmax(scores) == 2
    assert scores == pytest.approx(taught.scores("What is the price of a van?", shown), abs=0.05)


def test_the_same_seed_teaches_the_same(tmp_path: Path) -> None:
    lessons = lessons_of(BUSINESS, Encoder(tiny.build_encoder(tmp_path / "lessons")))
    losses = [teach(Encoder(tiny.build_encoder(tmp_path / name)), lessons, tmp_path / name, steps=3) for name in ("a", "b")]
    assert losses[0] == losses[1]


@pytest.mark.model
def test_the_adapter_that_comes_with_the_package_knows_the_right_answer_of_a_trade_it_never_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "made_from", fetch.made_from)
    monkeypatch.setattr(module, "TAUGHT", TAUGHT)
    reranker = load_reranker()
    assert reranker
    lessons = lessons_of(business_of(read_trade(CORPUS / f"{HELDOUT_TRADES[0]}.jsonl")), load_encoder(taught=False))
    chosen = random.Random(0).sample([lesson for lesson in lessons if len(lesson.right) > 1 and len(lesson.wrong) > 2], 100)
    right = 0
    for lesson in chosen:
        offered = [each.shown for each in (lesson.right[0], *lesson.wrong[:3])]
        right += int(np.argmax(reranker.scores(lesson.question, offered))) == 0
    assert right > 45, "one in four would be chance"
