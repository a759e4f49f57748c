"""Questions over two cells: each is answered by the other cell, and names the thing only in its answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from engrain.documents.base import read_documents
from engrain.knowledge.backwards import reverse_attributes
from engrain.knowledge.chains import chains
from engrain.knowledge.dataset import KnowledgeSettings, make_examples
from engrain.knowledge.facts import Fact, find_facts
from engrain.knowledge.forms import wordings

TABLES = """# Harbour Kites

## Courses

| Course | Teacher | Fee | When |
| --- | --- | --- | --- |
| First Flight | Mira Oduvall | £41 | 4 March |
| Kite Sewing | Tam Ferrow | £29 | 9 May |

## Team

| Name | Role | Extension |
| --- | --- | --- |
| Mira Oduvall | Shop manager | 12 |
| Tam Ferrow | Repairer | 15 |
"""


@pytest.fixture
def facts(tmp_path: Path) -> list[Fact]:
    (tmp_path / "kites.md").write_text(TABLES)
    return find_facts(read_documents([tmp_path]).documents)


@pytest.fixture
def found(facts: list[Fact]) -> dict[str, str]:
    return {w.prompt: w.answer for _, w in chains(facts, wordings(facts))}


def test_a_thing_is_described_by_another_cell(found: dict[str, str]) -> None:
    asked = {prompt for prompt in found if "course whose teacher is Mira Oduvall" in prompt}
    assert {found[prompt] for prompt in asked} >= {"That is First Flight: £41."}
    assert any("the shop manager" in prompt and found[prompt] == "That is Mira Oduvall: 12." for prompt in found)


def test_a_cell_leads_on_to_what_another_table_says_of_it(found: dict[str, str]) -> None:
    asked = [prompt for prompt in found if "the teacher of Kite Sewing" in prompt]
    assert asked
    assert {found[prompt] for prompt in asked} == {"That is Tam Ferrow: Repairer.", "That is Tam Ferrow: 15."}


def test_the_answer_holds_the_fact_and_the_question_does_not_name_the_thing(facts: list[Fact]) -> None:
    pairs = list(chains(facts, wordings(facts)))
    assert pairs
    for fact, wording in pairs:
        assert wording.kind == "two"
        assert fact.value in wording.answer
        assert fact.subject not in wording.prompt
        assert wording.prompt[0].isupper()
        assert wording.prompt.endswith("?")
        assert "whose when" not in wording.prompt, "no noun, so it cannot stand there"


def test_a_value_that_several_have_describes_none(tmp_path: Path) -> None:
    (tmp_path / "kites.md").write_text(TABLES.replace("Repairer", "Shop manager"))
    facts = find_facts(read_documents([tmp_path]).documents)
    assert not any("shop manager" in w.prompt for _, w in chains(facts, wordings(facts)))


def test_they_are_trained_unless_the_settings_say_no(facts: list[Fact]) -> None:
    assert any("whose" in e.messages[0].content for e in make_examples(facts).train if e.kind == "two")
    assert not any(e.kind == "two" for e in make_examples(facts, KnowledgeSettings(two_facts=False)).train)


def test_a_row_is_asked_for_by_its_value(facts: list[Fact]) -> None:
    fee = next(f for f in facts if f.value == "£41")
    asked = [question for _, question in reverse_attributes(fee)]
    assert {"What costs £41?", "Which course costs £41?", "Which course has a fee of £41?"} <= set(asked)
    extension = next(f for f in facts if f.value == "15")
    assert "Who has the extension 15?" in [question for _, question in reverse_attributes(extension)]


def test_rows_of_two_sections_are_one_thing_only_where_they_name_a_person(tmp_path: Path) -> None:
    museum = "## Museum\n\n| Guest | Price |\n|---|---|\n| Child | £4 |\n"
    tables = f"# Wharf\n\n{museum}\n## Boats\n\n| Rower | Jacket |\n|---|---|\n| Child | red |\n"
    for name, joined in (("Child", False), ("Mira Oduvall", True)):
        (tmp_path / "wharf.md").write_text(tables.replace("Child", name))
        facts = find_facts(read_documents([tmp_path]).documents)
        assert any("whose jacket is red" in w.prompt for _, w in chains(facts, wordings(facts))) == joined


def test_only_a_price_says_what_a_row_costs(tmp_path: Path) -> None:
    (tmp_path / "kites.md").write_text("| Course | Price | Deposit |\n|---|---|---|\n| First Flight | £41 | £20 |\n")
    asked = [question for fact in find_facts(read_documents([tmp_path]).documents) for _, question in reverse_attributes(fact)]
    assert "Which course costs £41?" in asked
    assert "Which course costs £20?" not in asked
    assert "Which course has a deposit of £20?" in asked


STAFF = """# Harbour Kites

## Team

| Name | Role | With us since | Days | Knots |
|---|---|---|---|---|
| Mira Oduvall | Sunday helper | 2024-03-01 | Saturday and Sunday | yes |
| Tam Ferrow | Sails and cord | 2022-06-15 | Friday | no |

## Prices

| Kite | Price (GBP) | Ready | Born |
|---|---|---|---|
| Ink and Thread | 38.00 | in 3 weeks | Leeds |
"""


@pytest.fixture
def staff(tmp_path: Path) -> list[Fact]:
    (tmp_path / "staff.md").write_text(STAFF)
    return find_facts(read_documents([tmp_path]).documents)


def test_a_person_is_described_as_a_person_and_by_a_role_only_where_it_is_one(staff: list[Fact]) -> None:
    found = {w.prompt: w.answer for _, w in chains(staff, wordings(staff))}
    assert found["Since when has the Sunday helper been with you?"] == "That is Mira Oduvall: 1 March 2024."
    assert found["When does the person whose role is sails and cord work?"] == "That is Tam Ferrow: Friday."
    assert not [prompt for prompt in found if "knots is" in prompt or "’s role" in prompt or "the one whose" in prompt]


def test_values_are_said_as_people_say_them(staff: list[Fact]) -> None:
    asked = [question for fact in staff for _, question in reverse_attributes(fact)]
    assert {"Which kite costs £38.00?", "What costs £38.00?", "Who is the Sunday helper?", "Whose role is sails and cord?"} <= set(asked)
    assert not [question for question in asked if " 38.00" in question or "ready" in question or "born" in question or "yes" in question]
    found = [w.prompt for _, w in chains(staff, wordings(staff))]
    assert any("the kite whose price is £38.00" in prompt for prompt in found)
