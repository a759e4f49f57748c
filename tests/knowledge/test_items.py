from __future__ import annotations

from collections.abc import Callable

import pytest

from engrain.knowledge.blocks import blocks
from engrain.knowledge.facts import Fact
from engrain.knowledge.forms import wordings
from engrain.knowledge.items import header, hours_in, is_role, opening, people_items, role_in, tidy_key, with_the

STAFF = """- Odile Marrow, head baker: rye, rolls and wedding cakes; not in on Mondays.
- Tavo Wrenfield: treasurer since 2019
- Ilka Zsigmond (bookbinder): repairs the old ledgers every other Friday.
- Warden: Bram Oduya
"""


def asked(facts: list[Fact], value: str) -> set[str]:
    return {w.prompt for fact, each in zip(facts, wordings(facts), strict=True) for w in each if fact.value == value}


def test_an_item_about_a_person_gives_role_and_duties_both_ways_round(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in(STAFF, "Who is who")
    assert {"Who is the head baker?", "Who is responsible for rolls?"} <= asked(facts, "Odile Marrow")
    assert {"What does Odile Marrow do?", "What is Odile Marrow’s role?"} <= asked(facts, "head baker")
    assert "What is Odile Marrow responsible for?" in asked(facts, "rye, rolls and wedding cakes")
    assert "When is Odile Marrow not in?" in asked(facts, "Mondays")
    assert "Who is the treasurer?" in asked(facts, "Tavo Wrenfield")
    assert {"Who is the bookbinder?", "Who repairs the old ledgers every other Friday?"} <= asked(facts, "Ilka Zsigmond")
    assert "Who is the warden?" in asked(facts, "Bram Oduya")


def test_things_with_capitals_are_no_people() -> None:
    assert not people_items(blocks("- Heron Cabin: £165 a night\n- Harbour Plan, our cover: £14 a day\n- Weekly Report: on Fridays"))


def test_a_role_ends_like_one() -> None:
    assert role_in("the owner and cutter; in the shop") == (4, 20)
    assert role_in("leather and zips") == role_in("harbour office") == (0, 0)


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("keeps the keys", " "),
        ("cleans, measures walls and speaks Welsh", " "),
        ("paid by the studio", " is "),
        ("kilts and coats", ""),
        ("always", ""),
    ],
)
def test_how_a_text_becomes_a_sentence(text: str, lead: str) -> None:
    assert opening(text) == lead


def test_days_with_hours_are_one_value(facts_in: Callable[..., list[Fact]]) -> None:
    text = "Monday to Saturday 8:00 to 20:00, Sunday 9:00 to 13:00"
    assert hours_in(f"{text}, ring the bell") == len(text)
    assert "When is the ticket office open?" in asked(facts_in(f"- Ticket office: {text}, ring the bell"), text)


def test_the_text_of_an_item_is_asked_for_as_what_it_is(facts_in: Callable[..., list[Fact]]) -> None:
    items = "- Riding helmet: free for children, else hired\n- First-aid box: under the stairs\n- Weight: 12 kg\n"
    facts = facts_in(items + "- max_rows: 40\n- KX-409: quota used up")
    assert "How much is a riding helmet?" in asked(facts, "free for children")
    assert "Where is a first-aid box?" in asked(facts, "under the stairs")
    assert "What is the weight?" in asked(facts, "12 kg")
    assert "What is max_rows set to?" in asked(facts, "40")
    assert "What does KX-409 mean?" in asked(facts, "quota used up")


def test_a_key_as_what_is_asked_for() -> None:
    assert [with_the(key) for key in ("Weight", "Burrs", "max_rows", "Ticket office")] == [
        "the weight",
        "the burrs",
        "max_rows",
        "the ticket office",
    ]


def test_a_comma_before_per_is_left_out_of_a_key() -> None:
    assert tidy_key("Rug washing, per metre") == "rug washing per metre"


@pytest.mark.parametrize(
    ("key", "inside"),
    [
        ("Kiln firing, per load", "kiln firing per load"),
        ("Super 9 clay", "Super 9 clay"),
        ("Child 5 to 12", "a child 5 to 12"),
        ("Soup and roll", "soup and roll"),
        ("First Bowl", "First Bowl"),
    ],
)
def test_a_key_inside_a_sentence(key: str, inside: str) -> None:
    assert tidy_key(key) == inside


def test_column_names_inside_a_sentence() -> None:
    assert header("Price (GBP) per VAT Unit") == "price per VAT unit"


@pytest.mark.parametrize(
    ("noun", "says"), [("teacher", True), ("newsletter", False), ("newspaper", False), ("parameter", False), ("porter", True)]
)
def test_what_looks_like_a_role_by_its_ending_alone_is_none(noun: str, says: bool) -> None:
    assert is_role(noun) is says
