from __future__ import annotations

import time
from dataclasses import replace

import pytest

from engrain.documents.base import Document, Section
from engrain.knowledge.facts import Fact, find_facts
from engrain.retrieval import Asked
from engrain.support import Index, stretch

PRICES = Section(
    "prices.md",
    0,
    ("Prices", "Courses"),
    "| Course | Price | Length |\n| --- | --- | --- |\n| Weaving | £1,200.00 | 90 minutes |\n| Pottery | £85 | 2 hours |",
    0,
)
TEAM = Section("team.md", 0, ("Team",), "Ana Ruiz teaches weaving.\n\nBen Okoro looks after the kiln. He started on 27th March 2026.", 0)
HOURS = Section("hours.md", 0, ("Opening hours",), "We open at 9:00 am on weekdays.\n\n- Saturday: ten to four\n- Sunday: closed", 0)
HOUSE = Section(
    "house.md",
    3,
    ("House rules",),
    "Dogs are welcome in the garden but not in the workshop. The car park has nine spaces. There is no charge for the car park.",
    0,
)
RULES = Section(
    "rules.md",
    0,
    ("Rules",),
    "Smoking is not permitted indoors.\n\nNo pipes in the rooms.\n\nA bicycle shed stands behind the house.\n\nDo you take cards? Yes.",
    0,
)
KITES = Section("kites.md", 0, ("Kites",), "The Gannet costs £41. The Petrel costs £52. The Tern is our largest. It costs £60.", 0)
LOFT = Section("loft.md", 0, ("Loft",), "Lofts mends sails and flags. Torn tents go on to our friends at Tarpwell.", 0)
SECTIONS = {section.id: section for section in (PRICES, TEAM, HOURS, HOUSE, RULES, KITES, LOFT)}


def fact(number: int, subject: str, relation: str, value: str, section: Section, evidence: str) -> Fact:
    start = section.text.index(value)
    return Fact(f"f{number}", subject, relation, value, "text", evidence, section.id, start, start + len(value))


FACTS = [
    fact(1, "Weaving", "price", "£1,200.00", PRICES, "| Weaving | £1,200.00 | 90 minutes |"),
    fact(2, "Pottery", "price", "£85", PRICES, "| Pottery | £85 | 2 hours |"),
    fact(3, "weaving", "teacher", "Ana Ruiz", TEAM, "Ana Ruiz teaches weaving."),
    fact(5, "cards", "Do you take cards?", "Yes", RULES, "Do you take cards? Yes."),
    fact(4, "kiln", "keeper", "Ben Okoro", TEAM, "Ben Okoro looks after the kiln."),
    fact(6, "Lofts", "does", "Lofts mends sails and flags", LOFT, LOFT.text),
]


INDEX = Index(FACTS, SECTIONS)


def status(question: str, answer: str) -> str:
    return INDEX.check(question, answer).status


@pytest.mark.parametrize(
    ("question", "answer", "source", "value"),
    [
        ("What does the weaving course cost?", "It costs £1200.", "prices.md › Prices › Courses", "£1,200.00"),
        ("How much is weaving?", "1200 pounds", "prices.md › Prices › Courses", "£1,200.00"),
        ("How long does the weaving course take?", "It takes 90 minutes.", "prices.md › Prices › Courses", "90 minute"),
        ("Who teaches weaving?", "Weaving is taught by Ana Ruiz.", "team.md › Team", "Ana Ruiz"),
        ("Who teaches weaving?", "Ms Ana Ruiz", "team.md › Team", "Ana Ruiz"),
        ("Who teaches weaving?", "Ana does.", "team.md › Team", "Ana Ruiz"),
        ("When did Ben Okoro start?", "On 27 March 2026.", "team.md › Team", "27/3"),
        ("When do you open on weekdays?", "At nine.", "hours.md › Opening hours", "9"),
        ("When do you open on weekdays?", "We open at 09:00.", "hours.md › Opening hours", "09:00"),
        ("How many spaces has the car park?", "There are 9.", "house.md › House rules", "9"),
        ("Where may dogs go?", "Into the garden, not the workshop.", "house.md › House rules", "Into the garden, not the workshop."),
        ("Which course costs £85?", "The pottery course.", "prices.md › Prices › Courses", "£85"),
        ("Is pottery £85?", "Yes, £85.", "prices.md › Prices › Courses", "£85"),
        ("Which course costs £85?", "The course that costs £85 is pottery.", "prices.md › Prices › Courses", "£85"),
        ("Are you open at ten on Sunday?", "No, we are closed on Sunday.", "hours.md › Opening hours", "Sunday"),
        ("Are you open on Sunday?", "We are closed.", "hours.md › Opening hours", "We are closed."),
        (
            "Are dogs welcome in the garden?",
            "Yes, dogs are welcome in the garden.",
            "house.md › House rules",
            "Yes, dogs are welcome in the garden.",
        ),
        ("What does the Petrel cost?", "£52.", "kites.md › Kites", "£52"),
        ("What does the Tern cost?", "£60.", "kites.md › Kites", "£60"),
        ("Are pipes allowed in the rooms?", "No, pipes are not allowed.", "rules.md › Rules", "No, pipes are not allowed."),
        ("Do you take cards?", "Yes.", "rules.md › Rules", "Yes"),
        ("To whom do torn tents go?", "Tarpwell.", "loft.md › Loft", "Tarpwell"),
        ("May I smoke indoors?", "No, it is not permitted.", "rules.md › Rules", "No, it is not permitted."),
        (
            "Are dogs welcome in the garden but not in the workshop?",
            "Yes, dogs are welcome in the garden but not in the workshop.",
            "house.md › House rules",
            "Yes, dogs are welcome in the garden but not in the workshop.",
        ),
    ],
)
def test_supported(question: str, answer: str, source: str, value: str) -> None:
    support = INDEX.check(question, answer)
    assert (support.status, support.source, support.value) == ("supported", source, value)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What does the weaving course cost?", "It costs £1,300."),
        ("What does the weaving course cost?", "It costs £85."),
        ("What does the gold card cost?", "It costs £85."),
        ("Which course costs £85?", "The weaving course."),
        ("Who teaches weaving?", "Ben Okoro"),
        ("How much is weaving?", "Weaving is taught by Ana Ruiz."),
        ("Who teaches weaving?", "Carla Stein"),
        ("When do you open on weekdays?", "At 9 pm."),
        ("Where may dogs go?", "Anywhere they like, including upstairs bedrooms."),
        ("What is the Wi-Fi password?", "£85"),
        ("What does weaving cost, and how long is it?", "£1200 for 2 hours"),
        ("Do you sell gift cards?", "Yes."),
        ("Are dogs welcome in the workshop?", "Yes, dogs are welcome in the workshop."),
        ("Is smoking permitted indoors?", "Yes, smoking is permitted indoors."),
        ("Is there a shed for bicycles?", "No, there is no shed for bicycles behind the house."),
        ("Is there a bicycle shed?", "No bicycle shed."),
        ("Are pipes allowed in the rooms?", "Yes, pipes are allowed in the rooms."),
        ("What does the Gannet cost?", "£52."),
        ("Is there a charge for the car park?", "No."),
        ("Where do torn tents from Tarpwell go?", "Tents from Tarpwell go to the next generation."),
        ("Which course costs £85?", "The weaving course costs £85."),
        ("Is pottery £85?", "No, it is not £85."),
    ],
)
def test_unsupported(question: str, answer: str) -> None:
    assert status(question, answer) == "unsupported"


def test_refused_has_no_source() -> None:
    support = INDEX.check("Who owns it?", "I don't know.")
    assert (support.status, support.source, support.value) == ("refused", "", "")


def test_a_number_to_ring_answers_who_asks_for_one_in_other_words() -> None:
    door = Section("door.md", 0, ("Find us",), "01632 960417 or post@harbour.example", 0)
    facts = [
        replace(fact(8, "harbour", "line", value, door, door.text), kind="contact") for value in ("01632 960417", "post@harbour.example")
    ]
    index = Index(facts, {door.id: door})
    assert index.check("What is your phone number?", "01632 960417.").status == "supported"
    assert index.check("At which email address can I write to you?", "post@harbour.example").status == "supported"
    assert index.check("What is your phone number?", "01632 960418.").status == "unsupported"


def test_values_may_stand_in_two_places() -> None:
    assert status("What does weaving cost and who teaches it?", "It costs £1200 and Ana Ruiz teaches it.") == "supported"


def test_two_facts_support_together_what_neither_place_says_alone() -> None:
    crew = Section("crew.md", 0, ("Crew",), "Hanneke rows in the Curlew.\n\nPiet rows in the Heron and bakes on Mondays.", 0)
    post = Section("post.md", 0, ("Letters",), "Hanneke answers written complaints.\n\nMaribel opens the parcels.", 0)
    sections = {section.id: section for section in (crew, post)}
    leading = Asked("Who answers written complaints?", "Hanneke.", post.id, 0, "Hanneke answers written complaints.")
    evidence = f"{leading.evidence} Hanneke rows in the Curlew."
    made = Asked("In which boat does the person who answers written complaints row?", "Curlew.", crew.id, 20, evidence, 0, clue=leading)
    alone, both = Index([], sections), Index([], sections, [leading, made])
    question = "Which boat does the person row who answers written complaints?"
    assert alone.check(question, "The Curlew.").status == "unsupported"
    found = both.check(question, "The Curlew.")
    assert (found.status, found.source, found.section) == ("supported", f"{crew.place} and {post.place}", crew.place)
    for wrong in ("The Heron.", "Maribel."):
        assert both.check(question, wrong).status == "unsupported", wrong
    assert both.check("In which boat does Hanneke row?", "The Curlew.").source == crew.place, "one place is enough"
    assert both.check("Who opens the parcels?", "Maribel.") == alone.check("Who opens the parcels?", "Maribel.")


def test_two_facts_count_only_where_the_question_is_about_both() -> None:
    crew = Section("crew.md", 0, ("Crew",), "Hanneke rows in the Curlew.", 0)
    post = Section("post.md", 0, ("Letters",), "Hanneke answers written complaints.", 0)
    leading = Asked("Who answers written complaints?", "Hanneke.", post.id, 0, post.text)
    made = Asked("In which boat does the person who answers …?", "Curlew.", crew.id, 20, f"{post.text} {crew.text}", 0, clue=leading)
    index = Index([], {section.id: section for section in (crew, post)}, [leading, made])
    assert index.check("Where do I send written complaints to be answered?", "The Curlew.").status == "unsupported"


def test_without_facts_sections_are_enough_and_without_both_nothing_is() -> None:
    assert Index([], SECTIONS).check("What does weaving cost?", "£1200").status == "supported"
    assert Index([], {}).check("What does weaving cost?", "£1200").status == "unsupported"


def test_a_column_may_name_the_currency_once() -> None:
    table = "| Item | Price (GBP) | Weight |\n|---|---|---|\n| Loom | 285.00 | 40 |\n| Wheel | 8.40 | 12 |"
    section = Section("list.xlsx", 0, ("Shop",), table, 0)
    index = Index([], {section.id: section})
    assert index.check("What does the loom cost?", "It costs £285.").status == "supported"
    assert index.check("What does the wheel cost?", "It costs £8.40.").status == "supported"
    assert index.check("What does the wheel cost?", "It costs €8.40.").status == "unsupported"
    assert index.check("What does the wheel cost?", "It costs £285.").status == "unsupported"
    assert index.check("What does the wheel cost?", "It costs £120.").status == "unsupported"


@pytest.mark.parametrize(
    ("header", "unit", "other"), [("Weight (kg)", " kg", " minutes"), ("Every (mins)", " minutes", " kg"), ("Share (%)", "%", " kg")]
)
def test_a_column_may_name_the_unit_once(header: str, unit: str, other: str) -> None:
    table = f"| Item | {header} | Price |\n|---|---|---|\n| Loom | 28 | £4 |\n| Wheel | 12 | £7 |"
    section = Section("list.xlsx", 0, ("Shop",), table, 0)
    index = Index([], {section.id: section})
    assert index.check("What is that of the loom?", f"It is 28{unit}.").status == "supported"
    assert index.check("What is that of the loom?", f"It is 12{unit}.").status == "unsupported"
    assert index.check("What is that of the loom?", f"It is 28{other}.").status == "unsupported"


@pytest.mark.parametrize("mark", ["✓", "yes"])
def test_a_mark_supports_yes_where_the_fact_is_about_all_that_is_asked(mark: str) -> None:
    table = f"| Boat | Toilet |\n|---|---|\n| Heron | {mark} |\n| Plover | no |"
    section = Section("boats.md", 0, ("Boats",), table, 0)
    facts = find_facts([Document("boats.md", "Boats", (section,), "0" * 64)])
    index = Index(facts, {section.id: section})
    assert index.check("Does the Heron have a toilet?", "Yes.").status == "supported"
    assert index.check("Does the Plover have a toilet?", "Yes.").status == "unsupported"
    assert index.check("Does the Plover have a toilet?", "No.").status == "supported"
    assert index.check("Does the Heron have a heated toilet?", "Yes.").status == "unsupported"


@pytest.mark.parametrize("header", ["Price (AUD)", "AUD", "Price in A$"])
def test_a_column_may_name_one_of_several_dollars(header: str) -> None:
    table = f"| Item | {header} | Weight |\n|---|---|---|\n| Loom | 285.00 | 40 |\n| Wheel | 8.40 | 12 |"
    section = Section("list.xlsx", 0, ("Shop",), table, 0)
    index = Index([], {section.id: section})
    for said in ("A$285", "AUD 285", "$285"):
        assert index.check("What does the loom cost?", f"It costs {said}.").status == "supported", said
    for said in ("NZ$285", "£285", "A$8.40"):
        assert index.check("What does the loom cost?", f"It costs {said}.").status == "unsupported", said


def test_an_ordinal_is_the_same_as_a_figure_and_in_words() -> None:
    text = "The loom room is on the second floor of the old mill.\n\nThe dye room is on the 3rd floor.\n\nA rinse lasts 30 seconds."
    section = Section("mill.md", 0, ("Mill",), text, 0)
    index = Index([], {section.id: section})
    asked = "On which floor is the loom room?"
    assert index.check(asked, "It is on the 2nd floor.").status == "supported"
    for wrong in ("4th", "4TH"):
        assert index.check(asked, f"It is on the {wrong} floor of the old mill.").status == "unsupported"
    assert index.check("On which floor is the dye room?", "On the third floor.").status == "supported"
    assert index.check("How long does a rinse last?", "30 seconds.").status == "supported"
    assert index.check("How long does a rinse last?", "20 seconds.").status == "unsupported"
    assert index.check("Which rinse lasts?", "The 2nd.").status == "unsupported"


def test_an_index_answers_fast() -> None:
    sections = {}
    for n in range(2000):
        section = Section(f"file{n}.md", 0, (f"Item{n}",), f"The item{n} costs £{n} and lasts {n % 50} days.\n\nIts colour is shade{n}.", 0)
        sections[section.id] = section
    index = Index([], sections)
    index.check("What does item7 cost?", "£7")
    start = time.perf_counter()
    answers = [index.check(f"What does item{n} cost?", f"It costs £{n}.") for n in range(0, 2000, 40)]
    assert time.perf_counter() - start < 2
    assert [a.source for a in answers] == [f"file{n}.md › Item{n}" for n in range(0, 2000, 40)]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("£1,200.00", "£1,200.00"),
        ("1200", "£1,200.00"),
        ("90 minute", "ninety minutes"),
        ("27/3", "27th March"),
        ("tarpwell", "Tarpwell"),
        ("9", "nine"),
        ("the pottery course", None),
        ("", None),
        (".", None),
    ],
)
def test_a_value_is_found_in_the_spelling_of_the_text(value: str, found: str | None) -> None:
    text = "It costs (£1,200.00) and takes ninety minutes, from 27th March 2026; nine people at Tarpwell"
    span = stretch(text, value)
    assert (text[slice(*span)] if span else None) == found
