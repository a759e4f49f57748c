from __future__ import annotations

from collections.abc import Callable

import pytest

from engrain.knowledge.facts import Fact
from engrain.knowledge.forms import wordings

FactsIn = Callable[..., list[Fact]]


def asked(facts: list[Fact], kind: str = "question") -> dict[str, str]:
    """Prompt to answer, of all wordings of a kind."""
    return {w.prompt: w.answer for each in wordings(facts) for w in each if w.kind == kind}


@pytest.mark.parametrize(
    ("column", "questions"),
    [
        ("Toilet", ["Does Heron have a toilet?", "Is there a toilet with Heron?", "Does Heron come with a toilet?"]),
        ("Life jackets", ["Does Heron have life jackets?", "Are there life jackets with Heron?"]),
        ("Parking", ["Does Heron have parking?", "Do you know whether Heron has parking?"]),
        ("Heated", ["Is Heron heated?", "Heron: is it heated?"]),
        ("Wheelchair accessible", ["Is Heron wheelchair accessible?"]),
        ("Suitable for children", ["Is Heron suitable for children?"]),
        ("Takes cards", ["Does Heron take cards?", "Do you know whether Heron takes cards?"]),
        ("Dogs allowed", ["Are dogs allowed in Heron?", "Heron: are dogs allowed?"]),
        ("Licence needed", ["Is a licence needed for Heron?"]),
        ("Fuel included", ["Tell me if a fuel is included with Heron."]),
        ("Bring a friend", ["Can I bring a friend with Heron?"]),
        ("When wet", ["Heron: when wet?"]),
    ],
)
def test_what_a_column_says_yes_or_no_to_is_asked_as_people_ask(column: str, questions: list[str], facts_in: FactsIn) -> None:
    found = asked(facts_in(f"| Boat | Seats | {column} |\n|---|---|---|\n| Heron | 4 | yes |\n| Bittern | 6 | no |"))
    assert {question: found.get(question) for question in questions} == dict.fromkeys(questions, "Yes.")
    assert {found.get(question.replace("Heron", "Bittern")) for question in questions} == {"No."}


@pytest.mark.parametrize(("yes", "no"), [("✓", "✗"), ("✔", "✘"), ("TRUE", "FALSE"), ("Yes.", "No")])
def test_marks_say_yes_and_no(yes: str, no: str, facts_in: FactsIn) -> None:
    found = asked(facts_in(f"| Boat | Toilet |\n|---|---|\n| Heron | {yes} |\n| Bittern | {no} |"))
    assert (found["Does Heron have a toilet?"], found["Does Bittern have a toilet?"]) == ("Yes.", "No.")


def test_what_has_it_is_asked_backwards_and_told_together(facts_in: FactsIn) -> None:
    rows = [
        "Heron | yes | yes | yes | yes",
        "Bittern | no | yes | no | yes",
        "Plover | no | no | no | yes",
        "Sandpiper | no | no | no | yes",
    ]
    table = "\n".join(["| Boat | Toilet | Heated | Dogs allowed | Takes cards |", "|---|---|---|---|---|", *(f"| {row} |" for row in rows)])
    found = asked(facts_in(table), "reverse")
    assert found["Which boat has a toilet?"] == "Heron."
    assert found["Which boat is heated?"] == "Heron and Bittern."
    assert found["In which boat are dogs allowed?"] == "Heron."
    assert not [prompt for prompt, answer in found.items() if "cards" in prompt and " and " in answer]


def test_a_table_of_marks_below_what_can_be_had_compares(facts_in: FactsIn) -> None:
    table = "| | Day pass | Season pass |\n|---|---|---|\n| Free coffee | – | ✓ |\n| Bring a friend | ✗ | ✓ |"
    facts = facts_in(table)
    assert asked(facts)["Does a season pass have free coffee?"] == "Yes."
    assert asked(facts)["Can I bring a friend with a day pass?"] == "No."
    assert asked(facts, "reverse")["Which one has free coffee?"] == "Season pass."


def test_below_a_heading_that_names_nothing_the_business_is_meant(facts_in: FactsIn) -> None:
    found = asked(facts_in("- Parking: yes\n- Dogs allowed: no\n- Wi-Fi: Yes", "Good to know"))
    assert found["Does Fernlea Pottery have parking?"] == "Yes."
    assert found["Do you have parking?"] == "Yes."
    assert found["Are dogs allowed at Fernlea Pottery?"] == "No."
    assert asked(facts_in("- Spray deck: yes", "Kayaks"))["Do the kayaks have a spray deck?"] == "Yes."
