from __future__ import annotations

from collections.abc import Callable

import pytest

from engrain.documents.base import Document, Unread

Sections = dict[tuple[str, ...], str]


def page(body: str, head: str = "<title>Page</title>") -> str:
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>"


def test_boilerplate_is_removed_and_content_stays(read: Callable[..., Document]) -> None:
    junk = (
        '<a href="#main">Skip to main content</a><div id="cookie-banner">We use cookies</div><script>x()</script><!-- note -->'
        "<header>Kettle<nav>Home</nav><ul><li><a href=/>Home</a><li><a href=/m>Menu</a></ul></header><div class='breadcrumb'>Home</div>"
        "<aside>Also</aside><form><label>Name</label><input></form><p style='display: none'>secret</p><p hidden>secret</p>"
        "<div role='navigation'>x</div><button>Buy</button><div aria-hidden=true>icon</div>"
    )
    content = (
        "<main><h1>Our <em>menu</em></h1><section class='menu'><p>Tea costs <b>£2</b>.</p>"
        "<p>And other text to be the page.</p></section></main>"
    )
    document = read("a.html", page(junk + content))
    assert [section.text for section in document.sections] == ["Kettle", "Tea costs £2.\n\nAnd other text to be the page."]


def test_a_term_that_says_several_things_by_their_names_is_a_heading(sections: Callable[..., Sections]) -> None:
    terms = "<dt>Mill<dd>1 Weir Lane<br>Phone: 01632 960455<dd>No parking.<dt>Wi-Fi<dd>free"
    assert sections("a.html", page(f"<main><h1>Offices</h1><dl>{terms}</dl></main>")) == {
        ("Offices",): "- Wi-Fi: free",
        ("Offices", "Mill"): "1 Weir Lane\n\n- Phone: 01632 960455\n\nNo parking.",
    }


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a&nbsp;b\n  c<br>d</p>loose <i>text</i>", "a b c\nd\n\nloose text"),
        ("<ul><li>a<ul><li>b</ul><li><p>c</p></ul><ol><li>x<li>y</ol>", "- a\n    - b\n- c\n\n1. x\n2. y"),
        ("<dl><dt>Wi-Fi<dd>free<dt>Press<dd>a<br>b</dl>", "- Wi-Fi: free\n- Press: a b"),
        ("<dl><dt>Wi-Fi:<dd>free<dt>Parking<dd>yard<dd>£1</dl>", "- Wi-Fi: free\n- Parking: yard; £1"),
        (
            "<a href='mailto:a@b.c?subject=x'>Write</a> <a href='tel:+441803555099'>01803 555 099</a> <a href='/x'>page</a>",
            "Write (a@b.c) 01803 555 099 page",
        ),
        ("<table><tr><th>Mon<td>closed<tr><th>Tue<td>7–16</table>", "- Mon: closed\n- Tue: 7–16"),
        ("<div><span>Mon</span><span>8–19</span></div><p><b>M</b>on</p>", "Mon 8–19\n\nMon"),
        ("<p># 5 pots</p>", "\\# 5 pots"),
        ("<table role=presentation><tr><td><p>left</p><td>right</table>", "left\n\nright"),
        ("<pre>a  b\nc</pre>", "a b\nc"),
        ("<div><span><div>deep</div></span></div>", "deep"),
    ],
)
def test_blocks(read: Callable[..., Document], html: str, text: str) -> None:
    assert read("a.html", page(html)).sections[0].text == text


def test_spans_of_a_table_are_filled_in(read: Callable[..., Document]) -> None:
    table = (
        "<table><caption>In pounds</caption><tr><th>Item<th colspan=2>Price<tr><td colspan=3>Hot"
        "<tr><td rowspan=2>Tea<td>small<td>£2<tr><td>large<td>£3 | pot<tr><td colspan=3>Cakes<tr><td>Scone<td>one<td>£1</table>"
    )
    assert read("a.html", page(table)).sections[0].text == (
        "In pounds\n\nHot\n\n| Item | Price | Price |\n| --- | --- | --- |\n| Tea | small | £2 |\n| Tea | large | £3 \\| pot |\n\n"
        "Cakes\n\n| Item | Price | Price |\n| --- | --- | --- |\n| Scone | one | £1 |"
    )


def test_a_footer_leaves_its_contact_details(sections: Callable[..., Sections]) -> None:
    footer = (
        "<footer><ul><li><a href=/t>Terms</a></ul><address>Kettle<br>4 Mill Lane</address>"
        "<p>Call 01803 555 099</p><p>© 2026 Kettle</p></footer>"
    )
    assert sections("a.html", page(f"<h1>T</h1><p>text</p>{footer}")) == {
        ("T",): "text", ("T", "Contact"): "Kettle\n4 Mill Lane\n\nCall 01803 555 099",
    }  # fmt: skip
    assert sections("a.html", page("<h1>T</h1><p>Call 01803 555 099</p><footer>Call 01803 555 099</footer>")) == {
        ("T",): "Call 01803 555 099"
    }


def test_answers_that_a_click_opens_are_content(sections: Callable[..., Sections]) -> None:
    body = (
        "<h1>FAQ</h1><p>Questions that people ask us often.</p><h2><button aria-controls=a>Cards?</button></h2><div id=a hidden>Yes.</div>"
        "<h2>More</h2><p>x</p><details><summary>Dogs?</summary>On a lead.</details>"
    )
    found = sections("a.html", page(body))
    assert found["FAQ", "Cards?"] == "Yes."
    assert found["FAQ", "More", "Dogs?"] == "On a lead."


def test_a_bold_line_above_text_is_a_heading(sections: Callable[..., Sections]) -> None:
    body = (
        "<h1>T</h1><p><b>Dogs?</b></p><p>No.</p><p><strong>Cats?</strong><br>Yes.</p>"
        "<p><b>Closed on Mondays</b></p><h2>End</h2><p><b>Tel:</b> 1</p>"
    )
    assert sections("a.html", page(body)) == {("T", "Dogs?"): "No.", ("T", "Cats?"): "Yes.\n\nClosed on Mondays", ("T", "End"): "Tel: 1"}


def test_title_and_date_come_from_the_head(read: Callable[..., Document]) -> None:
    head = "<title>Prices | Kettle &amp; Crumb</title><meta property='article:published_time' content='2026-05-06T10:00:00Z'>"
    document = read("a.html", page("<p>text</p>", head))
    assert (document.title, document.date) == ("Prices | Kettle & Crumb", "2026-05-06")


def test_the_encoding_that_the_page_states(read: Callable[..., Document]) -> None:
    document = read("a.html", page("<p>Café 5€</p>", "<meta charset=windows-1252>").encode("cp1252"))
    assert document.sections[0].text == "Café 5€"


def test_a_page_that_is_a_form_is_kept(read: Callable[..., Document]) -> None:
    document = read("a.html", page("<form><h1>T</h1><p>All of the page is here.</p><input></form>"))
    assert document.sections[0].text == "All of the page is here."


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (page("<script>x()</script>").encode(), "holds no text"),
        (b"<p>a\0b", "wrong encoding"),
        (b"<div>" * 1500 + b"deep", "nested too deep"),
    ],
)
def test_pages_that_cannot_be_read(unread: Callable[..., Unread], content: bytes, reason: str) -> None:
    assert unread("a.html", content).reason.startswith(reason)


def test_struck_out_prices_are_gone(read: Callable[..., Document]) -> None:
    assert read("a.html", page("<p>Tea <del>£3</del> £2, cake <s>£5</s> £4</p>")).sections[0].text == "Tea £2, cake £4"


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("<tr><td rowspan=2>Monday<td>9–12<tr><td>14–18", "- Monday: 9–12\n- Monday: 14–18"),
        (
            "<tr><th rowspan=2>Plan<th colspan=2>Price<tr><th>Monthly<th>Yearly<tr><td>Crew<td>£5<td>£50",
            "| Plan | Price Monthly | Price Yearly |\n| --- | --- | --- |\n| Crew | £5 | £50 |",
        ),
        (
            "<tr><th colspan=3>Prices<tr><th>Boat<th>Hire<th>Seats<tr><th>type<th>a day<th><tr><td>Kayak<td>£9<td>1",
            "Prices\n\n| Boat type | Hire a day | Seats |\n| --- | --- | --- |\n| Kayak | £9 | 1 |",
        ),
        ("<tr><th>Boat<th>Price<tr><th>Kayak<th>£9", "| Boat | Price |\n| --- | --- |\n| Kayak | £9 |"),
    ],
)
def test_cells_under_spans_and_headers_of_several_rows(read: Callable[..., Document], table: str, text: str) -> None:
    assert read("a.html", page(f"<table>{table}</table>")).sections[0].text == text


def test_only_what_is_called_a_footer_is_one(sections: Callable[..., Sections]) -> None:
    body = (
        "<div id=page class=has-footer><h1>Boats</h1><p>Kayaks for hire.</p>"
        "<div class=card>Canoe<div class=card-footer>£12 a day</div></div></div>"
        "<div class='wide site-footer'>Call 01803 555 099<br>© 2026</div>"
    )
    assert sections("a.html", page(body)) == {
        ("Boats",): "Kayaks for hire.\n\nCanoe\n\n£12 a day",
        ("Boats", "Contact"): "Call 01803 555 099",
    }
    assert sections("a.html", page("<div class=footer><h1>Boats</h1><p>Kayaks for hire.</p></div>")) == {("Boats",): "Kayaks for hire."}


def test_a_button_that_opens_an_answer_is_its_question(sections: Callable[..., Sections]) -> None:
    body = (
        "<h1>FAQ</h1><p>Questions that people ask.</p><button aria-controls=a>Cards?</button><div id=a hidden>Yes, all of them.</div>"
        "<button aria-controls=b>Dogs?</button><div id=b>On a lead.</div>"
        "<button aria-controls=c>Read more</button><div id=c>And a leash.</div>"
        "<button aria-controls=menu>Boats</button><nav id=menu>Home</nav><button>Buy</button>"
    )
    assert sections("a.html", page(body)) == {
        ("FAQ",): "Questions that people ask.",
        ("FAQ", "Cards?"): "Yes, all of them.",
        ("FAQ", "Dogs?"): "On a lead.\n\nAnd a leash.",
    }
