"""Rows of cells as Markdown tables, for all readers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from engrain.documents._markdown import one_line, paragraph

FIGURE = re.compile(r"\d")
FULL_NAME = re.compile(r"(?:[A-Z][\w'’-]+ ){1,2}[A-Z][\w'’-]+")
"""Somebody's name, most of the time."""
MACHINE_NAME = re.compile(r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+")
VALUE = re.compile(r"^(?!(?:19|20)\d\d$)\D{0,2}\d[\d.,:/–-]*\D{0,3}$|@\w|^https?:")
COLUMN_NAMES = re.compile(
    r"name|item|key|value|field|setting|question|answer|term|meaning|definition|description|details?|days?|dates?|times?|hours|price|cost|role"
    r"|job|phone|e-?mail|address|notes?|product|service|topic|policy|rule|who|what|when|where|code|option|charges?|fees?|fares?|amount|sum"
    r"|percentage|share|refund|discount|deposit|quantity|size|weight|age|person|contact|extension|room|place|venue|stop|route"
    r"|notice(?: given)?|(?:what )?(?:you|we) (?:pay|get|need|charge|keep|refund|give)",
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
    names = [column_name(cell) for cell in first] if header else [""] * len(full)
    pieces = []
    for title, group in groups:
        body = [names, ["---"] * len(full), *(row for row in group if not header or row is not first)]
        pieces += [title] if title else []
        pieces += ["\n".join(f"| {' | '.join(row)} |" for row in body)] if len(body) > 2 or len(groups) == 1 else []
    return "\n\n".join(pieces)


def column_name(cell: str) -> str:
    """A column's name in words: `working_days` becomes `working days`."""
    return cell.replace("_", " ") if MACHINE_NAME.fullmatch(cell) else cell


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

    Two columns are pairs unless figures or people's names follow, or both names are such as columns have.
    """
    first, rest = cells[0], cells[1:]
    named = [cell for cell in first if cell]
    if not rest or len(named) < 2 or len(named) * 2 < len(first) or any(VALUE.search(cell) for cell in named):
        return False
    figures = all(FIGURE.search(row[1]) for row in rest if row[1]) and not any(FIGURE.search(cell) for cell in named)
    people = len(rest) > 1 and all(FULL_NAME.fullmatch(row[1]) for row in rest) and not FULL_NAME.fullmatch(first[1])
    return len(first) > 2 or figures or people or all(map(COLUMN_NAMES.fullmatch, named))


def sheet(rows: Iterable[Sequence[object]], level: int = 3) -> str:
    """Rows of a spreadsheet as Markdown: blocks between empty rows are tables of their own.

    A row with a single cell above a wider block is its heading (at `level`), a block of single cells is text. A block that begins
    with values has the columns of the one before it.
    """
    blocks: list[list[list[str]]] = [[]]
    for row in rows:
        cells = [one_line(cell) for cell in row]
        if any(cells):
            blocks[-1].append(cells)
        elif blocks[-1]:
            blocks.append([])
    blocks = list(with_columns([block for block in blocks if block]))
    return "\n\n".join(piece for number, block in enumerate(blocks, 1) for piece in sheet_block(block, level, number == len(blocks)))


def with_columns(blocks: Iterable[list[list[str]]]) -> Iterator[list[list[str]]]:
    """The blocks, those that go on with the columns of the one before them with these above their rows."""
    columns: list[str] = []
    before: list[list[str]] = []
    for block in blocks:
        top, width = first_row(block), max(map(len, block))
        rows = [row + [""] * (width - len(row)) for row in block[top:]]
        if rows and goes_on(rows, columns, before):
            block, before = [*block[:top], columns, *rows], rows
        elif rows and has_header(rows):
            columns, before = rows[0], rows[1:]
        elif rows:
            columns = []
        yield block


def first_row(block: Sequence[Sequence[str]]) -> int:
    """The number of a block's first row with several cells; that of all rows where none has.

    One with a gap after its first cell, above a full row that names columns, is a title with a remark.
    """
    first = next((number for number, row in enumerate(block) if sum(map(bool, row)) > 1), len(block))
    below = block[first + 1 :]
    if len(below) > 1 and block[first][0] and not all(block[first]) and len(below[0]) > 2 and all(below[0]) and has_header(below):
        return first + 1
    return first


def goes_on(rows: Sequence[Sequence[str]], columns: Sequence[str], before: Sequence[Sequence[str]]) -> bool:
    """Whether rows can stand below columns that another block of rows has named: the first holds values, or is like those `before`."""
    width = max(number for row in rows for number, cell in enumerate(row, 1) if cell)
    if not 2 < width <= len(columns) or not all(columns[:width]):
        return False
    alike = any(
        cell and alike_in(cell, [row[number] for row in before if number < len(row)]) for number, cell in enumerate(rows[0][:width])
    )
    return alike or (not has_header(rows) and any(VALUE.search(cell) for cell in rows[0]))


def alike_in(cell: str, column: Sequence[str]) -> bool:
    """Whether a cell is what one of the column says, or a code such as all of its: FR-302 below FR-101."""
    shape = [re.sub(r"[A-Z]", "A", re.sub(r"\d", "9", text)) for text in (cell, *column)]
    return cell in column or ("9" in shape[0] and len(set(shape)) == 1 and len(shape) > 1)


def sheet_block(block: list[list[str]], level: int, last: bool) -> Iterator[str]:
    """The Markdown pieces of one block of rows; a short line on its own titles what follows it."""
    top = first_row(block)
    titles = [cell for row in block[:top] for cell in row if cell]
    if top == len(block):
        titled = not last and len(titles[0]) <= 60 and titles[0][-1] not in ".!?;,"
        yield f"{'#' * level} {titles[0]}" if titled else paragraph(titles[0])
        yield from map(paragraph, titles[1:])
        return
    for number, line in enumerate(titles):
        yield f"{'#' * level} {line}" if number == 0 and len(line) <= 80 else paragraph(line)
    yield table(block[top:])
