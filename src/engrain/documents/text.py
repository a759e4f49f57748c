"""Markdown and plain text: .md .markdown .txt .text .rst."""

from __future__ import annotations

import html
import re
from itertools import islice
from pathlib import Path

from engrain.documents._plain import asked, blocks, by_question, join_lines, plain, together
from engrain.documents._tables import table
from engrain.documents.base import Part, Reader, decode

FENCED = re.compile(r"(^ {0,3}(`{3,}|~{3,}).*?^ {0,3}\2[`~]*[ \t]*$)", re.MULTILINE | re.DOTALL)
TAG = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|body|center|code|details|div|em|figure|figcaption|font|footer|h[1-6]|header|i|img|kbd|li|main|mark|nav|ol|p"
    r"|picture|s|section|small|source|span|strong|sub|summary|sup|tt|u|ul)(?:\s[^<>]{0,2000})?/?>",
    re.IGNORECASE,
)
REFERENCE = re.compile(r"^ {0,3}\[([^\]^\n]{1,200})\]:[ \t]*<?(\S{1,2000}?)>?(?:[ \t]+[\"'(].*)?$", re.MULTILINE)
RULE = re.compile(r"^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$", re.MULTILINE)
BOLD_LINE = re.compile(r"^ {0,3}(\*\*|__)(?=\S)((?:(?!\*\*|__).){1,99}[^\s.,;])\1:?[ \t]*$")
STARRED = re.compile(
    r"(?<![\w\\*])(\*{1,3})(?=\S)([^\n*]{1,500}?)(?<=[^\s\\])\1|(?<!\\)(\*{1,3})(?=\S)([^\n*]{1,500}?)(?<=[^\s\\])\3(?!\w)"
)
TITLE_LINE = re.compile(rf" *#|{BOLD_LINE.pattern}")
CELL_END = re.compile(r"(?<!\\)\|")
SETEXT = re.compile(r"^(?![ \t]*(?:[-*+>|#]|\d+[.)])[ \t]?)(?=[ \t]*\S)([^\n]*)\n {0,3}(=+|-{2,})[ \t]*$", re.MULTILINE)


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
    text = REFERENCE.sub("", without_comments(text))
    text = SETEXT.sub(lambda match: f"\n{'#' if match[2][0] == '=' else '##'} {match[1].strip()}\n", text)
    text = bold_headings(RULE.sub("", text))
    text = re.sub(r"<br\s*/?>", lambda match: " " if "|" in line_at(text, match.start()) else "  \n", text, flags=re.IGNORECASE)
    text = html.unescape(without_marks(TAG.sub("", text), references)).replace("\xa0", " ")
    text = re.sub(r"^([ \t]*)>[ \t]?(?:>[ \t]?)*", r"\1", text, flags=re.MULTILINE)
    text = re.sub(r"^( {0,3}#{1,6}[ \t].*?)[ \t]*\{[#.][^}]*\}[ \t]*$", r"\1", text, flags=re.MULTILINE)
    return together(markdown_block(block.splitlines()) for block in blocks(text))


def bold_headings(text: str) -> str:
    """The text with every line that is all bold, and opens a block with something below it, as a heading."""
    lines = re.sub(r"<summary>\s*(.*?)\s*</summary>", r"\n\n**\1**\n\n", text).split("\n")
    level, first = 1, True
    for number, line in enumerate(lines):
        if mark := re.match(r" {0,3}(#{1,6})[ \t]", line):
            level = len(mark[1])
        opens = number == 0 or not lines[number - 1].strip()
        if (
            opens
            and (bold := BOLD_LINE.match(line))
            and not TITLE_LINE.match(next(filter(str.strip, islice(lines, number + 1, None)), "#"))
        ):
            lines[number] = f"{'#' * (1 if first else min(6, level + 1))} {bold[2].rstrip(':')}"
        first = first and not line.strip()
    return "\n".join(lines)


def markdown_block(lines: list[str]) -> str:
    """One block: a table with all its marks, a definition list as pairs, a question with its answer, or as it is."""
    if any("|" in line for line in lines[:1]) and len(lines) > 1:
        rule = re.fullmatch(r"[\s|:-]*-[\s|:-]*", lines[1])
        if rule or all(line.lstrip().startswith("|") for line in lines):
            rows = [[cell.replace("\\|", "|") for cell in CELL_END.split(re.sub(r"^\s*\||(?<!\\)\|\s*$", "", line))] for line in lines]
            return table([row for number, row in enumerate(rows) if number != 1 or not rule], True if rule else None)
    if len(lines) > 1 and all(re.match(r"\s*:[ \t]", line) for line in lines[1:]):
        return f"- {lines[0].strip()}: {'; '.join(line.strip()[1:].strip() for line in lines[1:])}"
    pieces = []
    for question, rest in map(asked, by_question(lines)):
        pieces += [f"### {question}"] if question else []
        pieces += [join_lines(rest)] if rest else []
    return "\n\n".join(pieces)


def without_comments(text: str) -> str:
    """The text without HTML comments; one that is never closed is none."""
    first, *rest = text.split("<!--")
    return first + "".join(part.partition("-->")[2] if "-->" in part else f"<!--{part}" for part in rest)


def line_at(text: str, position: int) -> str:
    """The line that the position stands in."""
    return text[text.rfind("\n", 0, position) + 1 : (text.find("\n", position) + 1 or len(text) + 1) - 1]


def without_marks(text: str, references: dict[str, str]) -> str:
    """The text without marks of emphasis, code, images and links; an outside address follows its link's words.

    Repeats are bounded, so that a line made to be slow takes no quadratic time.
    """
    text = re.sub(r"!\[([^\]]{0,300})\](?:\([^()\s]{0,2000}(?:\s+\"[^\"]*\")?\)|\[[^\]]*\])", r"\1", text)
    text = re.sub(
        r"(?<!\\)\[([^\[\]]{1,300})\]\(\s{0,9}<?([^()\s]{0,2000}(?:\([^()]{0,200}\)[^()\s]{0,200})?)>?(?:\s{1,9}[\"'][^)]*)?\)",
        lambda m: link(m[1], m[2]),
        text,
    )
    text = re.sub(r"(?<!\\)\[([^\[\]^]{1,300})\]\[([^\]]{0,200})\]", lambda m: link(m[1], references.get((m[2] or m[1]).lower(), "")), text)
    text = re.sub(r"\[\^[^\]]{1,100}\]:?[ \t]?", "", text)
    text = re.sub(r"<((?:https?://|mailto:)[^\s<>]+|[^\s<>@]+@[^\s<>@]+)>", lambda m: m[1].removeprefix("mailto:"), text)
    text = re.sub(r"(`{1,3})([^`\n]{1,500})\1", r"\2", text)
    text = re.sub(r"~~(?=\S)[^\n~]{1,500}(?<=\S)~~ ?", "", text)  # Struck out is taken back: an old price is none.
    for _ in range(2):  # emphasis within emphasis
        text = STARRED.sub(lambda m: m[2] or m[4], text)
    text = re.sub(r"(?<![\w\\])(_{1,3})(?=\S)([^\n_]{1,500}?)(?<=[^\s\\])\1(?!\w)", r"\2", text)
    return re.sub(r"\\([\\`*_{}\[\]()+.!<>~$-])", r"\1", text)


def link(words: str, address: str) -> str:
    """A link as text: its words, and its address where that leads outside and says more."""
    address = re.sub(r"^(mailto|tel):", "", address).split("?subject")[0]
    outside = re.match(r"https?://|[^\s/#]+@[^\s/#]+$|\+?[\d() -]{6,}$", address)
    bare = re.sub(r"^(https?://)?(www\.)?|/$", "", address)
    return f"{words} ({address})" if outside and bare.lower() not in words.lower() else words
