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
        ("Do not feed the geese or touch the nets.", "you must not touch the nets."),
        ("Do not feed the geese, touch the nets or climb the wall.", "you must not climb the wall."),
        ("Do not feed or touch the geese, and keep quiet.", "you should keep quiet."),
        ("Do not panic and call us.", "you should call us."),
        (
            "You pay the rest unless the course, which is in the big hall by the river, is cancelled by us before the first of its days.",
            "you pay the rest unless the course is cancelled by us before the first of its days.",
        ),
        ("The yard is shut in May, when the swifts nest.", "the yard is shut in May."),
        ("Dogs are welcome as long as they are on a lead.", "dogs are welcome as long as they are on a lead."),
        (
            "Merle Vans, a van hire firm that Ada Merle and her cousin opened in 2011, has moved.",
            "Ada Merle and her cousin opened Merle Vans in 2011.",
        ),
        ("It is forbidden to smoke in the loft.", "it is forbidden to smoke in the loft."),
        (
            "The Hirer must be at least 21 years old and have held a permit for two years.",
            "the Hirer must have held a permit for two years.",
        ),
        ("A visit costs £75 for those who are not registered.", "a visit costs £75 for those who are not registered."),
        ("A cracked pot should be held by its foot, kept in sand and brought in at once.", "a cracked pot should be kept in sand."),
        (
            "Ring the bell as soon as the shop opens at nine, since the queue is long.",
            "you should ring the bell as soon as the shop opens at nine.",
        ),
        ("Fill the tank, which slides out and holds 2.4 litres.", "the tank holds 2.4 litres."),
        ("You take a short test, which lasts ten minutes, costs £9 and can be repeated.", "a short test costs £9."),
        ("Weir Hall, finished in March 2019, has two stages.", "Weir Hall was finished in March 2019."),
        (
            "Pupils pay £12 a month by bank transfer, for which they get two lessons, two books and a mug.",
            "pupils pay £12 a month by bank transfer.",
        ),
        ("We stopped lending ladders in May 2022, after two of them broke.", "we stopped lending ladders in May 2022."),
        ("If you are late, ring Ada Merle before 9:30.", "if you are late, you should ring Ada Merle before 9:30."),
        ("Few people can come, so put your name on the sheet.", "you should put your name on the sheet."),
        ("Places can be booked on the day, so please bring a coat.", "you should bring a coat."),
        (
            "The inn belongs to Gerda Mohn and Silke Brand, who each had a shed full of unsold jam at home.",
            "Gerda Mohn and Silke Brand each had a shed full of unsold jam at home.",
        ),
        ("Courses last three hours, with a break.", "courses last three hours, with a break."),
    ],
)
def test_a_sentence_gives_statements_that_stand_alone(text: str, statement: str) -> None:
    assert statement in [s[:1].lower() + s[1:] if statement[0].islower() else s for s in statements(text)]


def test_a_verb_with_a_subject_that_the_parser_missed_gives_nothing() -> None:
    assert not [s for s in statements("A lost key costs £25 and a second one within a year ends your membership.") if "ends" in s]


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


def told(*sentences: str, topic: str = "Ferry Pens") -> list[str]:
    """The statements of a text's sentences, one after another."""
    memory = Memory(topic=topic)
    return [statement for sentence in sentences for statement in statements(sentence, memory)]


@pytest.mark.parametrize(
    ("sentences", "statement"),
    [
        (("It is in Weir Lane.",), "Ferry Pens is in Weir Lane."),
        (("The Marlow is a pen.", "Its nib is made of steel.", "It costs £85."), "the Marlow costs £85."),
        (("The Marlow is a pen.", "We engrave it for £12."), "we engrave the Marlow for £12."),
        (("The Marlow is a pen.", "You can return it within 14 days."), "you can return the Marlow within 14 days."),
        (("Ada Merle runs the workshop.", "It has four benches."), "the workshop has four benches."),
        (("Pens are stored in a steel cabinet.", "It holds 200 pens."), "the steel cabinet holds 200 pens."),
        (("The course takes two hours.", "Participants bring a pen.", "It costs £45."), "the course costs £45."),
        (("Ada Merle runs the workshop.", "Her sister Ruth Merle keeps the books."), "Ada Merle’s sister Ruth Merle keeps the books."),
        (("The B7 is what people take who travel; it holds a tent.",), "the B7 holds a tent."),
        (("Ada Merle won the Silver Nib.", "She mends pens."), "Ada Merle mends pens."),
        (("The ink is made here.", "Ada’s aunt Inka sent the first jar.", "We sell it."), "we sell the ink."),
        (("The repairers speak Welsh.", "They work on Saturdays."), "the repairers work on Saturdays."),
        (("Our heaviest pen is the Marlow.", "It costs £85."), "the Marlow costs £85."),
        (("Oldest of all is our press, the Grumbler.", "It weighs two tonnes."), "the Grumbler weighs two tonnes."),
        (("The Marlow needs care, since the ink has to dry.", "It costs £85."), "the Marlow costs £85."),
        (("The Marlow is a pen.", "There is an exhibition in the loft.", "It lasts until June."), "the exhibition lasts until June."),
        (("The Marlow is a pen.", "We have a new engraving machine.", "It cost £2,400."), "the new engraving machine cost £2,400."),
        (
            ("We moved the old press in May.", "We needed a crane to lift it, and it has stood in the loft ever since."),
            "the old press has stood in the loft ever since.",
        ),
        (("Our workshop manager.", "Ada Merle, by Tom.", "She mends pens."), "Ada Merle mends pens."),
        (("Ada Merle founded the shop with Silas Brandt.", "She mends pens.", "He keeps the books."), "Silas Brandt keeps the books."),
        (("Ada Merle and Silas Brandt own the shop.", "She mends pens.", "Silas sailed too: he was a cook."), "Silas was a cook."),
        (
            ("Ada Merle is here.", "She trained in Corvane Bay, and last year she won the Silver Nib.", "She loves ink."),
            "Ada Merle loves ink.",
        ),
        (("Our course is called Steady Quills.", "It costs £48."), "Steady Quills costs £48."),
        (("The Marlow, at £3, is a pen.", "It writes well."), "the Marlow writes well."),
        (("How long are old pens kept for?", "They stay here for six weeks."), "old pens stay here for six weeks."),
        (("Ink for One is a course.", "It lasts an hour, costs £40 and ends with tea."), "Ink for One costs £40."),
        (("Quill and Reed is held once a year.", "It costs £70."), "Quill and Reed costs £70."),
        (("The desk by the door is taken.", "The larger one costs £90."), "the larger desk costs £90."),
    ],
)
def test_it_and_they_stand_for_what_the_text_speaks_of(sentences: tuple[str, ...], statement: str) -> None:
    assert statement in told(*sentences)


def test_it_stands_for_nothing_where_an_infinitive_follows() -> None:
    assert told("It costs nothing to join.", "It was agreed that nobody smokes.")[:2] == [
        "it costs nothing to join.",
        "it was agreed that nobody smokes.",
    ]


def test_what_belongs_to_a_thing_does_not_take_its_place() -> None:
    assert "Ferry Pens opens at nine." in told("Its phone number is 01632 960111.", "It opens at nine.")


def test_everything_is_nothing_that_it_could_be() -> None:
    assert "we never see it." in told("Everything is encrypted.", "We never see it.")


def test_they_are_nobody_once_another_thing_was_spoken_of() -> None:
    assert told("The repairers speak Welsh.", "The Marlow is a pen.", "They cost £30.")[2:] == []


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("Ada Merle painted a sign in May, and Ruth Boone hung it in the hall.", "Ruth Boone hung the sign in the hall."),
        ("Guests leave their keys in the bowl, and we sort it on Fridays.", "we sort it on Fridays."),
        ("The crate is yellow, and Odo opens it at 9:15.", "Odo opens the crate at 9:15."),
    ],
)
def test_an_object_it_is_the_one_thing_that_the_sentence_names_before(text: str, statement: str) -> None:
    assert statement in told(text, topic="")


def test_an_object_that_the_sentence_names_itself_stays() -> None:
    found = told("The Marlow is a pen.", "You bring the form and return it by Friday.")
    assert "you bring the form." in found
    assert not [statement for statement in found[1:] if "Marlow" in statement]


def test_what_has_a_price_or_a_length_is_not_the_business() -> None:
    assert told("It costs £12.", "It lasts two hours.") == []
    assert told("The ticket is valid all day.", "It costs £12.")[1:] == ["the ticket costs £12."]
