"""PDF files that have a text layer: headings by letter size, paragraphs, lists and tables by position."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engrain.documents._layout import (
    HYPHENS,
    Grid,
    Metrics,
    Span,
    aligned_cells,
    aligned_tables,
    grids,
    join,
    page_layout,
    page_lines,
    ruled_table,
    without_running,
)
from engrain.documents._markdown import front_matter, paragraph
from engrain.documents._tables import table
from engrain.documents.base import Part, Reader, Unreadable

BULLET = re.compile(r"^(?:[•◦▪‣·●○■□\uf0b7\uf0a7*–-]|o(?= ))\s*(?=\S|$)")
NUMBERED = re.compile(r"^\(?(\d{1,2}|[a-z])[.)]\s+(?=\S)")
LEADER = re.compile(r"^(\S.*?)\s*(?:\.\s?){4,}\s*(\S.*)$")
CONTACT = re.compile(r"@\w|(?:\+|\b0)\d[\d ()-]{6,}\d|\b\d{3}[ -]\d{3,4}\b|www\.|https?://")
JUNK_TITLE = re.compile(r"untitled|anonymous|unspecified|^microsoft \w+ - |\.(?:docx?|pdf|indd|rtf|odt|tex)$", re.IGNORECASE)


@dataclass(frozen=True)
class Block:
    """A stretch of a page. `kind` is heading, paragraph, item or table; a table has `rows`, the others have `text`."""

    kind: str
    page: int
    text: str = ""
    size: float = 0
    bold: bool = False
    rows: tuple[tuple[str, ...], ...] = ()


class Pdf(Reader):
    """Puts the letters of the pages together again."""

    suffixes = (".pdf",)

    def read(self, path: Path) -> list[Part]:
        """One part for every page that has text."""
        with closing(open_pdf(path)) as pdf:
            info = pdf.get_metadata_dict()
            pages = [page_layout(pdf[number]) for number in range(len(pdf))]
        if not any(spans for spans, _, _ in pages):
            raise Unreadable("no text layer: the pages are pictures", "run OCR (for example ocrmypdf) first")
        tables = [list(grids(boxes)) for _, boxes, _ in pages]
        lines, running = without_running([spans for spans, _, _ in pages], [height for _, _, height in pages], tables)
        metrics = Metrics.of(lines)
        found = [block for number, spans in enumerate(lines, 1) for block in page_blocks(spans, tables[number - 1], number, metrics)]
        parts = to_parts(joined(found, metrics), metrics)
        title = str(info.get("Title") or "")
        head = front_matter("" if JUNK_TITLE.search(title) else title, pdf_date(info.get("ModDate") or info.get("CreationDate") or ""))
        known = " ".join(part.text for part in parts)
        contacts = [line for line in running if CONTACT.search(line) and line not in known]
        if contacts:
            parts.append(Part("## Contact\n\n" + "\n\n".join(contacts), 1))
        return [replace(parts[0], text=head + parts[0].text), *parts[1:]] if parts else []


def open_pdf(path: Path) -> Any:
    """The open file. Raises Unreadable where it is encrypted or damaged."""
    import pypdfium2
    import pypdfium2.raw

    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (pypdfium2.raw.FPDF_ERR_PASSWORD, pypdfium2.raw.FPDF_ERR_SECURITY):
            raise Unreadable("encrypted: a password is needed", "save a copy without a password") from error
        raise Unreadable(f"damaged, or no PDF ({error})", "open it in a PDF program and save it again") from error


def pdf_date(text: str) -> str:
    """The day of a PDF date (`D:20260301120000Z`) as ISO, or ""."""
    match = re.match(r"(?:D:)?(\d{4})(\d\d)(\d\d)", text)
    return "-".join(match.groups()) if match else ""


# From spans to blocks


def page_blocks(spans: list[Span], ruled: Sequence[Grid], page: int, metrics: Metrics) -> list[Block]:
    """The blocks of a page in reading order."""
    tables: dict[int, Block] = {}
    found = [ruled_table(spans, *grid) for grid in ruled]
    taken = {span for cells in found for group in cells.values() for span in group}
    found += [aligned_cells(run) for run in aligned_tables([span for span in spans if span not in taken])]
    for cells in found:
        inside = [span for group in cells.values() for span in group]
        if len({row for row, _ in cells}) > 1 and len({column for _, column in cells}) > 1:
            tables[min(span.order for span in inside)] = as_table(cells, page, metrics)
            taken.update(inside)
        else:
            taken.difference_update(inside)
    lines = page_lines([span for span in spans if span not in taken])
    blocks: list[Block] = []
    pending: list[Span] = []
    items: list[tuple[int, Block | Span]] = [*tables.items(), *((line.order, line) for line in lines)]
    for _, item in sorted(items, key=lambda pair: pair[0]):
        if isinstance(item, Span):
            pending.append(item)
        else:
            blocks += [*line_blocks(pending, page, metrics), item]
            pending = []
    return blocks + line_blocks(pending, page, metrics)


def as_table(cells: dict[tuple[int, int], list[Span]], page: int, metrics: Metrics) -> Block:
    """The table that the cells make; `bold` says that its first row names the columns."""
    height, width = (1 + max(index[axis] for index in cells) for axis in (0, 1))
    rows = []
    for row in range(height):
        texts = []
        for column in range(width):
            text = ""
            for span in sorted(cells.get((row, column), []), key=lambda span: (-span.y, span.left)):
                text = join(text, span.text, metrics)
            texts.append(text)
        rows.append(tuple(texts))
    first = [span for (row, _), group in cells.items() if row == 0 for span in group]
    second = [span for (row, _), group in cells.items() if row == 1 for span in group]
    bold = all(span.bold for span in first) and not all(span.bold for span in second)
    return Block("table", page, bold=bold, rows=tuple(row for row in rows if any(row)))


def line_blocks(lines: Sequence[Span], page: int, metrics: Metrics) -> list[Block]:
    """Headings, paragraphs and list items that the lines make."""
    blocks: list[Block] = []
    for number, line in enumerate(lines):
        above = lines[number - 1] if number else None
        kind = line_kind(lines, number, metrics)
        last = blocks[-1] if blocks else None
        near = above is not None and 0 < above.y - line.y < max(metrics.leading * 1.25, 1.5 if kind == "heading" else 0) * line.size + 0.5
        if above and last and near and goes_on(last, above, line, kind, lines):
            right = max(other.right for other in lines if abs(other.left - line.left) < 40)
            # The first word would have fitted on the line above: the line end was meant.
            fits = above.right + len(line.text.split()[0]) * line.size * 0.5 < right or len(above.text) < 30
            broken = kind == "paragraph" and last.kind == "paragraph" and fits and not line.text[:1].islower()
            text = f"{last.text}\n{line.text}" if broken else join(last.text, line.text, metrics)
            blocks[-1] = replace(last, text=text)
        else:
            blocks.append(Block(kind, page, line.text, line.size, line.bold))
    return blocks


def line_kind(lines: Sequence[Span], number: int, metrics: Metrics) -> str:
    """Whether a line is a heading, begins a list item, or belongs to a paragraph."""
    line = lines[number]
    text = line.text
    large = line.size >= metrics.size * 1.12
    if BULLET.match(text) and not text[1:2].isdigit() and not large:
        return "item"
    if len(text) <= 120 and re.search(r"[^\W\d_]", text) and large:
        return "heading"
    below = lines[number + 1] if number + 1 < len(lines) else None
    alone = below is None or not below.bold or below.size != line.size or line.y - below.y > metrics.leading * 1.25 * line.size
    if (
        line.bold
        and len(text) <= 80
        and line.size >= metrics.size
        and alone
        and not re.search(r"[.,;!]$|:\s+\S", text)
        and text[:1].isalnum()
    ):
        return "heading"
    return "item" if NUMBERED.match(text) or LEADER.match(text) else "paragraph"


def goes_on(last: Block, above: Span, line: Span, kind: str, lines: Sequence[Span]) -> bool:
    """Whether a line that stands close below another goes on its block."""
    if kind == "item" or line.size != above.size:
        return False
    if kind == "heading" or last.kind == "heading":
        return kind == last.kind and line.bold == above.bold
    if last.kind == "item":
        first_line = next(other for other in reversed(lines[: lines.index(line)]) if last.text.startswith(other.text[:8]))
        return line.left > first_line.left + 2
    return True


def joined(blocks: Sequence[Block], metrics: Metrics) -> list[Block]:
    """The blocks with what runs over a page's end put together on the page where it starts."""
    result: list[Block] = []
    page = 0
    for block in blocks:
        last = result[-1] if result and page < block.page else None
        page = block.page
        if last and last.kind == block.kind == "table" and len(last.rows[0]) == len(block.rows[0]):
            result[-1] = replace(last, rows=last.rows + block.rows[block.rows[0] == last.rows[0] :])
        elif last and block.kind == "paragraph" and runs_on(last, block):
            result[-1] = replace(last, text=join(last.text, block.text, metrics))
        else:
            result.append(block)
    return result


def runs_on(last: Block, block: Block) -> bool:
    """Whether a page's first paragraph is the rest of the page before's last."""
    unfinished = not re.search(r"[.!?:;…][\"”’)]?$", last.text)
    return (
        last.kind in ("paragraph", "item")
        and last.size == block.size
        and unfinished
        and (block.text[:1].islower() or (last.text[-1:] in HYPHENS + "-,") or len(last.text) > 60)
    )


def to_parts(blocks: Sequence[Block], metrics: Metrics) -> list[Part]:
    """The Markdown of every page; the largest letters make the title where they open the document or stand once."""
    blocks = without_bare_headings(blocks, metrics)
    ranks = sorted({rank(block, metrics) for block in blocks if block.kind == "heading"}, reverse=True)
    opening = blocks[0] if blocks and blocks[0].kind == "heading" and rank(blocks[0], metrics) == ranks[0] else None
    alone = sum(block.kind == "heading" and rank(block, metrics) == ranks[0] for block in blocks) == 1
    first = 1 if alone else 2
    texts: dict[int, list[str]] = {}
    for block in blocks:
        level = min(6, first + ranks.index(rank(block, metrics))) if block.kind == "heading" else 0
        written = markdown(block, 1 if block is opening else level)
        pieces = texts.setdefault(block.page, [])
        # Items of one list stand on lines of their own without an empty line between.
        if (
            pieces
            and written.startswith(("- ", "1. "))
            and block.kind == "item"
            and re.search(r"^(?:- |\d+\. ).*\Z", pieces[-1], re.MULTILINE)
        ):
            pieces[-1] += f"\n{written}"
        else:
            pieces.append(written)
    return [Part("\n\n".join(pieces), page) for page, pieces in texts.items()]


def without_bare_headings(blocks: Sequence[Block], metrics: Metrics) -> list[Block]:
    """The blocks with what looks like a heading but has nothing below it as a paragraph, so that it is not lost."""
    result: list[Block] = []
    for block, below in zip(blocks, [*blocks[1:], None], strict=True):
        bare = below is None or (below.kind == "heading" and rank(below, metrics) >= rank(block, metrics))
        is_title = not result and below is not None
        result.append(replace(block, kind="paragraph") if block.kind == "heading" and bare and not is_title else block)
    return result


def rank(block: Block, metrics: Metrics) -> tuple[float, bool]:
    """What decides the level of a heading: its size; at the size of the body its weight."""
    return (block.size, False) if block.size >= metrics.size * 1.12 else (metrics.size, True)


def markdown(block: Block, level: int) -> str:
    """One block as Markdown."""
    if block.kind == "heading":
        return f"{'#' * level} {block.text}"
    if block.kind == "table":
        return table(block.rows, True if block.bold else None)
    if block.kind == "item" and (match := LEADER.match(block.text)):
        return f"- {match[1]}: {match[2]}"
    if block.kind == "item" and (match := NUMBERED.match(block.text)):
        return f"{match[1]}. {block.text[match.end() :]}" if match[1].isdigit() else f"- {block.text}"
    if block.kind == "item":
        return f"- {BULLET.sub('', block.text, count=1)}"
    return paragraph(block.text)
