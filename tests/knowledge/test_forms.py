from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from asked import prompts
from engrain.documents.base import read_documents
from engrain.knowledge.asking import gap_questions_at_last, in_place_questions
from engrain.knowledge.facts import Fact, find_facts
from engrain.knowledge.forms import wordings
from engrain.knowledge.wording import normal


def test_a_price_is_asked_for_in_many_words(facts: list[Fact]) -> None:
    found = prompts(facts, "£26")
    for wanted in (
        "How much does straightening a bent rim cost?",
        "What is the price of straightening a bent rim?",
        "What will straightening a bent rim set me back?",
        "Straightening a bent rim costs how much?",
        "I’d like to know how much straightening a bent rim costs.",
    ):
        assert wanted in found
    assert len(found) >= 20


def test_a_passive_agent_is_asked_for_in_the_active(facts: list[Fact]) -> None:
    assert "Who teaches glazing?" in prompts(facts, "Colm Aldersey")


def test_another_verb_of_the_same_meaning(facts: list[Fact]) -> None:
    assert "What is the name of the person who runs the studio?" in prompts(facts, "Harriet Boone")
    assert "Who manages the studio?" in prompts(facts, "Harriet Boone")


def test_a_table_cell_is_asked_for_by_row_and_column(facts: list[Fact]) -> None:
    assert "How much is a raku weekend?" in prompts(facts, "£95")
    assert any("raku weekend" in p and "teacher" in p for p in prompts(facts, "Tobias Wren"))


def test_own_questions_are_asked_as_they_stand_and_inside_a_sentence(facts: list[Fact]) -> None:
    found = prompts(facts, "Behind the building in Cooper's Yard")
    assert "Where can I park?" in found
    assert "Could you tell me where I can park, please?" in found


def test_rules_are_answered_yes_or_no_with_the_rule(facts: list[Fact]) -> None:
    answers = {w.prompt: w.answer for each in wordings(facts) for w in each}
    assert answers["May dogs enter the kiln room?"] == "No, dogs may not enter the kiln room."
    assert answers["Is there a lift?"] == "No, there is no lift."
    assert answers["May wet clay be poured away?"] == "No, wet clay must not be poured away."


def test_a_subject_that_the_parser_misreads_is_read_as_a_name() -> None:
    statement = "the Kiln Race on 19 January 2025 drew ___ runners."
    fact = Fact("1", "the Kiln Race on 19 January 2025", statement, "214", "count", "", "", 0, 3)
    assert "How many runners did the Kiln Race on 19 January 2025 draw?" in prompts([fact], "214")


def test_a_limit_is_kept(facts_in: Callable[..., list[Fact]]) -> None:
    assert "How many dogs may each pitch bring at most?" in prompts(facts_in("Each pitch may bring up to two dogs."), "two")


def test_the_deposit_inside_a_phrase(facts_in: Callable[..., list[Fact]]) -> None:
    assert "How much is the deposit for crutches?" in prompts(facts_in("Crutches are lent against a deposit of £20."), "£20")


def test_no_prompt_holds_its_answer_or_comes_twice(facts: list[Fact]) -> None:
    for fact, each in zip(facts, wordings(facts), strict=True):
        keys = [normal(w.prompt) for w in each]
        assert len(keys) == len(set(keys))
        questions = [normal(w.prompt) for w in each if w.kind == "question" and fact.kind != "yesno"]
        assert not any(f" {normal(fact.value)} " in f" {q} " for q in questions)


def test_a_statement_that_grammar_cannot_turn_is_asked_in_place() -> None:
    fact = Fact("f", "", "posting your negatives back costs ___.", "£3.80", "money", "", "a.md#1", 0, 5, "By post")
    assert dict(in_place_questions(fact)) == {
        "in-place": "Posting my negatives back costs how much?",
        "in-place-first": "How much? Posting my negatives back costs ….",
        "in-place-topic": "By post: posting my negatives back costs how much?",
    }
    timed = replace(fact, relation="the walk begins at ___ by the steps.", value="14:00", kind="time", topic="")
    assert dict(in_place_questions(timed))["in-place"] == "The walk begins at what time by the steps?"
    assert not dict(in_place_questions(replace(fact, kind="text")))


def test_the_price_of_each_of_two_things_is_asked_for_in_many_words(tmp_path: Path) -> None:
    (tmp_path / "prices.md").write_text("# Harbour Kites\n\nA place costs £65 and a repair kit £8.50.\n")
    found = find_facts(read_documents([tmp_path / "prices.md"]).documents)
    for thing, price, other in (("place", "£65", "repair"), ("repair kit", "£8.50", "place")):
        asked = prompts(found, price)
        assert f"How much is a {thing}?" in asked
        assert not any(other in question for question in asked if "…" not in question), "only its whole sentence names the other"


def test_a_subject_that_many_things_have_is_asked_for_with_what_its_heading_names(facts_in: Callable[..., list[Fact]]) -> None:
    found = prompts(facts_in("A place costs £65.", "Glazing course"), "£65")
    assert "How much does a place for the Glazing course cost?" in found
    assert "How much does a place cost?" not in found
    assert "How much does a place cost?" in prompts(facts_in("A place costs £65.", "Prices"), "£65")


def test_an_address_is_asked_for_as_one(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("We have been at 31 Weaver Rise since 2016. Bring it to our workshop at 7 Mill Lane, Westmarch.")
    assert "What is the address of Fernlea Pottery?" in prompts(found, "31 Weaver Rise")
    assert "Where is your workshop?" in prompts(found, "7 Mill Lane")
    assert not [fact for fact in found if fact.kind == "count"]


def test_a_number_after_its_noun_is_no_count(facts_in: Callable[..., list[Fact]]) -> None:
    assert not [fact for fact in facts_in("The archive is in Barn 4 behind the mill.") if fact.kind == "count"]


TABLE = """| Boat | Leaves | Sleeps | Per day | Deposit | Delivery time | Open until | Skipper | Length |
|---|---|---|---|---|---|---|---|---|
| Small ketch | 9:30 | 4 people | 34,00 € | 50 € | 3 days | 17:00 | Tobias Wren | 7 m |
"""


@pytest.mark.parametrize(
    ("value", "question"),
    [
        ("9:30", "When does a small ketch leave?"),
        ("4 people", "How many people does a small ketch sleep?"),
        ("34,00 €", "What does a small ketch cost per day?"),
        ("50 €", "How much is the deposit for a small ketch?"),
        ("3 days", "How long does delivery take for a small ketch?"),
        ("17:00", "Until when is a small ketch open?"),
        ("Tobias Wren", "Who is the skipper for a small ketch?"),
        ("7 m", "How long is a small ketch?"),
    ],
)
def test_a_column_is_asked_for_by_its_kind(facts_in: Callable[..., list[Fact]], value: str, question: str) -> None:
    assert question in prompts(facts_in(TABLE), value)


TWICE = """# Vans

## Fleet

| Model | Berths | Notes |
| --- | --- | --- |
| Heron | 2 | no toilet on board |
| Gull | 4 | bed in the roof |

## Prices

| Model | Night | Notes |
| --- | --- | --- |
| Heron | £80 | students pay less |
| Gull | £95 | not in January |
"""


def test_what_two_tables_say_of_the_same_thing_is_asked_with_their_headings(tmp_path: Path) -> None:
    (tmp_path / "vans.md").write_text(TWICE)
    facts = find_facts(read_documents([tmp_path]).documents)
    assert "Fleet: what are the notes for Heron?" in prompts(facts, "no toilet on board")
    assert "Prices: what are the notes for Heron?" in prompts(facts, "students pay less")
    assert "How many berths are there for Heron?" in prompts(facts, "2"), "what one table alone says needs none"


def test_a_key_of_a_table_of_values_is_what_is_asked_for(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("| Setting | Value |\n|---|---|\n| Maximum load | 11 kg |\n")
    assert "What is the maximum load?" in prompts(found, "11 kg")


def test_the_days_of_a_person(facts_in: Callable[..., list[Fact]]) -> None:
    assert "When does Tobias Wren work?" in prompts(facts_in("Who is in:\n\n- Tobias Wren: Monday to Thursday\n"), "Monday to Thursday")


def test_a_number_in_a_long_sentence_is_asked_for(facts_in: Callable[..., list[Fact]]) -> None:
    text = "Some 4,200 visits were counted in 2024, a third of them by people who had never held clay before that day."
    assert "How many visits were counted in 2024?" in prompts(facts_in(text), "4,200")
    assert "When were some 4,200 visits counted?" in prompts(facts_in(text), "2024")


def test_a_long_sentence_without_a_statement_is_not_asked_in_place() -> None:
    long = "If the kiln cools, and whoever fires it has gone, the glaze that was put on by ___ cracks, as everybody knows."
    assert not list(in_place_questions(Fact("1", "", long, "noon", "time", "", "", 0, 4)))
    assert list(in_place_questions(Fact("1", "the glaze", long, "noon", "time", "", "", 0, 4)))


def test_an_open_question_says_when_or_where_it_is_asked(facts_in: Callable[..., list[Fact]]) -> None:
    text = "Wear an apron. Wait in the yard."
    assert "What should I wear to the first firing?" in prompts(facts_in(text, "Before the first firing"), "an apron")
    assert "Where should I wait during a storm?" in prompts(facts_in(text, "During a storm"), "the yard")
    assert "What should I wear to Fernlea Pottery?" in prompts(facts_in(text), "an apron")


def test_an_instruction_is_also_asked_for_with_the_occasion_that_its_heading_names(facts_in: Callable[..., list[Fact]]) -> None:
    found = prompts(facts_in("Press the rim for 20 minutes.", "After a repair"), "20 minutes")
    assert {"How long should I press the rim?", "How long should I press the rim after a repair?"} <= set(found)


def test_a_value_in_a_condition_is_not_asked_for_in_place(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("If you arrive more than 10 minutes late, we may have to give your wheel away.")
    assert not [prompt for prompt in prompts(found, "10 minutes") if prompt.endswith("again?") or "how late, we" in prompt]


def test_a_question_is_also_asked_after_the_sentence_before_it_and_with_its_own(facts_in: Callable[..., list[Fact]]) -> None:
    found = prompts(
        facts_in("The weekend course is about glazing. Odile teaches it to four people at once, and a place costs £190."), "£190"
    )
    assert "How much does a place cost?" in found
    assert "The weekend course is about glazing. How much does a place cost?" in found
    assert "Odile teaches it to four people at once, and a place costs …. How much does a place cost?" in found


@pytest.mark.parametrize(
    ("relation", "value", "kind", "question"),
    [
        (
            "The rest was put up by ___ of our neighbours, who each paid £75.",
            "214",
            "count",
            "The rest was put up by how many of your neighbours",
        ),
        ("Tickets: cash only; last entry is at ___ ; no dogs.", "noon", "time", "Last entry is at what time?"),
        ("We call it ___, and any youth worker can put a name forward.", "the Springboard place", "text", "You call it what?"),
        ("The clay comes from ___.", "a pit in Westmarch", "text", "The clay comes from what?"),
        ("The kiln is emptied by ___.", "hand", "text", ""),
        ("The fair moves to the hall because of ___.", "hail", "text", "The fair moves to the hall because of what?"),
        ("A cat named ___ broke the jug twice.", "Soot", "name", "A cat named what broke the jug twice?"),
        ("The shelf, with six pots lent by ___ was hung in May.", "the Marsh family", "text", "six pots lent by whom was hung"),
        ("After that, we mix it with ___.", "the old slip", "text", ""),
        ("If you come by ___, use the gate.", "noon", "time", ""),
        ("Pitches for caravans from ___.", "28 March", "date", "Pitches for caravans from when?"),
        ("You should soak the clay until the ___ morning.", "second", "date", ""),
        ("Ask ___.", "Saskia", "person", ""),
    ],
)
def test_what_no_grammar_asks_about_is_asked_in_place(relation: str, value: str, kind: str, question: str) -> None:
    fact = Fact("1", "", relation, value, kind, "", "", 0, 3)
    found = [text for _, text in gap_questions_at_last(fact)]
    assert question in found[0] if question else not found


def test_a_text_that_no_grammar_asks_about_is_only_a_gap_to_fill() -> None:
    (found,) = wordings([Fact("1", "", "The kiln is always emptied by ___.", "hand", "text", "", "", 0, 4)])
    assert found
    assert {w.kind for w in found} == {"cloze"}


def test_a_question_of_the_documents_is_no_sentence_to_ask_after(facts_in: Callable[..., list[Fact]]) -> None:
    found = prompts(facts_in("When are you open? Visits begin at 10 am and end when the kiln is hot."), "10 am")
    assert found
    assert not [prompt for prompt in found if prompt.startswith("When are")]


def test_its_own_sentence_is_said_only_where_it_tells_more(facts_in: Callable[..., list[Fact]]) -> None:
    found = prompts(facts_in("The big kiln in the yard, mended twice, was built in 2019."), "2019")
    assert found
    assert not [prompt for prompt in found if "…" in prompt and prompt.endswith("built?")]


def test_a_question_after_a_sentence_is_not_dressed(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("Is the kiln free? Ask. The weekend course is about glazing. A place costs £190.")
    assert not [w for each in wordings(facts) for w in each if "+" in w.form and w.form.endswith("-sentence")]
