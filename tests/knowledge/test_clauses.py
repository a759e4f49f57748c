from __future__ import annotations

import pytest

from engrain.knowledge.clauses import clauses
from engrain.knowledge.memory import Memory
from engrain.knowledge.parse import parse


def statements(text: str, memory: Memory | None = None) -> list[str]:
    return [clause.text() for clause in clauses(parse(text), memory or Memory())]


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("Heron, the largest cabin, sleeps six.", "Heron is the largest cabin."),
        ("Reception, which was in the barn, is now in the boathouse.", "reception was in the barn."),
        ("The firm, which Ottmar Brenn founded in 1987, builds machines.", "Ottmar Brenn founded the firm in 1987."),
        ("The shop, whose six cooks are led by Jelena Moss, moved.", "the shop’s six cooks are led by Jelena Moss."),
        ("This manual, revised in May 2024 by our writer, covers both.", "this manual was revised in May 2024 by our writer."),
        ("Wipe the steam wand with a damp cloth.", "you should wipe the steam wand with a damp cloth."),
        ("Do not unscrew the housing.", "you must not unscrew the housing."),
        ("Fill the tank, which slides out and holds 2.4 litres.", "the tank holds 2.4 litres."),
    ],
)
def test_a_sentence_gives_statements_that_stand_alone(text: str, statement: str) -> None:
    assert statement in [s[:1].lower() + s[1:] if statement[0].islower() else s for s in statements(text)]


def test_pronouns_stand_for_what_was_named() -> None:
    memory = Memory()
    statements("The practice was founded by Ingrid Malloway.", memory)
    assert statements("She now looks after shoulders.", memory) == ["Ingrid Malloway looks after shoulders."]


def test_an_unresolved_pronoun_gives_nothing() -> None:
    assert statements("They were late.") == []


def test_the_gap_stands_where_the_value_was() -> None:
    doc = parse("Repairs cost £145 in spring.")
    (clause,) = clauses(doc, Memory())
    span = doc.char_span(13, 17)
    assert clause.text(span.start, span.end) == "repairs cost ___ in spring."
