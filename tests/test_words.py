from __future__ import annotations

import pytest

from engrain.words import canonical, holds, keywords, refused, stem


@pytest.mark.parametrize(
    "spellings",
    [
        ("£1,200.00", "£1200", "1200 pounds", "1,200 GBP", "£1.2k", "GBP 1200"),
        ("50p", "£0.50", "50 pence", "50p.", "50 pence."),
        ("€85", "85 euros", "85 €"),
        ("nine", "9", "Nine"),
        ("9:00 am", "09:00", "9 am", "9am.", "9 a.m.", "nine am"),
        ("noon", "12:00", "12 noon"),
        ("27th March", "27 March", "March 27", "27th of March", "27 MAR", "March 27."),
        ("27 March 2026", "2026-03-27", "27/03/2026", "March 27th, 2026", "3/27/2026"),
        ("twenty-four hours", "24 hours", "24 hrs", "twenty four hours", "TWENTY-FOUR HOURS"),
        ("one hundred and twenty", "120", "a hundred and twenty"),
        ("15%", "15 per cent", "fifteen percent"),
        ("9am–5pm", "09:00 - 17:00", "9 am to 5 pm"),
        ("5–6 days", "5 to 6 days", "five to six days"),
        ("Mon-Sat", "Monday to Saturday", "Mondays–Saturdays"),
        ("020 7946 0123", "(020) 7946-0123", "02079460123"),
        ("2½ hours", "2.5 hours"),
        ("the 2nd floor", "the second floor", "The Second Floor"),
        ("12th", "twelfth"),
        ("30th", "thirtieth"),
        ("the 21st of each month", "the twenty-first of each month"),
        ("2nd March", "March 2nd", "2 March"),
        ("30 seconds", "30 secs", "thirty seconds", "30 second"),
        ("a 30-second rinse", "a thirty-second rinse", "a 30-sec rinse"),
        ("A$1,200.00", "AU$1200", "AUD 1200", "1,200 AUD"),
        ("C$12", "CA$12", "CAD 12", "12 CAD"),
        ("NZ$12", "NZD 12", "12 NZD"),
        ("US$12", "$12", "USD 12", "12 dollars"),
        ("St Mary’s Café", "st mary's cafe", "ST MARY'S CAFE!"),
        ("https://www.foo.co.uk/", "foo.co.uk", "www.foo.co.uk."),
        ("“Tea & cake”", "tea and cake", "*Tea and cake*"),
    ],
)
def test_one_value_has_one_spelling(spellings: tuple[str, ...]) -> None:
    assert {canonical(text) for text in spellings} == {canonical(spellings[0])}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("£85", "£850"),
        ("3/4/2026", "3 April 2026"),
        ("5.50", "5"),
        ("9 am", "9 pm"),
        ("27 March", "27 April"),
        ("£50", "$50"),
        ("A$50", "NZ$50"),
        ("US$50", "A$50"),
        ("2nd", "3rd"),
        ("the 2nd", "2 seconds"),
        ("22nd", "22 seconds"),
        ("no one", "no 1"),
    ],
)
def test_different_values_stay_different(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


def test_a_verb_is_no_month() -> None:
    assert canonical("Children under 16 may swim") == "children under 16 might swim"
    assert canonical("on 16 May") == "on 16/5"


@pytest.mark.parametrize(
    ("text", "value", "there"),
    [
        ("It costs £85.", "£85", True),
        ("It costs £85.00 now", "£85", True),
        ("It costs £850", "£85", False),
        ("It costs £85.50", "£85", False),
        ("It costs £85.50", "85", False),
        ("It costs £85", "85", True),
        ("twenty-four days", "four", False),
        ("twenty-four days", "four days", False),
        ("four days", "4 days", True),
        ("15 seats", "5", False),
        ("5-6 seats", "5", False),
        ("a 90-minute class", "90 minutes", True),
        ("a 90-minute class", "90", False),
        ("two Swedish massages", "swedish massage", True),
        ("well known", "well-known", True),
        ("art class", "art", True),
        ("party class", "art", False),
        ("It is on the second floor", "2nd", True),
        ("It is on the 2nd floor", "second floor", True),
        ("It takes 30 seconds", "2nd", False),
        ("It takes 1 second", "2nd", False),
        ("a 30-second rinse", "30 seconds", True),
        ("10 litres per second", "2nd", False),
        ("two second-hand kayaks", "second-hand", True),
        ("It costs A$12", "$12", True),
        ("It costs $12", "A$12", False),
        ("It costs A$12", "NZ$12", False),
        ("anything", "", False),
    ],
)
def test_holds_keeps_to_word_boundaries(text: str, value: str, there: bool) -> None:
    assert holds(canonical(text), canonical(value)) is there


def test_keywords_drop_stop_words_and_endings() -> None:
    assert keywords("What are the prices of your deliveries?") == keywords("the delivery price")[::-1]
    assert keywords("Who is the one?") == ()


@pytest.mark.parametrize(
    "family",
    [
        ("open", "opens", "opened", "opening"),
        ("book", "booking", "bookings"),
        ("cancel", "cancellation", "cancelled"),
        ("manage", "manager", "managed"),
    ],
)
def test_stem_joins_a_family(family: tuple[str, ...]) -> None:
    assert len({stem(word) for word in family}) == 1


@pytest.mark.parametrize("word", ["bus", "glass", "£85", "09:00", "this", "station"])
def test_stem_leaves_what_is_no_ending(word: str) -> None:
    assert stem(word) == word


@pytest.mark.parametrize(
    "reply",
    [
        "I don't know.",
        "I don’t know that.",
        "I do not know the answer to that",
        "I'm sorry, but I don't have any information about that.",
        "Sorry, I could not find this.",
        "I'm not sure.",
        "We are unable to answer that question.",
        "This is not mentioned in the documents.",
        "The documents do not say who owns it.",
        "The provided text does not mention a car park.",
        "There is no information about parking.",
        "No information available.",
        "Not specified.",
        "Unknown",
        "It isn't stated anywhere.",
        "Nothing in the documents says so.",
        "I have no information on that.",
        "That cannot be determined from the passage.",
        "That is a good question. I don't know.",
        "It is not in our documents.",
        "I don't have any specific information about opening times.",
        "I do not have access to that.",
        "We don't have the details.",
        "The section does not mention it.",
        "It is not mentioned in this section.",
        "I cannot provide you with specific information about that.",
        "I'm unable to find it.",
        "Sorry, I can’t help with that.",
        "",
        "...",
    ],
)
def test_a_reply_that_declines(reply: str) -> None:
    assert refused(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "Breakfast is not included.",
        "Parking is not available on site.",
        "No, dogs are not allowed.",
        "You do not need to know your size.",
        "If you cannot find the entrance, ring the bell.",
        "We have no dress code problem: come as you are.",
        "The course costs £85. The price of materials is not mentioned.",
        "It is known as the Salt Room.",
        "Ask Ana, who knows everything.",
        "No deposit is needed.",
        "Information is given at the desk.",
        "We do not have any parking.",
        "No, we don't have any vegan options.",
        "We don't have the lift.",
        "Calls are not recorded.",
        "Not available on Sundays.",
        "Dogs are not allowed in the seating section.",
        "The material does not contain latex.",
        "We are unable to accept cash.",
        "No, we don't have wheelchair access.",
        "We cannot provide towels.",
        "No data is given to third parties.",
        "Your details are never disclosed.",
    ],
)
def test_a_reply_that_answers(reply: str) -> None:
    assert not refused(reply)
