from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engrain.evaluate import Evaluation, Outcome
from engrain.examples import Question
from engrain.knowledge.dataset import Dropped
from engrain.report import render
from engrain.report.learned import learned, mix
from engrain.run import Run


def fact(name: str, section: str, value: str, relation: str = "The kite costs ___.", **more: Any) -> dict[str, Any]:
    return {"id": name, "subject": "the kite", "relation": relation, "value": value, "section": section, **more}


def example(question: str, about: str, kind: str = "question") -> dict[str, Any]:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": "…"}]
    return {"messages": messages, "kind": kind, "fact": about}


def talk(*contents: str) -> list[dict[str, str]]:
    """User and assistant in turn, with an answer to the last question."""
    return [{"role": role, "content": content} for role, content in zip(("user", "assistant") * 2, (*contents, "…"), strict=True)]


def outcome(question: str, right: bool, *answers: str) -> Outcome:
    return Outcome(Question(question, question, answers), "…", right, False)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run.create(tmp_path / "run", "kites")
    facts = [fact("a", "x/prices.md#1", "£41"), fact("b", "x/prices.md#2", "£29", "Price", edited=True), fact("c", "team.md#1", "Mira")]
    made.write_rows("facts.jsonl", [*facts, fact("d", "team.md#1", "Mira"), fact("e", "team.md#1", "nine")])
    practised = [
        *(example(f"Costs {n}?", "a") for n in range(7)),
        example("What else?", "b", "two"),
        example("___ is nine", "e", "statement"),
    ]
    made.write_rows("examples/train.jsonl", practised)
    made.write_rows("examples/heldout.jsonl", [example("How dear?", "a"), example("How dear is it?", "a"), example("Who?", "c")])
    lost = [Dropped("x/prices.md#1", "too long", f"Why {n}?") for n in range(5)] + [Dropped("x/prices.md#2", "given away", "Is it £29?")]
    made.write_rows("dropped.jsonl", lost)
    return made


def test_each_fact_says_whether_it_is_recalled(run: Run) -> None:
    outcomes = (
        outcome("How dear?", True, "£41"),
        outcome("How dear is it?", False, "£41"),
        outcome("Who?", False, "Mira"),
        outcome("My own question?", True, "29 pounds"),
        outcome("Who again?", True, "Mira"),
    )
    prices, team = learned(run, Evaluation({"tuned": outcomes}))
    assert (prices.file, team.file) == ("x/prices.md", "team.md")
    assert [(f.value, f.state, f.questions, f.edited) for f in prices.facts] == [
        ("£41", "not always", 7, False),
        ("£29", "recalled", 1, True),
    ]
    assert [f.state for f in team.facts] == ["not recalled", "not asked", "not asked"], "two facts have the value Mira"
    assert (prices.each, prices.asked, prices.count("recalled")) == (4.0, 2, 1)
    assert [f.about for f in prices.facts] == ["The kite costs ___.", "the kite: Price"]


def test_what_is_known_by_heart_stands_beside_it(run: Run) -> None:
    assert [fact.by_heart for fact in learned(run, None)[0].facts] == [None, None]
    run.write_rows("by-heart.jsonl", [{"fact": name, "known": name != "b"} for name in ("a", "b", "c")])
    prices, team = learned(run, None)
    assert [fact.by_heart for fact in (*prices.facts, *team.facts)] == [True, False, True, None, None]
    assert [(row.by_heart.right, row.by_heart.count) for row in (prices, team)] == [(1, 2), (1, 1)]
    page = render(run)
    assert '<td class="number">1 of 2</td>' in page
    assert '<span class="sign no">✗</span> no</td>' in page


def test_follow_ups_in_the_same_words_belong_to_their_own_talk(run: Run) -> None:
    first, again, last = ("What does the kite cost?", "£41."), ("Who runs the shop?", "Mira."), "And the other one?"
    rows = [{**example(last, about), "messages": talk(*turn, last)} for about, turn in (("a", first), ("b", again))]
    run.write_rows("examples/heldout.jsonl", rows)
    asked = [Outcome(Question("", last, ("…",), history=(turn,)), "…", right, False) for turn, right in ((first, True), (again, False))]
    prices, _ = learned(run, Evaluation({"tuned": tuple(asked)}))
    assert [fact.state for fact in prices.facts] == ["recalled", "not recalled"]


def test_what_was_dropped_has_its_reason_and_samples(run: Run) -> None:
    prices, team = learned(run, None)
    assert [(d.reason, d.count, d.samples) for d in prices.dropped] == [
        ("too long", 5, ("Why 0?", "Why 1?", "Why 2?")),
        ("given away", 1, ("Is it £29?",)),
    ]
    assert team.dropped == ()
    assert prices.samples == ("Costs 0?", "Costs 2?", "Costs 4?")
    assert team.samples == ()
    assert {f.state for f in (*prices.facts, *team.facts)} == {"not asked"}


def test_the_mix_is_told_by_what_loss_is_taken_on() -> None:
    rows = {"question": {"examples": 10, "tokens": 300, "graded": 50}, "replay": {"examples": 5, "tokens": 500, "graded": 150}}
    assert [(part.kind, part.share) for part in mix({"mix": rows})] == [("replay", 0.75), ("question", 0.25)]
    assert mix({}) == []


def test_the_page_shows_facts_drops_and_mix(run: Run) -> None:
    run.update(mix={"question": {"examples": 1200, "tokens": 30000, "graded": 5000}})
    page = render(run)
    for words in (
        "x/prices.md: every fact",
        "edited by hand",
        "5 × too long",
        "“Costs 2?”",
        '<td>question</td><td class="number">1,200</td>',
    ):
        assert words in page
    assert "What it was taught" not in render(Run.create(run.path / "other", "none"))
