"""Office files: .docx and .xlsx."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from engrain.documents._archive import check_archive, stated_date
from engrain.documents._cells import shown
from engrain.documents._markdown import front_matter, one_line, paragraph
from engrain.documents._tables import sheet, table
from engrain.documents.base import Part, Reader

TYPED_BULLET = re.compile(r"\s*[-*•◦▪·–]\s+(?=\S)")
TABBED_PAIR = re.compile(r"([^\t\n]{1,60})\t+([^\t\n]+)")
TEMPLATE_DATE = datetime(2013, 12, 23, 23, 15)
"""When the empty document was made from which python-docx makes all others: no date of theirs."""


class Office(Reader):
    """Reads paragraphs, lists and tables in order; cells as their number format shows them."""

    suffixes = (".docx", ".docm", ".xlsx", ".xlsm")

    def read(self, path: Path) -> list[Part]:
        """The whole file as one part."""
        check_archive(path)
        return [Part(word(path) if path.suffix.lower() in (".docx", ".docm") else workbook(path))]


# Word


def word(path: Path) -> str:
    """A .docx file as Markdown."""
    import docx

    document = docx.Document(str(path))
    unfold(document.element.body)
    properties = document.core_properties
    head = front_matter(properties.title, stated_date(properties, [TEMPLATE_DATE]))
    return head + "\n\n".join(Body(document).blocks())


def unfold(body: Any) -> None:
    """Put what stands in content controls in their place and that of text boxes behind their paragraph; tables of contents go."""
    from docx.oxml.ns import qn

    for prompt in body.xpath(".//w:sdt[w:sdtPr/w:showingPlcHdr]/w:sdtContent//w:t"):
        prompt.text = ""  # what an empty control asks for
    for contents in body.xpath(".//w:sdt[w:sdtPr/w:docPartObj/w:docPartGallery[@w:val='Table of Contents']]"):
        contents.getparent().remove(contents)
    for control in body.xpath(".//w:sdt"):
        for inner in control.findall(f"{qn('w:sdtContent')}/*"):
            control.addprevious(inner)
        control.getparent().remove(control)
    # Every box stands in the file a second time, for programs that do not know its kind.
    boxes = body.xpath(".//w:txbxContent[not(ancestor::w:del or ancestor::*[local-name()='Fallback'])]")
    for box in reversed(boxes):
        holder = next(box.iterancestors(qn("w:p")))
        for inner in reversed(list(box)):
            holder.addnext(inner)


class Body:
    """A document's body; knows the level of the last heading, and the number of the last item of each list."""

    def __init__(self, document: Any) -> None:
        self.items = [item for item in document.iter_inner_content() if not is_paragraph(item) or paragraph_text(item).strip()]
        self.formats = number_formats(document)
        self.titled = any(style_name(item) == "title" for item in self.items if is_paragraph(item))
        self.level = 1
        self.counts: dict[tuple[str, int], int] = {}

    def blocks(self) -> Iterator[str]:
        """The Markdown blocks in order; the items of one list in one block."""
        items: list[str] = []
        for number, item in enumerate(self.items):
            text = self.paragraph(item, self.items[number + 1 : number + 2]) if is_paragraph(item) else word_table(item)
            if is_paragraph(item) and re.match(r" *(?:-|\d+\.) ", text):
                items.append(text)
                continue
            if items and text:
                yield "\n".join(items)
                items = []
            if text:
                yield text
        if items:
            yield "\n".join(items)

    def paragraph(self, item: Any, following: list[Any]) -> str:
        """One paragraph as heading, list item or text."""
        text = paragraph_text(item)
        if not one_line(text):
            return ""
        level = self.heading_level(item, following)
        if level:
            self.level = level if not is_bold_line(item) or heading_style(item) else self.level
            return f"{'#' * level} {one_line(text)}"
        if found := self.list_of(item):
            return f"{'    ' * found[1]}{self.mark(*found)} {one_line(text)}"
        if match := TYPED_BULLET.match(text):
            return f"- {one_line(text[match.end() :])}"
        if match := TABBED_PAIR.fullmatch(text.strip()):
            return f"- {one_line(match[1]).rstrip(':')}: {one_line(match[2])}"
        return paragraph(text)

    def heading_level(self, item: Any, following: list[Any]) -> int:
        """The level of a heading, 0 for other paragraphs; a short bold line before plain text is one below the last."""
        if style_name(item) == "title":
            return 1
        if level := heading_style(item):
            return min(6, level + self.titled)
        if item is self.items[0] and is_bold_line(item) and not self.titled:
            return 1
        opens = bool(following) and not (is_paragraph(following[0]) and (is_bold_line(following[0]) or heading_style(following[0])))
        return min(6, self.level + 1) if opens and is_bold_line(item) and not self.list_of(item) else 0

    def list_of(self, item: Any) -> tuple[str, int] | None:
        """The list that a paragraph is an item of and the depth in it; None for other paragraphs."""
        for holder in (item._p.pPr, *(style.element.pPr for style in styles(item))):
            numbering = holder.numPr if holder is not None else None
            if numbering is not None and numbering.numId is not None:
                depth = numbering.ilvl.val if numbering.ilvl is not None else 0
                return (str(numbering.numId.val), max(depth, style_depth(item))) if numbering.numId.val else None
        name = style_name(item)
        return (name, style_depth(item)) if name.startswith("list ") and "continue" not in name else None

    def mark(self, numbering: str, depth: int) -> str:
        """The bullet or the number of the next item of a list."""
        kind = self.formats.get((numbering, depth), "decimal" if "number" in numbering else "bullet")
        if kind in ("bullet", "none"):
            return "-"
        self.counts = {key: count for key, count in self.counts.items() if key[0] != numbering or key[1] <= depth}
        self.counts[numbering, depth] = self.counts.get((numbering, depth), 0) + 1
        return f"{self.counts[numbering, depth]}."


def is_paragraph(item: Any) -> bool:
    """Whether a piece of the body is a paragraph, not a table."""
    return hasattr(item, "runs")


def styles(item: Any) -> Iterator[Any]:
    """The style of a paragraph and those it is based on."""
    style = item.style
    for _ in range(10):
        if style is None:
            return
        yield style
        style = style.base_style


def style_name(item: Any) -> str:
    """The name of a paragraph's style in lower case."""
    return str(item.style.name or "").lower() if item.style is not None else ""


def style_depth(item: Any) -> int:
    """How deep a list style lies: `List Bullet 3` is two below `List Bullet`."""
    match = re.fullmatch(r"list \w+ (\d)", style_name(item))
    return int(match[1]) - 1 if match else 0


def heading_style(item: Any) -> int:
    """The heading level that a paragraph or its style states, else 0."""
    for style in styles(item):
        if match := re.fullmatch(r"heading (\d)", str(style.name or "").lower()):
            return int(match[1])
    for holder in (item._p.pPr, *(style.element.pPr for style in styles(item))):
        outline = holder.xpath("./w:outlineLvl/@w:val") if holder is not None else []
        if outline:
            return int(outline[0]) + 1 if int(outline[0]) < 9 else 0
    return 0


def is_bold_line(item: Any) -> bool:
    """Whether a paragraph is one short line, all bold, that does not end like a sentence."""
    text = item.text.strip()
    runs = [run for run in item.runs if run.text.strip()]
    return bool(runs) and len(text) <= 80 and "\n" not in text and text[-1] not in ".,;!" and all(run.bold for run in runs)


def paragraph_text(item: Any) -> str:
    """The text of a paragraph with links and line breaks, without deleted, struck out and hidden text."""
    parts = item._p.xpath(
        ".//*[self::w:t or self::w:br or self::w:cr or self::w:tab or self::w:noBreakHyphen]"
        "[not(ancestor::w:del or ancestor::w:moveFrom or ancestor::w:txbxContent)]"
        "[not(ancestor::w:r/w:rPr/*[self::w:vanish or self::w:strike or self::w:dstrike][not(@w:val='0' or @w:val='false')])]"
    )
    written = {"br": "\n", "cr": "\n", "tab": "\t", "noBreakHyphen": "-"}
    return "".join(written.get(part.tag.rpartition("}")[2], part.text or "") for part in parts)


def number_formats(document: Any) -> dict[tuple[str, int], str]:
    """The number format (bullet, decimal…) of every list at every depth."""
    from docx.oxml.ns import qn

    try:
        root = document.part.numbering_part.element
    except (KeyError, NotImplementedError):
        return {}
    formats: dict[tuple[str, int], str] = {}
    for number in root.xpath("./w:num"):
        abstract = number.xpath("string(./w:abstractNumId/@w:val)")
        for depth in root.xpath(f"./w:abstractNum[@w:abstractNumId='{abstract}']/w:lvl"):
            form = depth.find(qn("w:numFmt"))
            key = str(number.numId), int(depth.get(qn("w:ilvl")))
            formats[key] = form.get(qn("w:val")) if form is not None else "decimal"
    return formats


def word_table(item: Any) -> str:
    """A table as Markdown; merged cells are filled in, but a cell across the whole table stands alone in its row."""
    rows = [[cell_text(cell) for cell in row.cells] if len({cell._tc for cell in row.cells}) > 1 else [cell_text(row.cells[0])]
            for row in item.rows if row.cells]  # fmt: skip
    first = next((row for row in item.rows if len({cell._tc for cell in row.cells}) > 1), None)
    lines = [line for cell in first.cells for line in cell.paragraphs if line.text.strip()] if first is not None else []
    bold = bool(lines) and all(is_bold_line(line) for line in lines)
    return table(rows, bold or None)


def cell_text(cell: Any) -> str:
    """The text of a cell, that of tables in it included."""
    texts = [paragraph_text(item) if is_paragraph(item) else "; ".join(cell_text(c) for row in item.rows for c in row.cells)
             for item in cell.iter_inner_content()]  # fmt: skip
    return one_line(" ".join(texts))


# Excel


def workbook(path: Path) -> str:
    """An .xlsx file as Markdown: every visible sheet under a heading of its own."""
    import warnings

    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl warns of drawings and extensions that it leaves out: no text is in them.
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            properties = book.properties
            stamp = properties.modified or properties.created
            sheets = [(page.title, sheet_text(page)) for page in book.worksheets if page.sheet_state == "visible"]
        finally:
            book.close()
    return front_matter(properties.title, stamp and stamp.date()) + "\n\n".join(f"## {title}\n\n{text}" for title, text in sheets if text)


def sheet_text(page: Any) -> str:
    """The tables of one sheet, cells as they are shown."""
    page.reset_dimensions()  # What the file states is often wrong, and then rows would be missing.
    return sheet([[shown(cell.value, cell.number_format) if cell.value is not None else "" for cell in row] for row in page.iter_rows()])
