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
        ("She starts at half past four in the morning.", "half past four in the morning", "time"),
        ("We opened at ten to nine in the morning.", "ten to nine in the morning", "time"),
        ("On Mondays at two o'clock we row.", "two o'clock", "time"),
        ("By 11.40 all was sold.", "11.40", "time"),
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
        ("Ring +49 (0)30 1234567.", "+49 (0)30 1234567", "contact"),
        ("Ring +33 1 23 45 67 89.", "+33 1 23 45 67 89", "contact"),
        ("Ring 0800 111 999.", "0800 111 999", "contact"),
        ("Ring (419) 555-0142.", "(419) 555-0142", "contact"),
        ("Ring 902-555-0142.", "902-555-0142", "contact"),
        ("Ring 5550 0142.", "5550 0142", "contact"),
        ("It carries 100-150 kg.", "100-150 kg", "measure"),
        ("It carries 1 200 kg.", "1 200 kg", "measure"),
        ("The roof cost EUR 12 500.", "EUR 12 500", "money"),
        ("The roof cost 12 500 €.", "12 500 €", "money"),
        ("In 2025 500 € were given.", "500 €", "money"),
        ("VAT is 2,5 %.", "2,5 %", "percent"),
        ("Sales grew by 1,250%.", "1,250%", "percent"),
        ("Members get 5-10% off.", "5-10%", "percent"),
        ("Members get 5 to 10 per cent off.", "5 to 10 per cent", "percent"),
        ("VAT rose in 2025 to 10%.", "10%", "percent"),
        ("It is £5 or 10%.", "10%", "percent"),
        ("It opened on 12.03.2026.", "12.03.2026", "date"),
        ("It opened on March 1 2026.", "March 1 2026", "date"),
        ("On May 12 1200 people came.", "May 12", "date"),
        ("It was rebuilt in 2024-2025.", "2024-2025", "date"),
        ("Open 9:00 AM - 5:00 PM.", "9:00 AM - 5:00 PM", "time"),
        ("Open 9 A.M. to 5 P.M. daily.", "9 A.M. to 5 P.M.", "time"),
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


def test_a_range_a_sum_or_a_date_is_no_phone_number() -> None:
    for text in ("100-150 guests", "in 2024-2025", "12 500 visitors", "01-02-2026", "0900-1700", "in 2024 1200 people", "claim 26-0418"):
        assert not [v for v in find_values(text) if v.kind == "contact"], text
