from __future__ import annotations

import random
from dataclasses import replace

from engrain.documents.base import Document, Section
from engrain.knowledge.dataset import KnowledgeSettings, make_examples
from engrain.knowledge.facts import Fact, find_facts
from engrain.knowledge.followups import follow_ups, partners, subject_of
from engrain.knowledge.wording import Wording

PRICES = "| Pizza | Price |\n|---|---|\n| Margherita | €8.50 |\n| Quattro Stagioni | €11.00 |\n| Diavola | €10.50 |\n"


def fact(subject: str, value: str, relation: str = "price", section: str = "menu.md#1") -> Fact:
    return Fact(f"{subject}-{relation}", subject, relation, value, "money", "", section, 0, 1)


def asked(*facts: Fact) -> list[tuple[Fact, Wording]]:
    return [(f, Wording("question", "wh-0", f"What is the {f.relation} of the {f.subject}?", f"{f.value}.")) for f in facts]


def test_partners_say_the_same_of_different_subjects() -> None:
    first, second = fact("Margherita", "€8"), fact("Diavola", "€10")
    others = [
        fact("Diavola", "30 cm", "size"),
        fact("Calzone", "€9", section="other.md#1"),
        replace(fact("Tonno", "€9"), relation="costs ___."),
    ]
    assert partners([first, second, *others]) == [[first, second]]


def test_a_follow_up_names_the_subject_alone_and_both_answers_are_learned() -> None:
    facts = [fact("Margherita", "€8"), fact("Diavola", "€10")]
    made = follow_ups(asked(*facts), random.Random(0))
    assert len(made) == 2
    for example, one, other in zip(made, facts, reversed(facts), strict=True):
        ask, tell, follow, answer = example.messages
        assert other.subject in ask.content
        assert tell.content == f"{other.value}."
        assert one.subject in follow.content
        assert "price" not in follow.content
        assert answer.content == f"{one.value}."
        assert (example.kind, example.fact, example.document) == ("follow-up", one.id, "menu.md")
        assert all(message.weight for message in example.messages)


def test_questions_that_do_not_name_their_subject_begin_nothing() -> None:
    facts = [fact("Margherita", "€8"), fact("Diavola", "€10")]
    vague = [(f, Wording("question", "wh-0", "What does it cost?", f.value)) for f in facts]
    assert follow_ups(vague, random.Random(0)) == []


def test_subjects_in_a_question() -> None:
    assert subject_of(fact("Sunday", "")) == "on Sunday"
    assert subject_of(fact("Sundays", "")) == "on Sundays"
    assert subject_of(fact("Monday to Friday", "")) == "on Monday to Friday"
    assert subject_of(fact("Sunday roast", "")) == "the Sunday roast"
    assert subject_of(fact("the salon", "")) == "the salon"
    assert subject_of(fact("Margherita", "")) == "the Margherita"
    assert subject_of(fact("2 hours", "")) == "2 hours"
    assert subject_of(fact("Nell Varga", "")) == "Nell Varga"


def test_documents_give_follow_ups_where_they_are_asked_for() -> None:
    section = Section("menu.md", 1, ("Pizzeria", "Menu"), PRICES, 0)
    facts = find_facts([Document("menu.md", "Pizzeria", (section,), "")])
    without, with_them = (make_examples(facts, KnowledgeSettings(follow_ups=on)) for on in (False, True))
    assert not any(example.kind == "follow-up" for example in without.train)
    assert not any(example.kind == "follow-up" for example in without.heldout)
    found, tested = ([e for e in rows if e.kind == "follow-up"] for rows in (with_them.train, with_them.heldout))
    assert len(tested) == 3
    assert not {e.form for e in found} & {e.form for e in tested}, "the wording of none that is tested is trained"
    assert len(found) == 3
    assert {"€8.50", "€11.00", "€10.50"} == {next(v for v in ("€8.50", "€11.00", "€10.50") if v in e.messages[-1].content) for e in found}
