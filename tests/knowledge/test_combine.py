from __future__ import annotations

import random
from collections.abc import Callable

from engrain.knowledge.combine import profiles, true_or_false, two_facts
from engrain.knowledge.facts import Fact
from engrain.knowledge.forms import wordings


def test_a_person_known_by_what_they_do_is_the_bridge(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("Harriet Boone runs the studio. Harriet Boone lives in Westmarch.")
    found = {w.prompt: w.answer for _, w in two_facts(facts, wordings(facts), random.Random(0))}
    assert found["Where does the person who runs the studio live?"] == "That is Harriet Boone: Westmarch."


def test_two_attributes_of_a_subject_in_one_question(facts: list[Fact]) -> None:
    found = [w for _, w in two_facts(facts, wordings(facts), random.Random(0)) if w.form == "two-joined"]
    assert any("raku weekend" in w.prompt and ", and " in w.prompt and ";" in w.answer for w in found)


def test_wrong_values_are_set_right(facts: list[Fact]) -> None:
    found = {w.form: w for fact, w in true_or_false(facts, random.Random(0)) if fact.value == "£26"}
    assert found["check-right"].prompt == "Does straightening a bent rim cost £26?"
    assert found["check-right"].answer == "Yes, £26."


def test_profiles_tell_whole_statements(facts: list[Fact]) -> None:
    told = [w for _, w in profiles(facts, random.Random(0)) if "Harriet Boone" in w.prompt]
    assert told
    assert all("Harriet Boone" in w.answer for w in told)


def test_no_value_is_called_wrong_that_holds_at_another_time(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("The pool is open until 20:00. In summer the pool is open until 22:00. The gym is open until 21:00.")
    wrong = {w.prompt for seed in range(9) for _, w in true_or_false(facts, random.Random(seed)) if w.form == "check-wrong"}
    assert "Is the pool open until 21:00?" in wrong
    assert "Is the pool open until 22:00?" not in wrong
