from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engrain import pipeline
from engrain.config import settings_from
from engrain.documents.base import Section, read_documents
from engrain.edits import carried, edited_examples, edited_facts, note_made
from engrain.errors import DocumentError, ExampleError
from engrain.examples import Example, Message, example_to_row
from engrain.knowledge.facts import Fact
from engrain.progress import SILENT, Progress
from engrain.run import Run

TEXT = "A kite costs £41. The shop opens at nine. A second kite costs £41."
SECTION = Section("kites.md", 1, ("Harbour Kites", "Prices"), TEXT, 0)
PRICE = Fact("price", "a kite", "A kite costs ___.", "£41", "money", "A kite costs £41.", SECTION.id, 13, 16, "Prices", "Harbour Kites")
HOURS = Fact("hours", "the shop", "The shop opens at ___.", "nine", "time", "The shop opens at nine.", SECTION.id, 36, 40, "Prices")


def example(question: str, reply: str, fact: str = "price") -> Example:
    return Example((Message("user", question), Message("assistant", reply)), "question", "wh-0", fact, "kites.md")


ROWS = [example("What does a kite cost?", "£41."), example("When do you open?", "Nine.", "hours")]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run.create(tmp_path / "run", "kites")
    made.write_rows("documents.jsonl", [vars(SECTION)])
    made.write_rows("facts.jsonl", [PRICE, HOURS])
    note_made(made, "facts.jsonl", [PRICE, HOURS])
    for name, rows in (("examples/train.jsonl", ROWS), ("examples/heldout.jsonl", ROWS[:1])):
        made.write_rows(name, map(example_to_row, rows))
        note_made(made, name, rows)
    return made


def change(run: Run, name: str, number: int, **changes: Any) -> None:
    rows = run.read_rows(name)
    rows[number] |= changes
    run.write_rows(name, rows)


def facts(run: Run) -> list[Fact]:
    return edited_facts(run, [SECTION])


def test_what_nobody_touched_stays_as_it_is(run: Run) -> None:
    found, examples = edited_examples(run, [SECTION])
    assert found == [PRICE, HOURS]
    assert examples == {"examples/train.jsonl": ROWS, "examples/heldout.jsonl": ROWS[:1]}


def test_changed_and_added_facts_are_marked_and_placed(run: Run) -> None:
    change(run, "facts.jsonl", 0, weight=0.3)
    added = {"relation": "A second ___ costs £41.", "value": "kite", "section": SECTION.id}
    run.append_row("facts.jsonl", added)
    price, hours, new = facts(run)
    assert (price.edited, price.weight, hours.edited, new.edited) == (True, 0.3, False, True)
    assert TEXT[new.start : new.end] == "kite"
    assert (new.topic, new.kind, new.evidence) == ("Prices", "text", TEXT)
    assert len(new.id) == 12


def test_a_value_that_moved_is_found_nearest_to_where_it_stood(run: Run) -> None:
    change(run, "facts.jsonl", 0, start=60, end=63)
    change(run, "facts.jsonl", 1, value="opens")
    price, hours = facts(run)
    assert (price.start, price.end) == (62, 65)
    assert TEXT[hours.start : hours.end] == "opens"


def test_a_mark_stays_and_goes_with_the_edit(run: Run) -> None:
    change(run, "facts.jsonl", 0, weight=0.3)
    run.write_rows("facts.jsonl", facts(run))
    assert [fact.edited for fact in facts(run)] == [True, False]
    note_made(run, "facts.jsonl", facts(run))
    assert [fact.edited for fact in facts(run)] == [True, False], "edited rows were not made by engrain"
    change(run, "facts.jsonl", 0, weight=1.0)
    note_made(run, "facts.jsonl", [PRICE, HOURS])
    assert [fact.edited for fact in facts(run)] == [False, False]
    (run.path / "made.json").unlink()
    change(run, "facts.jsonl", 0, edited=False)
    change(run, "facts.jsonl", 1, edited=True)
    assert [fact.edited for fact in facts(run)] == [False, True], "a run that kept no hashes is believed"


BROKEN = [
    "{",
    "[1]",
    json.dumps({"relation": "A ___.", "value": "£42", "section": SECTION.id}),
    json.dumps({"relation": "A ___.", "value": "£41", "section": "other.md#1"}),
    json.dumps({"value": 41, "section": SECTION.id, "wieght": 1}),
    json.dumps({"relation": "___ ___", "value": "£41", "section": SECTION.id}),
    json.dumps({"relation": "A ___.", "value": "£41", "section": SECTION.id, "kind": "cash"}),
    json.dumps({"relation": "A ___.", "value": "£41", "section": SECTION.id, "weight": "much"}),
    json.dumps({"id": "hours", "relation": "A ___.", "value": "£41", "section": SECTION.id}),
]
FAULTS = [
    "not JSON",
    "a row must be an object",
    "the value '£42' does not stand in kites.md › Harbour Kites › Prices letter by letter",
    "there is no section 'other.md#1'",
    "value must be text; there is no key 'wieght'; relation is missing",
    "relation has more than one ___",
    "kind='cash': choose one of money",
    "weight='much': it must be a number",
    "the id 'hours' stands further up already",
]


def test_all_faults_are_listed_with_their_lines(run: Run) -> None:
    path = run.path / "facts.jsonl"
    path.write_text(path.read_text() + "".join(line + "\n" for line in BROKEN))
    with pytest.raises(DocumentError) as caught:
        facts(run)
    assert len(caught.value.problems) == len(FAULTS)
    for number, (problem, fault) in enumerate(zip(caught.value.problems, FAULTS, strict=True), 3):
        assert problem.startswith(f"{path}:{number}: ")
        assert fault in problem


def test_faults_of_facts_and_examples_come_together(run: Run) -> None:
    change(run, "facts.jsonl", 0, value="£43")
    rows = [example("What is it?", "It costs £77 from 9 am."), example("Who?", "Mira.", "nobody"), example("When?", "At 9.", "hours")]
    for row in rows:
        run.append_row("examples/train.jsonl", example_to_row(row))
    run.append_row("examples/heldout.jsonl", {"question": "No answer?"})
    with pytest.raises(ExampleError) as caught:
        edited_examples(run, [SECTION])
    told = "\n".join(caught.value.problems)
    assert "facts.jsonl:1: the value '£43'" in told
    assert "train.jsonl:3: there is no fact 'price'" in told, "the fact it is about has a fault itself"
    assert "train.jsonl:4: there is no fact 'nobody'" in told
    assert "heldout.jsonl:2: no known format" in told
    assert "train.jsonl:5" not in told


def test_an_edited_answer_must_stand_in_its_source(run: Run) -> None:
    change(
        run,
        "examples/train.jsonl",
        0,
        messages=[{"role": "user", "content": "What?"}, {"role": "assistant", "content": "£77, and then £41."}],
    )
    with pytest.raises(ExampleError, match=r"train\.jsonl:1: it answers with '£77', which does not stand in kites\.md#1"):
        edited_examples(run, [SECTION])
    change(run, "examples/train.jsonl", 0, messages=[{"role": "user", "content": "What?"}, {"role": "assistant", "content": "41 pounds."}])
    run.append_row("examples/train.jsonl", {"question": "Is it £500?", "answer": "Yes, £500."})
    _, found = edited_examples(run, [SECTION])
    assert [row.edited for row in found["examples/train.jsonl"]] == [True, False, True]


def test_an_edited_question_keeps_the_answer_in_words_of_a_bare_number(run: Run) -> None:
    cell = Section("kites.csv", 1, ("Prices",), "| Kite | Price (GBP) | Since |\n|---|---|---|\n| Gannet | 285.00 | 2026-01-10 |", 0)
    fact = Fact("cell", "Gannet", "price (GBP)", "285.00", "money", "Kite: Gannet; Price (GBP): 285.00", cell.id, 56, 62, "Prices")
    assert cell.text[fact.start : fact.end] == fact.value
    run.write_rows("documents.jsonl", [vars(SECTION), vars(cell)])
    run.write_rows("facts.jsonl", [PRICE, HOURS, fact])
    rows = [*ROWS, example("What’s the damage for a Gannet?", "£285.00.", "cell")]
    run.write_rows("examples/train.jsonl", map(example_to_row, rows))
    _, found = edited_examples(run, [SECTION, cell])
    assert [e.edited for e in found["examples/train.jsonl"]] == [False, False, True]
    run.write_rows("examples/train.jsonl", map(example_to_row, [example("And for a Gannet?", "£286.00.", "cell")]))
    with pytest.raises(ExampleError, match=r"'£286.00', which does not stand in kites\.csv#1"):
        edited_examples(run, [SECTION, cell])


def test_what_is_told_of_a_subject_may_come_from_all_its_facts(run: Run) -> None:
    cell = Section("kites.csv", 1, ("Prices",), "| Kite | Price (GBP) |\n|---|---|\n| Gannet | 285.00 |\n| Tern | 40.00 |", 0)
    prices = [
        Fact(name, name, "price (GBP)", value, "money", "", cell.id, start := cell.text.index(value), start + len(value))
        for name, value in (("Gannet", "285.00"), ("Tern", "40.00"))
    ]
    since = Section("notes.md", 1, ("Notes",), "The Gannet has been sold since 2019.", 0)
    year = Fact("year", "Gannet", "The Gannet has been sold since ___.", "2019", "date", since.text, since.id, 31, 35)
    run.write_rows("documents.jsonl", [vars(each) for each in (SECTION, cell, since)])
    run.write_rows("facts.jsonl", [PRICE, HOURS, *prices, year])
    told = example(
        "What do you know about the Gannet?", "The Gannet costs £285.00, the Tern £40.00. It has been sold since 2019.", "Gannet"
    )
    run.write_rows("examples/train.jsonl", map(example_to_row, [*ROWS, told]))
    assert edited_examples(run, [SECTION, cell, since])[1]["examples/train.jsonl"][-1].edited
    run.write_rows("examples/train.jsonl", map(example_to_row, [*ROWS, replace(told, fact="price")]))
    with pytest.raises(ExampleError, match=r"'£285.00', '£40.00', '2019', which does not stand"):
        edited_examples(run, [SECTION, cell, since])


def test_nothing_to_train_on_is_a_fault(run: Run) -> None:
    run.write_rows("examples/train.jsonl", [])
    run.write_rows("facts.jsonl", [])
    with pytest.raises(DocumentError, match="no fact left"):
        facts(run)
    with pytest.raises(ExampleError, match="nothing to train on"):
        edited_examples(run, [SECTION])


def test_edits_stay_where_a_changed_text_still_says_it() -> None:
    new = Section("kites.md", 1, SECTION.headings, f"Closed on Monday. {TEXT}", 0)
    mine = replace(HOURS, weight=0.2, edited=True)
    own = replace(PRICE, id="own", relation="Pay ___ for a kite.", edited=True)
    gone = replace(PRICE, id="gone", value="£39", relation="It was ___.", evidence="It was £39.", edited=True)
    found = carried([mine, own, gone], [replace(HOURS, id="now", start=54, end=58)], {new.id: new})
    assert [(f.id, f.weight, new.text[f.start : f.end]) for f in found] == [("hours", 0.2, "nine"), ("own", 1.0, "£41")]


class Notes(Progress):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def test_a_build_goes_on_from_edits_and_marks_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "studying_model", lambda settings, progress: None)
    monkeypatch.setattr(pipeline, "write_replay", lambda *_: None)
    (tmp_path / "kites.md").write_text(f"# Harbour Kites\n\n{TEXT}\n")
    made, settings = Run.create(tmp_path / "run", "kites"), settings_from({})
    pipeline.find(made, settings, pipeline.keep_documents(made, settings, read_documents([tmp_path / "kites.md"]), SILENT), SILENT)
    change(made, "facts.jsonl", 0, weight=0.1)
    notes = Notes()
    found = pipeline.take_edited(made, False, notes)
    assert notes.texts == ["Edited by hand: 1 facts."]
    assert [row["edited"] for row in made.read_rows("facts.jsonl")] == [True, *[False] * (len(found) - 1)]
    pipeline.write_examples(made, settings, found, SILENT)
    change(made, "examples/train.jsonl", 2, kind="own")
    pipeline.take_edited(made, True, notes)
    assert notes.texts[-1] == "Edited by hand: 1 facts, 1 examples."
    assert [row.get("edited") for row in made.read_rows("examples/train.jsonl")][:4] == [None, None, True, None]
