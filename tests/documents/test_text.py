from __future__ import annotations

from collections.abc import Callable

import pytest

from engrain.documents.base import Document, Unread
from engrain.documents.text import markdown, plain


def test_markdown_keeps_its_blocks(sections: Callable[..., dict[tuple[str, ...], str]]) -> None:
    found = sections(
        "a.md",
        "---\ntitle: x\n---\n<!-- not\nthis -->\nHarbour *Lights*\n=====\n\nWe hire **small** boats\nin Brixham.\n\n"
        "Prices {#prices}\n---\n\n| Boat | Hour |\n|---|--:|\n| _Kayak_ | £12.50 |\n| Row<br>boat | £20 |\n\n"
        "### Rules ###\n* No dogs\n* Wear a\n  vest\n",
    )
    assert found == {
        ("Harbour Lights",): "We hire small boats in Brixham.",
        ("Harbour Lights", "Prices"): "| Boat | Hour |\n| --- | --- |\n| Kayak | £12.50 |\n| Row boat | £20 |",
        ("Harbour Lights", "Prices", "Rules"): "- No dogs\n- Wear a vest",
    }


def test_front_matter_gives_title_and_date(read: Callable[..., Document]) -> None:
    document = read("a.md", '+++\ntitle = "Terms"\ndate = 2026-03-04\n+++\n\nText.\n')
    assert (document.title, document.date, document.sections[0].text) == ("Terms", "2026-03-04", "Text.")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("Write to [us](mailto:a@b.example?subject=x) or <c@d.example>.", "Write to us (a@b.example) or c@d.example."),
        ("See [terms][t] and [page](/x).\n\n[t]: https://e.example/a", "See terms (https://e.example/a) and page."),
        ("[shop.example](https://www.shop.example/)", "shop.example"),
        ("![logo](a.png) `code` ~~£9~~ snake_case_name 2*3*4 \\*x\\*", "logo code snake_case_name 2*3*4 *x*"),
        ("A note.[^1]\n\n[^1]: Small print.", "A note.\n\nSmall print."),
        ("> quoted from our terms\n> of trade", "quoted from our terms of trade"),
        ("**Phone:** 1\n**Email:** a@b.c", "Phone: 1\nEmail: a@b.c"),
        ("one  \ntwo", "one\ntwo"),
        ("Tea &amp; cake&nbsp;5&euro; <b>now</b> for 3 < 5", "Tea & cake 5€ now for 3 < 5"),
        ("a\n\n***\n\nb", "a\n\nb"),
        ("- a\n    - b\n+ c\n1) d", "- a\n    - b\n- c\n1. d"),
        ("**Dogs?**\nNo.\n\n**Cats?**\n\nYes.\n\n**Alone**", "# Dogs?\n\nNo.\n\n## Cats?\n\nYes.\n\nAlone"),
        ("Q: Dogs\nallowed?\nA: No.", "### Dogs allowed?\n\nNo."),
        ("We say:\nQ: Dogs? No.\nQ: Cats?\nYes.", "We say:\n\n### Dogs?\n\nNo.\n\n### Cats?\n\nYes."),
        ("1. a\n\n   more of a\n2. b\n\n3. c", "1. a more of a\n2. b\n3. c"),
        ("Term\n: one\n: two", "- Term: one; two"),
        ("Day | Open\n--- | ---\nMon \\| Tue | 7:30", "| Day | Open |\n| --- | --- |\n| Mon \\| Tue | 7:30 |"),
        ("<details><summary>Fee</summary>\n\n£5\n\n</details>", "## Fee\n\n£5"),
        ("```\nkeep *this*\n```", "```\nkeep *this*\n```"),
        ("Price: *from £5* to **£9**", "Price: from £5 to £9"),
    ],
)
def test_markdown_loses_its_inline_marks(given: str, text: str) -> None:
    assert markdown(given) == text


def test_plain_text_gets_headings(sections: Callable[..., dict[tuple[str, ...], str]]) -> None:
    found = sections(
        "a.txt",
        "Harbour Lights\n\nOPENING HOURS\n\nEvery day.\n\nContacts\n--------\nKiosk.\n\nRules:\n\n"
        "No dogs.\n\nNOT A HEADING, THIS ONE ENDS.\n",
    )
    assert found == {
        ("A",): "Harbour Lights",
        ("A", "OPENING HOURS"): "Every day.",
        ("A", "Contacts"): "Kiosk.",
        ("A", "Rules"): "No dogs.\n\nNOT A HEADING, THIS ONE ENDS.",
    }


def test_a_heading_on_the_first_line_is_the_title(read: Callable[..., Document]) -> None:
    document = read("a.txt", "HARBOUR LIGHTS\n\nWe hire boats.\n")
    assert (document.title, document.sections[0].headings, document.sections[0].text) == (
        "HARBOUR LIGHTS",
        ("HARBOUR LIGHTS",),
        "We hire boats.",
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("This line was wrapped by an editor at sixty letters,\nso it goes on here.",
         "This line was wrapped by an editor at sixty letters, so it goes on here."),
        ("We open in May each year.\nEvery boat that we let has two oars, a bucket and a long rope\nYes you may bring a dog.\nNo fires.",
         "We open in May each year.\nEvery boat that we let has two oars, a bucket and a long rope\nYes you may bring a dog.\nNo fires."),
        ("May I bring my old dog on board? Yes, and the cat may come as well.\nIs there tea? Yes, all day.",
         "May I bring my old dog on board? Yes, and the cat may come as well.\nIs there tea? Yes, all day."),
        ("- no dogs\n- no fires\n- This item was wrapped by an editor at sixty letters or so,\nThames boats too",
         "- no dogs\n- no fires\n- This item was wrapped by an editor at sixty letters or so, Thames boats too"),
        ("Harbour Lights Ltd\n12 Quay Street\nBrixham", "Harbour Lights Ltd\n12 Quay Street\nBrixham"),
        ("Phone: 01803 555\nE-mail: a@b.c", "- Phone: 01803 555\n- E-mail: a@b.c"),
        ("Kayak ...... £12\nBoat . . . . £20", "- Kayak: £12\n- Boat: £20"),
        ("Monday     9:00 - 17:00\nSunday     closed", "- Monday: 9:00 - 17:00\n- Sunday: closed"),
        ("Boat\tHour\tDay\nKayak\t£12\t£40", "| Boat | Hour | Day |\n| --- | --- | --- |\n| Kayak | £12 | £40 |"),
        (" * wear a vest\n   at all times\n • no dogs", "- wear a vest at all times\n- no dogs"),
        ("Bring:\nshoes\nhat", "Bring:\nshoes\nhat"),
        ("1. FEES\nFull day: £62\nand lunch", "## 1. FEES\n\nFull day: £62\nand lunch"),
        ("We met.\n\n1) Moorings\nTwo are free.\nOne leaks.\n\n2) Tea hut\n- opens in May",
         "We met.\n\n## 1) Moorings\n\nTwo are free.\nOne leaks.\n\n## 2) Tea hut\n\n- opens in May"),
        ("1) Moorings\nTwo are free.\n\nNo fires.", "1. Moorings\nTwo are free.\n\nNo fires."),
        ("Dear all,\n\nPARKING. There are three bays.\n\nTEA & CAKE. We bake at 9.",
         "Dear all,\n\n## PARKING\n\nThere are three bays.\n\n## TEA & CAKE\n\nWe bake at 9."),
        ("The NSPCC. It helps.\n\nPARKING. There are three bays.", "The NSPCC. It helps.\n\nPARKING. There are three bays."),
        ("Q: Dogs? No.\nQ: And cats? A: Yes.", "### Dogs?\n\nNo.\n\n### And cats?\n\nYes."),
        ("Q: Why? And how?\nA: So.", "### Why? And how?\n\nSo."),
        ("Q: Dogs?\nA: No.\n\n* * *\n\n-----\n\nA) Yes", "### Dogs?\n\nNo.\n\nYes"),
    ],
)  # fmt: skip
def test_plain_text_gets_blocks(given: str, text: str) -> None:
    assert plain(f"Start of it.\n\n{given}") == f"Start of it.\n\n{text}"


def test_restructured_text(sections: Callable[..., dict[tuple[str, ...], str]]) -> None:
    found = sections(
        "c.rst",
        "=======\nKennels\n=======\n\n.. note:: x\n\nPrices\n======\n\n=====  =====  ====\n"
        "Dog    Day    Week\n=====  =====  ====\nSmall  £10    £60\n"
        "=====  =====  ====\n\n"
        "+------+------+\n| Room | Size |\n+======+======+\n| A    | 3 m  |\n"
        "+------+------+\n\nSub\n---\n\nUse ``x`` and :ref:`this <p>`.\n",
    )
    assert found == {
        (
            "Kennels",
            "Prices",
        ): "| Dog | Day | Week |\n| --- | --- | --- |\n| Small | £10 | £60 |\n\n| Room | Size |\n| --- | --- |\n| A | 3 m |",
        ("Kennels", "Prices", "Sub"): "Use x and this.",
    }


def test_an_older_encoding_is_read(read: Callable[..., Document]) -> None:
    document = read("a.txt", "Café “Löwe” is open daily.\nThe naïve price is £5 – or 6 €.".encode("cp1252"))
    assert "Café “Löwe”" in document.sections[0].text
    assert "£5 – or 6 €" in document.sections[0].text


def test_bytes_that_are_no_text_are_refused(unread: Callable[..., Unread]) -> None:
    assert unread("a.txt", bytes(range(256)) * 4).reason.startswith("wrong encoding")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["a_ ", "[a", "**a ", "`a ", "<a ", "[a]: ", "~~a ", "<!-- ", "a|b\n--", "- - ", "a : ", ". . ", " "])
def test_no_line_takes_quadratic_time(piece: str) -> None:
    hostile = piece * 20_000 + "x"
    assert "x" in markdown(hostile)
    assert "x" in plain(hostile, rst=True)
