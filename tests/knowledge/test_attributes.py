from __future__ import annotations

from collections.abc import Callable

import pytest

from asked import prompts
from engrain.knowledge.attributes import is_noun
from engrain.knowledge.facts import Fact
from engrain.knowledge.forms import wordings


def asked(facts: list[Fact], kind: str = "question") -> dict[str, str]:
    """Prompt to answer, of all wordings of a kind."""
    return {w.prompt: w.answer for each in wordings(facts) for w in each if w.kind == kind}


def test_what_can_stand_after_the() -> None:
    assert all(map(is_noun, ("fee", "teacher", "price per VAT unit", "bed", "speed", "serving", "meeting point")))
    assert not any(map(is_noun, ("ready", "closed", "born", "last done", "kept until", "with us since", "open", "booked")))


def test_a_column_that_is_no_noun_is_asked_in_its_own_words(facts_in: Callable[..., list[Fact]]) -> None:
    found = asked(facts_in("| Bowl | Ready | Made in | Lidded |\n|---|---|---|---|\n| Tea bowl | in 3 weeks | Leeds | yes |"))
    assert found["When is a tea bowl ready?"] == "In 3 weeks."
    assert found["Is a tea bowl lidded?"] == "Yes."
    assert not [prompt for prompt in found if "the ready" in prompt or "the lidded" in prompt or "ready of" in prompt]


def test_since_when(facts_in: Callable[..., list[Fact]]) -> None:
    table = "| Name | Role | With us since | Member since |\n|---|---|---|---|\n| Ruta Klimas | Potter | 2022-05-30 | 2019 |"
    found = asked(facts_in(table))
    assert found["Since when has Ruta Klimas been with you?"] == "30 May 2022."
    assert found["Since when has Ruta Klimas been a member?"] == "2019."
    assert not [prompt for prompt in found if "the with us" in prompt]
    found = facts_in("| Name | Role | Since | Mobile |\n|---|---|---|---|\n| Ruta Klimas | Potter | 2022 | 087 555 0163 |")
    assert asked(found)["Since when has Ruta Klimas been here?"] == "2022."
    assert asked(found)["What is the mobile number for Ruta Klimas?"] == "087 555 0163."
    assert asked(found, "reverse")["Who has been here since 2022?"] == "Ruta Klimas."


def test_what_one_side_has_of_the_other_is_asked_for_the_case(facts_in: Callable[..., list[Fact]]) -> None:
    found = asked(facts_in("| Notice given | You pay |\n|---|---|\n| More than 28 days | £20 |\n| Less than 2 days | The full price |"))
    assert found["What do I pay if the notice given is less than 2 days?"] == "The full price."
    assert found["More than 28 days: what do I pay?"] == "£20."
    assert not [prompt for prompt in found if "the you pay" in prompt]


def test_a_column_that_is_called_by_its_currency_holds_prices(facts_in: Callable[..., list[Fact]]) -> None:
    found = asked(facts_in("| What | £ | Comment |\n|---|---|---|\n| Family pen | £38.00 | flat rate |\n| Small pen | 17.50 | |"))
    assert found["How much is a family pen?"] == "£38.00."
    assert found["How much is a small pen?"] == "£17.50."


def test_a_note_is_not_asked_for_by_its_length(facts_in: Callable[..., list[Fact]]) -> None:
    found = asked(facts_in("| Item | Price | Notes |\n|---|---|---|\n| Consultation | £48 | 15 minutes |"))
    assert found["What should I know about Consultation?"] == "15 minutes."
    assert not [prompt for prompt in found if prompt.startswith("How long")]


def test_routes_are_asked_for_as_people_do(facts_in: Callable[..., list[Fact]]) -> None:
    table = "| Route | From | To | Via | Every |\n|---|---|---|---|---|\n| 9 | Quay | Moor End | Saltley | 30 minutes |"
    found = asked(facts_in(f"{table}\n| 14 | Quay | Hythe | Lea | hourly |"))
    assert found["Where does Route 9 leave from?"] == "Quay."
    assert found["Where does Route 14 go?"] == "Hythe."
    assert found["Which places does Route 9 go through?"] == "Saltley."
    assert found["How often does Route 9 run?"] == "30 minutes."


def test_a_price_within_a_column_that_has_its_sign(facts_in: Callable[..., list[Fact]]) -> None:
    found = facts_in("| Art. no. | Product | Dealer € net | RRP € incl. VAT |\n|---|---|---|---|\n| 500010 | Tea bowl | 23.60 | 44.90 |")
    assert asked(found)["What is the dealer net price for a tea bowl?"] == "€23.60."
    assert asked(found)["What is the RRP including VAT for a tea bowl?"] == "€44.90."
    assert asked(found)["What is the article number for a tea bowl?"] == "500010."
    assert asked(found, "reverse")["Which product has a dealer net price of €23.60?"] == "Tea bowl."


def test_titles_are_no_people_and_people_are_one(facts_in: Callable[..., list[Fact]]) -> None:
    table = "| Course | Teacher | When | Fee |\n|---|---|---|---|\n| Ink and Thread | Ruta Klimas | 4 March 2027 | £85 |\n\n"
    staff = "| Name | Role | Days |\n|---|---|---|\n| Ruta Klimas | Potter | Friday |"
    facts = facts_in(table + staff)
    found = asked(facts)
    assert found["When is Ink and Thread?"] == "4 March 2027."
    assert found["How much does Ink and Thread cost?"] == "£85."
    assert found["When does Ruta Klimas work?"] == "Friday."
    assert found["Who is Ink and Thread’s teacher?"] == "Ruta Klimas."
    assert "What is the teacher for Ink and Thread?" not in found
    assert "When does Ink and Thread work?" not in found
    assert not [prompt for prompt in asked(facts, "reverse") if prompt.startswith("Whose when")]


HOURS = """| Day | Shop | Workshop |
|---|---|---|
| Monday, Tuesday and Thursday | 9:00–17:00 | by appointment |
| Sunday | closed | closed |
"""


def test_each_day_of_a_list_is_asked_for(facts_in: Callable[..., list[Fact]]) -> None:
    found = asked(facts_in("- Wednesday to Friday: 10:00–18:00\n- Sunday: closed", "Opening hours"))
    assert found["When are you open on Thursday?"] == "10:00–18:00."
    assert found["Are you open on Friday?"] == "Yes, 10:00–18:00."
    assert found["Are you open on Sunday?"] == "No, closed."
    two = asked(facts_in(HOURS, "Opening hours"))
    assert two["When is the shop open on Tuesday?"] == "9:00–17:00."
    assert two["Is the workshop open on Sunday?"] == "No, closed."
    assert "When are you open on Tuesday?" not in two


def test_the_time_of_a_class_is_no_opening_hour(facts_in: Callable[..., list[Fact]]) -> None:
    found = asked(facts_in("- Monday: 18:30 to 19:30\n- Wednesday: 7:15 to 8:00", "Yoga classes"))
    assert not [prompt for prompt in found if prompt.startswith("Are you open")]


def test_a_row_of_a_day_that_is_about_no_hours_is_asked_for_by_its_column(facts_in: Callable[..., list[Fact]]) -> None:
    found = asked(facts_in("| Day | Soup |\n|---|---|\n| Monday | leek and barley |", "Kitchen"))
    assert found["What is the soup for Monday?"] == "Leek and barley."


def test_when_a_text_was_written_is_asked_of_the_text(facts_in: Callable[..., list[Fact]]) -> None:
    found = asked(facts_in("- Posted: 2026-10-03\n- Clay: £4 a bag", "Winter notice"))
    assert found["When was “Winter notice” posted?"] == "3 October 2026."
    assert not [prompt for prompt in found if "take place" in prompt]


def test_who_wrote_a_text_has_another_work(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("- Author: Ruta Klimas\n\n| Name | Role |\n|---|---|\n| Ruta Klimas | Potter |")
    assert asked(facts)["What does Ruta Klimas do?"] == "Potter."


def test_a_time_is_no_date_whatever_stands_before_it(facts_in: Callable[..., list[Fact]]) -> None:
    found = asked(facts_in("- Check in: from 15:00\n- Check out: by 10:30", "Rooms"))
    assert found["What time is check out?"] == "By 10:30."
    assert "On which day is check out?" not in found


def test_what_a_price_costs_in_another_cell_s_currency(facts_in: Callable[..., list[Fact]]) -> None:
    table = "| Name | Price | Currency |\n|---|---|---|\n| Net Room | 128 | EUR |\n"
    assert asked(facts_in(table, "Rooms"))["How much is Net Room?"] == "€128."


def test_the_whole_of_a_value_takes_in_what_it_begins_with(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("- Maintenance: every second Tuesday from 03:00 to 04:00 UTC", "Status")
    assert [fact.value for fact in facts if fact.relation == "date"] == ["every second Tuesday from 03:00 to 04:00 UTC"]


def test_for_how_long_a_price_is(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("| Boat | 1 hour | Half day |\n|---|---|---|\n| Otter | £12 | £35 |\n| Pike | £24 | £70 |\n", "Boats")
    found, back = asked(facts), asked(facts, "reverse")
    assert found["How much is Otter for 1 hour?"] == "£12."
    assert found["What does Pike cost for a half day?"] == "£70."
    assert back["Which boat costs £35 for a half day?"] == "Otter."
    assert not [prompt for prompt in (*found, *back) if "the 1 hour price" in prompt or "as half day" in prompt]


def test_a_sum_has_no_price(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("- Deposit: £40\n- City tax: £1.50\n- Gift box: £7", "Before you start")
    found = asked(facts)
    assert found["How much is the deposit?"] == "£40."
    assert found["How high is the city tax?"] == "£1.50."
    assert found["What is the price of a gift box?"] == "£7."
    assert not [prompt for prompt in found if "price of Deposit" in prompt or "price of a city tax" in prompt]
    assert "What costs £40?" not in asked(facts, "reverse")


def test_a_row_with_a_date_is_asked_for_in_words(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("| Date | High water |\n|---|---|\n| 2027-05-01 | 6:12 |\n| 2027-05-02 | 6:58 |\n", "Tides")
    assert asked(facts)["What is the high water for 1 May 2027?"] == "6:12."
    assert asked(facts, "reverse")["Which date has 6:58 as high water?"] == "2 May 2027."


def test_an_extension_is_a_contact(facts_in: Callable[..., list[Fact]]) -> None:
    assert asked(facts_in("- Payroll: Ife Adeyemi, ext. 21", "Contacts"))["How can I reach Payroll?"] == "Ext. 21."


def test_the_fields_of_a_timetable_are_asked_for_by_day_and_hour(facts_in: Callable[..., list[Fact]]) -> None:
    rows = "| Time | Monday | Saturday |\n|---|---|---|\n| 09:30 | Knots | Family hour |\n| 17:45 | Youth squad | |\n"
    columns = "| Day | 09:30 | 17:45 |\n|---|---|---|\n| Monday | Knots | Youth squad |\n| Saturday | Family hour | |\n"
    for table in (rows, columns):
        facts = facts_in(table, "Timetable")
        assert asked(facts)["What takes place on Monday at 17:45?"] == "Youth squad."
        back = asked(facts, "reverse")
        assert back["When is Family hour?"] == "Saturday at 09:30."
        assert back["At what time are Knots on Monday?"] == "09:30."
        assert back["On which day is Youth squad at 17:45?"] == "Monday."
        assert not [prompt for prompt in (*asked(facts), *back) if "monday for" in prompt or "as monday" in prompt]


def test_a_list_says_once_what_its_prices_are_in(facts_in: Callable[..., list[Fact]]) -> None:
    table = "| Item | Unit | 1 day | Weekend | Deposit | Seats |\n|---|---|---|---|---|---|\n| Bell tent | each | 9 | from 15 | 60 | 4 |"
    found = asked(facts_in(f"Valid from May, all prices in £ without VAT.\n\n{table}", "Hire"))
    assert found["How much is a bell tent for 1 day?"] == "£9."
    assert found["How much is a bell tent for a weekend?"] == "From £15."
    assert found["How much is the deposit for a bell tent?"] == "£60."
    assert found["How many does a bell tent seat?"] == "4."
    assert asked(facts_in(table, "Hire"))["What is the 1 day for a bell tent?"] == "9.", "nothing says what it is in"


def test_columns_that_are_clauses_ask_themselves(facts_in: Callable[..., list[Fact]]) -> None:
    table = "| Form | Who gets it | Book by | Ask for | Phone |\n|---|---|---|---|---|\n"
    found = asked(facts_in(f"{table}| Transfer note | every customer | Thursday noon | Piers Tolland | 01632 960410 |", "Forms"))
    assert found["Who gets a transfer note?"] == "Every customer."
    assert found["By when do I have to book for a transfer note?"] == "Thursday noon."
    assert found["Whom do I ask about a transfer note?"] == "Piers Tolland."
    assert found["What is the phone number for a transfer note?"] == "01632 960410."


def test_an_item_that_is_a_length_of_time_by_itself(facts_in: Callable[..., list[Fact]]) -> None:
    found = asked(facts_in("- Minimum term: 6 months\n- Screens: 90 days", "Terms"))
    assert found["How long is the minimum term?"] == "6 months."
    assert found["How long is it for Screens?"] == "90 days."


def test_an_address_alone_is_where_the_thing_above_it_is(facts_in: Callable[..., list[Fact]]) -> None:
    address = "Unit 6, Mill Yard, Orton OR9 2QX"
    assert asked(facts_in(address, "Depot"))["Where is Depot?"] == f"{address}."
    (fact,) = facts_in(address, "Find us")
    assert asked([fact])[f"Where is {fact.business}?"] == f"{address}."


def test_a_heading_that_names_a_sum_or_a_time_says_what_its_items_are(facts_in: Callable[..., list[Fact]]) -> None:
    found = asked(facts_in("- Books: 10p a day\n- Films: £1 a day", "Late fees"))
    assert found["How much is the late fee for Films?"] == "£1 a day."
    found = asked(facts_in("- Screens and batteries: 6 months\n- Other parts: 90 days", "Repair guarantee"))
    assert found["How long is the repair guarantee for screens and batteries?"] == "6 months."
    assert "How long is it for other parts?" not in found
    assert asked(facts_in("- Bread: £2\n- Buns: £1", "Prices"))["How much is Bread?"] == "£2."


def test_notes_on_rows_tell_of_them(facts_in: Callable[..., list[Fact]]) -> None:
    staff = (
        "| Name | Role | Also |\n|---|---|---|\n| Ruta Klimas | Potter | founded the loft in 2009 |\n| Jan Oram | Printer | first aider |\n"
    )
    things = "\n| Item | Notes |\n|---|---|\n| Radio microphone | takes 2 AA batteries |\n| Loud hailer | in a case |\n"
    facts = facts_in(staff + things, "Staff")
    found, back = asked(facts), asked(facts, "reverse")
    assert found["When did Ruta Klimas found the loft?"] == "2009."
    assert back["Who is the first aider?"] == "Jan Oram."
    assert back["What takes 2 AA batteries?"] == "The radio microphone."
    assert not [prompt for prompt in (*found, *back) if "hailer is" in prompt]


@pytest.mark.parametrize(
    ("column", "value", "question"),
    [
        ("Max people", "12", "How many people can a kiln room take?"),
        ("Lead time", "10 days", "How far ahead must I book a kiln room?"),
        ("Notes", "closed in May", "What should I know about a kiln room?"),
        ("Tutor", "Ana Ruiz", "Who teaches a kiln room?"),
        ("Minimum age", "12", "How old does one have to be for a kiln room?"),
    ],
)
def test_what_a_column_is_called_is_asked_for_as_people_do(
    facts_in: Callable[..., list[Fact]], column: str, value: str, question: str
) -> None:
    facts = facts_in(f"| Room | {column} |\n| --- | --- |\n| Kiln room | {value} |\n| Wheel hall | by hand |")
    assert question in prompts(facts, value)


def test_a_person_is_reached_by_an_extension(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("| Name | Role | Ext. |\n| --- | --- | --- |\n| Ana Ruiz | treasurer | 12 |\n| Jan Oram | warden | 14 |")
    assert "How do I reach Ana Ruiz by phone?" in prompts(facts, "12")


def test_when_somebody_is_off_is_asked_both_ways(facts_in: Callable[..., list[Fact]]) -> None:
    facts = facts_in("| Name | Role | Day off |\n|---|---|---|\n| Ana Ruiz | Cook | Thursday |\n| Ben Okoro | Porter | Friday |")
    assert asked(facts)["When is Ana Ruiz’s day off?"] == "Thursday."
    assert asked(facts, "reverse")["Who has Friday off?"] == "Ben Okoro."


def test_what_is_counted_is_asked_with_how_many(facts_in: Callable[..., list[Fact]]) -> None:
    found = asked(
        facts_in("| Plan | Days | Texts included | Reports go back (months) |\n|---|---|---|---|\n| Basic | 27 per year | 50 | 6 |")
    )
    assert found["How many days are there for Basic?"] == "27 per year."
    assert found["How many texts are included with Basic?"] == "50."
    assert found["Basic: reports go back how long?"] == "6 months."
    assert not [prompt for prompt in found if prompt.startswith("When")]
