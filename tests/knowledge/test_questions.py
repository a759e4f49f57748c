from __future__ import annotations

import pytest

from engrain.knowledge.parse import parse
from engrain.knowledge.polar import active, polar_question
from engrain.knowledge.questions import wh_questions, why_question


def asked(statement: str, value: str, kind: str) -> list[tuple[str, str, str]]:
    doc = parse(statement)
    start = statement.index(value)
    span = doc.char_span(start, start + len(value), alignment_mode="expand")
    return [(a.direct, a.indirect, a.insitu) for a in wh_questions(doc, span.start, span.end, kind)]


@pytest.mark.parametrize(
    ("statement", "value", "kind", "question", "indirect"),
    [
        (
            "Straightening a bent nib costs £26.",
            "£26",
            "money",
            "How much does Straightening a bent nib cost?",
            "how much Straightening a bent nib costs",
        ),
        ("tickets cost £16.", "£16", "money", "How much do tickets cost?", None),
        ("you'll go home with a mallet.", "a mallet", "text", "What will I go home with?", None),
        ("there's a session on Friday.", "Friday", "date", "When is there a session?", None),
        ("we’ve lent the lathe to the school since 2020.", "2020", "date", "Since when have you lent the lathe to the school?", None),
        ("you’re covered for two weeks.", "two weeks", "duration", "How long am I covered?", None),
        ("if you're happy, you pay the deposit.", "the deposit", "text", "If I'm happy, what do I pay?", None),
        ("further bags cost £7.50.", "£7.50", "money", "How much do further bags cost?", "how much further bags cost"),
        (
            "a first assessment lasts 50 minutes.",
            "50 minutes",
            "duration",
            "How long does a first assessment last?",
            "how long a first assessment lasts",
        ),
        ("the museum opened on 6 March 2023.", "6 March 2023", "date", "When did the museum open?", "when the museum opened"),
        ("reception is in the stone boathouse.", "the stone boathouse", "place", "Where is reception?", "where reception is"),
        ("cabins must be empty by 10 am.", "10 am", "time", "By what time must cabins be empty?", "by what time cabins must be empty"),
        ("Tobias Wren keeps the shop.", "Tobias Wren", "person", "Who keeps the shop?", "who keeps the shop"),
        ("two partners sign contracts.", "two partners", "person", "Who signs contracts?", "who signs contracts"),
        (
            "the new jetty is made of recycled plastic.",
            "recycled plastic",
            "text",
            "What is the new jetty made of?",
            "what the new jetty is made of",
        ),
        ("there are 64 pitches.", "64", "count", "How many pitches are there?", "how many pitches there are"),
        ("the porter works mornings.", "mornings", "text", "When does the porter work?", "when the porter works"),
        ("the Gull is a white loaf at £2.85.", "£2.85", "money", "How much is the Gull?", "how much the Gull is"),
        ("parcels take nine working days.", "nine working days", "duration", "How long do parcels take?", "how long parcels take"),
        ("we keep notes for eight years.", "eight years", "duration", "How long do you keep notes?", "how long you keep notes"),
        ("you get three cards.", "three", "count", "How many cards do I get?", "how many cards I get"),
        ("the bus does not run on Sundays.", "Sundays", "date", "When does the bus not run?", "when the bus does not run"),
        (
            "the frame may be returned within 30 days of the sale.",
            "30 days",
            "duration",
            "Within how many days of the sale may the frame be returned?",
            "within how many days of the sale the frame may be returned",
        ),
        (
            "you can cancel until 48 hours before the lesson.",
            "48 hours",
            "duration",
            "Until how long before the lesson can I cancel?",
            "until how long before the lesson I can cancel",
        ),
        (
            "vouchers expire 18 months after the purchase.",
            "18 months",
            "duration",
            "How long after the purchase do vouchers expire?",
            "how long after the purchase vouchers expire",
        ),
        (
            "you must call by 5 pm of the day before.",
            "5 pm",
            "time",
            "By what time of the day before must I call?",
            "by what time of the day before I must call",
        ),
        ("the delivery takes two days longer.", "two days", "duration", "How much longer does the delivery take?", None),
        ("the bows may be taken to Spain.", "Spain", "name", "Where may the bows be taken?", "where the bows may be taken"),
        ("Ruth Merle trained as a glass blower.", "a glass blower", "text", "What did Ruth Merle train as?", None),
        ("brushes are washed after each use.", "after each use", "text", "When are brushes washed?", "when brushes are washed"),
        ("students pay half until their last exam.", "their last exam", "text", "Until when do students pay half?", None),
        (
            "either side may end it with two weeks' notice.",
            "two weeks' notice",
            "duration",
            "With how much notice may either side end it?",
            None,
        ),
        ("Ada Merle saw her first pupil in 2003.", "Ada Merle", "name", "Who saw her first pupil in 2003?", None),
        (
            "the password changes every Monday.",
            "every Monday",
            "date",
            "How often does the password change?",
            "how often the password changes",
        ),
        ("the sill is 40 cm high.", "40 cm", "measure", "How high is the sill?", "how high the sill is"),
        ("the rider must be 21 years old.", "21 years", "duration", "How old must the rider be?", "how old the rider must be"),
        ("the barn is 3 km from the mill.", "3 km", "measure", "How far is the barn from the mill?", "how far the barn is from the mill"),
        (
            "the fee covers 90 km a day.",
            "90 km a day",
            "measure",
            "How many kilometres a day does the fee cover?",
            "how many kilometres a day the fee covers",
        ),
        ("the canoe weighs 31 kg.", "31 kg", "measure", "How much does the canoe weigh?", "how much the canoe weighs"),
        (
            "the maximum load is 5 kg.",
            "5 kg",
            "measure",
            "How many kilograms is the maximum load?",
            "how many kilograms the maximum load is",
        ),
        (
            "a receipt must arrive within 20 days of the sale.",
            "20 days",
            "duration",
            "How soon must a receipt arrive?",
            "how soon a receipt must arrive",
        ),
        ("we answer letters within two days.", "two days", "duration", "How soon do you answer letters?", "how soon you answer letters"),
        ("you must not glaze until the next morning.", "the next morning", "text", "Until when must I not glaze?", None),
        ("you must not put nails in the walls.", "nails", "text", "What must I not put in the walls?", None),
        ("dogs are not allowed on the jetty.", "the jetty", "text", "Where are dogs not allowed?", None),
        ("the pot should be kept in sand.", "sand", "text", "What should the pot be kept in?", None),
        ("the pot should be brought back within the hour.", "the hour", "text", "How soon should the pot be brought back?", None),
        ("you should soak the clay twice a day for a week.", "a week", "text", "How long should I soak the clay twice a day?", None),
        ("you should pay by card or bank transfer.", "card or bank transfer", "text", "How should I pay?", None),
        ("you should tell reception about the crack.", "reception", "text", "Who should I tell about the crack?", None),
        ("you should ask Ruth Merle for a key.", "Ruth Merle", "name", "Who should I ask for a key?", None),
        (
            "you should tell the desk about it before firing, not in the yard.",
            "before firing",
            "text",
            "When should I tell the desk about it?",
            None,
        ),
        ("the spring fair is called Low Tide.", "Low Tide", "name", "What is the spring fair called?", "what the spring fair is called"),
        ("Ida came second in the county regatta in 2023.", "the county regatta", "text", "In what did Ida come second in 2023?", None),
        (
            "Ida leads a pot walk along the pier on Sunday 4 May 2025.",
            "Sunday 4 May 2025",
            "date",
            "When does Ida lead a pot walk along the pier?",
            None,
        ),
        (
            "the clinic looks after some 900 people.",
            "900",
            "count",
            "How many people does the clinic look after?",
            "how many people the clinic looks after",
        ),
    ],
)
def test_a_gap_becomes_a_question(statement: str, value: str, kind: str, question: str, indirect: str | None) -> None:
    found = asked(statement, value, kind)
    assert (question, indirect) in [(direct, inside if indirect else None) for direct, inside, _ in found]


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("the cart may be driven on an ordinary licence.", "an ordinary licence"),
        ("the lens is sold without a strap at the customer’s expense.", "the customer’s expense"),
    ],
)
def test_what_is_no_place_is_not_asked_for_with_where(statement: str, value: str) -> None:
    assert not [direct for direct, _, _ in asked(statement, value, "text") if direct.startswith("Where")]


def test_the_question_word_can_stay_in_place() -> None:
    assert asked("we'll ring you within three days.", "three days", "duration")[0][2] == "You will ring me how soon?"
    assert ("Reception is where?") in [
        insitu for _, _, insitu in asked("reception is in the stone boathouse.", "the stone boathouse", "place")
    ]


def test_a_broken_parse_asks_nothing() -> None:
    assert asked("Pitches from 28 March.", "28 March", "date") == []


def test_why() -> None:
    (one,) = why_question(parse("distilled water must not be used."))
    assert (one.direct, one.indirect) == ("Why must distilled water not be used?", "why distilled water must not be used")


@pytest.mark.parametrize(
    ("statement", "question", "indirect", "answer"),
    [
        ("dogs may not stay in the cabins.", "May dogs stay in the cabins?", "whether dogs may stay in the cabins", "No"),
        ("there is no lifeguard.", "Is there a lifeguard?", "whether there is a lifeguard", "No"),
        ("distilled water must not be used.", "May distilled water be used?", "whether distilled water may be used", "No"),
        ("the bus does not run on Sundays.", "Does the bus run on Sundays?", "whether the bus runs on Sundays", "No"),
        ("you may come without a letter.", "May I come without a letter?", "whether I may come without a letter", "Yes"),
        ("study booths can't be booked.", "Can study booths be booked?", "whether study booths can be booked", "No"),
    ],
)
def test_polar_questions(statement: str, question: str, indirect: str, answer: str) -> None:
    polar = polar_question(parse(statement))
    assert polar is not None
    assert (polar.direct, polar.indirect, polar.answer) == (question, indirect, answer)


def test_the_active_counterpart_agrees_in_tense() -> None:
    assert active(parse("canoeing is taught by Ines Calloway.")) == "Ines Calloway teaches canoeing."
    assert active(parse("the firm was led by Edmund Tarrant.")) == "Edmund Tarrant led the firm."
