"""Markdown and plain text: .md .markdown .txt .text .rst."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from engrain.documents._markdown import paragraph
from engrain.documents._tables import table
from engrain.documents.base import Part, Reader, decode

FENCED = re.compile(r"(^ {0,3}(`{3,}|~{3,}).*?^ {0,3}\2[`~]*[ \t]*$)", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
TAG = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|body|center|code|details|div|em|figure|figcaption|font|footer|h[1-6]|header|i|img|kbd|li|main|mark|nav|ol|p"
    r"|picture|s|section|small|source|span|strong|sub|summary|sup|tt|u|ul)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
REFERENCE = re.compile(r"^ {0,3}\[([^\]^]+)\]:[ \t]*<?(\S+?)>?(?:[ \t]+[\"'(].*)?$", re.MULTILINE)
RULE = re.compile(r"^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$", re.MULTILINE)
SETEXT = re.compile(r"^(?![ \t]*(?:[-*+>|#]|\d+[.)])[ \t]?)([^\n]*\S[^\n]*)\n {0,3}(=+|-{2,})[ \t]*$", re.MULTILINE)

BULLET = re.compile(r"^(\s*)[-*+•◦▪‣·–—o][ \t]+(?=\S)")
NUMBERED = re.compile(r"^(\s*)(\d{1,3})[.)][ \t]+(?=\S)")
KEY_VALUE = re.compile(r"^\s*:?([^\W_][^:|\n]{0,48}?)(?:\s*:|:)\s+(\S.*)$")
LEADER = re.compile(r"^\s*(\S.*?)[ \t]*(?:\.[ \t]?){3,}[ \t]*(\S.*)$")
UNDERLINE = re.compile(r"^\s*([=\-~^\"'*+#`:.])\1{2,}\s*$")
OVERLINE = re.compile(r"^\s*([=\-~^*#_+])\1{2,}[ \t]*\n(?=[^\n]*\S[^\n]*\n\s*\1{3,}[ \t]*$)", re.MULTILINE)
GRID = re.compile(r"^\s*\+[-=+]+\+\s*$|^\s*[=-]{2,}(?:\s+[=-]{2,})+\s*$")
GAP = re.compile(r"\t+| {2,}")


class Text(Reader):
    """Keeps the blocks of Markdown; finds headings, lists, tables and pairs in plain text."""

    suffixes = (".md", ".markdown", ".txt", ".text", ".rst")

    def read(self, path: Path) -> list[Part]:
        """The whole file as one part."""
        text = decode(path.read_bytes()).replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ")
        if path.suffix.lower() in (".md", ".markdown"):
            return [Part(markdown(text))]
        return [Part(plain(text, rst=path.suffix.lower() == ".rst"))]


# Markdown


def markdown(text: str) -> str:
    """Markdown with its blocks as they are and without inline marks, comments and tags; paragraphs on one line each."""
    front, text = split_front_matter(text)
    references = {name.lower(): address for name, address in REFERENCE.findall(text)}
    pieces = FENCED.split(text)
    # The pattern has two groups: prose, fenced block, fence, prose, …
    prose = [simple_markdown(piece, references) for piece in pieces[::3]]
    return front + "\n\n".join(piece for pair in zip(prose, [*pieces[1::3], ""], strict=True) for piece in pair if piece.strip())


def split_front_matter(text: str) -> tuple[str, str]:
    """The front matter as it stands (base reads it) and the rest."""
    match = re.match(r"\s*(---|\+\+\+)[ \t]*\n(?:.*\n)*?(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", text)
    if match and re.search(r"^\w+[ \t]*[:=]", match[0], re.MULTILINE):
        return match[0] + "\n", text[match.end() :]
    return "", text


def simple_markdown(text: str, references: dict[str, str]) -> str:
    """Markdown outside fenced blocks, simplified."""
    text = REFERENCE.sub("", COMMENT.sub("", text))
    text = SETEXT.sub(lambda match: f"\n{'#' if match[2][0] == '=' else '##'} {match[1].strip()}\n", text)
    text = RULE.sub("", text)
    text = re.sub(r"<br\s*/?>", lambda match: " " if "|" in line_at(text, match.start()) else "  \n", text, flags=re.IGNORECASE)
    text = html.unescape(without_marks(TAG.sub("", text), references)).replace("\xa0", " ")
    text = re.sub(r"^([ \t]*)>[ \t]?(?:>[ \t]?)*", r"\1", text, flags=re.MULTILINE)
    text = re.sub(r"^( {0,3}#{1,6}[ \t].*?)[ \t]*\{[#.][^}]*\}[ \t]*$", r"\1", text, flags=re.MULTILINE)
    return "\n\n".join(join_lines(block.splitlines()) for block in blocks(text))


def line_at(text: str, position: int) -> str:
    """The line that the position stands in."""
    return text[text.rfind("\n", 0, position) + 1 : (text.find("\n", position) + 1 or len(text) + 1) - 1]


def without_marks(text: str, references: dict[str, str]) -> str:
    """The text without marks of emphasis, code, images and links; an outside address follows its link's words."""
    text = re.sub(r"!\[([^\]]*)\](?:\([^()\s]*(?:\s+\"[^\"]*\")?\)|\[[^\]]*\])", r"\1", text)
    text = re.sub(r"(?<!\\)\[([^\[\]]+)\]\(\s*<?([^()\s]*(?:\([^()]*\)[^()\s]*)?)>?(?:\s+[\"'][^)]*)?\)", lambda m: link(m[1], m[2]), text)
    text = re.sub(r"(?<!\\)\[([^\[\]^]+)\]\[([^\]]*)\]", lambda m: link(m[1], references.get((m[2] or m[1]).lower(), "")), text)
    text = re.sub(r"\[\^[^\]]+\]:?[ \t]?", "", text)
    text = re.sub(r"<((?:https?://|mailto:)[^\s<>]+|[^\s<>@]+@[^\s<>@]+)>", lambda m: m[1].removeprefix("mailto:"), text)
    text = re.sub(r"(`+)(.+?)\1", r"\2", text)
    text = re.sub(r"~~(?=\S)[^\n]+?(?<=\S)~~ ?", "", text)  # Struck out is taken back: an old price is none.
    for _ in range(2):  # emphasis within emphasis
        text = re.sub(r"(?<![\w\\*])(\*{1,3})(?=\S)([^\n*]+?)(?<=[^\s\\])\1|(?<!\\)(\*{1,3})(?=\S)([^\n*]+?)(?<=[^\s\\])\3(?!\w)",
                      lambda m: m[2] or m[4], text)  # fmt: skip
    text = re.sub(r"(?<![\w\\])(_{1,3})(?=\S)([^\n_]+?)(?<=[^\s\\])\1(?!\w)", r"\2", text)
    return re.sub(r"\\([\\`*_{}\[\]()+.!<>~$-])", r"\1", text)


def link(words: str, address: str) -> str:
    """A link as text: its words, and its address where that leads outside and says more."""
    address = re.sub(r"^(mailto|tel):", "", address).split("?subject")[0]
    outside = re.match(r"https?://|[^\s/#]+@[^\s/#]+$|\+?[\d() -]{6,}$", address)
    bare = re.sub(r"^(https?://)?(www\.)?|/$", "", address)
    return f"{words} ({address})" if outside and bare.lower() not in words.lower() else words


# Lines and blocks, for both


def blocks(text: str) -> list[str]:
    """The stretches between empty lines; headings, and a table below a line of text, stand alone."""
    text = re.sub(r"^( {0,3}#{1,6}[ \t].*)$", r"\n\1\n", text, flags=re.MULTILINE)
    return [block.strip("\n") for block in re.split(r"\n(?:[ \t]*\n)+", text) if block.strip()]


def join_lines(lines: list[str]) -> str:
    """One block with hard-wrapped lines joined; tables stay, bullets become `- `, a hard line break stays one."""
    width = max(len(line.rstrip()) for line in lines)
    joined: list[str] = []
    for number, raw in enumerate(lines):
        line = NUMBERED.sub(r"\1\2. ", BULLET.sub(r"\1- ", raw)).replace("\t", "    ")
        starts = bool(BULLET.match(raw) or NUMBERED.match(raw) or line.lstrip().startswith("|"))
        if joined and not starts and wrapped(lines[number - 1], line, width, bool(re.match(r"\s*(?:-|\d+\.) ", joined[-1]))):
            joined[-1] = f"{joined[-1].rstrip().removesuffix(chr(92))} {line.strip()}"
        else:
            joined.append(line.rstrip() if starts else line.strip())
    return "\n".join(joined)


def wrapped(above: str, line: str, width: int, in_item: bool) -> bool:
    """Whether a line goes on from the one above because that one was full, and not because a new one was meant."""
    if above.endswith(("  ", "\\")) or above.lstrip().startswith("|") or KEY_VALUE.match(line) or line.lstrip().startswith("#"):
        return False
    if in_item and line.startswith((" ", "\t")):
        return True
    first = line.split(maxsplit=1)[0]
    full = width >= 40 and len(above.rstrip()) + 1 + len(first) > width
    return full or (first[0].islower() and len(above.split()) > 3 and not above.rstrip().endswith(":"))


# Plain text


def plain(text: str, rst: bool = False) -> str:
    """Plain text as Markdown."""
    text = OVERLINE.sub("", text)
    if rst:
        text = re.sub(r"^\.\.(?:[ \t].*)?$", "", text, flags=re.MULTILINE)
        text = re.sub(r":\w+:`([^`<]+?)(?:\s*<[^>]*>)?`|``?([^`]+?)(?:\s*<[^>]*>)?``?_{0,2}", lambda m: m[1] or m[2], text)
        text = re.sub(r"(\*{1,2})(?=\S)([^\n*]+?)(?<=\S)\1", r"\2", text)
    found = list(titled(re.sub(r"^ *\f", "\n", text, flags=re.MULTILINE)))
    outer = any(style == "=" for style, _ in found[1:])
    return "\n\n".join(f"{marks(style, number == 0, outer)}{content}" for number, (style, content) in enumerate(found))


def marks(style: str, first: bool, outer: bool) -> str:
    """The `#` of a heading: one for the first line of the file, two for the rest, more for underlines below `===`."""
    if not style:
        return ""
    deeper = outer and style in "-~^"
    return "# " if first else "### " if deeper else "## "


def titled(text: str) -> Iterator[tuple[str, str]]:
    """The blocks as Markdown, each with the style of heading it is ("" for none)."""
    for block in blocks(text):
        lines = block.splitlines()
        if len(lines) > 1 and (mark := UNDERLINE.match(lines[1])) and not BULLET.match(lines[0]):
            yield mark[1], lines[0].strip()
            lines = lines[2:]
        elif len(lines) == 1 and (style := heading_style(lines[0].strip())):
            yield style, lines[0].strip().rstrip(":").rstrip()
            continue
        if any(line.strip() for line in lines):
            yield "", plain_block([line for line in lines if line.strip() and not UNDERLINE.match(line)])


def heading_style(line: str) -> str:
    """`C` for a short line in capitals, `:` for one that ends with a colon, "" for what is no heading."""
    if len(line) > 70 or line.startswith(("#", "|")) or BULLET.match(line) or GAP.search(line):
        return ""
    letters = [letter for letter in line if letter.isalpha()]
    if len(letters) >= 3 and line.upper() == line and not line.endswith((".", "!", ",")) and sum(map(str.isdigit, line)) < len(letters):
        return "C"
    return ":" if line.endswith(":") and letters else ""


def plain_block(lines: list[str]) -> str:
    """One block of plain text: a table, a list of pairs, or paragraphs."""
    ruled = any(GRID.match(line) for line in lines)
    lines = textwrap.dedent("\n".join(line for line in lines if not GRID.match(line))).splitlines()
    if not lines:
        return ""
    if lines[0].lstrip().startswith("|"):
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines if not re.fullmatch(r"[\s|:+-]+", line)]
        return table(rows, header=True)
    pairs = [LEADER.match(line) or KEY_VALUE.match(line) for line in lines]
    if len(lines) > 1 and all(pairs) and not BULLET.match(lines[0]):
        return "\n".join(f"- {pair[1].strip()}: {pair[2].strip()}" for pair in pairs if pair)
    cells = [GAP.split(line.strip()) for line in lines]
    if len(lines) > 1 and len(cells[0]) > 1 and all(len(row) == len(cells[0]) for row in cells) and not BULLET.match(lines[0]):
        return table([[cell.rstrip(":") if not number else cell for number, cell in enumerate(row)] for row in cells], ruled or None)
    return paragraph(join_lines(lines)) if not lines[0].lstrip().startswith("#") else join_lines(lines)
