from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from engrain.knowledge.backwards import reverse_prices
from engrain.knowledge.facts import Fact
from engrain.knowledge.forms import wordings


def asked(facts: list[Fact]) -> dict[str, str]:
    """Prompt to answer, of all wordings backwards."""
    return {w.prompt: w.answer for each in wordings(facts) for w in each if w.kind == "reverse"}


def test_reverse_questions_ask_for_the_subject(facts: list[Fact]) -> None:
    found = asked(facts)
    assert found["What costs £26?"] == "Straightening a bent rim."


@pytest.mark.parametrize(
    ("subject", "told", "question"),
    [
        ("the Bowline", "costs ___.", "What costs £3.25?"),  # the parser takes "Bowline costs" for a noun
        ("a croissant", "is ___.", "What costs £3.25?"),
        ("the large kite", "is sold for ___.", "What costs £3.25?"),
        ("the small kite", "goes for ___.", "What costs £3.25?"),
        ("samphire focaccia", "is ___ a slab.", "What costs £3.25 a slab?"),
        ("a place for Croissant Weekend", "costs ___.", "What costs £3.25?"),
        ("the deposit", "is ___.", ""),
        ("the fee for a lost key", "is ___.", ""),
        ("a ticket", "costs ___.", ""),
        ("members", "are ___.", ""),
        ("it", "costs ___.", ""),
        ("the Bowline", "rose by ___.", ""),
        ("the Bowline", "costs ___, and the Lantern more.", ""),
    ],
)
def test_a_price_leads_back_to_what_has_it(subject: str, told: str, question: str) -> None:
    fact = Fact("f", subject, f"{subject} {told}", "£3.25", "money", "", "a.md#1", 0, 5)
    found = {wording.prompt: wording.answer for wording in reverse_prices(fact)}
    assert (found.get(question) == f"{subject[0].upper()}{subject[1:]}.") if question else not found
    assert not list(reverse_prices(replace(fact, kind="count")))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The tour is two hours.", "two hours"),
        ("Each member may bring two friends.", "two"),
        ("Everyone pays a deposit of £5.", "£5"),
    ],
)
def test_what_many_things_are_or_nobody_asks_is_not_asked_backwards(facts_in: Callable[..., list[Fact]], text: str, value: str) -> None:
    facts = [fact for fact in facts_in(text) if fact.value == value]
    assert facts
    assert not [w for each in wordings(facts) for w in each if w.kind == "reverse"]


TABLES = """| Code | Service | Price (£) |
|---|---|---|
| K1 | Hull paint | 20 |
| K2 | New mast | 300 |

| Shed | For | Places |
|---|---|---|
| Alder | dinghies | 12 |
| Birch | barges | 7 |

| Name | Role | Joined |
|---|---|---|
| Ada Merle | Rigger | 2010 |
| Tom Brandt | Painter | 2017 |

| code | what | price | days | boat |
|---|---|---|---|---|
| R1 | Rudder pin | 20 | 1 | any |
| R2 | Mast step | 300 | 3 | yacht |

| Code | Meaning | What to do |
|---|---|---|
| E1 | battery low | replace both cells |
| E4 | no network | move the sensor |

| Course | When | Fee |
|---|---|---|
| Knots | 4 March 2027 | £85 |
| Splices | 11 March 2027 | £85 |

| name | role | with us since | member since |
|---|---|---|---|
| Ruta Klimas | vet | 2022-05-30 | 2019 |
| Jan Oram | shop and post | 2021-05-30 | 2020 |
"""


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        ("Which service costs £300?", "New mast."),
        ("Which shed is for barges?", "Birch."),
        ("Who joined in 2017?", "Tom Brandt."),
        ("Who is the rigger?", "Ada Merle."),
        ("What has R2 as code?", "Mast step."),
        ("What does E4 mean?", "No network."),
        ("Which course is on 4 March 2027?", "Knots."),
        ("Who has been with you since 30 May 2022?", "Ruta Klimas."),
        ("Who is the vet?", "Ruta Klimas."),
        ("Who has been a member since 2019?", "Ruta Klimas."),
    ],
)
def test_rows_are_asked_for_by_what_their_columns_say(facts_in: Callable[..., list[Fact]], question: str, reply: str) -> None:
    found = asked(facts_in(TABLES))
    assert found[question] == reply
    assert not [prompt for prompt in found if prompt.startswith(("Which code", "Which what", "Who is the shop"))]
    assert not [prompt for prompt in found if prompt.startswith("What has") and prompt.endswith(("as days?", "as boat?"))]


def test_cells_are_asked_for_backwards(facts_in: Callable[..., list[Fact]]) -> None:
    table = "| Name | Role | Extension |\n|---|---|---|\n| Odile Marrow | Head baker | 14 |\n\n- Gift box: £7.50\n"
    found = asked(facts_in(table))
    assert found["Who is the head baker?"] == "Odile Marrow."
    assert found["Whose extension is 14?"] == "Odile Marrow."
    assert found["What costs £7.50?"] == "Gift box."


COMPARED = """# Kites

| | Gull | Heron |
|---|---|---|
| Weight | 420 g | 1.2 kg |
| MOT price | £12 | £20 |
| Frame | carbon fibre | bamboo |
| Phone | 01803 555 | 01803 556 |
"""


def test_what_columns_name_is_one_of_them(facts_in: Callable[..., list[Fact]]) -> None:
    found = asked(facts_in(COMPARED))
    assert found["Which one has a weight of 1.2 kg?"] == "Heron."
    assert found["Which one has carbon fibre as frame?"] == "Gull."
    assert found["Which one has an MOT price of £12?"] == "Gull."
    assert not [prompt for prompt in found if prompt.startswith("Which one") and "phone" in prompt.lower()]
    assert found["Whose phone number is 01803 556?"] == "Heron."


def test_settings_lead_back_to_their_keys() -> None:
    fact = Fact("f", "Slow query", "value", "750 ms", "measure", "Slow query: 750 ms", "app_settings.yaml#1", 12, 18)
    assert asked([fact])["Which setting has the value 750 ms?"] == "Slow query."
    assert not asked([replace(fact, section="notices.yaml#1")])


def test_rows_called_by_numbers_are_asked_for_by_when_something_was_done(facts_in: Callable[..., list[Fact]]) -> None:
    table = (
        "| Fleet no | Built | Tested | Spaces |\n|---|---|---|---|\n| V101 | 2016 | 4 March 2026 | 3 |\n| V102 | 2019 | 5 May 2026 | 9 |\n"
    )
    found = asked(facts_in(table, "Fleet list"))
    assert found["Which one was built in 2016?"] == "Fleet no V101."
    assert found["Which one was tested on 5 May 2026?"] == "Fleet no V102."
    assert found["Which one has 9 spaces?"] == "Fleet no V102."
    assert asked(facts_in(table, "Our vans"))["Which van was built in 2019?"] == "Fleet no V102."
