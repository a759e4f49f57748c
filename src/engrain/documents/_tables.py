"""Rows of cells as Markdown tables, for all readers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from engrain.documents._markdown import one_line, paragraph

FIGURE = re.compile(r"\d")
VALUE = re.compile(r"^(?!(?:19|20)\d\d$)\D{0,2}\d[\d.,:/–-]*\D{0,3}$|@\w|^https?:")
COLUMN_NAMES = re.compile(
    r"name|item|key|value|field|setting|question|answer|term|meaning|definition|description|details?|days?|dates?|times?|hours|price|cost|role"
    r"|job|phone|e-?mail|address|notes?|product|service|topic|policy|rule|who|what|when|where|code|option",
    re.IGNORECASE,
)


def table(rows: Iterable[Sequence[object]], header: bool | None = None) -> str:
    """The rows as a GFM pipe table whose first row is the header; two columns without one as `- Key: value` items.

    `header` says whether the first full row names the columns; None leaves it to what stands in the rows. In a wide
    table a row of a single cell stands above the rows that follow it as a line of text, and they are a table anew.
    """
    cells = [[one_line(cell).replace("|", "\\|") for cell in row] for row in rows]
    cells = [row for row in cells if any(row)]
    width = max((len(row) for row in cells), default=0)
    cells = [row + [""] * (width - len(row)) for row in cells]
    full = [column for column in range(width) if any(row[column] for row in cells)]
    cells = [[row[column] for column in full] for row in cells]
    if len(full) < 2:
        return "\n".join(f"- {row[0]}" for row in cells)
    groups = row_groups(cells)
    first = next(row for _, group in groups for row in group)
    if header is None:
        header = has_header([row for _, group in groups for row in group])
    if not header and len(full) == 2:
        return "\n".join(f"- {key}: {value}" if key and value else f"- {key or value}" for key, value in cells)
    names = first if header else [""] * len(full)
    pieces = []
    for title, group in groups:
        body = [names, ["---"] * len(full), *(row for row in group if not header or row is not first)]
        pieces += [title] if title else []
        pieces += ["\n".join(f"| {' | '.join(row)} |" for row in body)] if len(body) > 2 or len(groups) == 1 else []
    return "\n\n".join(pieces)


def row_groups(cells: list[list[str]]) -> list[tuple[str, list[list[str]]]]:
    """The rows cut before every row that has a single cell and others below it; that cell is the group's title."""
    groups: list[tuple[str, list[list[str]]]] = [("", [])]
    for number, row in enumerate(cells):
        alone = row[0] and not any(row[1:])
        if alone and len(row) > 2 and number + 1 < len(cells):
            groups.append((row[0], []))
        else:
            groups[-1][1].append(row)
    return [(title, group) for title, group in groups if title or group]


def has_header(cells: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names columns: words at least half of the way, none of them a value.

    Two columns are pairs unless figures follow, or both names are such as columns have.
    """
    first, rest = cells[0], cells[1:]
    named = [cell for cell in first if cell]
    if not rest or len(named) < 2 or len(named) * 2 < len(first) or any(VALUE.search(cell) for cell in named):
        return False
    figures = all(FIGURE.search(row[1]) for row in rest if row[1]) and not any(FIGURE.search(cell) for cell in named)
    return len(first) > 2 or figures or all(map(COLUMN_NAMES.fullmatch, named))


def sheet(rows: Iterable[Sequence[object]], level: int = 3) -> str:
    """Rows of a spreadsheet as Markdown: blocks between empty rows are tables of their own.

    A row with a single cell above a wider block is its heading (at `level`), a block of single cells is text.
    """
    blocks: list[list[list[str]]] = [[]]
    for row in rows:
        cells = [one_line(cell) for cell in row]
        if any(cells):
            blocks[-1].append(cells)
        elif blocks[-1]:
            blocks.append([])
    blocks = [block for block in blocks if block]
    return "\n\n".join(piece for number, block in enumerate(blocks, 1) for piece in sheet_block(block, level, number == len(blocks)))


def sheet_block(block: list[list[str]], level: int, last: bool) -> Iterator[str]:
    """The Markdown pieces of one block of rows; a short line on its own titles what follows it."""
    filled = [[cell for cell in row if cell] for row in block]
    if max(map(len, filled)) == 1:
        titles = not last and len(filled[0][0]) <= 60 and filled[0][0][-1] not in ".!?;,"
        yield f"{'#' * level} {filled[0][0]}" if titles else paragraph(filled[0][0])
        yield from (paragraph(row[0]) for row in filled[1:])
        return
    top = next(number for number, row in enumerate(filled) if len(row) > 1)
    for number, row in enumerate(filled[:top]):
        yield f"{'#' * level} {row[0]}" if number == 0 and len(row[0]) <= 80 else paragraph(row[0])
    yield table(block[top:])
