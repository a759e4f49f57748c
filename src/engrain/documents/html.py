"""Web pages: .html .htm .xhtml, without their navigation, banners and footers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from engrain.documents._markdown import front_matter, one_line, paragraph
from engrain.documents._tables import table
from engrain.documents.base import Part, Reader, Unreadable

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

JUNK_TAGS = ("script", "style", "noscript", "template", "svg", "canvas", "iframe", "object", "nav", "aside", "dialog", "video", "audio",
             "del", "s", "strike", "input", "select", "textarea", "map")  # fmt: skip
JUNK_ROLES = {"navigation", "search", "complementary", "dialog", "alertdialog", "menu", "menubar", "toolbar", "tablist"}
JUNK_NAMES = re.compile(
    r"(?:^|[\s_-])(?:cookies?|gdpr|consent|breadcrumbs?|navbar|nav|navigation|sidebar|skip-?(?:link|to|nav)\S*|social|share|sharing|newsletter"
    r"|subscribe|popup|pop-up|modal|pagination|pager|advert\w*|ads?|related-?\w*|sr-only|visually-hidden|screen-reader\S*|offscreen|lightbox)"
    r"(?=$|[\s_-])",
    re.IGNORECASE,
)
FOOTERS = {"footer", "sitefooter", "site-footer", "page-footer", "main-footer", "global-footer"}
SKIP = re.compile(r"skip to (?:\w+ )*(?:content|navigation|main)", re.IGNORECASE)
CONTROL = re.compile(
    r"\W*(?:(?:read|show|see|view|learn) )?(?:more|less|all|menu|next|prev(?:ious)?|close|open|toggle|search|filters?)\W*", re.IGNORECASE
)
"""What a button says that opens something without being its title."""
HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
CONTACT = re.compile(
    r"[\w.+-]+@[\w-]+\.\w|(?:\+|\b0|\()\d[\d ()./-]{6,}\d|\b\d{3}[ .-]\d{3,4}\b"
    r"|\b(?:phone|tel|e-?mail|address|fax|vat|registered|open(?:ing)?|hours)\b"
    r"|\b\d{1,2}[:.]\d\d\b|\b\d{1,2} ?[ap]\.?m\b|\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b|\b\d{5}\b",
    re.IGNORECASE,
)

KEYED = re.compile(r"[A-Z][\w' -]{1,30}: +\S")
"""A line that begins with the name of what it says."""
HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"]
BLOCKS = {"address", "article", "blockquote", "body", "center", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption", "figure",
          "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "html", "li", "main", "ol", "p", "pre", "section",
          "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul", "caption", "legend"}  # fmt: skip
DATE_META = ("article:modified_time", "last-modified", "dcterms.modified", "article:published_time", "date", "dc.date", "dcterms.date",
             "pubdate", "datepublished", "datemodified")  # fmt: skip


class Html(Reader):
    """Keeps headings, paragraphs, lists, tables and definitions of the page's content."""

    suffixes = (".html", ".htm", ".xhtml")

    def read(self, path: Path) -> list[Part]:
        """The page as one part."""
        soup = parse(path.read_bytes())
        head = front_matter(soup.title.get_text() if soup.title else "", page_date(soup))
        body = soup.body or soup
        contacts = list(take_footers(body))
        remove_junk(body)
        content = "\n\n".join(Blocks().of(body))
        known = one_line(content)
        contacts = list(dict.fromkeys(block for block in contacts if one_line(block) not in known))
        if contacts:
            content += "\n\n## Contact\n\n" + "\n\n".join(contacts)
        return [Part(head + content)]


def parse(data: bytes) -> BeautifulSoup:
    """The page's tree. Raises Unreadable where the bytes are no text."""
    import bs4

    if b"\0" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("wrong encoding: this is not text", "save the page as UTF-8")
    return bs4.BeautifulSoup(data, "lxml")


def page_date(soup: BeautifulSoup) -> str:
    """The date that the page's meta tags state, the last change first."""
    stated: dict[str, str] = {}
    for meta in soup.find_all("meta"):
        name = str(meta.get("property") or meta.get("name") or meta.get("itemprop") or meta.get("http-equiv") or "").lower()
        stated.setdefault(name, str(meta.get("content") or ""))
    return next((stated[name] for name in DATE_META if stated.get(name)), "")


# Boilerplate


def take_footers(body: Tag) -> Iterator[str]:
    """The lines of the page's footers that hold contact details; the footers are taken out of the tree."""
    length = len(body.get_text())
    for tag in body.find_all(True):
        if tag.decomposed or not is_footer(tag, length):
            continue
        remove_junk(tag)
        for address in tag.find_all("address"):
            yield from Blocks().of(address.extract())
        for block in Blocks().of(tag):
            yield from (line for line in block.splitlines() if CONTACT.search(line))
        tag.decompose()


def is_footer(tag: Tag, length: int) -> bool:
    """Whether a tag is the page's footer; one that is only called so is none where it holds most of the page's text (`length`)."""
    if tag.name in ("body", "main"):
        return False
    if tag.name == "footer" or tag.get("role") == "contentinfo":
        return True
    return not FOOTERS.isdisjoint(names(tag).lower().split()) and len(tag.get_text()) <= length / 2


def names(tag: Tag) -> str:
    """The tag's classes and id."""
    return " ".join(str(name) for name in [*tag.get_attribute_list("class"), tag.get("id")] if name)


def remove_junk(body: Tag) -> None:
    """Take out of the tree what is no content of the page."""
    import bs4

    for comment in body.find_all(string=lambda text: isinstance(text, bs4.element.PreformattedString)):
        comment.extract()
    opened = {str(tag["aria-controls"]) for tag in body.select("[aria-controls]")}
    length = len(body.get_text())
    for tag in body.find_all(True):
        if not tag.decomposed and is_junk(tag, opened, length):
            tag.decompose()
    for button in body.find_all("button"):
        if is_question(button, body):
            button.name = "summary"
        elif button.find_parent(HEADINGS) is None:
            button.decompose()


def is_question(button: Tag, body: Tag) -> bool:
    """Whether a button opens a text on the page and is its title, as the questions of an accordion are."""
    words = one_line(button.get_text(" "))
    if not words or CONTROL.fullmatch(words) or not button.get("aria-controls") or button.find_parent(HEADINGS):
        return False
    opened = body.find(id=str(button["aria-controls"]))
    return opened is not None and opened not in button.parents and bool(one_line(opened.get_text()))


def is_junk(tag: Tag, opened: set[str], length: int) -> bool:
    """Whether a tag is navigation, a banner, a form, hidden, or something else that is no content.

    `opened` holds the ids that a control on the page shows (an accordion's answers are content), `length` that of
    the page's text: what holds most of it is the page, whatever it is called.
    """
    if tag.name in JUNK_TAGS or str(tag.get("role")) in JUNK_ROLES:
        return True
    if tag.name == "a":
        return bool(SKIP.search(tag.get_text()))
    if tag.name in ("ul", "ol") and tag.find_parent("header") and only_links(tag):
        return True
    hidden = tag.has_attr("hidden") or tag.get("aria-hidden") == "true" or HIDDEN.search(str(tag.get("style") or ""))
    shown_on_click = str(tag.get("id")) in opened or tag.get("role") in ("tabpanel", "region")
    doubtful = tag.name == "form" or (hidden and not shown_on_click) or bool(JUNK_NAMES.search(names(tag)))
    return doubtful and tag.name not in ("html", "body", "main", "article") and len(tag.get_text()) <= length / 2


def only_links(tag: Tag) -> bool:
    """Whether all text of a list stands in links to pages."""
    links = [link for link in tag.find_all("a") if not str(link.get("href")).startswith(("tel:", "mailto:"))]
    return one_line(tag.get_text(" ")) == one_line(" ".join(link.get_text(" ") for link in links))


# Content


class Blocks:
    """Turns a tree into Markdown blocks; knows the level of the last heading, for headings that state none."""

    def __init__(self) -> None:
        self.level = 1

    def of(self, tag: Tag) -> Iterator[str]:
        """The blocks of all that is in the tag."""
        from bs4 import Tag

        words = ""
        for child in tag.children:
            if not isinstance(child, Tag):
                words += re.sub(r"\s+", " ", str(child))
            elif child.name not in BLOCKS and not child.find(list(BLOCKS)):
                words += inline(child)
            else:
                yield from text_block(words)
                words = ""
                yield from self.block(child)
        yield from text_block(words)

    def block(self, tag: Tag) -> Iterator[str]:
        """The blocks that one tag makes."""
        if re.fullmatch(r"h[1-6]", tag.name):
            self.level = int(tag.name[1])
            if words := one_line(inline(tag)):
                yield f"{'#' * self.level} {words}"
        elif tag.name == "p" and (title := bold_opening(tag)):
            yield f"{'#' * min(6, self.level + 1)} {title}"
            yield from self.of(tag)
        elif tag.name == "summary":
            yield f"{'#' * min(6, self.level + 1)} {one_line(inline(tag))}"
        elif tag.name in ("ul", "ol"):
            yield "\n".join(list_items(tag))
        elif tag.name == "dl":
            yield from self.definitions(tag)
        elif tag.name == "table":
            yield from self.table(tag)
        elif tag.name == "pre":
            yield paragraph(tag.get_text())
        else:
            yield from self.of(tag)

    def definitions(self, tag: Tag) -> Iterator[str]:
        """A definition list as pairs; a term that says several things by their names is a heading, with them below it."""
        pairs = definitions(tag)
        told = [(term, meanings) for term, meanings in pairs if any(KEYED.match(line) for words in meanings for line in words[1:])]
        if items := [f"- {term}: {'; '.join(map(' '.join, meanings))}" if meanings else f"- {term}" for term, meanings in pairs
                     if (term, meanings) not in told]:  # fmt: skip
            yield "\n".join(items)
        for term, meanings in told:
            yield f"{'#' * min(6, self.level + 1)} {term}"
            yield from (f"- {line}" if KEYED.match(line) else paragraph(line) for words in meanings for line in words)

    def table(self, tag: Tag) -> Iterator[str]:
        """A table of data as a pipe table; one that only lays out the page as the blocks in its cells."""
        rows = [row for row in tag.find_all("tr") if row.find_parent("table") is tag]
        if tag.find("table") or tag.find(re.compile(r"^h[1-6]$")) or str(tag.get("role")) in ("presentation", "none"):
            for cell in (cell for row in rows for cell in row.find_all(["td", "th"], recursive=False)):
                yield from self.of(cell)
            return
        if tag.caption and (words := one_line(tag.caption.get_text(" "))):
            yield words
        yield data_table(rows)


def bold_opening(tag: Tag) -> str:
    """The bold line that a paragraph opens with where it titles the text below it, taken out of the tree; else ""."""
    from bs4 import Tag

    parts = [part for part in tag.children if isinstance(part, Tag) or str(part).strip()]
    following = tag.find_next_sibling()
    if not parts or not isinstance(parts[0], Tag) or parts[0].name not in ("b", "strong"):
        return ""
    more = len(parts) > 2 and isinstance(parts[1], Tag) and parts[1].name == "br"
    below = following is not None and not re.match(r"h[1-6]$|hr$", following.name) and not is_all_bold(following)
    title = one_line(inline(parts[0])).rstrip(":")
    if not (more or (len(parts) == 1 and below)) or not 1 < len(title) <= 100 or title[-1] in ".,;":
        return ""
    parts[0].decompose()
    return title


def is_all_bold(tag: Tag) -> bool:
    """Whether all text of a tag is bold."""
    return one_line(tag.get_text()) == one_line("".join(part.get_text() for part in tag.find_all(["b", "strong"])))


def text_block(words: str) -> Iterator[str]:
    """A paragraph, where there are words; a line break in it stays one."""
    lines = [one_line(line) for line in words.split("\n")]
    if text := paragraph("\n".join(line for line in lines if line)):
        yield text


def inline(tag: Tag) -> str:
    """The words of a tag with `<br>` as line ends; an address to write to or call follows the words that hide it."""
    from bs4 import Tag

    if tag.name == "br":
        return "\n"
    before = tag.previous_sibling
    # Neighbouring spans stand apart on the page by its style, though no space is between them.
    apart = " " if tag.name == "span" and isinstance(before, Tag) and before.name == "span" else ""
    words = "".join(inline(child) if isinstance(child, Tag) else re.sub(r"\s+", " ", str(child)) for child in tag.children)
    words = f" {words} " if tag.name in BLOCKS else apart + words
    href = str(tag.get("href") or "")
    if tag.name == "a" and href.startswith(("mailto:", "tel:")):
        address = href.split(":", 1)[1].split("?")[0]
        digits = re.sub(r"\D", "", address)[-6:]
        told = digits in re.sub(r"\D", "", words) if href.startswith("tel:") else address in words
        return words if told or not address else f"{words} ({address})"
    return words


def list_items(tag: Tag, depth: int = 0) -> Iterator[str]:
    """The items of a list and of the lists in it, indented by four spaces a level."""
    number = 0
    for item in tag.find_all(["li", "ul", "ol"], recursive=False):
        if item.name != "li":
            yield from list_items(item, depth + 1)
            continue
        inner = [part for part in item.find_all(["ul", "ol"]) if part.find_parent("li") is item]
        for part in inner:
            part.extract()
        number += 1
        if words := one_line(inline(item)):
            yield f"{'    ' * depth}{f'{number}.' if tag.name == 'ol' else '-'} {words}"
        for part in inner:
            yield from list_items(part, depth + 1)


def definitions(tag: Tag) -> list[tuple[str, list[list[str]]]]:
    """The terms of a definition list, each with its definitions, each of which is its lines."""
    pairs: list[tuple[str, list[list[str]]]] = []
    # From the end: a term that is not closed holds those that follow it.
    parts = [(part.name, inline(part.extract()).split("\n")) for part in reversed(tag.find_all(["dt", "dd"]))]
    for name, lines in reversed(parts):
        words = [words for line in lines if (words := one_line(line))]
        if name == "dt" or not pairs:
            pairs.append((" ".join(words).rstrip(":"), []))
        else:
            pairs[-1][1].append(words)
    return pairs


def data_table(rows: list[Tag]) -> str:
    """The rows as a table: spans are filled in, but a cell across the whole table stands alone in its row."""
    cells = [row.find_all(["td", "th"], recursive=False) for row in rows]
    grid = [words if len(tags) > 1 or len(set(words)) > 1 else words[:1] for tags, words in zip(cells, expand(cells), strict=True)]
    wide = [[cell.name for cell in row] for row in cells if len(row) > 1]
    pairs = bool(wide) and all(row == ["th", "td"] for row in wide)
    header = bool(wide) and all(name == "th" for name in wide[0])
    return table(one_header(grid, cells), False if pairs else header or None)


def one_header(grid: list[list[str]], cells: Sequence[Sequence[Tag]]) -> list[list[str]]:
    """The rows, those that name the columns at the top joined column by column: `Price` above `Monthly` is `Price Monthly`."""
    first = next((number for number, words in enumerate(grid) if len(words) > 1), len(grid))
    titled = [len(words) > 1 and all(cell.name == "th" for cell in row) for words, row in zip(grid, cells, strict=True)]
    last = next((number for number in range(first, len(grid)) if not titled[number]), first)
    if last - first < 2:
        return grid
    names = [" ".join(dict.fromkeys(filter(None, column))) for column in zip_longest(*grid[first:last], fillvalue="")]
    return [*grid[:first], names, *grid[last:]]


def expand(cells: Sequence[Sequence[Tag]]) -> list[list[str]]:
    """The words of every cell, repeated in each row and column that the cell spans."""
    grid: list[dict[int, str]] = [{} for _ in cells]
    for number, row in enumerate(cells):
        column = 0
        for cell in row:
            while column in grid[number]:
                column += 1
            words, across, down = one_line(inline(cell)), span(cell, "colspan", 100), span(cell, "rowspan", len(cells) - number)
            for below in range(number, number + down):
                grid[below] |= {column + right: words for right in range(across) if column + right not in grid[below]}
            column += across
    return [[row.get(column, "") for column in range(max(row, default=-1) + 1)] for row in grid]


def span(cell: Tag, name: str, limit: int) -> int:
    """How many columns or rows a cell spans; `rowspan=0` means all that are left."""
    value = str(cell.get(name) or "1")
    return min(limit, int(value) or limit) if value.isdecimal() else 1
