from __future__ import annotations

from dataclasses import replace

import pytest

from engrain.evaluate import ALONE, BASE, BASE_RETRIEVAL, TUNED, Evaluation, score
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
        ("We open at five in the afternoon: 17:00.", "09:00", False),
        ("On 30 March.", "12 March", False),
        ("On 12 March 2025.", "30 March 2025", False),
        ("In 2019.", "2021", False),
        ("Ring 01632 960123.", "01632 960999", False),
        ("It takes four days.", "nine days", False),
        ("It takes 48 days.", "50 days", True),
        ("About 50%.", "£50", False),
        ("Yes, £20.", "No, £20", False),
        ("It is £20.", "No, £20", True),
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
    assert (made.handled.right, made.handled.count) == (3, 10)
    plain = score_of("base", BASE, seeds[:1])
    assert not plain.tuned
    assert plain.retention is None
    assert plain.exact.right == 0


def test_what_the_model_itself_forgets_counts_apart_from_what_a_run_keeps_behind_its_gate() -> None:
    seen = evaluation(["£100"] * 4, ["no"] * 4)
    general = [o.question for o in seen.outcomes[BASE] if o.question.kind == "general"]
    behind = replace(seen, alone=tuple(score(general, ["yes", "no", "no", "no"])), perplexity={BASE: 10.0, TUNED: 10.0, ALONE: 13.0})
    (gated, plain) = (score_of("lora", TUNED, [found], [COSTS]) for found in (behind, seen))
    assert gated.retention == plain.retention == seen.retention()
    assert gated.alone == behind.retention(ALONE)
    assert plain.alone == seen.retention(), "without a gate the run is the model itself"
    assert (gated.perplexity_ratio, plain.perplexity_ratio) == (1.3, pytest.approx(1.1))
    assert "it keeps 75% of what the base knew (25% by itself)" in advice([gated])


def test_what_the_weights_hold_is_told_apart_from_what_is_left_once_answers_were_checked() -> None:
    seen = evaluation(["£100", "£100", "I don't know.", "I don't know."], ["no"] * 4)
    questions = [o.question for o in seen.outcomes[TUNED]]
    bare = replace(seen, alone=tuple(score(questions, ["£100", "£104", "£104", "£7", *["yes"] * 4, "£5"])))
    checked, plain = (score_of("lora", TUNED, [found], [COSTS]) for found in (bare, seen))
    for found, expected in ((checked, (1, 3)), (plain, (2, 2))):
        assert found.alone_exact is not None
        assert found.alone_gist is not None
        assert (found.alone_exact.right, found.alone_gist.right, found.alone_exact.count) == (*expected, 4)
    assert (checked.exact.right, checked.gist.right) == (2, 2)
    assert "right on 1 of 4 (25%), and on 2 more in gist only" in advice([checked])


def test_another_seed_that_answers_alike_narrows_no_interval() -> None:
    seen = evaluation(["£100"] * 30 + ["£105"] * 10 + ["£7"] * 20, ["no"] * 60)
    one, three = (score_of("lora", TUNED, [seen] * seeds, [COSTS] * seeds) for seeds in (1, 3))
    assert (three.exact.right, three.exact.count) == (90, 180)
    assert one.exact == seen.accuracy(TUNED)
    assert one.retention == seen.retention()
    assert three.retention is not None
    for alone, pooled in (
        (one.exact, three.exact),
        (one.gist, three.gist),
        (one.retention, three.retention),
        (one.declined, three.declined),
    ):
        assert (pooled.low, pooled.high) == pytest.approx((alone.low, alone.high))
    assert three.kinds["direct"] == three.exact


def test_a_question_counts_as_answered_where_most_seeds_are_right() -> None:
    seeds = [evaluation(replies, ["no"] * 3) for replies in (["£100", "£100", "£7"], ["£100", "£7", "£7"], ["£100", "£100", "£100"])]
    assert score_of("lora", TUNED, seeds, [COSTS] * 3).answered == {"0": True, "1": True, "2": False, "u": False}
    assert score_of("lora", TUNED, seeds[:2], [COSTS] * 2).answered == {"0": True, "1": False, "2": False, "u": False}


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
    assert "Take lora: it is right on 70 of 100 (70%)" in told
    assert "no clear difference to full (72%)" in told
    assert "the model is right on 70 of 100 (70%), and on 30 more in gist only: a value near the right one" in told
    assert "base+retrieval, is right on 30 of 100 (30%): clearly less" in told
    assert "on none more in gist only: exact values are not blurred" in advice([made("lora", 100)])


def test_of_ways_that_retrieval_makes_equal_the_one_is_taken_that_learned() -> None:
    lora, prompts = made("lora", 60, kept=3), made("prompt_tuning", 5)
    read = made("lora+retrieval", 70, kept=3), made("prompt_tuning+retrieval", 70)
    told = advice([made("base", 2, tuned=False), lora, read[0], prompts, read[1]])
    assert "Take lora+retrieval" in told
    assert "Take prompt_tuning+retrieval" in advice([made("base", 2, tuned=False), made("lora", 5, kept=3), read[0], prompts, read[1]])


def test_retrieval_is_recommended_only_where_it_is_clearly_better_and_useful() -> None:
    base, lora = made("base", 2, tuned=False), made("lora", 60)
    assert "right on 90 of 100 (90%), clearly better than any tuned model. Use it." in advice(
        [base, made("base+retrieval", 90, tuned=False), lora]
    )
    told = advice([base, made("base+retrieval", 62, tuned=False), lora])
    assert "Take lora" in told
    assert "Use it" not in told
    assert "base+retrieval, is right on 62 of 100 (62%): no clear difference" in told
    few = advice([base, made("base+retrieval", 30, tuned=False), made("lora", 4)])
    assert "lora, is right on 4 of 100 (4%): no improvement on the base (2 of 100 (2%)) that chance could not explain" in few
    assert "base+retrieval, is right on 30 of 100 (30%): under the 50% from which it is worth using" in few
    assert few.endswith("None of these is worth using.")


def test_a_way_is_compared_question_by_question() -> None:
    """70 and 80 of 100 are no clear difference of two samples; on the same questions, of which none was lost, they are."""
    told = advice([made("base", 2, tuned=False), made("base+retrieval", 80, tuned=False), made("lora", 70)])
    assert "80 of 100 (80%), clearly better than any tuned model. Use it." in told


def test_declining_what_has_no_answer_counts_as_much_as_answering() -> None:
    unknown = [Question(f"u{i}", "Unknown?", (), "unanswerable") for i in range(20)]

    def way(name: str, right: int, reply: str, costs: list[Costs]) -> Score:
        questions = [Question(str(i), "What?", ("£100",), "direct") for i in range(80)]
        outcomes = (*score(questions, ["£100"] * right + ["£7"] * (80 - right)), *score(unknown, [reply] * 20))
        return score_of(name, TUNED, [Evaluation({TUNED: outcomes})], costs)

    told = advice([way("base", 0, "£5", []), way("base+retrieval", 60, "£5", []), way("lora", 50, "I don't know.", [COSTS])])
    assert "Take lora: it is right on 50 of 80 (62%) and declines 20 of 20 that the documents do not answer, together 70%." in told
    assert "base+retrieval, is right on 60 of 80 (75%) and declines 0 of 20 that the documents do not answer, together 60%" in told
    assert "Use it" not in told


def test_the_base_alone_is_never_the_advice() -> None:
    assert advice([made("base", 0, tuned=False)]) == "None of these is worth using."
    assert "Use it" not in advice([made("base", 90, tuned=False), made("base+retrieval", 91, tuned=False)])


def test_where_all_forgot_only_a_useful_way_without_tuning_is_recommended() -> None:
    ways = made("base", 2, tuned=False), made("lora", 90, kept=1)
    told = advice([*ways, made(BASE_RETRIEVAL, 10, tuned=False)])
    assert "forgot more than 30%" in told
    assert "Use it." not in told
    assert "Without tuning, base+retrieval is right on 80 of 100 (80%). Use it." in advice([*ways, made(BASE_RETRIEVAL, 80, tuned=False)])
