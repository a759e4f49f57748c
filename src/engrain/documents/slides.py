"""Presentations: .pptx .pptm .ppsx."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from engrain.documents._archive import check_archive, stated_date
from engrain.documents._markdown import front_matter, one_line, paragraph
from engrain.documents._tables import table
from engrain.documents.base import Part, Reader

TEMPLATE_DATES = (datetime(2013, 1, 27, 9, 14, 16), datetime(2013, 1, 27, 9, 15, 58))
"""When the empty presentation was made and changed from which python-pptx makes all others: no date of theirs."""
TITLES = ("TITLE", "CENTER_TITLE", "VERTICAL_TITLE")
FRAME = ("DATE", "FOOTER", "SLIDE_NUMBER", "HEADER")
"""Placeholders that say the same on every slide."""


class Slides(Reader):
    """Reads titles, lists, tables, charts and the speaker's notes of all slides that are shown."""

    suffixes = (".pptx", ".pptm", ".ppsx")

    def read(self, path: Path) -> list[Part]:
        """A part for each slide, with its number as the page; the first slide's title is the document's."""
        import pptx

        check_archive(path)
        deck = pptx.Presentation(str(path))
        properties = deck.core_properties
        shown = [(number, slide) for number, slide in enumerate(deck.slides, 1) if slide._element.get("show") != "0"]
        parts = [Part("\n\n".join(blocks(slide, "##" if parted else "#")), number) for parted, (number, slide) in enumerate(shown)]
        head = front_matter(properties.title, stated_date(properties, TEMPLATE_DATES))
        return [Part(head + parts[0].text, parts[0].page), *parts[1:]] if parts else []


def blocks(slide: Any, mark: str) -> Iterator[str]:
    """The Markdown blocks of a slide: its title behind `mark`, then what stands on it, then its notes."""
    title = slide.shapes.title
    if title is not None and (words := one_line(title.text_frame.text)):
        yield f"{mark} {words}"
    for shape in shapes(slide.shapes):
        if text := shape_text(shape):
            yield text
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        yield from (paragraph(line.text) for line in slide.notes_slide.notes_text_frame.paragraphs if line.text.strip())


def shapes(holder: Any) -> Iterator[Any]:
    """The shapes in reading order, those of groups in their place, without titles and what frames every slide."""
    from pptx.shapes.group import GroupShape

    for shape in holder:
        if isinstance(shape, GroupShape):
            yield from shapes(shape.shapes)
        elif placeholder(shape) not in TITLES + FRAME:
            yield shape


def placeholder(shape: Any) -> str:
    """What kind of place of the layout the shape fills; "" for one that fills none."""
    return str(shape.placeholder_format.type.name) if shape.is_placeholder else ""


def shape_text(shape: Any) -> str:
    """A table or a chart as a table, paragraphs as they stand, several of one placeholder as a list."""
    if getattr(shape, "has_table", False):
        first = bool(shape.table.first_row)
        return table([[one_line(cell.text) for cell in row.cells] for row in shape.table.rows], first or None)
    if getattr(shape, "has_chart", False):
        return chart_text(shape.chart)
    if not shape.has_text_frame:
        return ""
    lines = [line for line in shape.text_frame.paragraphs if line.text.strip()]
    if len(lines) > 1 and placeholder(shape) in ("BODY", "OBJECT", "VERTICAL_BODY", "VERTICAL_OBJECT"):
        return "\n".join(f"{'    ' * line.level}- {one_line(line.text)}" for line in lines)
    return "\n\n".join(paragraph(one_line(line.text)) for line in lines)


def chart_text(chart: Any) -> str:
    """A chart as a table: a row for each category, a column for each series, its title above."""
    plot = chart.plots[0]
    names = [series.name for series in plot.series]
    numbers = zip(*(series.values for series in plot.series), strict=True)
    shown = [["" if number is None else f"{number:g}" for number in row] for row in numbers]
    rows = [[category, *row] for category, row in zip(plot.categories, shown, strict=False)]
    title = one_line(chart.chart_title.text_frame.text) if chart.has_title and chart.chart_title.has_text_frame else ""
    return "\n\n".join(filter(None, [title, table([["", *names], *rows], header=True)]))
