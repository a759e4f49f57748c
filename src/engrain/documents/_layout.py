"""The letters of PDF pages by their position: spans and lines of text, columns and ruled grids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

MARK_ALONE = re.compile(r"^(?:[•◦▪‣·●○■□\uf0b7\uf0a7*–-]|o|\(?\d{1,2}[.)])$")
PAGE_NUMBER = re.compile(r"^(?:page\s*)?[-–|]?\s*\d{1,4}\s*(?:(?:of|/)\s*\d{1,4})?\s*[-–|]?$", re.IGNORECASE)
HYPHENS = "\x02\xad\ufffe"
MARGIN = 0.12
"""The share of the page's height, above and below, where running headers, footers and page numbers stand."""

Box = tuple[float, float, float, float]
"""Left, bottom, right, top in points."""
Grid = tuple[list[float], list[float]]
"""The column edges (left to right) and row edges (top to bottom) of a ruled table."""


@dataclass(frozen=True)
class Span:
    """Letters that follow each other on one baseline without a wide gap; lengths in points, `y` upwards."""

    text: str
    left: float
    right: float
    y: float
    size: float
    bold: bool
    order: int


# From letters to spans


def page_layout(page: Any) -> tuple[list[Span], list[Box], float]:
    """The spans of a page in the order they were written, the boxes (left, bottom, right, top) of its drawings, and its height."""
    import pypdfium2.raw as raw

    with closing(page), closing(page.get_textpage()) as text:
        spans = list(page_spans(text))
        boxes = [item.get_bounds() for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_PATH])]
        return with_marks(spans), boxes, page.get_height()


def page_spans(text: Any) -> Iterator[Span]:
    """The letters of a page put together to spans."""
    current: list[Span] = []
    for letter in page_letters(text):
        if current and letter.text.strip() and starts_new(current[-1], letter):
            yield from whole_span(current)
            current = []
        if letter.text == "\n":
            yield from whole_span(current)
            current = []
        elif letter.text.strip() or current:
            current.append(letter)
    yield from whole_span(current)


def page_letters(text: Any) -> Iterator[Span]:
    """Every upright letter as a span of its own; generated spaces and line ends have the place of the letter before."""
    import ctypes

    import pypdfium2.raw as raw

    fonts: dict[int, tuple[float, bool, bool]] = {}
    x, y = ctypes.c_double(), ctypes.c_double()
    box = raw.FS_RECTF()
    last = Span("", 0, 0, 0, 1, False, 0)
    for index in range(text.count_chars()):
        code = raw.FPDFText_GetUnicode(text, index)
        if raw.FPDFText_IsGenerated(text, index) == 1:
            yield replace(last, text="\n" if code in (10, 13) else " ", left=last.right)
            continue
        owner = ctypes.cast(raw.FPDFText_GetTextObject(text, index), ctypes.c_void_p).value or 0
        if owner not in fonts:
            fonts[owner] = font(text, index)
        size, bold, upright = fonts[owner]
        if not upright or not 0 < code < 0x110000:
            continue
        raw.FPDFText_GetCharOrigin(text, index, x, y)
        raw.FPDFText_GetLooseCharBox(text, index, box)
        last = Span(chr(code), box.left, box.right, y.value, size, bold, index)
        yield last


def font(text: Any, index: int) -> tuple[float, bool, bool]:
    """Size in points, whether bold and whether upright, of the letter at `index`."""
    import ctypes

    import pypdfium2.raw as raw

    matrix, flags = raw.FS_MATRIX(), ctypes.c_int()
    raw.FPDFText_GetMatrix(text, index, matrix)
    name = ctypes.create_string_buffer(256)
    raw.FPDFText_GetFontInfo(text, index, name, 256, flags)
    size = raw.FPDFText_GetFontSize(text, index) * (matrix.b**2 + matrix.d**2) ** 0.5
    heavy = raw.FPDFText_GetFontWeight(text, index) >= 600 or bool(re.search(rb"bold|black|heavy|semibold", name.value, re.IGNORECASE))
    return round(size * 2) / 2, heavy, abs(matrix.b) <= abs(matrix.a) / 10 and matrix.a > 0


def starts_new(before: Span, letter: Span) -> bool:
    """Whether a letter stands on another line than the one before it, or behind a wide gap."""
    size = max(before.size, letter.size)
    return abs(before.y - letter.y) > size * 0.6 or letter.left - before.right > size * 1.1 or letter.right < before.left - size


def whole_span(letters: list[Span]) -> Iterator[Span]:
    """The letters as one span, where they hold any; it is as large and heavy as most of them."""
    text = re.sub(r"\s+", " ", "".join(letter.text for letter in letters)).strip()
    if text:
        inked = [letter for letter in letters if letter.text.strip()]
        size = Counter(letter.size for letter in inked).most_common(1)[0][0]
        # The baseline of the largest letters: raised and lowered figures have another.
        y = Counter(letter.y for letter in inked if letter.size == size).most_common(1)[0][0]
        yield Span(text, inked[0].left, inked[-1].right, y, size, all(letter.bold for letter in inked), inked[0].order)


def with_marks(spans: Sequence[Span]) -> list[Span]:
    """The spans with every bullet or number that stands apart put before its text."""
    result: list[Span] = []
    for span in spans:
        if (
            result
            and MARK_ALONE.match(result[-1].text)
            and abs(result[-1].y - span.y) < span.size * 0.5
            and 0 <= span.left - result[-1].left < 60
        ):
            mark = result.pop()
            span = replace(span, text=f"{mark.text} {span.text}", left=mark.left, order=mark.order)
        result.append(span)
    return result


# What repeats on the pages


def without_running(
    pages: Sequence[Sequence[Span]], heights: Sequence[float], tables: Sequence[Sequence[Grid]]
) -> tuple[list[list[Span]], list[str]]:
    """The pages without running headers, footers and page numbers, and each of these once; what stands in a ruled table stays."""
    edges = [edge_spans(spans, height, grid) for spans, height, grid in zip(pages, heights, tables, strict=True)]
    seen = Counter(key for number, spans in enumerate(edges, 1) for key in {key for span in spans for key in running_keys(span, number)})
    # Lines that change sides stand at one place on every second page.
    often = {key for key, times in seen.items() if times >= max(2, len(pages) // 2)}
    kept: list[list[Span]] = []
    running: dict[str, None] = {}
    for number, (spans, edge) in enumerate(zip(pages, edges, strict=True), 1):
        repeated = {span for span in edge if running_keys(span, number) & often}
        drop = repeated | {span for span in edge if is_page_number(span, number, [s for s in spans if s not in repeated])}
        running |= dict.fromkeys(span.text for span in edge if span in drop and not re.search(r"\bpage \d", span.text, re.IGNORECASE))
        kept.append([span for span in spans if span not in drop])
    return kept, list(running)


def edge_spans(spans: Sequence[Span], height: float, tables: Sequence[Grid]) -> list[Span]:
    """The spans near the upper and lower end of a page that stand in no ruled table."""
    ruled = {span for grid in tables for cell in ruled_table(spans, *grid).values() for span in cell}
    return [span for span in spans if not MARGIN * height < span.y < (1 - MARGIN) * height and span not in ruled]


def running_keys(span: Span, page: int) -> set[tuple[str, str, int, int, float]]:
    """What the same line of another page shares with a span: the words but for the page's own number, the size and the place.

    The place is that of its left end, its middle or its right end, since numbers differ in width.
    """
    text = re.sub(rf"(?<=\bpage )\d+|(?<!\S){page}(?!\S)", "#", span.text, count=1, flags=re.IGNORECASE)
    places = {"left": span.left, "middle": (span.left + span.right) / 2, "right": span.right}
    return {(text, name, round(x / 4), round(span.y / 4), span.size) for name, x in places.items()}


def is_page_number(span: Span, page: int, spans: Sequence[Span]) -> bool:
    """Whether a span is the page's number: it says so, stands without words beside it, or beside a single title and is right.

    A number beside other words is a value in the row of a table.
    """
    if not PAGE_NUMBER.match(span.text):
        return False
    beside = sum(abs(other.y - span.y) < span.size * 0.35 and not PAGE_NUMBER.match(other.text) for other in spans)
    return "page" in span.text.lower() or beside <= (str(page) in re.findall(r"\d+", span.text))


@dataclass(frozen=True)
class Metrics:
    """What is usual in a document: the body's letter size, and the distance of its lines in letter sizes."""

    size: float
    leading: float
    words: frozenset[str]

    @classmethod
    def of(cls, pages: Sequence[Sequence[Span]]) -> Metrics:
        """The most common values over all pages."""
        sizes: Counter[float] = Counter()
        gaps: Counter[float] = Counter()
        for spans in pages:
            for span in spans:
                sizes[span.size] += len(span.text)
            for above, below in pairwise(spans):
                if above.size == below.size and 0.9 * below.size < above.y - below.y < 2.2 * below.size:
                    gaps[round((above.y - below.y) / below.size, 1)] += 1
        words = {word.lower() for spans in pages for span in spans for word in re.findall(r"\w+-\w+", span.text)}
        return cls(sizes.most_common(1)[0][0] if sizes else 10, gaps.most_common(1)[0][0] if gaps else 1.2, frozenset(words))


# Tables


def grids(boxes: Sequence[Box]) -> Iterator[Grid]:
    """Every ruled table on a page."""
    left = [box for box in boxes if (box[2] - box[0] < 3) != (box[3] - box[1] < 3)]
    while left:
        group, grown = [left.pop()], True
        while grown:
            touching = [box for box in left if any(touch(box, other) for other in group)]
            left = [box for box in left if box not in touching]
            group += touching
            grown = bool(touching)
        columns = edges((box[0] + box[2]) / 2 for box in group if box[2] - box[0] < 3)
        rows = edges((box[1] + box[3]) / 2 for box in group if box[3] - box[1] < 3)
        if len(columns) > 2 and len(rows) > 2:
            yield columns, rows[::-1]


def touch(one: Box, other: Box) -> bool:
    """Whether two boxes meet, within 3 points."""
    return one[0] <= other[2] + 3 and other[0] <= one[2] + 3 and one[1] <= other[3] + 3 and other[1] <= one[3] + 3


def edges(values: Iterable[float]) -> list[float]:
    """The values in order, each that is close to the one before left out."""
    result: list[float] = []
    for value in sorted(values):
        if not result or value - result[-1] > 4:
            result.append(value)
    return result


def ruled_table(spans: Sequence[Span], columns: list[float], rows: list[float]) -> dict[tuple[int, int], list[Span]]:
    """The spans that stand in each cell (row, column) of a ruled table."""
    cells: dict[tuple[int, int], list[Span]] = {}
    for span in spans:
        x, y = span.left + 1, span.y + span.size * 0.3
        row = next((n for n, (top, bottom) in enumerate(pairwise(rows)) if bottom <= y < top), None)
        column = next((n for n, (left, right) in enumerate(pairwise(columns)) if left - 1 <= x < right), None)
        if row is not None and column is not None:
            cells.setdefault((row, column), []).append(span)
    return cells


def visual_rows(spans: Sequence[Span]) -> list[list[Span]]:
    """The spans of a page by baseline, from the top down, each row from left to right."""
    rows: list[list[Span]] = []
    for span in sorted(spans, key=lambda span: (-span.y, span.left)):
        if rows and abs(rows[-1][0].y - span.y) < span.size * 0.35:
            rows[-1].append(span)
        else:
            rows.append([span])
    return [sorted(row, key=lambda span: span.left) for row in rows]


def columns_of(rows: Sequence[Sequence[Span]]) -> list[tuple[float, float]]:
    """The stretches of the page's width that the rows' spans cover, from left to right."""
    merged: list[tuple[float, float]] = []
    for span in sorted((span for row in rows for span in row), key=lambda span: span.left):
        if merged and span.left < merged[-1][1] + span.size * 0.4:
            merged[-1] = merged[-1][0], max(merged[-1][1], span.right)
        else:
            merged.append((span.left, span.right))
    return merged


def aligned_tables(spans: Sequence[Span]) -> Iterator[list[list[Span]]]:
    """Runs of at least two rows whose spans stand in the same two or more columns."""
    run: list[list[Span]] = []
    for row in [*visual_rows(spans), []]:
        if run and row and belongs(run, row):
            run.append(row)
            continue
        if sum(len(r) > 1 for r in run) > 1 and not is_prose(run):
            yield run
        run = [row] if len(row) > 1 else []


def belongs(run: list[list[Span]], row: list[Span]) -> bool:
    """Whether a row goes on the table above it: near, of the same letters, and leaving its columns apart."""
    gap, size = run[-1][0].y - row[0].y, row[0].size
    if gap > 3.2 * size or abs(size - run[-1][0].size) > 0.6:
        return False
    before, after = columns_of(run), columns_of([*run, row])
    if len(row) == 1:
        # A lone span is the next line of a cell, unless it stands in the first column.
        return len(after) == len(before) and row[0].left > before[0][1] and gap < 1.6 * size
    return len(after) >= max(2, len(before)) and len(row) >= 2


def is_prose(run: Sequence[Sequence[Span]]) -> bool:
    """Whether rows are columns of running text: long lines, written one column after the other."""
    lengths = sorted(len(span.text) for row in run for span in row)
    down = sum(row[1].order - row[0].order > 3 * len(row[0].text) + 20 for row in run if len(row) > 1)
    return down > len(run) / 2 and lengths[len(lengths) // 2] > 25


def aligned_cells(run: Sequence[Sequence[Span]]) -> dict[tuple[int, int], list[Span]]:
    """The spans of each cell; a row of one span goes on the row above."""
    columns = columns_of(run)
    cells: dict[tuple[int, int], list[Span]] = {}
    number = -1
    for row in run:
        number += len(row) > 1
        for span in row:
            column = next(n for n, (left, right) in enumerate(columns) if left <= span.left <= right)
            cells.setdefault((number, column), []).append(span)
    return cells


# Lines


def page_lines(spans: Sequence[Span]) -> list[Span]:
    """The lines of a page: spans that follow each other on one baseline become one."""
    lines: list[Span] = []
    for span in in_order(spans):
        if lines and abs(lines[-1].y - span.y) < span.size * 0.35 and span.left >= lines[-1].right - 1:
            last = lines.pop()
            span = replace(last, text=f"{last.text} {span.text}", right=span.right, bold=last.bold and span.bold)
        lines.append(span)
    return lines


def in_order(spans: Sequence[Span]) -> list[Span]:
    """The spans as they were written, which is the reading order, unless that runs up the page time and again."""
    upwards = sum(
        below.y > above.y + above.size and below.left < above.right and above.left < below.right for above, below in pairwise(spans)
    )
    if upwards <= 2:
        return list(spans)
    ordered = [span for row in visual_rows(spans) for span in row]
    return [replace(span, order=order) for order, span in zip(sorted(span.order for span in spans), ordered, strict=True)]


def join(above: str, below: str, metrics: Metrics) -> str:
    """Two lines as one; a word divided at the line's end is whole again, unless it is written with a hyphen elsewhere."""
    if not above:
        return below
    if above[-1] in HYPHENS + "-‐" and below[:1].islower() and above[-2:-1].isalpha():
        head, tail = re.split(r"\s", above[:-1])[-1], re.split(r"\W", below)[0]
        hyphen = "-" if f"{head}-{tail}".lower() in metrics.words else ""
        return above[:-1] + hyphen + below
    if above[-1] in HYPHENS:
        return f"{above[:-1]}-{below}"
    return f"{above} {below}"
