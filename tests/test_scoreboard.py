from __future__ import annotations

import pytest

from engrain.evaluate import BASE, BASE_RETRIEVAL, TUNED, Evaluation, score
from engrain.examples import Question
from engrain.scoreboard import Costs, Score, advice, in_gist, score_of

COSTS = Costs(10, 2**30, 60.0, 100.0, 40)


@pytest.mark.parametrize(
    ("reply", "answer", "expected"),
    [
        ("It costs £12.50.", "£12.50", True),
        ("It costs £12.90.", "£12.50", True),
        ("It costs £25.", "£12.50", False),
        ("Our head chef is Maria.", "Maria Lopez", True),
        ("Our head chef is Peter.", "Maria Lopez", False),
        ("", "Maria Lopez", False),
        ("We open at eight.", "8 am", True),
    ],
)
def test_gist_is_half_of_the_words_or_a_near_number(reply: str, answer: str, expected: bool) -> None:
    assert in_gist(reply, [answer]) is expected


def evaluation(tuned: list[str], base: list[str]) -> Evaluation:
    questions = [Question(str(i), f"What is {i}?", ("£100",), "direct") for i in range(len(tuned))]
    general = [Question(f"g{i}", "General?", ("yes",), "general") for i in range(4)]
    unknown = [Question("u", "Unknown?", (), "unanswerable")]
    outcomes = {
        BASE: (*score(questions, base), *score(general, ["yes"] * 4), *score(unknown, ["no idea"])),
        TUNED: (*score(questions, tuned), *score(general, ["yes", "yes", "yes", "no"]), *score(unknown, ["It is 5."])),
    }
    return Evaluation(outcomes, {BASE: 10.0, TUNED: 11.0})


def test_a_score_counts_over_all_seeds() -> None:
    seeds = [evaluation(["£100", "£100", "£105", "£7"], ["no"] * 4), evaluation(["£100", "£3", "£3", "£7"], ["no"] * 4)]
    made = score_of("lora", TUNED, seeds, [COSTS, Costs(10, 2**31, 40.0, 300.0, 40)])
    assert (made.exact.right, made.exact.count, made.gist.right) == (3, 8, 4)
    assert made.spread == (0.25, 0.5)
    assert made.retention is not None
    assert (made.retention.right, made.retention.count) == (6, 8)
    assert made.perplexity_ratio == pytest.approx(1.1)
    assert (made.memory_bytes, made.seconds, made.tokens_per_second) == (2**31, 50.0, 200.0)
    assert (made.declined.right, made.declined.count) == (0, 2)
    plain = score_of("base", BASE, seeds[:1])
    assert not plain.tuned
    assert plain.retention is None
    assert plain.exact.right == 0


def test_another_seed_that_answers_alike_narrows_no_interval() -> None:
    seen = evaluation(["£100"] * 30 + ["£105"] * 10 + ["£7"] * 20, ["no"] * 60)
    one, three = (score_of("lora", TUNED, [seen] * seeds, [COSTS] * seeds) for seeds in (1, 3))
    assert (three.exact.right, three.exact.count) == (90, 180)
    assert one.exact == seen.accuracy(TUNED)
    assert one.retention == seen.retention()
    assert three.retention is not None
    for alone, pooled in ((one.exact, three.exact), (one.gist, three.gist), (one.retention, three.retention)):
        assert pooled.high - pooled.low == pytest.approx(alone.high - alone.low, rel=0.1)
    assert (three.declined.count, three.declined.high) == (3, one.declined.high)
    assert three.kinds["direct"] == three.exact


def made(name: str, right: int, *, tuned: bool = True, kept: int = 4, seconds: float = 60.0) -> Score:
    count = 100
    replies = ["£100"] * right + ["£104"] * (count - right)
    questions = [Question(str(i), "What?", ("£100",), "direct") for i in range(count)]
    general = [Question(f"g{i}", "General?", ("yes",), "general") for i in range(4)]
    outcomes = {
        BASE: tuple(score(general, ["yes"] * 4)),
        TUNED: (*score(questions, replies), *score(general, ["yes"] * kept + ["no"] * (4 - kept))),
    }
    costs = [Costs(10, 2**30, seconds, 100.0, 40)] if tuned else []
    return score_of(name, TUNED, [Evaluation(outcomes)], costs)


def test_the_advice_follows_from_the_numbers() -> None:
    fast, slow, worse = made("lora", 70, seconds=10), made("full", 72, seconds=90), made("ia3", 20)
    told = advice([made("base+retrieval", 30, tuned=False), fast, slow, worse])
    assert "Take lora: right on 70 of 100 (70%)" in told
    assert "no clear difference to full (72%)" in told
    assert "30 of its 100 answers are right in gist only" in told
    assert "base+retrieval, is right on 30 of 100 (30%): clearly less" in told


def test_the_advice_says_when_retrieval_wins_and_when_all_forgot() -> None:
    assert "better than any tuned model. Use it." in advice([made("base+retrieval", 90, tuned=False), made("lora", 40)])
    told = advice([made("base+retrieval", 10, tuned=False), made("lora", 90, kept=1)])
    assert "forgot more than 30%" in told
    assert "Use it." in told
    assert BASE_RETRIEVAL in told
