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


def test_what_a_person_does_is_not_asked_of_whoever_does_it(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("Harriet Boone keeps the kiln. Harriet Boone keeps the glazes. Ilka Wrenfield gives every child a lump of clay.")
    found = [w.prompt for _, w in two_facts(facts, wordings(facts), random.Random(0)) if w.form == "two-bridged"]
    assert not [prompt for prompt in found if prompt.count("keep") > 1 or prompt.count("give") > 1]


STAFF = """| Name | Role | With us since | Days |
|---|---|---|---|
| Tam Ferrow | Saturday helper | 2022-06-15 | Saturday |

Ferrow keeps the kiln. Nobody is turned away. Its lid is heavy. Only nine people fit in.

- Telephone: 01632 960418
- Last changed: 2026-10-04

| Bowl | Price (GBP) | Ready |
|---|---|---|
| Ink and Thread | 38.00 | in 3 weeks |
"""


def test_profiles_are_sentences_about_what_has_a_name(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in(STAFF)
    told: dict[str, set[str]] = {}
    for seed in range(9):
        for _, wording in profiles(facts, random.Random(seed)):
            told.setdefault(wording.prompt, set()).add(wording.answer)
    answers = {answer for prompt, each in told.items() if "Tam Ferrow" in prompt for answer in each}
    said = " ".join(answers)
    assert "Tam Ferrow has been with us since 15 June 2022." in said
    assert "Tam Ferrow’s role is Saturday helper." in said
    assert "Ferrow keeps the kiln." in said
    assert "The price for Ink and Thread is £38.00." in " ".join(a for each in told.values() for a in each)
    assert "Ink and Thread is ready in 3 weeks." in " ".join(a for each in told.values() for a in each)
    names = ("obody", " its ", "nly nine", "Telephone", "Last changed", "House rules", "about Ferrow", "describe Ferrow")
    assert not [prompt for prompt in told if any(name in prompt for name in names)]
