from __future__ import annotations

from dataclasses import replace

import pytest

from engrain.documents.base import Document, Section
from engrain.knowledge.facts import find_facts
from engrain.knowledge.superseded import Superseded, supersede

TODAY = "2026-06-30"
OLD = """| Service | Price | Time |
|---|---|---|
| Nib straightening | £24 | 5 days |
| Engraving | £12 | 2 days |

The clinic opens at 9:00. Ada Merle runs the workshop. Dogs are not allowed in the workshop.

Telephone: 01632 960111
"""


def document(title: str, text: str, file: str = "", date: str = "", modified: str = "2026-06-01") -> Document:
    name = file or f"{title.lower().replace(' ', '-')}.md"
    return Document(name, title, (Section(name, 1, (title,), text, 0),), "0", date, modified)


def changes(*documents: Document, today: str = TODAY) -> dict[str, str]:
    return {pair.old.value: pair.new.value for pair in compared(*documents, today=today)[1]}


def compared(*documents: Document, today: str = TODAY) -> tuple[list[str], list[Superseded]]:
    facts = find_facts(documents, "Ferrybank Pens")
    current, found = supersede(facts, documents, today)
    return [fact.value for fact in current], found


def test_a_notice_supersedes_an_older_price_list() -> None:
    notice = """Date: 20 February 2026

From 1 March 2026 the price of nib straightening is £26. From 1 March 2026, the clinic opens at 10:00. Engraving now costs £14.
Jonas Tern runs the workshop. Dogs are allowed in the workshop.

Telephone: 01632 960222
"""
    values, found = compared(document("Price list 2025", OLD), document("Notice to customers", notice))
    assert {pair.old.value: pair.new.value for pair in found} == {
        "£24": "£26",
        "9:00": "10:00",
        "£12": "£14",
        "Ada Merle": "Jonas Tern",
        "01632 960111": "01632 960222",
        "Dogs are not allowed in the workshop": "Dogs are allowed in the workshop",
    }
    assert not {"£24", "9:00", "£12", "Ada Merle", "01632 960111"} & set(values)
    assert {"£26", "10:00", "£14", "5 days", "2 days"} <= set(values)
    first = next(pair for pair in found if pair.old.value == "£24")
    assert first.to_row() == {
        "about": "Nib straightening: Price",
        "old": "£24",
        "new": "£26",
        "old_place": "price-list-2025.md › Price list 2025",
        "new_place": "notice-to-customers.md › Notice to customers",
        "old_date": "2025",
        "new_date": "2026-03-01",
    }


def test_what_a_superseded_sentence_says_besides_goes_with_it() -> None:
    old = document("Fees 2025", "Ada Merle runs the workshop.")
    new = document("Fees 2026", "Jonas Tern runs the workshop.")
    values, found = compared(old, new)
    assert [fact.relation for fact in found[0].gone] == ["Ada Merle runs ___."]
    assert values.count("the workshop") == 1


def test_of_three_the_latest_counts() -> None:
    lists = [document(f"Prices {year}", f"A gift card costs £{n}.") for year, n in ((2023, 18), (2025, 25), (2024, 20))]
    assert changes(*lists) == {"£18": "£25", "£20": "£25"}


def test_of_three_without_a_date_the_file_that_changed_last_counts() -> None:
    lists = [document("Cards", f"A gift card costs £{n}.", f"{month}.md", modified=f"2026-{month}-05") for month, n in MONTHS]
    assert changes(*lists) == {"£20": "£25", "£22": "£25"}


MONTHS = (("01", 20), ("03", 22), ("05", 25))


def test_what_another_day_tells_apart_stays() -> None:
    old, new = (document(f"Programme {month} 2026", f"The walk on {day} costs £{n}.") for month, day, n in WALKS)
    assert changes(old, new) == {}
    old, new = (document(f"Programme {year}", f"| Day | Start |\n|---|---|\n| {day} | {time} |\n") for year, day, time in STARTS)
    assert changes(old, new) == {}
    again = document("Programme June 2026", "The walk on 30 May costs £8.")
    assert changes(document("Programme May 2026", "The walk on 30 May costs £5."), again) == {"£5": "£8"}


WALKS = (("May", "30 May", 5), ("June", "20 June", 8))
STARTS = ((2025, "3 October", "14:00"), (2026, "10 October", "15:00"))


def test_a_subject_that_is_only_a_year_is_none() -> None:
    old, new = (document(f"Figures {year}", f"| Year | Visitors |\n|---|---|\n| {year} | {year - 1000} |\n") for year in (2024, 2025))
    assert changes(old, new) == {}


def test_an_old_notice_does_not_overrule_what_was_written_after_it() -> None:
    notice = document("News", "As of 1 April 2019 a gift card costs £25.", modified="2019-04-02")
    assert changes(document("About", "A gift card costs £30.", modified="2026-05-05"), notice) == {}
    assert changes(document("About", "A gift card costs £30.", modified="2019-01-01"), notice) == {"£30": "£25"}


def test_an_office_has_one_holder() -> None:
    old, new = (
        document("Team 2024", "Ada Merle is the manager of the shop."),
        document("Team 2026", "Jonas Tern is the manager of the shop."),
    )
    assert changes(old, new)["Ada Merle"] == "Jonas Tern"


def test_a_change_to_come_supersedes_nothing_yet() -> None:
    old = document("Prices 2025", "A gift card costs £20.")
    new = document("Notice", "From 1 September 2026 a gift card costs £25.")
    assert changes(old, new) == {}
    assert changes(old, new, today="2026-09-01") == {"£20": "£25"}


def test_a_sentence_that_says_from_when_overrules_what_has_no_date() -> None:
    assert changes(document("About", "A gift card costs £20."), document("News", "As of 1 April 2026 a gift card costs £25.")) == {
        "£20": "£25"
    }
    one = document("About", "A gift card costs £20. As of 1 April 2026 a gift card costs £25.")
    assert changes(one) == {"£20": "£25"}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("A gift card costs £20.", "A gift card costs £20.", "the same value"),
        ("A gift card costs £20.", "A gift box costs £25.", "another subject"),
        ("The hut costs £20 an hour.", "The hut costs £90 a day.", "another unit"),
        ("A gift card costs £20.", "From 1 July to 31 August 2026 a gift card costs £15.", "a time with an end"),
        ("Mira Oduya teaches the harp.", "Jonas Tern teaches the harp.", "both may teach it"),
        ("We sell pens and ink.", "We sell paper.", "lists of things go side by side"),
    ],
)
def test_what_may_hold_beside_another_stays(old: str, new: str, reason: str) -> None:
    assert changes(document("Prices 2024", old), document("Prices 2026", new)) == {}, reason


def test_dates_must_differ_clearly() -> None:
    old, new = (replace(document(f"List {letter}", f"A gift card costs £{price}."), date=day) for letter, price, day in CARDS)
    assert changes(old, new) == {}
    assert changes(old, replace(new, date="2026-05-01")) == {"£20": "£25"}
    assert changes(old, replace(new, date="")) == {}, "a file without a date of its own may be older than it looks"


CARDS = (("A", 20, "2026-04-01"), ("B", 25, "2026-04-01"))


def test_the_day_of_the_last_change_counts_where_no_text_has_a_date() -> None:
    old = document("Cards", "A gift card costs £20.", "old.md", modified="2026-01-05")
    new = document("Cards", "A gift card costs £25.", "new.md", modified="2026-05-05")
    _, (pair,) = compared(old, new)
    assert (pair.old_date, pair.new_date) == ("2026-01-05", "2026-05-05")
    assert changes(old, replace(new, modified="2026-01-05")) == {}
    assert changes(replace(old, modified=""), replace(new, modified="")) == {}
    assert changes(old, replace(new, date="2026-02-02")) == {"£20": "£25"}, "nothing in old.md was written later than that"
    assert changes(old, replace(new, date="2025-12-31")) == {}


def test_the_same_words_under_headings_of_another_matter_stay() -> None:
    old, new = document("Museum entry 2025", "- Children: £4"), document("Harp lessons 2026", "- Children: £9")
    assert changes(old, new) == {}
    assert changes(old, document("Museum entry 2026", "- Children: £5")) == {"£4": "£5"}


def test_a_document_that_says_both_is_not_settled() -> None:
    table = "Entry\n\n- Children: £4\n- Children: £6\n"
    assert changes(document("Prices 2025", table), document("Prices 2026", "- Children: £5")) == {}
    assert changes(document("Prices 2025", "- Children: £5"), document("Prices 2026", table)) == {}


def test_what_belongs_to_one_occasion_supersedes_nothing() -> None:
    old, new = document("Minutes 3 March 2026", "The chair is Ada Merle."), document("Minutes 7 April 2026", "The chair is Jonas Tern.")
    assert changes(old, new) == {}
