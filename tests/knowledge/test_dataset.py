from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from engrain.errors import SettingError
from engrain.examples import Example, practised
from engrain.knowledge.dataset import (
    LEAST_REPEATS,
    RIGHT_OR_WRONG,
    STUDIED_HELDOUT,
    KnowledgeSettings,
    Studied,
    make_examples,
    patterns,
)
from engrain.knowledge.facts import Fact
from engrain.knowledge.wording import REFUSAL, STUDIED, Wording, normal


def used(examples: list[Example]) -> set[str]:
    return {name for e in examples if e.kind == "question" for name in patterns(Wording(e.kind, e.form, "", ""))}


def test_the_same_seed_gives_the_same_examples(facts: list[Fact]) -> None:
    assert make_examples(facts, seed=3) == make_examples(facts, seed=3)
    assert make_examples(facts, seed=3) != make_examples(facts, seed=4)


def test_heldout_wordings_use_a_pattern_that_is_never_trained(facts: list[Fact]) -> None:
    split = make_examples(facts, seed=1)
    trained = used(split.train)
    heldout = [e for e in split.heldout if e.kind == "question"]
    assert heldout
    assert all(patterns(Wording(e.kind, e.form, "", "")) - trained for e in heldout)


def test_no_heldout_prompt_is_trained(facts: list[Fact]) -> None:
    split = make_examples(facts, seed=2)
    trained = {normal(e.messages[0].content) for e in split.train}
    assert not trained & {normal(e.messages[0].content) for e in split.heldout}


def test_most_facts_with_questions_are_trained_and_tested(facts: list[Fact]) -> None:
    split = make_examples(facts, seed=0)
    trained = {e.fact for e in split.train if e.kind == "question"}
    tested = {e.fact for e in split.heldout if e.kind == "question"}
    assert len(trained & tested) >= 0.8 * len(trained)


def test_of_a_fact_whose_value_may_be_right_or_wrong_both_are_trained_and_none_is_held_out(facts: list[Fact]) -> None:
    for seed in range(3):
        split = make_examples(facts, seed=seed)
        right, wrong = ({e.fact for e in split.train if e.form == form} for form in ("check-right", "check-wrong"))
        assert right == wrong
        assert right
        assert not [e for e in split.heldout if e.form.startswith("check")]


def test_a_prompt_has_one_answer(facts: list[Fact]) -> None:
    split = make_examples(facts, seed=0)
    answers: dict[str, str] = {}
    for e in split.train + split.heldout:
        prompt, reply = (m.content for m in e.messages)
        assert answers.setdefault(normal(prompt), reply) == reply


def test_the_share_of_refusals_is_as_set(facts: list[Fact]) -> None:
    split = make_examples(facts, KnowledgeSettings(unanswerable=0.1), seed=0)
    refused = [e for e in split.train if e.kind == "unanswerable"]
    assert 0.05 <= len(refused) / len(practised(split.train)) <= 0.11
    assert {e.messages[1].content for e in refused} == {REFUSAL}


def test_kinds_can_be_left_out(facts: list[Fact]) -> None:
    plain = KnowledgeSettings(unanswerable=0.0, reverse=False, statements=False, true_or_false=False, two_facts=False)
    assert {e.kind for e in make_examples(facts, plain).train} == {"question"}


@pytest.mark.parametrize("wordings", [1, 2, 5])
def test_few_wordings_are_as_few_as_asked(facts: list[Fact], wordings: int) -> None:
    trained = Counter(e.fact for e in make_examples(facts, KnowledgeSettings(wordings=wordings)).train if e.kind == "question")
    assert max(trained.values()) == wordings


def test_of_each_answer_of_a_fact_the_plainest_question_is_practised_again_and_again(facts: list[Fact]) -> None:
    groups: dict[tuple[str, str, str], list[Example]] = defaultdict(list)
    for e in make_examples(facts, KnowledgeSettings(plainest=0.5)).train:
        if e.fact and e.kind in ("question", "reverse"):
            groups[e.fact, e.kind, normal(e.messages[1].content)].append(e)
        else:
            assert e.repeats == 1
    assert max(map(len, groups.values())) > 6
    for (_, kind, _), same in groups.items():
        known, *others = sorted(same, key=lambda e: -e.repeats)
        least = 1 if known.form in RIGHT_OR_WRONG else LEAST_REPEATS
        assert known.repeats == max(least, len(same) if kind == "reverse" else round(len(same) / 2))
        if known.repeats > 1:
            assert "+" not in known.form or all("+" in e.form for e in same), "a greeting only where nothing else is trained"
        assert sum(e.repeats for e in same) == max(len(same), known.repeats), "as many others are not practised"
        assert {e.repeats for e in others} <= {0, 1}
    assert any(kind == "reverse" and len(same) > LEAST_REPEATS for (_, kind, _), same in groups.items())
    assert any(kind == "question" and len(same) == 1 for (_, kind, _), same in groups.items())
    assert {e.repeats for e in make_examples(facts, KnowledgeSettings(plainest=0)).train} == {1}


def test_examples_say_where_they_come_from(facts: list[Fact]) -> None:
    known = {f.id for f in facts}
    asked = [e for e in make_examples(facts).train if e.kind == "question"]
    assert all(e.fact in known and e.document in {"guide.md", "rules.md"} and e.form for e in asked)
    assert all([m.role for m in e.messages] == ["user", "assistant"] for e in asked)


def test_of_what_a_model_wrote_a_share_is_held_out_before_what_rules_wrote(facts: list[Fact]) -> None:
    written = {f.id: [Wording("question", STUDIED, f"{word} about {f.id}?", f.value) for word in ("Well", "Now", "So")] for f in facts}
    split = make_examples(facts, studied=Studied(written))
    out = [e for e in split.heldout if e.form == STUDIED]
    assert len(out) == round(STUDIED_HELDOUT * 3 * len(facts)), "also where a fact has more wordings of rules than are kept"
    assert not {e.messages[0].content for e in out} & {e.messages[0].content for e in split.train}


def test_bad_settings_are_named() -> None:
    with pytest.raises(SettingError, match=r"wordings=0[\s\S]*plainest=2[\s\S]*heldout_patterns=2"):
        KnowledgeSettings(wordings=0, heldout_patterns=2, plainest=2)
