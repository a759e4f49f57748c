from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from engrain.documents.base import Document, Unread
from engrain.documents.data import humanise

Sections = dict[tuple[str, ...], str]


def test_yaml_becomes_headings_pairs_and_tables(read: Callable[..., Document]) -> None:
    document = read(
        "a.yaml",
        "title: Settings\ndate: 2026-03-04\nbusinessName: Harbour\nhours:\n  monday: 9:30\n"
        "  sunday: no\n  notes: |\n    One line.\n    Two.\ndogs-allowed: true\n"
        "prices:\n  - {item: Kayak, price: 12.50}\n  - {item: Boat, price: 20.00}\n"
        "pay: [cash, card]\nbase: &b {colour: red}\nother: {<<: *b, size: 3}\nnone: null\n",
    )
    assert (document.title, document.date) == ("Settings", "2026-03-04")
    assert {section.headings[1:]: section.text for section in document.sections} == {
        (): "- Date: 2026-03-04\n- Business name: Harbour\n- Dogs allowed: yes\n- Pay: cash, card",
        ("Hours",): "- Monday: 9:30\n- Sunday: no",
        ("Hours", "Notes"): "One line.\nTwo.",
        ("Prices",): "| Item | Price |\n| --- | --- |\n| Kayak | 12.50 |\n| Boat | 20.00 |",
        ("Base",): "- Colour: red",
        ("Other",): "- Colour: red\n- Size: 3",
    }


def test_json_lists_of_differing_objects_go_by_their_names(sections: Callable[..., Sections]) -> None:
    notices = [
        {"id": 1, "title": "Winter", "body": "# Head\n\nWe close.", "tags": ["a", "b"]},
        {"question": "Dogs?", "answer": "No.", "details": {"maxSeats": 4, "open": False}},
    ]
    assert sections("notices.json", json.dumps(notices)) == {
        ("Notices", "Winter", "Head"): "We close.\n\n- Id: 1\n- Tags: a, b",
        ("Notices", "Dogs?"): "No.\n\n- Max seats: 4\n- Open: no",
    }


def test_a_number_has_the_unit_that_its_key_ends_in(sections: Callable[..., Sections]) -> None:
    values = {
        "notice_days": 30,
        "minimumTermMonths": 1,
        "fee_gbp": 12.5,
        "load kg": 40,
        "opening_days": 5,
        "visits_per_year": 2,
        "days": "3",
    }
    assert sections("rules.json", json.dumps(values)) == {
        (
            "Rules",
        ): "- Notice: 30 days\n- Minimum term: 1 month\n- Fee: £12.5\n- Load: 40 kg\n- Opening days: 5\n- Visits per year: 2\n- Days: 3"
    }


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("session_timeout_min", 25, "Session timeout: 25 minutes"),
        ("switch_to_fallback_after_s", 1, "Switch to fallback after: 1 second"),
        ("slow_query_ms", 750, "Slow query: 750 ms"),
        ("logo_max_kb", 600, "Logo max: 600 KB"),
        ("walk_mins", 12, "Walk: 12 minutes"),
        ("order_min", 5, "Order min: 5"),
        ("visits_per_h", 3, "Visits per h: 3"),
    ],
)
def test_short_units_count_where_they_are_nothing_else(key: str, value: int, told: str, sections: Callable[..., Sections]) -> None:
    assert list(sections("a.json", json.dumps({key: value})).values()) == [f"- {told}"]


def test_what_an_object_of_a_list_holds_in_an_inner_one_is_said_of_it(sections: Callable[..., Sections]) -> None:
    events = [
        {"title": "Fair", "date": "2025-05-02", "event": {"date": "14 June", "place": "Corn Hall"}, "hours": {"mon": "9-5", "sat": "9-1"}},
        {"title": "Shop", "address": {"street": "4 Mill Lane", "town": "Corby"}, "notes": {"long": "w" * 120}},
    ]
    assert sections("events.json", json.dumps(events)) == {
        ("Events", "Fair"): "- Date: 2025-05-02\n- Event date: 14 June\n- Place: Corn Hall",
        ("Events", "Fair", "Hours"): "- Mon: 9-5\n- Sat: 9-1",
        ("Events", "Shop"): "- Address: 4 Mill Lane, Corby",
        ("Events", "Shop", "Notes", "Long"): "w" * 120,
    }


def test_what_sums_and_places_are_of_is_said_with_them(sections: Callable[..., Sections]) -> None:
    course = {
        "title": "Yoga",
        "fee": {"adult": 9, "member_price": 7, "currency": "GBP"},
        "places": {"max": 12, "waiting": 3},
        "when": {"start": "19:30", "minutes": 45},
        "deposit": {"amount": 5},
    }
    assert sections("courses.json", json.dumps([course])) == {
        ("Courses", "Yoga"): "- Adult fee: 9\n- Member price: 7\n- Currency: GBP\n- Max places: 12\n- Waiting places: 3\n"
        "- Start: 19:30\n- Duration: 45 minutes\n- Amount: 5"
    }


def test_lists_of_scalars_are_items(read: Callable[..., Document]) -> None:
    assert read("a.json", json.dumps(["tea", None, ["cake", 2], "x" * 50])).sections[0].text == f"- tea\n\n- cake\n\n- 2\n\n- {'x' * 50}"


def test_numbers_stay_as_they_are_written(read: Callable[..., Document]) -> None:
    assert read("a.json", '{"price": 2.50, "big": 123456789012345678901234567890, "small": 1e3}').sections[0].text == (
        "- Price: 2.50\n- Big: 123456789012345678901234567890\n- Small: 1e3"
    )


def test_lines_of_json(read: Callable[..., Document], unread: Callable[..., Unread]) -> None:
    document = read("a.jsonl", '{"item": "Tea", "price": 2}\n\n{"item": "Cake", "price": 3}\n')
    assert document.sections[0].text == "| Item | Price |\n| --- | --- |\n| Tea | 2 |\n| Cake | 3 |"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("openingHours", "Opening hours"),
        ("opening_hours", "Opening hours"),
        ("VATRate", "VAT rate"),
        ("Tea & Cake", "Tea & Cake"),
        ("wi-fi", "Wi fi"),
        (3, "3"),
    ],
)
def test_keys_become_words(key: object, words: str) -> None:
    assert humanise(key) == words


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", '{"a": 1,\n"b" 2}', "broken JSON: line 2, column 5"),
        ("a.jsonl", '{"a": 1}\n{\n{"b": 2}\nx\n', "broken JSON in line 2, 4"),
        ("a.yaml", "a: 1\nb: [1\n", "broken YAML: line 3"),
        ("a.yaml", "a: !!python/object/apply:os.system [ls]", "broken YAML: line 1: could not determine a constructor"),
        ("a.yaml", BOMB, "more than 1,000,000 values"),
        ("a.yaml", "&a [*a, x]", "more than 1,000,000 values"),
        ("a.json", "[" * 100_000 + "]" * 100_000, "nested too deep"),
        ("a.yaml", "[" * 5_000 + "]" * 5_000, "nested too deep"),
        ("a.json", "{}", "holds no text"),
    ],
    ids=["json", "jsonl", "yaml", "yaml object", "yaml bomb", "yaml circle", "deep json", "deep yaml", "empty"],
)
def test_files_that_cannot_be_read(unread: Callable[..., Unread], name: str, content: str, reason: str) -> None:
    assert unread(name, content).reason.startswith(reason)


def test_deep_levels_stay_readable(read: Callable[..., Document]) -> None:
    value: dict[str, object] = {"end": "here"}
    for level in range(12):
        value = {f"level{level}": value, "x": "y"}
    assert read("a.json", json.dumps(value)).sections[-1].text == "- End: here"


def test_only_the_key_that_gave_the_name_is_left_out(sections: Callable[..., Sections]) -> None:
    assert sections("a.json", json.dumps({"name": "Berlin", "city": "Berlin", "zone": 1})) == {("Berlin",): "- City: Berlin\n- Zone: 1"}
    shops = [{"Name": "Berlin", "city": "Berlin"}, {"title": "", "id": 7, "seats": 7}]
    assert sections("a.json", json.dumps(shops)) == {("A", "Berlin"): "- City: Berlin", ("A", "7"): "- Seats: 7"}
