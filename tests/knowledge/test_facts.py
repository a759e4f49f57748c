from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engrain.documents.base import Document, Section, read_documents
from engrain.errors import DocumentError
from engrain.knowledge.facts import Fact, business_name, facts_at, find_facts, names_of, names_person, people_in, whole_name

PIECES = [
    "Fernlea Pottery opened on 6 March 2023 in a former dairy.",
    "- Gift box: £7.50",
    "| Item | Price |\n|---|---|\n| Bowl | £12 |",
    "Dogs may not enter, because the kiln is hot.",
    "Where can I park?",
    "Behind the shop; it is free.",
    "- Rowing boat: £14 for two hours, plus a £40 deposit",
    "She runs the studio.",
    "Ring 01632 960417, or write to a@b.example.",
    "**Bold** lead: words (in brackets; too).",
    "|",
    "Q: Why?",
    "“Quoted.” £",
    "…",
]


def relations(facts: list[Fact]) -> set[tuple[str, str, str]]:
    return {(fact.relation, fact.value, fact.kind) for fact in facts}


def test_every_value_stands_verbatim_in_its_section(documents: list[Document], facts: list[Fact]) -> None:
    sections = {section.id: section for document in documents for section in document.sections}
    assert facts
    assert all(sections[f.section].text[f.start : f.end] == f.value for f in facts)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=5), st.sampled_from(["\n", "\n\n", " "]))
def test_spans_hold_for_any_mix_of_pieces(pieces: list[str], between: str) -> None:
    section = Section("a.md", 0, ("Notes",), between.join(pieces), 0)
    try:
        facts = find_facts([Document("a.md", "Notes", (section,), "0")], "Fernlea Pottery")
    except DocumentError:
        return
    assert all(section.text[f.start : f.end] == f.value and f.value.strip() for f in facts)


def test_prose_gives_statements_with_a_gap(facts: list[Fact]) -> None:
    found = relations(facts)
    assert ("Fernlea Pottery opened on ___ in a former dairy in Westmarch.", "6 March 2023", "date") in found
    assert ("___ runs the studio.", "Harriet Boone", "person") in found
    assert ("straightening a bent rim costs ___.", "£26", "money") in found
    assert ("wet clay must not be poured away because ___.", "it blocks the drain", "text") in found


def test_cells_and_items_give_attributes(facts: list[Fact]) -> None:
    found = {(f.subject, f.relation, f.value, f.kind) for f in facts}
    assert ("Raku weekend", "Price", "£95", "money") in found
    assert ("Beginners", "Teacher", "Ines Calloway", "person") in found
    assert ("Wheel session", "money", "£18 an hour", "money") in found


def test_rules_and_own_questions_become_facts(facts: list[Fact]) -> None:
    found = {(f.relation.lower(), f.kind) for f in facts}
    assert ("dogs may not enter the kiln room.", "yesno") in found
    assert ("do you take cards?", "yesno") in found
    assert ("where can i park?", "text") in found


def test_identities_are_stable_and_unique(documents: list[Document], facts: list[Fact]) -> None:
    again = find_facts(documents, "Fernlea Pottery")
    assert [f.id for f in again] == [f.id for f in facts]
    assert len({f.id for f in facts}) == len(facts)


def test_the_business_is_named_by_its_documents(documents: list[Document]) -> None:
    assert business_name(documents) == "Fernlea Pottery"


@pytest.mark.parametrize(
    ("title", "headings", "text", "name"),
    [
        ("Fees", ("HARBOUR SWIM CENTRE Fees from May",), "The Sports Hall is new. The Sports Hall is large.", "Harbour Swim Centre"),
        ("Guide", ("About Gullwick",), "Gullwick lends boats. They float.", "Gullwick"),
        ("Guide", ("Notes",), "Harriet lends boats. Harriet swims.", ""),
    ],
)
def test_a_name_may_stand_in_capitals_or_be_one_word(title: str, headings: tuple[str, ...], text: str, name: str) -> None:
    about = Section("about.md", 1, headings, text, 0)
    hire = Section("hire.md", 1, ("Harbour Swim Centre: hire",), "Ask for a key.", 0)
    titled = Document("hire.md", "Harbour Swim Centre: hire", (hire,), "1")
    documents = [Document("about.md", title, (about,), "0"), *([titled] if name.startswith("Harbour") else [])]
    assert business_name(documents) == name


def test_what_one_document_repeats_is_not_the_business() -> None:
    night = Section("news.md", 1, ("News", "Night Climb"), "We meet on Friday for our Night Climb. Bring a torch to the Night Climb.", 0)
    rows = Section("week.md", 1, ("Week",), "| Day | Class |\n|---|---|\n| Monday | Night Climb |", 0)
    documents = [Document("news.md", "News", (night,), "0"), Document("week.md", "Week", (rows,), "1")]
    assert business_name(documents) == ""
    assert business_name(documents[:1]) == "Night Climb", "of one document alone it may be the name"


def test_the_name_in_the_addresses_is_the_business() -> None:
    who = "The firm is called Orrin Vale Haulage. Write to hr@orrinvale.example or it@orrinvale.example. Gale Ltd: gale@gale.example."
    town = "Stoke Marsh has six doors. Stoke Marsh opens at six. Ask Stoke Marsh first, or desk@orrinvale.example."
    sections = [Section("a.md", 1, ("Handbook",), who, 0), Section("b.md", 1, ("Depots", "Stoke Marsh"), town, 0)]
    documents = [Document(s.file, s.headings[0], (s,), str(n)) for n, s in enumerate(sections)]
    assert business_name(documents) == "Orrin Vale Haulage"
    assert business_name([documents[1]]) == "Stoke Marsh", "one address may be anybody's"


def test_a_value_alone_below_a_heading_is_said_of_what_that_names(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Passes\n\n## Ledge\n\n£38 a month. Entry off-peak.\n\n## Prices\n\n£5.\n", encoding="utf-8")
    facts = find_facts(read_documents([tmp_path]).documents)
    assert ("Ledge", "money", "£38 a month") in {(f.subject, f.relation, f.value) for f in facts}
    assert "Prices" not in {f.subject for f in facts}, "which is no thing"


def test_a_name_with_a_role_is_a_person_everywhere(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("Odile Marrow is the head baker. The prize went to Odile Marrow.")
    assert {f.kind for f in facts if f.value == "Odile Marrow"} == {"person"}


@pytest.mark.parametrize("text", ["", "…", "- \n- \n"])
def test_no_facts_is_an_error_with_a_next_step(text: str) -> None:
    with pytest.raises(DocumentError, match="Add documents") as caught:
        find_facts([Document("empty.md", "", (Section("empty.md", 0, (), text, 0),), "0")])
    assert "empty.md: " in caught.value.problems[0]


def test_no_documents_is_an_error() -> None:
    with pytest.raises(DocumentError):
        find_facts([])


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["12 " * 20000, "x" * 60000, "Key: " + "a, " * 20000, "( " * 20000, "a-" * 20000])
def test_a_data_dump_takes_no_long_time(text: str) -> None:
    with pytest.raises(DocumentError):
        find_facts([Document("dump.md", "", (Section("dump.md", 0, (), text, 0),), "0")])


def test_the_lines_of_an_address_are_the_business_s(facts_in: Callable[..., list[Fact]]) -> None:
    found = {
        f.value: (f.subject, f.relation, f.kind) for f in facts_in("Fernlea Pottery\n14 Corn Stairs\nWestmarch ZX7 4QL\n\n12 Angry Men")
    }
    assert found["14 Corn Stairs"] == ("Fernlea Pottery", "the address of Fernlea Pottery is ___.", "place")
    assert found["Westmarch ZX7 4QL"] == ("Fernlea Pottery", "the town and postcode of Fernlea Pottery is ___.", "place")
    assert "12 Angry Men" not in found


def test_a_value_in_a_long_sentence_has_the_statement_around_it(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("Some 4,200 visits were counted in 2024, a third of them by people who had never held clay before that day.")
    assert ("4,200", "count", "some ___ visits were counted in 2024.") in [(f.value, f.kind, f.relation) for f in found]


@pytest.mark.parametrize(
    ("text", "value", "relation"),
    [
        ("No smoking for three days, or the seal may break.", "three days", "smoking is not allowed for ___."),
        ("No dogs on the jetty.", "No dogs on the jetty", "dogs are not allowed on the jetty."),
        ("No refunds after 14 days.", "14 days", "there are no refunds after ___."),
        ("Book the long bench two weeks ahead for spring.", "two weeks ahead", "you should book the long bench ___ for spring."),
        ("Tell the desk about wet clay before firing.", "the desk", "you should tell ___ about wet clay before firing."),
        (
            "If you are more than 20 minutes late, we may have to give your wheel away.",
            "we may have to give your wheel away",
            "What happens if I am more than 20 minutes late?",
        ),
        ("If you lose your key, tell reception at once.", "tell reception at once", "What should I do if I lose my key?"),
    ],
)
def test_rules_and_instructions_become_statements(facts_in: Callable[..., list[Fact]], text: str, value: str, relation: str) -> None:
    assert (value, relation) in [(f.value, f.relation) for f in facts_in(text)]


@pytest.mark.parametrize(
    "text", ["No one may enter after 6 pm.", "If it is late, we close the gate.", "If the kiln, which is old, breaks, we stop."]
)
def test_what_is_no_ban_and_no_plain_condition_stays_as_it_is(facts_in: Callable[..., list[Fact]], text: str) -> None:
    assert not [f for f in facts_in(f"{text} The kiln costs £90.") if f.form == "question" or "there " in f.relation]


def test_the_participle_of_half_a_statement_is_no_past(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("You get 28 days a year, bank holidays included. Prices include a lesson.")
    assert "28 days" in {fact.value for fact in facts}
    assert not [fact for fact in facts if fact.kind == "yesno"]


def test_a_listed_detail_is_not_said_of_itself() -> None:
    text = "Book a darkroom session"
    section = Section("index.html", 2, ("Film",), text, 0)
    listed = {section.id: [(text.index("a darkroom"), len(text))]}
    assert facts_at(listed, [section], "The Shop") == [], "'book ___ is ___' says nothing"


def test_the_rows_of_a_table_of_people_are_people(facts_in: Callable[..., list[Fact]]) -> None:
    table = "| Name | Role | Extension |\n|---|---|---|\n| Tam Ferrow | Repairer | 15 |\n\nFerrow empties the kiln at noon."
    facts = facts_in(table)
    assert {"Tam Ferrow", "Ferrow"} <= people_in(facts)
    assert whole_name("Ferrow", people_in(facts)) == "Tam Ferrow"
    assert {f.kind for f in facts if f.value == "Ferrow"} <= {"person"}
    things = facts_in("| Name | Price |\n|---|---|\n| Wave Bowl | £15 |\n\n| Course | Teacher |\n|---|---|\n| First Bowl | Ines Calloway |")
    assert not any(names_person(f) for f in things)
    assert "First Bowl" not in people_in(things)


def test_a_title_keeps_its_capital_at_a_sentence_s_start(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("First Bowl is for people who have never thrown a pot. Super 9 clay goes to the barn.")
    assert {"First Bowl", "Super 9 clay"} <= {f.subject for f in found}
    assert {f.subject for f in facts_in("First visitors to the kiln get a lump of clay.")} & {"first visitors to the kiln"}


def test_the_names_of_the_one_business_are_what_its_name_begins_with() -> None:
    def named(*businesses: str) -> tuple[str, ...]:
        return names_of([Fact("f", "documents/a.md#1", "x", "y", "name", 0, 1, "", "", business=name) for name in businesses])

    assert named("Osier Point Campsite", "") == ("Osier Point Campsite", "Osier Point", "Osier")
    assert named("The Alder & Finch") == ("Alder & Finch", "Alder")
    assert named("Osier Point", "Alder & Finch") == named("") == ()
