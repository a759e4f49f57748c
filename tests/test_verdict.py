from __future__ import annotations

from dataclasses import replace

import pytest

from engrain.errors import SettingError
from engrain.evaluate import Evaluation, Outcome
from engrain.examples import Question
from engrain.verdict import VerdictSettings, decide


def outcomes(right: int, of: int, kept: int = 20, declined: int = 10, general: bool = True) -> tuple[Outcome, ...]:
    rows = [Outcome(Question(f"q{n}", "?", ("x",)), "x" if n < right else "y", n < right, False) for n in range(of)]
    rows += [Outcome(Question(f"u{n}", "?", (), "unanswerable"), "", n < declined, n < declined) for n in range(10)]
    if general:
        rows += [Outcome(Question(f"g{n}", "?", ("x",), "general"), "", n < kept, False) for n in range(20)]
    return tuple(rows)


def evaluation(
    base: int,
    retrieval: int | None,
    tuned: int | None,
    both: int | None,
    of: int = 100,
    kept: int = 20,
    ratio: float = 1.0,
    declined: int = 10,
) -> Evaluation:
    columns = {"base": outcomes(base, of)}
    if retrieval is not None:
        columns["base+retrieval"] = outcomes(retrieval, of, general=False)
    if tuned is not None:
        columns["tuned"] = outcomes(tuned, of, kept, declined)
    if both is not None:
        columns["tuned+retrieval"] = outcomes(both, of, general=False)
    return Evaluation(columns, {"base": 10.0, "tuned": 10.0 * ratio})


@pytest.mark.parametrize(
    ("scores", "choice"),
    [
        ((2, 60, 90, 91), "use the tuned model"),
        ((2, 88, 90, 91), "use the tuned model"),
        ((2, 60, 70, 95), "use tuned + retrieval"),
        ((2, 90, 70, 92), "use retrieval"),
        ((2, 90, 20, 30), "use retrieval"),
        ((2, 10, 20, 30), "do not use"),
        ((90, 91, 92, 92), "do not use"),
        ((2, None, 80, None), "use the tuned model"),
        ((2, 80, None, None), "use retrieval"),
        ((2, None, None, None), "do not use"),
    ],
)
def test_the_simplest_of_the_best_is_chosen(scores: tuple[int | None, ...], choice: str) -> None:
    assert decide(evaluation(*scores)).choice == choice  # type: ignore[arg-type]


def test_the_reason_has_the_numbers_in_plain_words() -> None:
    verdict = decide(evaluation(2, 88, 90, 91))
    assert verdict.reason == (
        "The tuned model answers 90 of 100 questions (90%) right and declines 10 of 10 that the documents do not answer, "
        "together 100 of 110 (91%), the untouched model 12 (11%), "
        "the tuned model with retrieval 101 (92%): no clear difference, and that needs the documents at hand."
    )
    assert all(check.passed for check in verdict.checks)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ((2, 10, 20, 30), "Even the best, the tuned model with retrieval, answers only 30 of 100 questions (30%) right, under the 50%"),
        ((90, 91, 92, 92), "no improvement that chance could not explain"),
        ((2, None, None, None), "Only the untouched model was asked."),
    ],
)
def test_why_not(scores: tuple[int | None, ...], words: str) -> None:
    assert words in decide(evaluation(*scores)).reason  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kept", "ratio", "name", "words"), [(18, 1.0, "forgetting", "keeps 18 (90.0%)"), (20, 1.2, "language", "1.20 times as much")]
)
def test_some_forgetting_fails_a_check_and_is_told(kept: int, ratio: float, name: str, words: str) -> None:
    verdict = decide(evaluation(2, 60, 90, 91, kept=kept, ratio=ratio))
    assert verdict.choice == "use the tuned model"
    assert words in verdict.reason
    assert [check.name for check in verdict.checks if not check.passed] == [name]


def test_a_perplexity_just_over_what_is_allowed_is_not_told_as_what_is_allowed() -> None:
    (found,) = [c for c in decide(evaluation(1, 3, 6, 3, ratio=1.0512)).checks if c.name == "language"]
    assert not found.passed
    assert "1.0512 times" in found.finding


def test_a_tie_goes_to_retrieval_when_the_tuned_model_forgot() -> None:
    verdict = decide(evaluation(2, 88, 90, 91, kept=18))
    assert verdict.choice == "use retrieval"
    assert "keeps 18" not in verdict.reason


def test_no_forgetting_is_named_where_nothing_was_forgotten() -> None:
    assert decide(evaluation(2, 50, 49, 45)).reason == (
        "The untouched model with retrieval answers 50 of 100 questions (50%) right and declines 10 of 10 that the documents "
        "do not answer, together 60 of 110 (55%), the untouched model 12 (11%), the tuned model 59 (54%): no clear difference."
    )
    assert "no clear difference, and that forgot some of what it could do." in decide(evaluation(2, 50, 49, 45, kept=18)).reason


@pytest.mark.parametrize(("kept", "ratio"), [(13, 1.0), (20, 1.6)])
def test_too_much_forgetting_rules_the_tuned_model_out(kept: int, ratio: float) -> None:
    assert decide(evaluation(2, None, 99, None, kept=kept, ratio=ratio)).choice == "do not use"
    verdict = decide(evaluation(2, 80, 99, 99, kept=kept, ratio=ratio))
    assert verdict.choice == "use retrieval"
    assert ("keeps 13 (65.0%)" if kept == 13 else "1.60 times") in verdict.reason
    loose = VerdictSettings(retention_limit=0.5, perplexity_limit=2)
    assert decide(evaluation(2, 80, 99, 99, kept=kept, ratio=ratio), loose).choice == "use the tuned model"


def test_few_questions_are_said_to_be_few() -> None:
    verdict = decide(evaluation(0, 0, 12, 12, of=12))
    assert verdict.choice == "use the tuned model"
    assert "Only 12 questions were asked, too few to be sure" in verdict.reason


def test_a_share_just_under_what_is_useful_is_not_told_as_that() -> None:
    reason = decide(evaluation(2, None, 124, None, of=250)).reason
    assert "answers only 124 of 250 questions (49.6%) right, under the 50%" in reason


def test_a_base_that_knew_nothing_leaves_nothing_to_forget() -> None:
    blank = evaluation(2, None, 90, None, kept=0)
    known = {**blank.outcomes, "base": outcomes(2, 100, kept=0)}
    found = decide(replace(blank, outcomes=known, alone=known["tuned"]))
    assert "0 of 0" not in str(found)
    assert all(check.passed for check in found.checks if check.name == "by itself")


def test_invention_is_told() -> None:
    verdict = decide(evaluation(2, 60, 90, None, declined=3))
    assert "made something up for 7 of 10 questions that the documents do not answer" in verdict.reason


def test_declining_what_has_no_answer_counts_as_much_as_answering() -> None:
    assert decide(evaluation(2, 60, 90, 91)).choice == "use the tuned model"
    assert decide(evaluation(2, 60, 90, 91, declined=0)).choice == "use tuned + retrieval"
    timid = decide(evaluation(2, 10, 40, 30))
    assert timid.choice == "do not use"
    assert "answers only 40 of 100 questions" in timid.reason


def test_where_all_questions_have_answers_only_those_are_told() -> None:
    asked = {
        name: tuple(o for o in found if o.question.kind != "unanswerable") for name, found in evaluation(2, 60, 90, 70).outcomes.items()
    }
    assert decide(Evaluation(asked)).reason == (
        "The tuned model answers 90 of 100 questions (90%) right, the untouched model 2 (2%), the tuned model with retrieval 70 (70%)."
    )


def test_without_a_base_there_is_no_verdict() -> None:
    with pytest.raises(SettingError, match="columns=tuned: a verdict compares with 'base'"):
        decide(Evaluation({"tuned": outcomes(1, 2)}))


def test_settings_that_make_no_sense_are_listed() -> None:
    with pytest.raises(SettingError) as caught:
        VerdictSettings(useful_accuracy=50, perplexity_limit=1.01)
    assert len(caught.value.problems) == 2
    with pytest.raises(SettingError, match=r"retention_limit=0\.99"):
        VerdictSettings(retention_limit=0.99)


@pytest.mark.parametrize("own", [True, False])
def test_it_is_said_that_engrain_wrote_the_questions(own: bool) -> None:
    (found,) = [c for c in decide(evaluation(2, 60, 90, 91), own=own).checks if c.name == "sample"]
    assert found.passed
    assert ("written by engrain" in found.finding) is not own
