from __future__ import annotations

import pytest

from engrain.knowledge.blocks import blocks, sentence_before, sort_of

TABLE = "| Item | Price |\n|---|---|\n| Gift box | £7.50 |\n"


def found(text: str, heading: str = "") -> list[tuple[str, str, str]]:
    return [(b.kind, b.key, b.text) for b in blocks(text, heading)]


def test_blocks_keep_their_place() -> None:
    text = TABLE + "\n- Deposit: £20\n\nOne sentence. Another; with a part.\n"
    assert all(text[b.start : b.start + len(b.text)] == b.text for b in blocks(text))


def test_a_table_gives_cells_named_by_row_and_column() -> None:
    (cell,) = blocks(TABLE)
    assert (cell.kind, cell.key, cell.column, cell.text) == ("cell", "Gift box", "Price", "£7.50")


def test_a_table_after_another_has_its_own_header() -> None:
    found = blocks(f"{TABLE}\n| Room | Seats |\n| --- | --- |\n| Loft | 24 |\n| Cellar | 12 |")
    assert [(b.key, b.column, b.text) for b in found] == [
        ("Gift box", "Price", "£7.50"),
        ("Loft", "Seats", "24"),
        ("Cellar", "Seats", "12"),
    ]


def test_rows_after_an_empty_line_without_a_header_of_their_own_go_on_with_the_table() -> None:
    assert [(b.key, b.column, b.text) for b in blocks(f"{TABLE}\n| Card | £2 |")][1:] == [("Card", "Price", "£2")]


def test_a_row_with_a_code_is_named_by_what_the_code_stands_for() -> None:
    found = blocks("| Code | Item | Price |\n|---|---|---|\n| M1 | Membership | £30 |")
    assert [(b.key, b.column, b.text) for b in found] == [("Membership", "Code", "M1"), ("Membership", "Price", "£30")]


def test_codes_of_letters_are_codes_where_the_column_says_so() -> None:
    rows = "| Code | Item | Day |\n| --- | --- | --- |\n| SB | Snowboard set | £9 |\n| AB-2 | Alpine boots | £7 |"
    assert {block.key for block in blocks(rows)} == {"Snowboard set", "Alpine boots"}
    assert {block.key for block in blocks(rows.replace("Code", "Team"))} == {"SB", "AB-2"}


def test_rows_of_one_name_are_told_apart_by_another_column_with_words() -> None:
    rows = "| K1 | Hull paint | dinghy | 20 |\n| K2 | Hull paint | barge | 90 |\n| K3 | New mast | dinghy | 300 |\n| K4 | Tow | any | 9 |"
    found = blocks(f"| Code | What | Boat | Price (£) |\n|---|---|---|---|\n{rows}")
    assert [(b.key, b.text) for b in found if b.column == "Price (£)"] == [
        ("Hull paint, dinghy", "20"),
        ("Hull paint, barge", "90"),
        ("New mast", "300"),
        ("Tow", "9"),
    ]
    assert [(b.key, b.text) for b in found if b.column == "Boat"] == [("New mast", "dinghy"), ("Tow", "any")]
    years = blocks("| Year | What happened |\n|---|---|\n| 1998 | The oven was built |\n| 2004 | The shop opened |")
    assert [(b.key, b.text) for b in years] == [("The oven was built", "1998"), ("The shop opened", "2004")]


def test_days_name_rows_unless_they_repeat() -> None:
    found = blocks("| Day | Class | Room |\n|---|---|---|\n| Monday | Yoga | Loft |\n| Monday | Pilates | Cellar |\n")
    assert [(b.key, b.column, b.text) for b in found][:2] == [("Yoga", "Day", "Monday"), ("Yoga", "Room", "Loft")]
    (cell,) = blocks("| Day | Class |\n|---|---|\n| Monday | Yoga |\n")
    assert (cell.key, cell.column, cell.text) == ("Monday", "Class", "Yoga")


PLANS = """| Feature | Basic | Team |
|---|---|---|
| Price per month | €9 | €29 |
| Users | 1 | 10 |
| API | – | yes |
| Log | 7 days | 90 days |
"""


def test_in_a_table_that_compares_columns_are_things() -> None:
    cells = [(b.key, b.column, b.text, b.evidence) for b in blocks(PLANS)]
    assert cells[:2] == [
        ("Basic", "Price per month", "€9", "Basic; Price per month: €9"),
        ("Team", "Price per month", "€29", "Team; Price per month: €29"),
    ]
    assert ("Team", "API", "yes", "Team; API: yes") in cells
    assert len(cells) == 7, "an empty cell says nothing"


@pytest.mark.parametrize(
    "table",
    [
        "| Entry | Adult | Child |\n|---|---|---|\n| Day | £9 | £5 |\n| Week | £40 | £22 |\n",
        "| Kite | Price | Weight |\n|---|---|---|\n| Heron | £85 | 420 g |\n| Gull | £62 | 300 g |\n",
        "| Kite | Maker | Colour |\n|---|---|---|\n| Heron | Jan | red |\n| Gull | Ana | blue |\n",
        "| Kite | Price |\n|---|---|\n| Heron | £85 |\n| Weight | 420 g |\n",
    ],
)
def test_in_any_other_table_rows_are(table: str) -> None:
    assert blocks(table)[0].key == table.split("\n")[2].split("|")[1].strip()


@pytest.mark.parametrize(
    ("name", "full"),
    [("Ext.", "Extension"), ("tel", "telephone"), ("Min. stay", "Minimum stay"), ("Ref. no.", "Reference number"), ("30 min", "30 min")],
)
def test_a_column_is_called_by_its_full_name(name: str, full: str) -> None:
    (block,) = blocks(f"| Who | {name} |\n| --- | --- |\n| Ana Ruiz | 12 |")
    assert block.column == full


@pytest.mark.parametrize(
    ("name", "full"),
    [("GBP pp", "Price per person (GBP)"), ("€ each", "Price each (€)"), ("max pax", "maximum people"), ("rmks", "remarks")],
)
def test_abbreviations_that_are_nothing_else_are_spelled_out(name: str, full: str) -> None:
    (cell,) = blocks(f"| Course | {name} |\n|---|---|\n| Weaving | 9 |")
    assert cell.column == full


@pytest.mark.parametrize("cell", ["✓", "✗ until June", "✔ (from 3 guests)", "yes, on request", "TRUE", "No"])
def test_a_cell_that_says_yes_or_no_is_of_that_sort_whatever_follows(cell: str) -> None:
    assert sort_of(cell) == "said"


def test_a_pair_may_follow_a_sentence() -> None:
    found = blocks("- Trains go second class; first is fine above 4 hours. Own car: €0.34 per km. Mind this: nobody pays.")
    assert [(b.key, b.text) for b in found if b.kind == "pair"] == [("Own car", "€0.34 per km.")]


def test_a_row_that_counts_is_named_with_what_it_counts() -> None:
    text = "| Members | Per year |\n|---|---|\n| up to 20 | £310 |\n| 21 to 50 | £540 |\n| honorary | £1 |\n"
    assert [b.key for b in blocks(text)] == ["up to 20 members", "21 to 50 members", "honorary"]


def test_a_key_ends_no_sentence() -> None:
    assert found("Prices without VAT. Annual payment: two months free.")[0][0] == "sentence"


def test_a_bare_price_has_the_currency_that_its_row_gives() -> None:
    text = "| Name | Price per night | Currency | Floor |\n|---|---|---|---|\n| Net Room | 128 | GBP | 3 |\n"
    assert [b.column for b in blocks(text)] == ["Price per night (GBP)", "Currency", "Floor"]


def test_a_record_line_gives_cells() -> None:
    assert ("cell", "Curlew", "2 people") in found("box: Curlew; feeds: 2 people; price: €21")


@pytest.mark.parametrize(
    ("line", "key", "price"),
    [
        ("- Shoes £3.20", "Shoes", "£3.20"),
        ("* Chalk bag (no loose chalk) £1.50.", "Chalk bag (no loose chalk)", "£1.50"),
        ("- Ten-entry card – £78 per person", "Ten-entry card", "£78 per person"),
        ("Pork cheek, £18.20", "Pork cheek", "£18.20"),
        ("Leek soup (v) – £6.80", "Leek soup (v)", "£6.80"),
        ("Soup of the day ........ £4.80", "Soup of the day", "£4.80"),
        ("- Locker from £2 a day", "Locker", "from £2 a day"),
    ],
)
def test_an_item_that_ends_in_its_price_is_a_pair(line: str, key: str, price: str) -> None:
    assert found(line) == [("pair", key, price)]


@pytest.mark.parametrize(
    "line", ["Shoes £3.20", "- Bring £5", "- Refunds of £50", "- A shirt is £9", "- Members pay only £7", "- Lockers and a lock cost £2"]
)
def test_what_tells_of_a_sum_is_no_pair(line: str) -> None:
    assert [kind for kind, *_ in found(line)] == ["sentence"]


def test_a_pair_is_told_from_a_sentence_with_a_colon() -> None:
    assert found("- **Deposit**: £20") == [("pair", "Deposit", "£20")]
    assert found("Please leave your drone at home: ospreys nest here.")[0][0] == "sentence"


def test_questions_meet_their_answers() -> None:
    assert ("answer", "Where can I park?", "In the yard.") in found("Where can I park? In the yard.")
    assert ("answer", "Is there wifi?", "Yes.") in found("**Is there wifi?**\n\nYes.")
    assert ("answer", "Is there wifi?", "Yes.") in found("Q: Is there wifi?\nA: Yes.")
    assert ("answer", "Is there wifi?", "Yes.") in found("Yes.", "Is there wifi?")


def test_abbreviations_do_not_end_a_sentence() -> None:
    assert len(found("It is near St. Brendan's Hospital. We open at 9 a.m. on Sundays.")) == 2


def test_an_item_with_a_dash_says_what_something_is() -> None:
    text = (
        "- Painter – the rope at the bow\n- **Skiff** — £28 a day\n- 9:00 – 17:00\n- We close early – ring first.\n\nThe bow – oh – is wet."
    )
    pairs = [(b.key, b.text) for b in blocks(text) if b.kind == "pair"]
    assert pairs == [("Painter", "the rope at the bow"), ("Skiff", "£28 a day")]
    assert all(text[b.start : b.start + len(b.text)] == b.text for b in blocks(text))


def test_what_a_date_or_a_number_before_a_colon_labels_is_read_as_sentences() -> None:
    for label in ("3 March 2025", "May 5, 2026", "2025-02-10", "12/05/2025", "Rule 4"):
        assert found(f"- {label}: The ramp is shut. Use the steps.")[1:] == [
            ("sentence", "", "The ramp is shut."),
            ("sentence", "", "Use the steps."),
        ]
    for line in ("- Sunday: closed", "- 25 December: 10:00 to 13:00, with cake for all", "- 24 December 2025: closed"):
        assert [kind for kind, _, _ in found(line)] == ["pair"]


def test_lines_that_all_have_a_key_are_items() -> None:
    text = (
        "Boat shed in Westmarch: Monday to Saturday 8:00 to 20:00, Sunday 9:00 to 13:00\n"
        "Kiosk at the pier: Monday to Friday 9:00 to 18:00, closed at weekends\n"
    )
    assert [key for _, key, _ in found(text)] == ["Boat shed in Westmarch", "Kiosk at the pier"]


def test_a_sentence_has_the_one_before_it_in_its_paragraph_and_a_row_its_header() -> None:
    text = "The shop is small. It opens at nine. Mira runs it!\n\nA deposit is due."
    assert sentence_before(text, "It opens at nine.") == "The shop is small."
    assert sentence_before(text, "Mira runs it!") == "It opens at nine."
    assert sentence_before(text, "The shop is small.") == ""
    assert sentence_before(text, "A deposit is due.") == ""
    assert sentence_before(text, "Not there.") == ""
    table = "| Kite | Price |\n| --- | --- |\n| Delta | £9 |"
    assert sentence_before(table, "| Delta | £9 |") == "| Kite | Price |"
    assert sentence_before(table, "| Kite | Price |") == ""


def test_one_item_of_several_is_no_answer() -> None:
    assert not [b for b in blocks("What should I bring?\n\n- An apron\n- A towel") if b.kind == "answer"]
    asked = "- Q: Is there wifi?\n- A: Yes.\n- Q: May I park?\n- A: In the yard.\n\n- **Is it free?**\n- No.\n- **May I smoke?**\n- No."
    assert [b.text for b in blocks(asked) if b.kind == "answer"] == ["Yes.", "In the yard.", "No.", "No."]


def test_an_answer_goes_on_until_it_says_something() -> None:
    def answers(text: str) -> list[str]:
        return [b.text for b in blocks(text) if b.kind == "answer"]

    assert answers("What happens if my pot cracks? That does happen. We fire a new one free of charge. Ask Ida.") == [
        "That does happen. We fire a new one free of charge."
    ]
    assert answers("May I bring a friend? Please do. A second apron hangs by the door.") == ["Please do. A second apron hangs by the door."]
    assert answers("Do you take cards? Yes, all of them. We like cash too.") == ["Yes, all of them."]
    assert answers("Where can I park? In the yard. Please shut the gate.") == ["In the yard."]
    assert answers("What does it cost? £4 an hour. Please pay in cash.") == ["£4 an hour."]
    long = "We do mind. " + "The kiln is hot and " * 6 + "so on."
    assert answers(f"Do you mind dogs? {long}") == ["We do mind."]


def test_the_sentence_before_stands_without_the_mark_of_its_list() -> None:
    assert sentence_before("- The ramp is shut. Use the steps.", "Use the steps.") == "The ramp is shut."


def test_a_sentence_that_only_lists_prices_is_pairs() -> None:
    text = "Lost items are charged as follows: charger £28, remote control £22, and HDMI lead £13. Dogs pay £1."
    assert [(b.kind, b.key, b.text) for b in blocks(text)] == [
        ("sentence", "", "Lost items are charged as follows:"),
        ("pair", "charger", "£28"),
        ("pair", "remote control", "£22"),
        ("pair", "HDMI lead", "£13"),
        ("sentence", "", "Dogs pay £1."),
    ]
    assert [b.kind for b in blocks("Tea costs £2, coffee £3 and cake £4.")] == ["sentence"]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("Kite £31, reel and line £6.40, tail £2.90.", [("Kite", "£31"), ("reel and line", "£6.40"), ("tail", "£2.90")]),
        ("Sold in the loft: kite £31, tail £2.90.", [("kite", "£31"), ("tail", "£2.90")]),
        ("Open at six. From the hatch: tea £2 and soup £4.", [("tea", "£2"), ("soup", "£4")]),
        ("Hire per day: kite £31, tail £2.90.", [("Hire per day", "kite £31, tail £2.90.")]),
        ("Late fee: kite £31, tail £2.90.", [("Late fee", "kite £31, tail £2.90.")]),
        ("Courses: adults £31, children £2.90.", [("Courses", "adults £31, children £2.90.")]),
        ("We sew and mend and it costs £5, children £3.", []),
    ],
)
def test_prices_that_a_sentence_or_a_key_lists_are_pairs(text: str, pairs: list[tuple[str, str]]) -> None:
    found = blocks(text)
    assert [(b.key, b.text) for b in found if b.kind == "pair"] == pairs
    assert all(text[b.start : b.start + len(b.text)] == b.text for b in found)


def test_what_follows_listed_prices_is_kept() -> None:
    assert found("Sold in the loft: kite £31, tail £2. Glue is extra.")[-1] == ("sentence", "", "Glue is extra.")


ROUTES = """| Route | From | To | Days | Adult single | Remarks |
|---|---|---|---|---|---|
| 9 | Quay | Quay | Mon-Sat | £1.90 | Town circular |
| 14 | Quay | Moor End | Mon-Sat | £4.20 | From stand B |
| 14 | Quay | Saltley | Mon-Sat | £2.60 | |
| 14 | Quay | Moor End | Sun | £4.20 | Not on holidays |
"""


def test_numbered_rows_are_called_what_their_column_is_and_told_apart_by_others_but_never_by_remarks() -> None:
    rows = {b.key: b.text for b in blocks(ROUTES) if b.column == "Adult single"}
    assert list(rows) == ["Route 9", "Route 14, Moor End, Mon-Sat", "Route 14, Saltley, Mon-Sat", "Route 14, Moor End, Sun"]
    assert [b.text for b in blocks(ROUTES) if b.column == "Remarks"] == ["Town circular", "From stand B", "Not on holidays"]
    years = "| Year | Event | Guests |\n|---|---|---|\n| 2019 | Fair | 40 |\n| 2020 | Fair | 50 |"
    assert {b.key for b in blocks(years)} == {"Fair"}, "years number nothing"
