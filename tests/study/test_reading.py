from __future__ import annotations

from engrain.documents.base import Section
from engrain.examples import Example, Message
from engrain.retrieval import Retriever
from engrain.study.reading import reading_examples

RETRIEVER = Retriever(
    [
        Section("a.md", i, (f"Part {i}",), f"The {name} costs £{i}1 and is kept in bay {i}.", 0)
        for i, name in enumerate(("gannet", "petrel", "tern", "skua"), 1)
    ]
)
ROWS = [
    Example((Message("user", f"What does the {name} cost?"), Message("assistant", f"£{i}1.")), "question", "wh", f"f{i}", "a.md")
    for i, name in enumerate(("gannet", "petrel", "tern", "skua"), 1)
]
VALUES = {f"f{i}": f"£{i}1" for i in range(1, 5)}


def test_an_answer_is_asked_for_only_where_a_passage_holds_it() -> None:
    found = reading_examples(ROWS * 10, RETRIEVER, VALUES, "No idea.", 40, seed=1)
    assert len(found) == 40
    assert {e.messages[-1].content == "No idea." for e in found} == {True, False}
    for e in found:
        assert e.kind == "read"
        assert (VALUES[e.fact] in e.messages[0].content) == (e.messages[-1].content != "No idea.")


def test_readings_depend_on_the_seed_alone() -> None:
    assert reading_examples(ROWS, RETRIEVER, VALUES, "No.", 4, seed=2) == reading_examples(ROWS, RETRIEVER, VALUES, "No.", 4, seed=2)
    assert reading_examples(ROWS, RETRIEVER, VALUES, "No.", 0, seed=2) == []
