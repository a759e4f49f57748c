"""Plain text as Markdown: its headings, lists, pairs and tables; and lines that an editor wrapped, whole again."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator

from engrain.documents._markdown import paragraph
from engrain.documents._tables import table

BULLET = re.compile(r"^(\s*)[-*+•◦▪‣·–—o][ \t]+(?=\S)")
NUMBERED = re.compile(r"^(\s*)(\d{1,3})[.)][ \t]+(?=\S)")
KEY_VALUE = re.compile(r"^\s*:?([^\W_][^:|\n]{0,48}?)(?:\s*:|:)\s+(\S.*)$")
LEADER = re.compile(r"^\s*(\S.*?)[ \t]*(?:\.[ \t]?){3,}[ \t]*(\S.*)$")
UNDERLINE = re.compile(r"^\s*([=\-~^\"'*+#`:.])\1{2,}\s*$")
OVERLINE = re.compile(r"^\s*([=\-~^*#_+])\1{2,}[ \t]*\n(?=[^\n]*\S[^\n]*\n\s*\1{3,}[ \t]*$)", re.MULTILINE)
GRID = re.compile(r"^\s*\+[-=+]+\+\s*$|^\s*[=-]{2,}(?:\s+[=-]{2,})+\s*$")
GAP = re.compile(r"\t+| {2,}")
RULED = re.compile(r"^[ \t]*([-*_=~#.])(?:[ \t]+\1){2,}[ \t]*$|(?<=\n\n)[ \t]*([-*_=~#.])\2{2,}[ \t]*\n(?=\n)", re.MULTILINE)
QUESTION = re.compile(r"^\s*(?:Q|Question)\s?\d*[:.)]\s*(\S.*)$")
ANSWERED = re.compile(r"([^?]{4,160}\?)\s+(\S.*)$")
ANSWER = re.compile(r"^\s*(?:A|Answer)\s?\d*[:.)]\s+(?=\S)")
ITEM = re.compile(r" *(?:-|\d+\.) ")
RUN_IN = re.compile(r"(?=[^a-z]{4,60}\. +[A-Z])([A-Z][A-Z\d'’&/, -]+[A-Z\d])\. +(?=[A-Z](?:[a-z ]|['’]))")
"""A title in capitals before the first sentence of a paragraph: "PARKING. There are three bays." """
LONGEST_TITLE = 9
"""Words of a numbered title, at most, its number among them."""
GOING_ON = re.compile(r"(?![a-z])[^\W\d_]|[-*•] ")
"""How the line below a title begins: a sentence, or an item."""
LAST_ITEM = re.compile(r"^ *(?:-|\d+\.) .*\Z", re.MULTILINE)


def blocks(text: str) -> list[str]:
    """The stretches between empty lines; headings, and a table below a line of text, stand alone."""
    text = re.sub(r"^( {0,3}#{1,6}[ \t].*)$", r"\n\1\n", text, flags=re.MULTILINE)
    text = re.sub(r"^([ \t]*[^|+\s].*)\n(?=[ \t]*\|)", r"\1\n\n", text, flags=re.MULTILINE)
    return [block.strip("\n") for block in re.split(r"\n(?:[ \t]*\n)+", text) if block.strip()]


def together(pieces: Iterable[str]) -> str:
    """The blocks as one text; items of a list that empty lines keep apart, and what belongs to an item, are put together."""
    result: list[str] = []
    for piece in pieces:
        if not piece.strip():
            continue
        in_list = bool(result) and LAST_ITEM.search(result[-1])
        if in_list and ITEM.match(piece):
            result[-1] += f"\n{piece}"
        elif in_list and piece.startswith("  "):
            result[-1] += f" {piece.strip()}"
        else:
            result.append(piece if ITEM.match(piece) else piece.strip())
    return "\n\n".join(result)


def by_question(lines: list[str]) -> list[list[str]]:
    """The lines of a block, cut before each that begins with `Q:`."""
    starts = [number for number, line in enumerate(lines) if number and QUESTION.match(line)]
    return [lines[a:b] for a, b in itertools.pairwise([0, *starts, len(lines)])]


def asked(lines: list[str]) -> tuple[str, list[str]]:
    """The question of a block `Q: … A: …` and the lines of its answer; "" and all lines where it is none.

    The answer may stand right behind the question: `Q: Dogs? No.`
    """
    if not lines or not (match := QUESTION.match(lines[0])):
        return "", [ANSWER.sub("", line) for line in lines[:1]] + lines[1:]
    behind = ANSWERED.match(match[1])
    if behind and not any(map(ANSWER.match, lines[1:])):
        return behind[1], [ANSWER.sub("", behind[2]), *lines[1:]]
    end = next((number for number, line in enumerate(lines) if ANSWER.match(line)), 1)
    question = " ".join([match[1], *(line.strip() for line in lines[1:end])])
    return question, [ANSWER.sub("", line) for line in lines[end:]]


def join_lines(lines: list[str]) -> str:
    """One block with hard-wrapped lines joined; tables stay, bullets become `- `, a hard line break stays one."""
    width = width_of(lines)
    joined: list[str] = []
    for number, raw in enumerate(lines):
        line = NUMBERED.sub(r"\1\2. ", BULLET.sub(r"\1- ", raw)).replace("\t", "    ")
        starts = begins_item(raw)
        if joined and not starts and wrapped(lines[number - 1], line, width, bool(re.match(r"\s*(?:-|\d+\.) ", joined[-1]))):
            joined[-1] = f"{joined[-1].rstrip().removesuffix(chr(92))} {line.strip()}"
        else:
            joined.append(line.rstrip() if starts or not joined else line.strip())
    return "\n".join(joined)


def width_of(lines: list[str]) -> int:
    """How long the longest line is where an editor broke most lines for their length; 0 where few lines are full."""
    width = max(len(line.rstrip()) for line in lines)
    pairs = [(above, line) for above, line in itertools.pairwise(lines) if not begins_item(line)]
    return width if 2 * sum(is_full(above, line, width) for above, line in pairs) >= len(pairs) else 0


def is_full(above: str, line: str, width: int) -> bool:
    """Whether the first word of a line had no room on the one above."""
    return len(above.rstrip()) + 1 + len(line.split(maxsplit=1)[0]) > width >= 40


def begins_item(line: str) -> bool:
    """Whether a line begins an item of a list or a row of a table."""
    return bool(BULLET.match(line) or NUMBERED.match(line) or line.lstrip().startswith("|"))


def wrapped(above: str, line: str, width: int, in_item: bool) -> bool:
    """Whether a line goes on from the one above because that one was full, and not because a new one was meant."""
    if above.endswith(("  ", "\\")) or above.lstrip().startswith("|") or KEY_VALUE.match(line) or line.lstrip().startswith("#"):
        return False
    if in_item and line.startswith((" ", "\t")):
        return True
    asks = bool(re.search(r"[.?!]$", above.rstrip()) and "? " in line)
    full = width > 0 and not asks and is_full(above, line, width)
    return full or (line.lstrip()[0].islower() and len(above.split()) > 3 and not above.rstrip().endswith(":"))


# Blocks


def plain(text: str, rst: bool = False) -> str:
    """Plain text as Markdown."""
    text = RULED.sub("", OVERLINE.sub("", text))
    if rst:
        text = re.sub(r"^\.\.(?:[ \t].*)?$", "", text, flags=re.MULTILINE)
        text = re.sub(r":\w+:`([^`<]+?)(?:\s*<[^>]*>)?`|``?([^`]+?)(?:\s*<[^>]*>)?``?_{0,2}", lambda m: m[1] or m[2], text)
        text = re.sub(r"(\*{1,2})(?=\S)([^\n*]+?)(?<=\S)\1", r"\2", text)
    found = list(titled(re.sub(r"^ *\f", "\n", text, flags=re.MULTILINE)))
    outer = any(style == "=" for style, _ in found[1:])
    return together(f"{marks(style, number == 0, outer)}{content}" for number, (style, content) in enumerate(found))


def marks(style: str, first: bool, outer: bool) -> str:
    """The `#` of a heading: one for the first line of the file, two for the rest, more for underlines below `===`."""
    if not style:
        return ""
    deeper = style == "Q" or (outer and style in "-~^")
    return "# " if first else "### " if deeper else "## "


def titled(text: str) -> Iterator[tuple[str, str]]:
    """The blocks as Markdown, each with the style of heading it is ("" for none)."""
    found = [block.splitlines() for block in blocks(text)]
    counted = sum(map(opens_with_number, found)) > 1
    run_in = sum(bool(RUN_IN.match(lines[0])) for lines in found) > 1
    for lines in found:
        if run_in and (opening := RUN_IN.match(lines[0])):
            yield "C", opening[1]
            lines = [lines[0][opening.end() :], *lines[1:]]
        if len(lines) > 1 and (mark := UNDERLINE.match(lines[1])) and not BULLET.match(lines[0]):
            yield mark[1], lines[0].strip()
            lines = lines[2:]
        elif len(lines) == 1 and (style := heading_style(lines[0].strip())):
            yield style, lines[0].strip().rstrip(":").rstrip()
            continue
        elif opens_with_capitals(lines) or (counted and opens_with_number(lines)):
            yield "C", lines[0].strip().rstrip(":").rstrip()
            lines = lines[1:]
        for question, told in map(asked, by_question(lines)):
            if question:
                yield "Q", question
            if any(line.strip() for line in told):
                yield "", plain_block([line for line in told if line.strip() and not UNDERLINE.match(line)])


def opens_with_capitals(lines: list[str]) -> bool:
    """Whether a block begins with a heading in capitals and goes on with other text."""
    first = NUMBERED.sub("", lines[0]).strip()
    return len(lines) > 1 and heading_style(first) == "C" and heading_style(lines[1].strip()) != "C" and not KEY_VALUE.match(first)


def opens_with_number(lines: list[str]) -> bool:
    """Whether a block begins with a short numbered title ("3) Test rig") and goes on with other text; one alone may be anything."""
    first, *others = lines[0].strip(), *lines[1:2]
    title = len(first.split()) <= LONGEST_TITLE and not first.endswith((".", ",", ";", "!", "?", ":")) and not KEY_VALUE.match(first)
    return title and bool(NUMBERED.match(first)) and any(map(GOING_ON.match, others))


def heading_style(line: str) -> str:
    """`C` for a short line in capitals, `:` for one that ends with a colon, "" for what is no heading."""
    if len(line) > 70 or line.startswith(("#", "|")) or BULLET.match(line) or GAP.search(line) or QUESTION.match(line):
        return ""
    letters = [letter for letter in line if letter.isalpha()]
    if len(letters) >= 3 and line.upper() == line and not line.endswith((".", "!", ",")) and sum(map(str.isdigit, line)) < len(letters):
        return "C"
    return ":" if line.endswith(":") and letters else ""


def plain_block(lines: list[str]) -> str:
    """One block of plain text: a table, a list of pairs, or paragraphs."""
    ruled = any(GRID.match(line) for line in lines)
    kept = [line for line in lines if not GRID.match(line)]
    if not kept:
        return ""
    lines = textwrap.dedent("\n".join(kept)).splitlines()
    if lines[0].lstrip().startswith("|"):
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines if not re.fullmatch(r"[\s|:+-]+", line)]
        return table(rows, header=True)
    pairs = [LEADER.match(line) or KEY_VALUE.match(line) for line in lines]
    if len(lines) > 1 and all(pairs) and not BULLET.match(lines[0]):
        return "\n".join(f"- {pair[1].strip()}: {pair[2].strip()}" for pair in pairs if pair)
    cells = [GAP.split(line.strip()) for line in lines]
    if len(lines) > 1 and len(cells[0]) > 1 and all(len(row) == len(cells[0]) for row in cells) and not BULLET.match(lines[0]):
        return table([[cell.rstrip(":") if not number else cell for number, cell in enumerate(row)] for row in cells], ruled or None)
    return join_lines(lines) if lines[0].startswith("#") else paragraph(join_lines(lines))
