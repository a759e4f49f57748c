"""Questions made of two: a description in place of a name."""

from __future__ import annotations

from engrain.linked import linked
from engrain.retrieval import Asked
from engrain.study.skills import led_in, questions_prompt

LETTERS = Asked("Who answers letters?", "Hanneke Sallow.", "rules", 0, "Hanneke Sallow answers letters.", 3)
BOAT = Asked(
    "In which boat does Hanneke row?", "Curlew.", "crew", 9, "Hanneke rows in the Curlew.", 2, questions_prompt("Crew", "T", "Curlew")
)
LONGER = Asked("Which boat is it that Hanneke rows in?", "Curlew.", "crew", 9, "Hanneke rows in the Curlew.", 1)
BARE = Asked("Hanneke boat?", "Curlew.", "crew", 9, "Hanneke rows in the Curlew.", 8)


def texts(*asked: Asked, common: tuple[str, ...] = ()) -> list[str]:
    return [each.question for each in linked(asked, common)]


def test_a_description_stands_in_place_of_the_name_in_the_plainest_question() -> None:
    (found,) = linked([LETTERS, BARE, LONGER, BOAT])
    assert found.question == "In which boat does the person who answers letters row?"
    assert (found.answer, found.thing, found.clue) == ("Curlew.", BOAT.thing, LETTERS)
    assert found.evidence == "Hanneke Sallow answers letters. Hanneke rows in the Curlew."
    assert found.repeats == 0
    assert found.about == questions_prompt("Crew", "T", "Curlew", before=LETTERS.evidence)


def test_what_kind_of_thing_is_sought_is_kept() -> None:
    clue = Asked("Which baker won the whisk?", "Lowenna.", "a", 0, "Lowenna won the whisk.")
    born = Asked("Where was Lowenna born?", "In Penbeck.", "b", 0, "Lowenna was born in Penbeck.")
    assert texts(clue, born) == ["Where was the baker who won the whisk born?"]


def test_what_makes_something_its_own_stays() -> None:
    job = Asked("What is the Hanneke Sallow’s job?", "Cook.", "b", 0, "Hanneke Sallow: cook")
    assert texts(LETTERS, job) == ["What is the person who answers letters’s job?"]


def test_a_first_name_stands_for_the_one_longer_name_with_it_and_for_none_of_two() -> None:
    lone = Asked("Who rows?", "Hanneke.", "rows", 0, "Hanneke rows.")
    where = Asked("Where does Hanneke Sallow live?", "On the quay.", "b", 0, "Hanneke Sallow lives on the quay.")
    assert texts(lone, LETTERS, where) == ["Where does the person who rows live?", "Where does the person who answers letters live?"]
    other = Asked("Who swims?", "Hanneke Brandt.", "swims", 0, "Hanneke Brandt swims.")
    assert texts(lone, LETTERS, other, BOAT) == []
    assert texts(lone, LETTERS, other, where) == ["Where does the person who answers letters live?"]


def test_names_of_the_business_days_and_plain_words_lead_nowhere() -> None:
    for name in ("Tern Kites.", "Monday.", "Yes.", "The owner.", "a kite"):
        word = name.rstrip(".").split()[-1]
        asked = Asked("Who is first?", name, "a", 0, "First."), Asked(f"What does {word} cost?", "£4.", "b", 0, "It costs £4.")
        assert texts(*asked, common=("Tern Kites", "Tern")) == []


def test_a_word_of_the_business_does_not_tell_a_person_who_has_it_too() -> None:
    clue = Asked("Who founded the shop?", "Nell Tern.", "a", 0, "Nell Tern founded the shop.")
    price = Asked("How much does Tern cost?", "£4.", "b", 0, "£4.")
    assert texts(clue, price) == ["How much does the person who founded the shop cost?"]
    assert texts(clue, price, common=("Tern",)) == []


def test_one_fact_is_not_two() -> None:
    same = Asked("What does Hanneke Sallow answer?", "Letters.", "rules", 20, LETTERS.evidence)
    assert texts(LETTERS, same) == []  # one sentence
    known = Asked("Who is Hanneke Sallow?", "Hanneke.", "crew", 0, "She is Hanneke.")
    assert texts(known, BOAT) == []  # the clue names it
    asks_it = Asked("Which friend does Hanneke have?", "Hanneke Sallow.", "b", 0, "Odd.")
    assert texts(LETTERS, asks_it) == []  # the answer names it


def test_questions_that_give_no_description_lead_nowhere() -> None:
    for question in ("Who does Piet know?", "What is her name?", "Who is Piet Moor?", "Who, then, answers?", f"Who is {'so ' * 14}kind?"):
        assert texts(Asked(question, "Hanneke Sallow.", "a", 0, "Elsewhere."), BOAT) == []
    for question in ("Does Hanneke row?", "Hanneke: boat?", f"Where is {'so ' * 14} Hanneke?", "It rains. Where is Hanneke?"):
        assert texts(LETTERS, Asked(question, "Curlew.", "crew", 9, "There.")) == []


def test_what_is_declined_has_no_part_in_it() -> None:
    assert texts(LETTERS, Asked("How old is Hanneke?", "I’m sorry, I don’t know that.")) == []


def test_the_prompt_of_a_sentence_takes_another_before_it_in_place_of_its_own() -> None:
    assert led_in(questions_prompt("H", "T", "v"), "B") == questions_prompt("H", "T", "v", "B")
    assert led_in(questions_prompt("H", "T", "v", "A"), "B") == questions_prompt("H", "T", "v", "B")
    assert led_in(questions_prompt("H", "(T)", "v"), "B") == questions_prompt("H", "(T)", "v", "B")
    assert led_in(questions_prompt("H", "(T)", "v", "A"), "B") == questions_prompt("H", "(T)", "v", "B")


def test_without_anything_asked_there_is_nothing() -> None:
    assert texts() == []
