from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pptx
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from engrain.documents.base import Document, Unread

Sections = dict[tuple[str, ...], str]
TITLE_SLIDE, BULLETS, TITLE_ONLY = 0, 1, 5
BOX = (Inches(1), Inches(2), Inches(4), Inches(2))


def saved(deck: Any) -> bytes:
    buffer = io.BytesIO()
    deck.save(buffer)
    return buffer.getvalue()


def add(deck: Any, layout: int, title: str) -> Any:
    slide = deck.slides.add_slide(deck.slide_layouts[layout])
    slide.shapes.title.text = title
    return slide


def bullets(slide: Any, *lines: tuple[str, int]) -> None:
    frame = slide.placeholders[1].text_frame
    frame.text = lines[0][0]
    for text, level in lines[1:]:
        paragraph = frame.add_paragraph()
        paragraph.text, paragraph.level = text, level


def test_titles_lists_boxes_and_notes(read: Callable[..., Document]) -> None:
    deck = pptx.Presentation()
    add(deck, TITLE_SLIDE, "Sailing school").placeholders[1].text = "Since 1998"
    slide = add(deck, BULLETS, "Courses")
    bullets(slide, ("Beginners", 0), ("Four days, £180", 1), ("Racing", 0))
    slide.shapes.add_textbox(*BOX).text_frame.text = "Bring a towel."
    slide.notes_slide.notes_text_frame.text = "Racing starts in June."
    document = read("a.pptx", saved(deck))
    assert [(section.headings, section.page, section.text) for section in document.sections] == [
        (("Sailing school",), 1, "Since 1998"),
        (("Sailing school", "Courses"), 2, "- Beginners\n    - Four days, £180\n- Racing\n\nBring a towel.\n\nRacing starts in June."),
    ]


def test_tables_charts_and_groups(sections: Callable[..., Sections]) -> None:
    deck = pptx.Presentation()
    slide = add(deck, TITLE_ONLY, "Prices")
    table = slide.shapes.add_table(2, 2, *BOX).table
    for number, text in enumerate(("Boat", "A day", "Dinghy", "£40")):
        table.cell(number // 2, number % 2).text = text
    data = CategoryChartData()
    data.categories = ["2024", "2025"]
    data.add_series("Guests", (310, 402.5))
    slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *BOX, data)
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(*BOX).text_frame.text = "Deposits are £50."
    assert sections("a.pptx", saved(deck)) == {
        ("Prices",): "| Boat | A day |\n| --- | --- |\n| Dinghy | £40 |\n\n| | Guests |\n| --- | --- |\n| 2024 | 310 |\n| 2025 | 402.5 |"
        "\n\nDeposits are £50."
    }


def test_hidden_slides_are_left_out_and_pages_count_them(read: Callable[..., Document]) -> None:
    deck = pptx.Presentation()
    bullets(add(deck, BULLETS, "Old prices"), ("£30", 0))
    bullets(add(deck, BULLETS, "Prices"), ("£40", 0))
    deck.slides[0]._element.set("show", "0")
    assert [(section.headings, section.page) for section in read("a.pptx", saved(deck)).sections] == [(("Prices",), 2)]


def test_title_and_date_come_from_the_properties(read: Callable[..., Document]) -> None:
    deck = pptx.Presentation()
    deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_textbox(*BOX).text_frame.text = "We open at 9:00."
    undated = read("a.pptx", saved(deck))
    deck.core_properties.title, deck.core_properties.modified = "Welcome", datetime(2025, 3, 4)
    document = read("a.pptx", saved(deck))
    assert (undated.title, undated.date) == ("A", "")
    assert (document.title, document.date) == ("Welcome", "2025-03-04")


def test_a_deck_without_words_is_no_document(unread: Callable[..., Unread]) -> None:
    assert unread("a.pptx", saved(pptx.Presentation())).reason == "holds no text"


def test_what_is_no_archive_is_told(unread: Callable[..., Unread]) -> None:
    assert "damaged" in unread("a.pptx", b"PK no").reason
