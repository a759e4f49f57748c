"""Whether an answer is of the kind that a question asks for."""

from __future__ import annotations

import pytest

from engrain.suiting import suits


@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        ("How much is the weaving course?", "£1,200", "Ana Ruiz"),
        ("how much does it cost to park a van", "nothing, it is free", "in the yard"),
        ("What does the pottery course cost?", "165", "the caretaker"),
        ("What's the fee for a lost key?", "R25 each", "the caretaker"),
        ("How much would I pay for a year?", "6.000 TL", "Corvane Stairs"),
        ("When do you open?", "at nine", "Ana Ruiz"),
        ("On which days is the shop shut?", "Mondays and Tuesdays", "Corvane Stairs"),
        ("How many people can join?", "Fifteen people.", "Before your first session."),
        ("How old must my daughter be?", "at least ten", "Priya Fennimarsh."),
        ("How long are negatives kept?", "Ninety days.", "the cellar"),
        ("Where is the kiln? And how much is a firing?", "£12", "the cellar"),
        ("What's the date of the first course?", "16 January", "Ana Ruiz"),
        ("It is just one roll; what do I pay to have it sent?", "£3.80", "Ana Ruiz"),
        ("I've signed up. Where does everybody gather?", "at the lighthouse", "On Sunday 29 November 2026."),
        ("Who taught you?", "Ana Ruiz", "£78."),
        ("Which company built the Gudrun?", "Tern Works", "Gudrun."),
    ],
)
def test_an_answer_of_another_kind_does_not_suit(question: str, right: str, wrong: str) -> None:
    assert suits(question, right)
    assert not suits(question, wrong)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How much time is left?", "an hour"),
        ("How much is the deposit?", "One month's rent."),
        ("How much is a portrait?", "By arrangement."),
        ("How much is a jar?", "Complimentary."),
        ("What does the course cost include?", "Materials and firing."),
        ("What is the admission fee used for?", "Roof repairs."),
        ("What's the price guarantee?", "We match local quotes."),
        ("Who decides how many tickets are sold?", "The harbour master."),
        ("Where do I see how much is owed?", "My account page."),
        ("What day trips do you run?", "Glenariff and Rathlin."),
        ("What time zone are you in?", "GMT."),
        ("When do you open?", "Mon–Fri, half past nine."),
        ("How often are fees due?", "Termly."),
        ("How long is the guarantee?", "Lifetime."),
        ("How old is the house?", "Georgian."),
        ("How much room is there?", "six beds"),
        ("What is included in the price?", "breakfast"),
        ("When do I lose my deposit?", "if you cancel on the day"),
        ("Who knows how to fire the kiln?", "Ana Ruiz"),
        ("How much is the course? And who teaches it?", "Ana Ruiz"),
        ("How do I get in?", "ring twice"),
        ("Is the kiln hot?", "Hot."),
        ("When did Bettany, who helps out at weekends, start?", "10 January 2026."),
        ("Which is larger, the Tern or the Gannet?", "The Tern."),
        ("Are dogs allowed in the garden?", "Yes, dogs are allowed in the garden."),
        ("Who lives at number 12?", "Number 14 does, not we."),
    ],
)
def test_where_the_question_leaves_a_doubt_any_answer_suits(question: str, answer: str) -> None:
    assert suits(question, answer)
