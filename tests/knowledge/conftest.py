from __future__ import annotations

from collections.abc import Callable

import pytest

from engrain.documents.base import Document, Section
from engrain.knowledge.facts import Fact, find_facts

GUIDE = """Fernlea Pottery opened on 6 March 2023 in a former dairy in Westmarch.

Harriet Boone, who taught chemistry before, runs the studio.
Glazing is taught by Colm Aldersey, the studio manager. Straightening a bent rim costs £26. The kiln holds 120 litres.

- Wheel session: £18 an hour
- Gift box: £7.50
- Telephone: 01632 960417

| Course | Price | Starts | Teacher |
|---|---|---|---|
| Beginners | £120 | 3 May 2025 | Ines Calloway |
| Raku weekend | £95 | 14 June 2025 | Tobias Wren |
"""
RULES = """Children under 12 must be accompanied by a parent. Dogs may not enter the kiln room. There is no lift.
Wet clay must not be poured away, because it blocks the drain. Lockers may be used for three weeks.

Where can I park? Behind the building in Cooper's Yard.
Do you take cards? Yes, we take all cards.
"""


def document(text: str, heading: str = "About us", file: str = "guide.md") -> Document:
    return Document(file, heading, (Section(file, 0, (heading,), text, 0),), "0" * 64)


@pytest.fixture(scope="session")
def documents() -> list[Document]:
    return [document(GUIDE), document(RULES, "House rules", "rules.md")]


@pytest.fixture(scope="session")
def facts(documents: list[Document]) -> list[Fact]:
    return find_facts(documents, "Fernlea Pottery")


@pytest.fixture(scope="session")
def facts_in() -> Callable[..., list[Fact]]:
    def find(text: str, heading: str = "About us") -> list[Fact]:
        return find_facts([document(text, heading)], "Fernlea Pottery")

    return find
