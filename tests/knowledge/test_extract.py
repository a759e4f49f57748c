"""What a sentence's details are, and which of them are no answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engrain.knowledge.extract import leans
from engrain.knowledge.facts import Fact
from engrain.knowledge.forms import wordings


def test_further_names_without_a_verb_are_what_the_first_is_said_to_be(facts_in: Callable[..., list[Fact]]) -> None:
    found = {(fact.relation, fact.value) for fact in facts_in("The Tern is a green canoe at £2.85, the Gull a kayak at £3.40.")}
    assert {("the Tern is a green canoe at ___.", "£2.85"), ("the Gull is a kayak at ___.", "£3.40")} <= found


@pytest.mark.parametrize(
    ("text", "value"),
    [("The pupils sing carols in May as a rule.", "a rule"), ("We found this jar in the loft.", "this jar")],
)
def test_a_manner_of_speaking_is_no_value(facts_in: Callable[..., list[Fact]], text: str, value: str) -> None:
    assert value not in {fact.value for fact in facts_in(text)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The mugs are kept in the cellar.", "the cellar"),
        ("Wine tastings are held on Thursday evenings.", "Thursday evenings"),
        ("Either side may end it with one month's notice.", "one month's notice"),
        ("You may end it on 21 days' written notice.", "21 days' written notice"),
    ],
)
def test_what_people_ask_for_is_a_value(facts_in: Callable[..., list[Fact]], text: str, value: str) -> None:
    assert value in {fact.value for fact in facts_in(text)}


def test_the_number_of_a_clause_is_no_part_of_it(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("4 Owners pay £30 a month.\n\n5 Guests pay £12 a night.")
    assert {(fact.subject, fact.value) for fact in found if fact.kind == "money"} == {("owners", "£30 a month"), ("guests", "£12 a night")}


def test_what_follows_a_colon_is_a_reason_only_where_it_is_a_statement(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("Ropes are never hired out: bring your own, with two spares.")
    assert not [fact for fact in found if "because" in fact.relation]


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("Three tables are held back every weekday for members.", "contained"),
        ("Children are included free until their tenth birthday.", "covered"),
        ("The clock is run by weight.", "What runs"),
        ("The three looms upstairs are out of order until June.", "the how many"),
        ("The lunch includes one drink.", "how many drink"),
    ],
)
def test_questions_that_nobody_would_ask_are_not_asked(facts_in: Callable[..., list[Fact]], text: str, broken: str) -> None:
    prompts = [wording.prompt for each in wordings(facts_in(text)) for wording in each]
    assert prompts
    assert not [prompt for prompt in prompts if broken in prompt]


@pytest.mark.parametrize(("text", "value"), [("A missed lesson costs £25 and you lose your place.", "£25"), ("A tandem costs £45.", "£45")])
def test_costs_before_an_amount_is_a_verb(facts_in: Callable[..., list[Fact]], text: str, value: str) -> None:
    assert [fact for fact in facts_in(text) if fact.value == value and fact.relation.endswith("costs ___.")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("- Monday: 9:00 AM - 5:00 PM", "9:00 AM - 5:00 PM"),
        ("- Monday: 9:00 to 12:00 and 14:00 to 18:00", "9:00 to 12:00 and 14:00 to 18:00"),
        ("- Tours: 10:00, 12:00 and 14:00", "10:00, 12:00 and 14:00"),
    ],
)
def test_the_hours_of_an_item_are_whole(facts_in: Callable[..., list[Fact]], text: str, value: str) -> None:
    assert [fact.value for fact in facts_in(text) if fact.kind == "time"] == [value]


def test_the_documents_own_answer_is_a_whole_sentence_or_none(facts_in: Callable[..., list[Fact]]) -> None:
    text = "When are you open? Monday to Friday: 9:00 to 17:00. Not on feast days.\n\nAre dogs allowed? Yes; but only on a lead.\n\n"
    long = "Can I cancel? Yes, if you do so more than fourteen days before the first lesson " + "that you have booked with us " * 4 + "."
    found = {fact.relation: fact.value for fact in facts_in(text + long) if fact.form == "question"}
    assert found == {"When are you open?": "Monday to Friday: 9:00 to 17:00", "Are dogs allowed?": "Yes; but only on a lead"}
    assert not [fact for fact in facts_in("What should I bring? These things:\n\n- Lunch: £5") if fact.form == "question"]


def test_what_a_bracket_limits_is_no_rule(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("Entry is free (members only). Parking is free.")
    assert [fact.relation for fact in found if fact.kind == "yesno"] == ["parking is free."]


def test_a_sum_beside_the_price_is_asked_for_by_its_name(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("- Wetsuit: £30 deposit\n- Child: £5 discount\n- Locker: £2 fee")
    named = {(fact.subject, fact.relation) for fact in found if fact.kind == "money"}
    assert named == {("Wetsuit", "deposit"), ("Child", "discount"), ("Locker", "money")}


def test_a_column_is_money_by_whole_words(facts_in: Callable[..., list[Fact]]) -> None:
    found = {fact.relation: fact.kind for fact in facts_in("| Horse | Feeds | Fees |\n|---|---|---|\n| Star | 12 | 30 |")}
    assert found == {"Feeds": "count", "Fees": "money"}


@pytest.mark.parametrize(("column", "kind"), [("Weight (kg)", "measure"), ("Every (mins)", "duration"), ("Share (%)", "percent")])
def test_a_bare_number_is_of_the_kind_of_its_columns_unit(column: str, kind: str, facts_in: Callable[..., list[Fact]]) -> None:
    (found,) = facts_in(f"| Kite | {column} |\n|---|---|\n| Gannet | 12 |")
    assert (found.kind, found.value) == (kind, "12")


def test_a_price_goes_with_its_whole_period_and_a_gap_begins_a_clause(facts_in: Callable[..., list[Fact]]) -> None:
    assert [f.value for f in facts_in("- Meals on trips: €32 per full day, no receipts") if f.kind == "money"] == ["€32 per full day"]
    assert "___ is office day for all." in {f.relation for f in facts_in("Tea is free; Wednesday is office day for all.")}


@pytest.mark.parametrize("currency", ["GBP", "AUD", "CAD", "NZD", "A$", "NZ$", "CHF", "¥"])
def test_a_column_is_money_by_its_currency(currency: str, facts_in: Callable[..., list[Fact]]) -> None:
    (found,) = facts_in(f"| Kite | Adult ({currency}) |\n|---|---|\n| Gannet | 12 |")
    assert (found.kind, found.value) == ("money", "12")


def test_the_last_group_of_a_number_is_no_count(facts_in: Callable[..., list[Fact]]) -> None:
    assert "200" not in {fact.value for fact in facts_in("We had 1 200 visitors in May. The yard is shut.")}


def test_a_phrase_in_ing_that_opens_a_sentence_is_no_imperative(facts_in: Callable[..., list[Fact]]) -> None:
    found = {(fact.relation, fact.value) for fact in facts_in("Cleaning your own chimney costs £31. Bring the key.")}
    assert ("cleaning your own chimney costs ___.", "£31") in found
    assert ("you should bring ___.", "the key") in found
    assert not [relation for relation, _ in found if "you should cleaning" in relation]


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("Each tent may hold up to three sheep.", ["three"]),
        ("Model 8 film goes on to our friends at Millhaven.", []),
        ("We sell 16 mm and 240 tape.", []),
        ("The tank holds 3 litres and a spare cup.", []),
    ],
)
def test_what_is_counted_is_a_plural(facts_in: Callable[..., list[Fact]], text: str, counts: list[str]) -> None:
    assert [fact.value for fact in facts_in(text) if fact.kind == "count"] == counts


def test_a_measure_among_several_things_is_named_with_them(facts_in: Callable[..., list[Fact]]) -> None:
    assert ("we sell ___.", "16 mm and 240 tape") in {(fact.relation, fact.value) for fact in facts_in("We sell 16 mm and 240 tape.")}


def test_a_day_is_named_with_the_clause_that_says_which(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("Odo sweeps the yard at 8:40 on every day that we open. Tell us by Friday that you come.")
    assert [fact.value for fact in found if fact.kind == "date"] == ["every day that we open", "Friday"]


def test_a_reply_without_its_question_gives_no_value(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("Do you sell vouchers? Yes, for any amount from £15 upwards. They are sent by post. Ask Ada.")
    assert [fact.relation for fact in found if "£15" in fact.value] == ["Do you sell vouchers?"]


def test_a_number_with_its_noun_is_one_value_only(facts_in: Callable[..., list[Fact]]) -> None:
    assert [fact.value for fact in facts_in("Each stall may bring up to two dogs.") if fact.kind != "yesno"] == ["two"]


@pytest.mark.parametrize(
    ("item", "values"),
    [
        ("Canoe: £9 for two hours, plus a £30 deposit", ["£9 for two hours", "£9 for two hours, plus a £30 deposit"]),
        ("Power: £4.50 a night on top", ["£4.50 a night on top"]),
        ("Sauna: £5 for members, £8 for guests", ["£5 for members", "£5 for members, £8 for guests"]),
        ("Course: £20, three hours", ["£20", "three hours", "£20, three hours"]),
        ("Dog: £3 a night per dog", ["£3 a night", "£3 a night per dog"]),
    ],
)
def test_a_sum_is_named_with_what_it_is_paid_for(facts_in: Callable[..., list[Fact]], item: str, values: list[str]) -> None:
    found = facts_in(f"- {item}")
    assert [fact.value for fact in found] == values
    assert found[0].kind == "money"
    assert "value" not in {fact.relation for fact in found}


@pytest.mark.parametrize(
    ("subject", "relation", "leaning"),
    [
        ("the mill", "after that, the mill charges ___.", True),
        ("Odo Brandt", "Odo Brandt empties it at ___.", True),
        ("Odo Brandt", "___ empties it at noon.", True),
        ("you", "you should leave it in ___.", True),
        ("you", "if the bell rings, you should answer it within ___.", False),
        ("the crate", "the crate goes to whoever wants it by ___.", False),
        ("it", "it is forbidden to smoke in ___.", False),
    ],
)
def test_what_says_nothing_without_the_sentence_before_it(subject: str, relation: str, leaning: bool) -> None:
    assert leans(subject, relation) is leaning


def test_what_leans_on_the_sentence_before_it_is_asked_for_after_it_only(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("Cancelling is free until 24 hours before the trip. After that, the mill charges £4.")
    forms = {w.form for fact, each in zip(facts, wordings(facts), strict=True) for w in each if fact.value == "£4"}
    assert {form.rpartition("+")[2] for form in forms} == {"after-sentence"}


def test_what_must_never_be_is_a_rule(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("Warm ash goes into the steel bin and never into the sack.")
    assert ("warm ash never goes into the sack.", "never into the sack") in {(fact.relation, fact.value) for fact in found}


PARAGRAPHS = """# Courses

Ink from Scratch fills a Monday. Ada teaches it. The price is £90, and you take a jar home.

Pen Weekend is in May. Tom teaches it, and a place costs £140.

Reed and Quill is for beginners. Each session lasts 75 minutes, and tea is served.

It is forbidden to smoke. The price of ink made from scratch is £7.
"""


@pytest.mark.parametrize(
    ("relation", "value"),
    [
        ("Ink from Scratch costs ___.", "£90"),
        ("a place for Pen Weekend costs ___.", "£140"),
        ("each session of Reed and Quill lasts ___.", "75 minutes"),
        ("the price of ink made from scratch is ___.", "£7"),
    ],
)
def test_what_every_course_has_is_that_of_the_paragraphs_course(facts_in: Callable[..., list[Fact]], relation: str, value: str) -> None:
    assert (relation, value) in {(fact.relation, fact.value) for fact in facts_in(PARAGRAPHS)}


def test_a_pronoun_does_not_reach_over_paragraphs(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("# Boats\n\nThe dinghy sleeps nobody.\n\nIt costs £70 to have everything painted in May.")
    assert "the dinghy" not in {fact.subject for fact in facts if fact.value == "£70"}


@pytest.mark.parametrize(
    ("text", "relation", "value"),
    [
        ("The Tern, at £40, is a small canoe.", "the Tern costs ___.", "£40"),
        ("The boat that people like best is the Petrel, a dinghy painted with tar, at £720.", "the Petrel costs ___.", "£720"),
        ("If you have no boat there is the Skerry, a raft with oars, for £15.", "the Skerry costs ___.", "£15"),
        ("On Mondays we add a cedar canoe at £55.", "a cedar canoe costs ___.", "£55"),
        ("The pie with peas, at £3.20, is hot.", "the pie with peas costs ___.", "£3.20"),
        ("The old rope is in the shed, at 40 per cent off.", "the old rope is ___ off.", "40 per cent"),
    ],
)
def test_a_sum_beside_a_thing_is_its_price(facts_in: Callable[..., list[Fact]], text: str, relation: str, value: str) -> None:
    assert [fact.relation for fact in facts_in(text) if fact.value == value] == [relation]


@pytest.mark.parametrize("text", ["We meet our guests at £5 a head.", "The price, at £3, is low.", "Tickets are sold at £9."])
def test_a_sum_beside_people_or_verbs_is_no_price_of_theirs(facts_in: Callable[..., list[Fact]], text: str) -> None:
    assert not [fact.relation for fact in facts_in(text) if "cost" in fact.relation]


def test_who_says_i_is_named_where_the_text_says_so(facts_in: Callable[..., list[Fact]]) -> None:
    text = "I am Ada Merle. For nine years I worked on a pilot cutter, and I like it here."
    assert ("Ada Merle", "a pilot cutter") in {(fact.subject, fact.value) for fact in facts_in(text)}
    assert "Ada Merle" not in {fact.subject for fact in facts_in("For nine years I worked on a pilot cutter.")}


@pytest.mark.parametrize(
    ("text", "relation", "value"),
    [
        ("On our Rowing Day, the last Monday in June, guests may row.", "our Rowing Day is on ___.", "the last Monday in June"),
        ("We close for the Ink Race, 12 June 2025.", "the Ink Race is on ___.", "12 June 2025"),
    ],
)
def test_a_day_beside_an_event_is_its_day(facts_in: Callable[..., list[Fact]], text: str, relation: str, value: str) -> None:
    assert (relation, value) in {(fact.relation, fact.value) for fact in facts_in(text)}


@pytest.mark.parametrize(
    ("text", "heading", "told"),
    [
        ("Changed every 180 days.", "Passwords", ("the passwords are changed ___.", "every 180 days")),
        ("Run by Ada Merle.", "The Thimble", ("the Thimble is run by ___.", "Ada Merle")),
        ("Closed on Mondays.", "Sail loft", ("the sail loft is closed on ___.", "Mondays")),
        ("Smoking and vaping only behind the wash bay.", "Rules", ("smoking and vaping are allowed only ___.", "behind the wash bay")),
        ("Bags are kept for 31 days, spare keys for 14 days.", "Lost", ("spare keys are kept for ___.", "14 days")),
        ("A pot of tea is £2.70, a hot chocolate £3.85.", "Drinks", ("a hot chocolate is ___.", "£3.85")),
    ],
)
def test_what_a_sentence_leaves_out_is_said(facts_in: Callable[..., list[Fact]], text: str, heading: str, told: tuple[str, str]) -> None:
    assert told in [(fact.relation, fact.value) for fact in facts_in(text, heading)]


@pytest.mark.parametrize(
    "text", ["Feed at noon.", "Need at least two people.", "Opened by hand. Feed it at noon.", "Trains only run at noon."]
)
def test_what_leaves_nothing_out_is_not_said_of_the_heading(facts_in: Callable[..., list[Fact]], text: str) -> None:
    relations = [fact.relation for fact in facts_in(text, "Prices")]
    assert not [relation for relation in relations if "prices" in relation.lower() or "allowed" in relation]


def test_a_postcode_is_asked_for_by_itself(facts_in: Callable[..., list[Fact]]) -> None:
    table = "| Depot | Address | Phone |\n|---|---|---|\n| Ossing | 7 Tan Way, Ossing, XZ9 3BD | 01632 960421 |\n"
    text = f"{table}\nYou find us at Unit 6, Mill Yard, Orton OR9 2QX. Letters go to Gale Ltd, 3 Mill Road, Orton OR9 3QX.\n"
    found = {(fact.subject, fact.value) for fact in facts_in(text, "Depots") if fact.relation == "postcode"}
    assert found == {("Ossing", "XZ9 3BD"), ("Fernlea Pottery", "OR9 2QX")}
    back = {w.prompt: w.answer for each in wordings(facts_in(table, "Depots")) for w in each if w.kind == "reverse"}
    assert back["Which depot has XZ9 3BD as postcode?"] == "Ossing."
    assert "postcode" not in {fact.relation.lower() for fact in facts_in("- Postcode: OR9 2QX", "Depots") if fact.subject != "Postcode"}
