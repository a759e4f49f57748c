from __future__ import annotations

from dataclasses import replace

from engrain.documents.base import Section
from engrain.examples import Example, Message
from engrain.retrieval import Retriever
from engrain.study.base import StudySettings
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


def turns(example: Example) -> list[tuple[str, str]]:
    """Questions and answers of a talk."""
    texts = [message.content for message in example.messages]
    return list(zip(texts[::2], texts[1::2], strict=True))


def test_an_answer_is_asked_for_only_where_a_passage_holds_it() -> None:
    found = reading_examples([replace(row, repeats=5) for row in ROWS * 10], RETRIEVER, VALUES, "No idea.", 40, seed=1)
    assert {example.repeats for example in found} == {1}
    asked = [(example, answer) for example in found for _, answer in turns(example)]
    assert len(asked) == 40
    assert {answer == "No idea." for _, answer in asked} == {True, False}
    for example, answer in asked:
        assert example.kind == "read"
        if answer == "No idea.":
            assert VALUES[example.fact] not in example.messages[0].content
        else:
            assert answer.rstrip(".") in example.messages[0].content


def test_passages_are_read_once_for_several_questions() -> None:
    both = Section("b.md", 1, ("Tern",), "The tern costs £31 and is kept in bay 3.", 0)
    rows = [
        Example((Message("user", "What does the tern cost?"), Message("assistant", "£31.")), "question", "wh", "f1", "b.md"),
        Example((Message("user", "In which bay is the tern kept?"), Message("assistant", "Bay 3.")), "question", "wh", "f2", "b.md"),
        Example((Message("user", "How much is the tern?"), Message("assistant", "£31.")), "question", "wh", "f1", "b.md"),
    ]
    found = reading_examples(rows, Retriever([both]), {"f1": "£31", "f2": "bay 3"}, "No.", 3, seed=0)
    talks = sorted([[question for question, _ in turns(example)] for example in found], key=len)
    assert [len(talk) for talk in talks] == [1, 2], "what was just said is not asked again in the same talk"
    assert all(talk[0].startswith("[b.md › Tern]") for talk in talks)
    assert talks[1][1] in {row.messages[0].content for row in rows}, "the second question has no passages of its own"


def test_readings_depend_on_the_seed_alone() -> None:
    assert reading_examples(ROWS, RETRIEVER, VALUES, "No.", 4, seed=2) == reading_examples(ROWS, RETRIEVER, VALUES, "No.", 4, seed=2)
    assert reading_examples(ROWS, RETRIEVER, VALUES, "No.", 0, seed=2) == []


def test_a_processor_practises_no_passages_unless_it_is_asked_to() -> None:
    assert StudySettings().read(500, "cpu") == 0
    assert StudySettings().read(500, "cuda") == 50
    assert StudySettings(readings=0.2).read(500, "cpu") == StudySettings(readings=0.2).read(500, "mps") == 100
    assert StudySettings(readings=0).read(500, "cuda") == 0
