from __future__ import annotations

from collections.abc import Callable

import pytest

from engrain.knowledge.contacts import called, owned
from engrain.knowledge.facts import Fact
from engrain.knowledge.forms import wordings


@pytest.mark.parametrize(
    ("text", "reached"),
    [
        ("Ines Marl 01632 960133.", [("Ines Marl", "")]),
        ("Front desk 01632 960410, Mon-Fri 08:00-18:30.", [("Front desk", "")]),
        ("Ring Tom Rask, security, 07700 900144, before you touch anything.", [("Tom Rask", "")]),
        ("Queries to Nell Orme in payroll (pay@kites.example) by the 18th.", [("Nell Orme", "")]),
        ("Sail loft, Ada Merle, 01632 960470, 06:00-22:00.", [("Ada Merle", "Sail loft")]),
        ("Kept by Ada Merle, HR Manager (ada@kites.example).", [("Ada Merle", "")]),
        ("Complaints go to the manager, Olive Trent, at olive@kites.example.", [("Olive Trent", "the manager")]),
        ("Orla, and Marram Spill Services, 01632 960850.", [("Marram Spill Services", "")]),
        ("Hobb & Daughter 01632 960871.", [("Hobb & Daughter", "")]),
        ("Quiet Line, confidential, 24 hours, 01632 960899.", [("Quiet Line", "")]),
        ("To cancel, call the surgery on 01632 960999 or e-mail desk@kites.example.", [("the surgery", ""), ("the surgery", "")]),
        ("For birthday cakes speak to Tina on extension 14.", [("Tina", "")]),
        ("Their contact is Ines Marl, 07700 900257.", [("Ines Marl", "")]),
        ("Ring, don't text: absence line 01632 960418.", [("absence line", "")]),
        ("The night porter's number is 07700 900311.", [("The night porter", "")]),
        ("01632 960418, desk@kites.example", [("", ""), ("", "")]),
        ("You can reach us on 01632 960123.", [("", "")]),
        ("Outside that there is one on-call mobile, 07700 900316.", [("", "")]),
        ("Write to accounts@kites.example.", [("", "")]),
        ("three hours, at hall@kites.example", [("", "")]),
        ("Nothing to ring here.", []),
    ],
)
def test_who_is_named_before_a_number_or_an_address_is_whom_it_reaches(text: str, reached: list[tuple[str, str]]) -> None:
    assert [(name, place) for _, name, place in owned(text)] == reached


@pytest.mark.parametrize(
    ("contact", "name"),
    [
        ("01632 960133", "phone number"),
        ("ext. 21", "extension"),
        ("a@kites.example", "e-mail address"),
        ("www.kites.example", "website"),
        ("https://kites.example/shop", "website"),
    ],
)
def test_a_contact_is_called_what_it_is(contact: str, name: str) -> None:
    assert called(contact) == name


def asked(facts: list[Fact], kind: str) -> dict[str, str]:
    return {w.prompt: w.answer for each in wordings(facts) for w in each if w.kind == kind}


def test_contacts_are_asked_for_both_ways(facts_in: Callable[..., list[Fact]]) -> None:
    text = (
        "Ring Tom Rask, security, 07700 900144, before you touch anything.\n\n"
        "- Box office: 01632 960418, box@kites.example\n- Caretaker, out of hours only: Gus Hallow, 07700 900562\n"
        "- Old sails: Sail Recovery 07700 900188, account 66213.\n- Nell Orme: extension 31\n"
    )
    facts = facts_in(text, "Who to ring")
    questions, back = asked(facts, "question"), asked(facts, "reverse")
    assert questions["What is the phone number of Tom Rask?"] == "07700 900144."
    assert questions["Which number do I ring for the box office?"] == "01632 960418."
    assert questions["How can I reach the box office by e-mail?"] == "box@kites.example."
    assert questions["How do I get hold of Gus Hallow?"] == "07700 900562."
    assert questions["How can I reach the old sails?"] == "07700 900188."
    assert questions["What is the phone number of Sail Recovery?"] == "07700 900188."
    assert back["Whose phone number is 07700 900144?"] == "Tom Rask."
    assert back["Who answers on 01632 960418?"] == "Box office."
    assert back["Whose e-mail address is box@kites.example?"] == "Box office."
    assert back["Who is on extension 31?"] == back["Whose extension is 31?"] == "Nell Orme."


def test_where_the_business_itself_is_reached_leads_back_to_nothing(facts_in: Callable[..., list[Fact]]) -> None:
    back = asked(facts_in("- Phone: 01632 960418\n- E-mail: desk@kites.example\n", "Find us"), "reverse")
    assert not [prompt for prompt in back if "960418" in prompt or "desk@" in prompt]
