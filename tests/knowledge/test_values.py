from __future__ import annotations

import pytest

from engrain.knowledge.values import find_values, kind_of


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ("It costs £7.50 apiece.", "£7.50 apiece", "money"),
        ("It costs €9.80 a bottle.", "€9.80 a bottle", "money"),
        ("It opened on 12 May 2023.", "12 May 2023", "date"),
        ("Open from Friday to Sunday.", "from Friday to Sunday", "date"),
        ("On the first Saturday of the month we mend.", "the first Saturday of the month", "date"),
        ("Closed for 4 to 17 August 2025.", "4 to 17 August 2025", "date"),
        ("From 9.30 am to 6 pm.", "9.30 am to 6 pm", "time"),
        ("It lasts eight minutes.", "eight minutes", "duration"),
        ("Within two working days.", "two working days", "duration"),
        ("We keep 25 per cent.", "25 per cent", "percent"),
        ("It holds 2.4 litres.", "2.4 litres", "measure"),
        ("Ring 01632 960417.", "01632 960417", "contact"),
        ("Ring (03) 5550 4172.", "(03) 5550 4172", "contact"),
        ("Write to stay@osier.example.", "stay@osier.example", "contact"),
        ("It is at 14 Saddler Street now.", "14 Saddler Street", "place"),
        ("A kayak costs 28,50 € a day.", "28,50 € a day", "money"),
        ("The fine is 1.200 €.", "1.200 €", "money"),
        ("A sauna towel costs 40 kr a visit.", "40 kr a visit", "money"),
        ("It is CHF 85 per person.", "CHF 85 per person", "money"),
        ("They raised ₹3,50,000 last year.", "₹3,50,000", "money"),
        ("Schools pay £4 a pupil.", "£4 a pupil", "money"),
        ("It is at Rua das Oliveiras 9 now.", "Rua das Oliveiras 9", "place"),
        ("It is at 7 rue de la Forge now.", "7 rue de la Forge", "place"),
        ("It is at Mühlenweg 12a now.", "Mühlenweg 12a", "place"),
        ("It is at 31 Weaver's Rise now.", "31 Weaver's Rise", "place"),
        ("The van may do 90 km/h.", "90 km/h", "measure"),
    ],
)
def test_typed_values_are_found_whole(text: str, value: str, kind: str) -> None:
    assert (value, kind) in [(text[v.start : v.end], v.kind) for v in find_values(text)]


def test_values_do_not_overlap() -> None:
    values = find_values("From 9 am to 5 pm on 3 May 2025 it costs £5 a day for two weeks.")
    assert all(not a.overlaps(b) for n, a in enumerate(values) for b in values[n + 1 :])


def test_a_plain_text_has_no_kind() -> None:
    assert (kind_of("a damp cloth"), kind_of("£24 a night"), kind_of("64")) == ("", "money", "count")


def test_a_verb_before_a_length_of_time_is_no_street() -> None:
    for text in ("Place Orders 14 days before.", "Im Mai 3 hours are free.", "2 A bench is free."):
        assert not [v for v in find_values(text) if v.kind in {"place", "measure"}]
