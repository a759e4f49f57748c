from __future__ import annotations

import json
from pathlib import Path

import pytest

from engrain.documents.base import read_documents
from engrain.knowledge.facts import Fact, find_facts
from engrain.knowledge.forms import wordings

KITES = """# Harbour Kites

## {name}

- Price: {price}
- Weight: {weight}
- Made by: {maker}
"""
HERON = KITES.format(name="Heron", price="£85", weight="420 g", maker="Jan Oram") + "- Colours: red, green\n"
GULL = KITES.format(name="Gull", price="£62", weight="300 g", maker="Ana Ruiz")
TIDE = "From 3 November the beach is closed from 14:00 to 16:00 on Mondays. Ask at the counter for another day."
LINES = "Lines of 40 metres cost £12 now. They hold 90 kg and are made in Brno. Ask at the counter."
BOARD = [
    {"id": "k-1", "title": "The tide table", "date": "2026-10-05", "signed": "Ana Ruiz", "body": TIDE},
    {"id": "k-2", "title": "New lines", "date": "2026-09-01", "signed": "Jan Oram", "body": LINES},
]


def facts_of(folder: Path, **files: str) -> list[Fact]:
    """The facts of documents, each given by its name, an underscore in place of the dot."""
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return find_facts(read_documents([folder]).documents)


def asked(facts: list[Fact], kind: str = "question") -> dict[str, str]:
    """Prompt to answer, of all wordings of a kind."""
    return {w.prompt: w.answer for each in wordings(facts) for w in each if w.kind == kind}


@pytest.mark.parametrize("files", [{"kites_md": HERON + "\n" + GULL}, {"heron_md": HERON, "gull_md": GULL}])
def test_a_key_that_headings_share_is_an_attribute_of_what_they_name(tmp_path: Path, files: dict[str, str]) -> None:
    facts = facts_of(tmp_path, **files)
    found = asked(facts)
    assert found["How much is Heron?"] == "£85."
    assert found["How much is Gull?"] == "£62."
    assert found["How heavy is Heron?"] == "420 g."
    assert found["What are the colours for Heron?"] == "Red, green.", "a key of its own in a list whose others are shared"
    assert asked(facts, "reverse")["What costs £62?"] == "Gull."
    assert not [prompt for prompt in found if "of Price" in prompt or "is Price" in prompt or prompt == "What is the weight?"]
    for fact in facts:
        assert fact.evidence.startswith(fact.subject)


def test_several_keys_may_stand_in_one_line(tmp_path: Path) -> None:
    text = "# Kites\n\n## Heron\n\nPrice: £85 · Teacher: Jan Oram\n\n## Knots\n\nPrice: £62 | Teacher: Ana Ruiz\n"
    found = asked(facts_of(tmp_path, kites_md=text))
    assert found["How much is Heron?"] == "£85."
    assert found["Who is the teacher for Heron?"] == "Jan Oram."
    assert found["How much are Knots?"] == "£62."
    assert found["Who is the teacher for Knots?"] == "Ana Ruiz."


def test_what_only_one_list_says_stays_an_item_of_its_own(tmp_path: Path) -> None:
    found = asked(
        facts_of(tmp_path, settings_md="# Oven\n\n## Settings\n\n- Weight: 4 kg\n- Colour: red\n\n## Hours\n\n- Monday: 9:00–17:00\n")
    )
    assert found["What is the weight?"] == "4 kg."


@pytest.mark.parametrize(
    ("one", "other"),
    [("Prices 2025", "Prices 2026"), ("Prices", "To our guests"), ("Price list of spring", "New price list"), ("About us", "Moving")],
)
def test_versions_of_one_list_are_no_sheets_of_two_things(tmp_path: Path, one: str, other: str) -> None:
    texts = [f"# {one}\n\n- Telephone: 01632 960111\n- Adult: £5\n", f"# {other}\n\n- Telephone: 01632 960222\n- Adult: £6\n"]
    subjects = {fact.subject for fact in facts_of(tmp_path, old_md=texts[0], new_md=texts[1])}
    assert "Telephone" in subjects
    assert subjects <= {"Telephone", "Adult"} or (one, other) == ("About us", "Moving")


def test_people_that_headings_share_are_no_attributes(tmp_path: Path) -> None:
    text = "# Kites\n\n## Shop\n\n- Ana Ruiz: treasurer\n- Jan Oram: trainer\n\n## Beach\n\n- Ana Ruiz: guide\n- Jan Oram: warden\n"
    assert {fact.subject for fact in facts_of(tmp_path, team_md=text)} <= {"Ana Ruiz", "Jan Oram"}


@pytest.mark.parametrize("title", ["Gull 2", "Gull 2 – Owner's manual", "Gull 2 data sheet"])
def test_below_technical_data_stand_those_of_what_the_title_names(tmp_path: Path, title: str) -> None:
    data = "- Wing load: 2.4 kg\n- Price: £62\n- Line: up to 50 m\n\nColours may differ.\n"
    text = f"# {title}\n\nIt flies in any wind.\n\n## 7. Technical data\n\n{data}"
    found = asked(facts_of(tmp_path, manual_md=text))
    assert found["What is the wing load for Gull 2?"] == "2.4 kg."
    assert found["How much is Gull 2?"] == "£62."


def test_who_a_heading_names_one_of_is_asked_for_by_what_for(tmp_path: Path) -> None:
    data = {"suppliers": {"drugs": {"name": "Northgate", "order_by": "17:30"}, "lab": {"name": "Trellis", "courier": "16:15"}}}
    found = asked(facts_of(tmp_path, contacts_json=json.dumps(data)))
    assert found["Which supplier do you use for Drugs?"] == "Northgate."
    assert found["What is the supplier for Lab called?"] == "Trellis."


def test_days_that_headings_share_are_no_attributes(tmp_path: Path) -> None:
    text = "# Kites\n\n## Shop\n\n- Monday: 9:00–17:00\n- Sunday: closed\n\n## Workshop\n\n- Monday: 10:00–12:00\n- Sunday: closed\n"
    assert {fact.subject for fact in facts_of(tmp_path, hours_md=text)} <= {"Monday", "Sunday"}


def test_under_a_heading_that_stands_in_several_places_the_one_above_is_meant(tmp_path: Path) -> None:
    text = "# Kites\n\n## Heron\n\n### Data\n\n- Weight: 420 g\n\n## Gull\n\n### Data\n\n- Weight: 300 g\n"
    found = asked(facts_of(tmp_path, kites_md=text))
    assert found["How heavy is Heron?"] == "420 g."
    assert found["How heavy is Gull?"] == "300 g."


def test_a_notice_is_no_event_and_its_date_is_that_of_its_writing(tmp_path: Path) -> None:
    found = asked(facts_of(tmp_path, board_json=json.dumps({"board": "Harbour Kites", "notices": BOARD})))
    assert found["Who signed “The tide table”?"] == "Ana Ruiz."
    assert found["Who signed “New lines”?"] == "Jan Oram."
    assert found["When was “New lines” dated?"] == "1 September 2026."
    assert not [prompt for prompt in found if "take place" in prompt or "When is “" in prompt]


def test_the_date_of_what_takes_place_is_asked_for(tmp_path: Path) -> None:
    sheet = "## {name}\n\n- Date: {date}\n- Place: West beach\n\n"
    text = sheet.format(name="Spring meeting", date="14 March 2027") + sheet.format(name="Line course", date="4 April 2027")
    found = asked(facts_of(tmp_path, events_md=f"# Kites\n\n{text}"))
    assert found["When is spring meeting?"] == "14 March 2027."
    assert found["When is a line course?"] == "4 April 2027."


def test_a_sheet_about_a_person_says_what_that_person_does(tmp_path: Path) -> None:
    text = "# Kites\n\n## Ana Ruiz\n\n- Role: sail maker\n- Extension: 12\n\n## Jan Oram\n\n- Role: trainer\n- Extension: 14\n"
    facts = facts_of(tmp_path, team_md=text)
    assert asked(facts)["What does Ana Ruiz do?"] == "Sail maker."
    assert asked(facts, "reverse")["Who is the trainer?"] == "Jan Oram."
    assert asked(facts, "reverse")["Whose extension is 12?"] == "Ana Ruiz."


PLANS = """# Care

## Plans

### Spark

- Price per device per month: £2.50
- Visits per year: 0
- Hours: 9-16

### Mains

- Price per device per month: £7.80
- Visits per year: 6
- Hours: 7-21
- Extra: a spare laptop
"""


def test_what_the_heading_above_names_asks_for_one_of_them(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, plans_md=PLANS)
    assert asked(facts, "reverse")["Which plan has 6 visits per year?"] == "Mains."
    assert asked(facts)["How much is the price per device per month for Spark?"] == "£2.50."


def test_what_is_posted_is_a_text_whatever_its_title_says(tmp_path: Path) -> None:
    posts = [
        {"title": "Tubes cost more", "published": "2025-03-20", "effective_from": "2025-04-01", "category": "prices"},
        {"title": "Gadget day", "published": "2025-05-02", "category": "event", "event": {"date": "14 June 2025", "place": "Corn Hall"}},
        {"title": "New hours", "published": "2025-02-17", "category": "opening times", "document": {"pages": "4"}},
    ]
    found = asked(facts_of(tmp_path, posts_json=json.dumps({"posts": posts})))
    assert found["What is the category for “New hours”?"] == "Opening times."
    assert found["When is “Tubes cost more” effective from?"] == "1 April 2025."
    assert found["When is a gadget day?"] == "14 June 2025."
    assert found["Where is a gadget day?"] == "Corn Hall."


def test_a_step_is_one_of_what_the_heading_above_names(tmp_path: Path) -> None:
    text = "# Desk\n\n## Complaints\n\n### Step 1\n\n- Who: Imke Farrow\n\n### Step 2\n\n- Who: Ana Ruiz\n"
    assert asked(facts_of(tmp_path, desk_md=text))["Who is responsible for Step 2 of complaints?"] == "Ana Ruiz."


PARTIES = """# Harbour Kites

## Parties

### Small party

- Age: 5 to 8
- Lead time: 10 days

### Birthday flight

- Age: 8 to 14
- Pilot: yes, with a badge
- Own cake: Polly, Jonas
- Ladder: behind the shed
"""


def test_headings_below_one_that_have_nothing_but_lists_are_things_though_most_keys_are_their_own(tmp_path: Path) -> None:
    found = asked(facts_of(tmp_path, kites_md=PARTIES))
    assert found["What is the ladder for a birthday flight?"] == "Behind the shed."
    assert not [prompt for prompt in found if "in charge" in prompt], "a key with names below a heading is no duty"


def test_what_a_heading_of_one_word_lists_is_what_its_records_are(tmp_path: Path) -> None:
    records = "".join(
        f"  - name: {name}\n    code: {code}\n    phone: {phone}\n    extras: [{extra}]\n    dock_doors: {doors}\n"
        for name, code, phone, extra, doors in (
            ("Ossing", "OSF", "01632 960421", "bunker, workshop", 6),
            ("Brenny Quay", "BRQ", "01632 960432", "cold room", 4),
        )
    )
    back = asked(facts_of(tmp_path, depots_yaml=f"depots:\n{records}"), "reverse")
    assert back["Which depot has 6 dock doors?"] == "Ossing."
    assert back["Which depot has 01632 960432 as phone?"] == "Brenny Quay."
