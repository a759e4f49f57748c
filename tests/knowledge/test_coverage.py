from __future__ import annotations

from collections.abc import Callable

from engrain.documents.base import Document, Section
from engrain.knowledge.coverage import Coverage, coverage
from engrain.knowledge.facts import Fact, find_facts


def test_what_gave_no_fact_is_listed() -> None:
    text = "The kiln holds 120 litres. Well, well. Lovely indeed!"
    document = Document("a.md", "Kiln", (Section("a.md", 0, ("Kiln",), text, 0),), "0")
    (row,) = coverage([document], find_facts([document], "Fernlea Pottery"))
    assert (row.sentences, row.covered) == (3, 1)
    assert row.missed == ("Well, well.", "Lovely indeed!")
    assert 0 < row.share < 1


def test_every_document_has_a_row(documents: list[Document], facts: list[Fact]) -> None:
    rows = coverage(documents, facts)
    assert [row.file for row in rows] == ["guide.md", "rules.md"]
    assert all(row.share > 0.8 for row in rows)


MESSY = """The hut was founded in 2014 by Wilf Tarrant. Well, well.

- Deposit: £50 per boat
- Bring a towel.
- Lovely!

| Boat | Seats | Price |
|---|---|---|
| Skiff, 3 m | 4 | £28 |

Children must wear a life jacket. Whatever 77 and £9, indeed, and Hartley Row too, hm.
"""


def covered(text: str, keep: Callable[[Fact], bool] = lambda fact: True) -> Coverage:
    document = Document("a.md", "Boats", (Section("a.md", 0, ("Boats",), text, 0),), "0")
    (row,) = coverage([document], [fact for fact in find_facts([document], "Otter Boats") if keep(fact)])
    return row


def test_units_and_values_are_counted_by_kind() -> None:
    row = covered(MESSY)
    assert set(row.units) == {"sentence", "key and value", "list item", "table cell"}
    assert row.units["table cell"] == (2, 2)
    assert row.units["key and value"] == (1, 1)
    assert row.units["list item"] == (2, 1)
    assert "Lovely!" in row.missed
    assert row.values["rule"] == (1, 1)
    assert row.values["money"][0] == 3
    assert {"date", "name", "number"} <= set(row.values)


def test_each_value_that_no_fact_holds_is_listed_in_its_place() -> None:
    row = covered(MESSY, lambda fact: fact.value not in {"2014", "£28"} and "2014" not in fact.relation)
    assert "date 2014: The hut was founded in 2014 by Wilf Tarrant." in row.missed_values
    assert "money £28: Boat: Skiff, 3 m; Seats: 4; Price: £28" in row.missed_values
    assert row.values["money"] == (3, 2)


def test_a_value_in_what_a_fact_is_about_is_held() -> None:
    assert not [text for text in covered("| Size | Price |\n|---|---|\n| 3 m skiff | £28 |\n").missed_values if "3 m" in text]


def test_sections_without_a_fact_are_named() -> None:
    sections = (Section("a.md", 1, ("Boats", "Fees"), "The skiff costs £28.", 0), Section("a.md", 2, ("Boats", "Oh"), "Well, well.", 30))
    document = Document("a.md", "Boats", sections, "0")
    (row,) = coverage([document], find_facts([document], "Otter Boats"))
    assert row.missed_sections == ("a.md › Boats › Oh",)
