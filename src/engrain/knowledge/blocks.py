"""Blocks: a section's Markdown as sentences, key-value items, table cells and questions with answers, each with its span."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engrain.knowledge.values import BARE_SUM, CURRENCY, SIGN, find_values, kind_of, verdict
from engrain.knowledge.words import HUMANS, SUMS

ROW = re.compile(r"^\s*\|.*\|\s*$")
NUMBERED = re.compile(r"^(\d{1,2}(?:\.\d{1,2})*) +(?=[A-Z])", re.MULTILINE)
"""The number of a clause before its text."""
RULE = re.compile(r"^[\s|:-]+$")
ABBREVIATIONS = {
    "ext": "extension", "tel": "telephone", "no": "number", "nr": "number", "num": "number", "qty": "quantity", "min": "minimum",
    "max": "maximum", "dept": "department", "approx": "approximately", "incl": "including", "excl": "excluding", "avg": "average",
    "temp": "temperature", "ref": "reference", "recomm": "recommended", "art": "article", "amt": "amount", "pax": "people",
    "rmk": "remark", "rmks": "remarks", "desc": "description", "wkdy": "weekday",
}  # fmt: skip
SHORTENED = re.compile(
    rf"\b({'|'.join(ABBREVIATIONS)})\.(?!\w)|\b(ext|tel|qty|dept|amt|pax|rmks?|desc|wkdy|(?:max|min)(?= [a-z]))\b(?!\.)", re.IGNORECASE
)
"""Words of a column's name that are cut short: with a full stop, or those that are nothing else."""
CODE = re.compile(r"[A-Z]{0,4}[-.]?\d+[a-z]?")
"""What rows are numbered by."""
SHORT_CODE = re.compile(r"[A-Z\d][A-Z\d./+-]{0,11}")
CODE_COLUMN = re.compile(r"(?:\w+ )?(?:code|ref|reference|id|number|sku|plu|key|abbreviation|symbol)s?|#", re.IGNORECASE)
FEATURES = re.compile(r"|(?:features?|benefits?|services?|what(?:’s|'s| is)? (?:you get|included|in it)|includ(?:ed|es))\??", re.IGNORECASE)
"""What the first column of a table is called whose rows say what the other columns have."""
PRICE_EACH = re.compile(rf"({SIGN}|{CURRENCY})(?: ?(pp|p\.p\.|each|per \w+))?", re.IGNORECASE)
"""A column that is called by the currency of its prices."""
REMARKS = re.compile(r"(?:remark|note|comment|condition|detail)s?|(?:additional |more |further )?info(?:rmation)?", re.IGNORECASE)
"""Columns that say something of a row, and never what it is."""
WAYS = re.compile(r"from|to|via|until|origin|destination", re.IGNORECASE)
"""Columns that say where a numbered row begins and ends, which may tell it from others and is not what it is."""
COUNTING = re.compile(
    r".*\b(?:year|date|day|week|month|time|hour|age|size|quantity|amount|number|level|position|rank|place)s?", re.IGNORECASE
)
"""Columns whose numbers count, and are no names."""
MARK = re.compile(r"^\s*(?:[-*+•]\s+|\d{1,2}[.)]\s+|>\s+)?")
ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,2}[.)])\s+(?!Q(?:uestion)?\s*[:.])")
"""What an item of a list begins with that is no question with its label."""
PAIR = re.compile(r"^(?:\*\*|__)?([^:|?]{2,60}?)(?:\*\*|__)?:(?:\*\*|__)?\s+(?=\S)")
DASHED = re.compile(r"^(?:\*\*|__)?([^\d:|?.–—]{2,40}?)(?:\*\*|__)?\s+[–—]\s+(?=\S)")
"""A list item that says of something what it is: "Painter – the rope at the bow"."""
PRICED_ITEM = re.compile(
    r"([^:;|£€$]{2,60}?)(?:\s*(\.{2,}|…+|,)\s*|\s+([–—-])\s+|\s+)"
    r"((?:from )?[£€$] ?\d+(?:[.,]\d+)*(?: ?(?:/|an? |per |each\b)[^,;.()]{0,20})?)\.?"
)
"""An item that ends in its price, perhaps after dots, a comma or a dash."""
SUMMED = re.compile(rf"\b(?:{'|'.join(sorted(SUMS))}|per|hire|hiring|renting|extra)s?\b", re.IGNORECASE)
"""What a key says that tells what the sums behind it are."""
RANGE = re.compile(
    r"(?:(?:up to|over|under|from|at least|at most|more than|less than) \d[\d,.]*|\d[\d,.]* ?(?:to|[-–]) ?\d[\d,.]*)"
    r"(?: or (?:more|less|fewer))?"
)
"""From how many to how many."""
SUM_COLUMN = re.compile(r"\b(?:price|cost|fee|charge|rate|amount|deposit)s?\b", re.IGNORECASE)
"""Columns that hold sums of money, whose currency another column may name."""
ALL_PRICES = re.compile(
    r"\b(?:price|cost|fee|charge|rate|amount|tariff)s?\b[^.|\n]{0,40}?"
    rf"(?:\bin ({SIGN}|{CURRENCY}|(?:pound|euro|dollar)s?\b)|\(({SIGN}|{CURRENCY})\))",
    re.IGNORECASE,
)
"""What says in which currency the prices of a list are."""
SIGN_OF = {"pound": "£", "euro": "€", "dollar": "$"}
PRICED_COLUMN = re.compile(
    r"(?:per |an? |each |one |half |full |whole |\d+ )?(?:minute|hour|day|night|weekend|week|month|season|quarter|term|year)"
    r"|\d+ (?:minute|hour|day|night|week|month)s|(?:adult|child|children|student|senior|concession|family|member|non-?member|guest|group)s?"
    r"|single|double|return|one way|small|medium|large|(?:off-)?peak|weekdays?|weekends|summer|winter|online|reduced|full",
    re.IGNORECASE,
)
"""Columns of a price list that are called after what, or whom, a price is for."""
OPEN_END = re.compile(r"\b(?:of|for|at|to|from|over|under|about|than|up|or|and|plus|only|is|are|costs?|pays?|gets?|saves?|now|by|in|with)$")
"""How words end that the price after them belongs to."""
TOLD = re.compile(
    r"(?:we|you|i|they|it|he|she|there|if|when|please|never|always|only|just|also|ring|call|phone|email|ask|bring|book|pay|wear|keep|use|"
    r"turn|switch|press|check|return|leave|sign|collect|take|wash|open|close)\b",
    re.IGNORECASE,
)
"""How words before a dash begin that tell something instead of naming it."""
LABEL = re.compile(
    r"(?:(?:\w+day,? )?\d{1,2}(?:st|nd|rd|th)? [A-Z][a-z]{2,8}\.? \d{4}|[A-Z][a-z]{2,8} \d{1,2}, \d{4}|"
    r"\d{4}-\d\d-\d\d|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|(?:Rule|Article|Clause|Section|Step|Point|No\.?|§) ?\d+[a-z]?)$"
)
"""A key that only dates or numbers what follows."""
SENTENCE_END = re.compile(r"(?<=[.!?])[\"”’)]?\s+(?=[\"“‘(]?[A-ZÄÖÜ0-9£€$])")
ABBREVIATION = re.compile(r"(?:\b(?:St|Mr|Mrs|Ms|Dr|Prof|No|approx|e\.g|i\.e|a\.m|p\.m|etc|Ltd|Inc|Co|vs|ca)|^\d{1,2}|\b[A-Z])\.$")
QUESTION_LABEL = re.compile(r"^(?:Q|Question)\s*[:.]\s*", re.IGNORECASE)
PLACED_QUESTION = re.compile(r"(?:\w+ )?(?:where|when|who|whose|which|how (?:many|much|long|often|far|old))\b", re.IGNORECASE)
"""A question that a few words answer."""
SAYING_WORDS, LONGEST_ANSWER = 8, 28
"""Words of an answer that say enough by themselves, and the most that are learned as one: half a longer one would say something else."""
ANSWER_LABEL = re.compile(r"^(?:A|Answer)\s*[:.]\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Block:
    """A piece of a section.

    `kind` is sentence, pair (`key` before the colon, the text after it), cell (`key` the row, `column` the header)
    or answer (`key` the question). `text == section.text[start:start + len(text)]`.
    """

    kind: str
    text: str
    start: int
    key: str = ""
    column: str = ""
    evidence: str = ""


def blocks(text: str, heading: str = "") -> list[Block]:
    """All blocks of a section's text, in order; a heading that asks makes the whole text its answer."""
    found: list[Block] = []
    header = None
    question = plain(heading) if heading.rstrip("*").endswith("?") else ""
    numbered, currency = clause_numbers(text), stated_currency(f"{heading}\n{text}")
    for (start, line), (_, following) in itertools.pairwise([*lines(text), (len(text), "")]):
        if is_item(line) and is_item(following):
            question = ""
        if start in numbered:
            start, line = moved(NUMBERED, line, start)
        if ROW.match(line):
            if header is None or begins_table(text, start, following):
                header = None if RULE.match(line) else header_of(line, text[start + len(line) :])
            elif not RULE.match(line):
                found += row_cells(line, start, header, currency)
            continue
        header = None
        mark = MARK.match(line)
        assert mark is not None
        start, line = start + mark.end(), line[mark.end() :].rstrip()
        listed = bool(mark.group().strip())
        record = record_cells(line, start) or joined_pairs(line, start) or priced_item(line, start, listed)
        record = record or (dashed_pair(line, start) if listed else [])
        if record:
            found += record
        elif line:
            question, more = line_blocks(line, start, question)
            found += more
    return found


def is_item(line: str) -> bool:
    """Whether a line is an item of a list, and neither asks nor answers: an answer in several items is none of them."""
    mark = ITEM.match(line)
    return mark is not None and not line.rstrip(" *_").endswith("?") and not ANSWER_LABEL.match(line[mark.end() :])


def clause_numbers(text: str) -> set[int]:
    """Where lines begin with the number of a clause: one with a point in it, or one that counts on from the line before."""
    found = [(m.start(), [int(part) for part in m.group(1).split(".")]) for m in NUMBERED.finditer(text)]
    following = {b for (a, x), (b, y) in itertools.pairwise(found) if y == [*x[:-1], x[-1] + 1]}
    followed = {a for (a, _), (b, _) in itertools.pairwise(found) if b in following}
    return following | followed | {start for start, parts in found if len(parts) > 1}


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Each logical line with its offset: a paragraph's wrapped lines are one."""
    pattern = re.compile(r"[^\n]+(?:\n(?![ \t]*(?:[-*+•|>#]|\d{1,2}[.)] ))(?=[^\n]*[a-z])[^\n]+)*")
    for match in pattern.finditer(text):
        parts = match.group().split("\n")
        wrapped = len(parts) > 1 and all(len(part) > 55 for part in parts[:-1]) and not ROW.match(parts[0])
        wrapped = wrapped and not all(part.rstrip()[-1:] in ".?!" for part in parts[:-1])
        wrapped = wrapped and not all(PAIR.match(part) for part in parts)
        if wrapped:
            yield match.start(), match.group()
            continue
        offset = match.start()
        for part in parts:
            yield offset, part
            offset += len(part) + 1


def begins_table(text: str, start: int, following: str) -> bool:
    """Whether the row at `start` is the header of a table: an empty line stands before it and a rule is the line that follows."""
    return text.endswith("\n\n", 0, start) and bool(ROW.match(following) and RULE.match(following))


@dataclass(frozen=True)
class Header:
    """What a table's columns are called, the number of that which names a row, and of those which tell rows of one name apart.

    Where rows are `numbered`, their names are numbers of what the column is called: "Route 14". In a table that `compares`, columns are
    things and rows what is said of each.
    """

    columns: tuple[str, ...]
    name: int = 0
    beside: tuple[int, ...] = ()
    repeated: frozenset[str] = frozenset()
    numbered: bool = False
    compares: bool = False

    def naming(self, cells: list[str]) -> list[int]:
        """The numbers of the columns that name this row; the first, where it has more or fewer cells than the header."""
        if len(cells) != len(self.columns):
            return [0]
        return [self.name, *(self.beside if cells[self.name] in self.repeated else ())]


def header_of(line: str, following: str) -> Header:
    """The header that a table's first line is; the rows are at the beginning of `following`.

    The first column names a row; where that holds codes, the first that holds words and repeats none, or else the code itself with what
    the column is called; where it repeats dates or numbers, one that holds words and repeats none. Where a name repeats, one or two other
    columns with words are a part of it. Remarks name nothing.
    """
    below = itertools.takewhile(ROW.match, following.lstrip("\n").split("\n"))
    rows = [[cell for _, cell in cells_of(row)] for row in below if not RULE.match(row)]
    columns = tuple(spelled_out(plain(cell)) for _, cell in cells_of(line))
    rows = [row for row in rows if len(row) == len(columns)]
    if not rows:
        return Header(columns)
    if compares(rows) or (FEATURES.fullmatch(columns[0]) and all(map(ticked, rows))):
        return Header(columns, compares=True)
    cells = list(zip(*rows, strict=True))
    wordy = [n for n, column in enumerate(cells) if 2 * sum(map(is_wordy, column)) > len(column) and not REMARKS.fullmatch(columns[n])]
    things = [n for n in wordy if not WAYS.fullmatch(columns[n])]
    whole = [n for n in things if len(set(cells[n])) == len(rows)]
    codes = is_code(columns[0], cells[0])
    numbered = codes and not whole and bool(columns[0]) and not (CODE_COLUMN.fullmatch(columns[0]) or COUNTING.fullmatch(columns[0]))
    if numbered or (0 in wordy and not codes):
        name = 0
    elif codes:
        name = next((n for n in (*whole, *things) if n), 0)
    else:
        name = 0 if len(set(cells[0])) == len(rows) else next(iter(whole), 0)
    repeated = frozenset(cell for cell, count in Counter(cells[name]).items() if count > 1)
    others = [n for n in wordy if n > name] if numbered or name in wordy else []
    beside = (more for count in (1, 2) for more in itertools.combinations(others, count) if tells_apart(cells, (name, *more)))
    return Header(columns, name, next(beside, ()) if repeated else (), repeated, numbered)


def tells_apart(cells: Sequence[Sequence[str]], columns: Sequence[int]) -> bool:
    """Whether no two rows have the same in all these columns."""
    rows = list(zip(*(cells[n] for n in columns), strict=True))
    return len(set(rows)) == len(rows)


def is_code(column: str, cells: Sequence[str]) -> bool:
    """Whether a column numbers the rows: by numbers, or by what it calls codes."""
    return all(map(CODE.fullmatch, cells)) or bool(CODE_COLUMN.fullmatch(column) and all(map(SHORT_CODE.fullmatch, cells)))


def spelled_out(name: str) -> str:
    """What a column or a key is called, without abbreviations: "Minimum stay" for "Min. stay", "Price (£)" for "£"."""
    if price := PRICE_EACH.fullmatch(name):
        each = f" {price[2].lower()}" if price[2] else ""
        return f"Price{' per person' if each in (' pp', ' p.p.') else each} ({price[1]})"
    full = SHORTENED.sub(lambda m: in_full(m[1] or m[2]), name)
    return full.removesuffix(".") if full.count(".") == 1 else full


def in_full(word: str) -> str:
    """An abbreviation in full, with a capital where it has one."""
    full = ABBREVIATIONS[word.lower()]
    return full.capitalize() if word[0].isupper() else full


def compares(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the cells of each row are of one kind and those of no column are: "Users | 1 | 10" below "Price | €9 | €29"."""
    sorts = [[sort_of(cell) for cell in row[1:]] for row in rows]
    across = [len({*row} - {""}) == 1 for row in sorts if sum(map(bool, row)) > 1]
    down = [len({*column} - {""}) > 1 for column in zip(*sorts, strict=True)]
    return len(down) > 1 and len(across) > 1 and sum(across) >= 0.75 * len(across) and all(down)


def ticked(row: Sequence[str]) -> bool:
    """Whether all cells of a row but the first say yes or no, or nothing."""
    return all(verdict(cell) or not says(cell) for cell in row[1:])


def sort_of(cell: str) -> str:
    """The kind of a cell's value, "said" for yes, no and marks, "" for what is empty or of no kind, as it may be anywhere."""
    return "said" if verdict(cell) or re.match(r"(?:yes|no|x|included)\b|[✓✔✗✘]", cell, re.IGNORECASE) else kind_of(cell)


def says(cell: str) -> bool:
    """Whether a cell says something: in words, numbers or by a mark."""
    return bool(re.search(r"\w", cell) or verdict(cell))


def cells_of(line: str) -> list[tuple[int, str]]:
    """The cells of a table's line, each with its offset."""
    spans = [(m.start(), m.group()) for m in re.finditer(r"(?<=\|)[^|]*(?=\|)", line)]
    return [(at + len(cell) - len(cell.lstrip()), cell.strip()) for at, cell in spans]


def is_wordy(cell: str) -> bool:
    """Whether a cell holds words, and no code, date, sum or other typed value."""
    return bool(re.search(r"[^\W\d]{3}", cell)) and not kind_of(cell) and not CODE.fullmatch(cell)


def stated_currency(text: str) -> str:
    """The currency that a text says its prices are in, "" where it says none."""
    said = ALL_PRICES.search(text)
    return SIGN_OF.get((said.group(1) or "").lower().removesuffix("s"), said.group(1) or said.group(2)) if said else ""


def row_cells(line: str, start: int, header: Header, stated: str = "") -> list[Block]:
    """The cells of a table's row, but those that name it; `stated` is the currency of a price list."""
    cells = cells_of(line)
    if header.compares and len(cells) == len(header.columns):
        return compared_cells(cells, start, header)
    naming = header.naming([cell for _, cell in cells])
    named = ((n, plain(cells[n][1]), header.columns[n] if n < len(header.columns) else "") for n in naming if cells[n][1])
    name = ", ".join(f"{column} {cell}" if header.numbered and not n else counted(cell, column) for n, cell, column in named)
    evidence = "; ".join(f"{column}: {plain(cell)}" for column, (_, cell) in zip(header.columns, cells, strict=False))
    currency = next((cell for column, (_, cell) in zip(header.columns, cells, strict=False) if column.lower() == "currency"), "")
    return [
        Block("cell", cell, start + at, name, in_currency(column, cell, currency, stated), evidence)
        for n, (column, (at, cell)) in enumerate(zip(header.columns, cells, strict=False))
        if n not in naming and name and column and says(cell)
    ]


def counted(cell: str, column: str) -> str:
    """A cell that counts what its column is called, with that: "up to 20 members"; any other cell as it is."""
    several = re.fullmatch(r"[A-Z]?[a-z]+[^\W\ds]s", column)
    return f"{cell} {column.lower()}" if several and RANGE.fullmatch(cell) else cell


def compared_cells(cells: list[tuple[int, str]], start: int, header: Header) -> list[Block]:
    """The cells of a row that says one thing of each column."""
    told = plain(cells[0][1])
    return [
        Block("cell", cell, start + at, column, told, f"{column}; {told}: {plain(cell)}")
        for column, (at, cell) in zip(header.columns[1:], cells[1:], strict=True)
        if told and column and says(cell)
    ]


def in_currency(column: str, cell: str, currency: str, stated: str = "") -> str:
    """The column of a bare price with the currency that another cell of its row gives, or the whole list: "price (GBP)"."""
    priced = SUM_COLUMN.search(column) or (stated and PRICED_COLUMN.fullmatch(column))
    currency = currency or stated
    return f"{column} ({currency})" if currency and priced and currency not in column and BARE_SUM.fullmatch(cell) else column


def record_cells(line: str, start: int) -> list[Block]:
    """The cells of a line such as "box: Curlew; feeds: 2 people; price: €21", named by its first value; [] for other lines."""
    fields = re.split(r";\s+", line.rstrip(" ."))
    named = [re.match(r"([\w /-]{2,30}):\s+(\S.*)", field) for field in fields]
    if len(fields) < 3 or not all(named):
        return []
    cells, at = [], 0
    for field, match in zip(fields, named, strict=True):
        assert match is not None
        at = line.index(field, at)
        cells.append((match.group(1), match.group(2), start + at + match.start(2)))
    name = cells[0][1]
    return [Block("cell", text, begin, plain(name), column, plain(line)) for column, text, begin in cells[1:]]


def joined_pairs(line: str, start: int) -> list[Block]:
    """The pairs of a line such as "Price: £85 · Weight: 420 g"; [] for other lines."""
    marks = [m.span() for m in re.finditer(r"\s+[·•|]\s+", line)]
    begins, ends = [0, *(end for _, end in marks)], [*(begin for begin, _ in marks), len(line)]
    fields = [(at, line[at:end], PAIR.match(line[at:end])) for at, end in zip(begins, ends, strict=True)]
    found = [
        Block("pair", text[pair.end() :], start + at + pair.end(), plain(pair.group(1)), "", text)
        for at, text, pair in fields
        if pair and is_key(pair.group(1))
    ]
    return found if len(found) == len(fields) > 1 else []


def priced_item(line: str, start: int, listed: bool) -> list[Block]:
    """The pair of an item such as "Shoes £3.20", or of any line with dots, a comma or a dash before its price; [] for other lines."""
    item = PRICED_ITEM.fullmatch(line)
    key = re.sub(r"\s*\([^)]*\)", "", item.group(1)) if item else ""
    if not item or not (listed or item.group(2) or item.group(3)) or not is_key(key) or TOLD.match(key) or OPEN_END.search(key):
        return []
    return [Block("pair", item.group(4), start + item.start(4), plain(item.group(1)), "", line)]


def dashed_pair(line: str, start: int) -> list[Block]:
    """The pair that a list item with a dash is; [] where the words before the dash are no name of something."""
    pair = DASHED.match(line)
    if not pair or not is_key(pair.group(1)) or len(pair.group(1).split()) > 5 or TOLD.match(pair.group(1)):
        return []
    return [Block("pair", line[pair.end() :], start + pair.end(), plain(pair.group(1)), "", line)]


def line_blocks(line: str, start: int, question: str) -> tuple[str, list[Block]]:
    """The question still waiting for its answer after this line, and the line's blocks."""
    label = QUESTION_LABEL.match(line) or re.match(r"\*\*|__", line)
    bare = plain(line)
    if bare.endswith("?") and (label or bare.count("?") == 1) and len(bare) < 160 and len(split(bare)) == 1:
        return QUESTION_LABEL.sub("", bare), []
    start, line = moved(ANSWER_LABEL, line, start)
    inline = re.match(r"^(?:\*\*)?([^.?!|]{8,140}\?)(?:\*\*)?\s+(?=\S)", line)
    if inline:
        return "", answer_blocks(plain(inline.group(1)), line, start, inline.end())
    if question:
        return "", answer_blocks(question, line, start, 0)
    pair = PAIR.match(line)
    if pair and LABEL.match(pair.group(1)) and len(line[pair.end() :].split()) > 3:
        text, at = line[pair.end() :], start + pair.end()
        return "", [Block("pair", text, at, plain(pair.group(1)), "", line), *sentence_blocks(text, at)]
    if pair and is_key(pair.group(1)):
        return "", pair_blocks(line, pair, start)
    return "", sentence_blocks(line, start)


def answer_blocks(question: str, line: str, start: int, offset: int) -> list[Block]:
    """A question's answer, and the sentences of the answer one by one."""
    answer = line[offset:]
    whole = [Block("answer", answer[a:b], start + offset + a, question, "", line) for a, b in answer_span(question, answer)]
    return [*whole, *sentence_blocks(answer, start + offset)]


def answer_span(question: str, answer: str) -> list[tuple[int, int]]:
    """The span of an answer's first sentence, with those after it until they say something, if they are not too many words; or []."""
    spans = split(answer)
    if not spans:
        return []
    begin, end = spans[0]
    for _, stop in spans[1:]:
        said = answer[begin:end]
        if PLACED_QUESTION.match(question) or len(said.split()) >= SAYING_WORDS or re.match(r"(?:Yes|No),", said) or find_values(said):
            break
        if len(answer[begin:stop].split()) > LONGEST_ANSWER:
            break
        end = stop
    return [(begin, end)]


def sentence_blocks(line: str, start: int) -> list[Block]:
    """The sentences of a line, the pairs of what only lists prices, and those after a sentence: "Trains second class. Own car: €0.34."."""
    found = []
    for a, b in split(line):
        pair = PAIR.match(line[a:b]) if a else None
        if pair and pair[1][:1].isupper() and is_key(pair[1]) and find_values(rest := line[a + pair.end() : b]) and ":" not in rest:
            found += pair_blocks(line[a:b], pair, start + a)
            continue
        for c, d in parts(line[a:b]):
            text, at = line[a + c : a + d], start + a + c
            found += priced_list(text, at) or [Block("sentence", text, at, evidence=line[a:b])]
    return found


def pair_blocks(line: str, pair: re.Match[str], start: int) -> list[Block]:
    """The pair that a line is, or those of what the text behind its key lists with prices, and the further sentences there.

    Where the key says what the sums are, or they are those of people, it cannot be left out.
    """
    text = line[pair.end() :]
    begin, end = next(iter(split(text)), (0, 0))
    found = priced_list(text[begin:end], start + pair.end() + begin)
    of_people = any(HUMANS & {word.removesuffix("s") for word in each.key.lower().split()} for each in found)
    if not found or of_people or SUMMED.search(pair[1]):
        return [Block("pair", text, start + pair.end(), spelled_out(plain(pair[1])), "", line)]
    return [*found, *sentence_blocks(text[end:], start + pair.end() + end)]


def priced_list(text: str, start: int) -> list[Block]:
    """The pairs of a text such as "Adults £5, children £3 and dogs £1"; [] for other texts."""
    found, at = list[Block](), 0
    for mark in [*re.finditer(r",? and |, ", text), None]:
        item = priced_item(text[at : mark.start() if mark else len(text)], start + at, True)
        if not item and mark and mark.group() == " and ":  # "soup and a roll £6" is one thing
            continue
        if not item:
            return []
        found, at = found + item, mark.end() if mark else at
    return found if len(found) > 1 else []


def parts(sentence: str) -> list[tuple[int, int]]:
    """The spans of a sentence between semicolons or colons, brackets respected; a colon stays with what it ends."""
    cuts = [m.start() for m in re.finditer(r"[;:]\s", sentence) if sentence.count("(", 0, m.start()) == sentence.count(")", 0, m.start())]
    edges = [-1, *cuts, len(sentence)]
    spans = [(a + 1, b + (sentence[b : b + 1] == ":")) for a, b in itertools.pairwise(edges)]
    return [(a + len(sentence[a:b]) - len(sentence[a:b].lstrip()), b) for a, b in spans]


def split(text: str) -> list[tuple[int, int]]:
    """The spans of a text's sentences, without the spaces between them."""
    spans, begin = [], 0
    for match in SENTENCE_END.finditer(text):
        if not ABBREVIATION.search(text[begin : match.start()].strip()):
            spans.append((begin, match.end()))
            begin = match.end()
    spans.append((begin, len(text)))
    return [(a, a + len(text[a:b].rstrip())) for a, b in spans if text[a:b].strip()]


def is_key(text: str) -> bool:
    """Whether the words before a colon name something: short, and no clause of their own."""
    words = text.split()
    verb = re.search(r"\b(?:is|are|was|were|must|may|can|will|has|have|please|do not|don't|keep|leave|do|should)\b", text, re.IGNORECASE)
    return len(words) <= 8 and (not verb or len(words) <= 2) and len(split(text)) == 1


def moved(pattern: re.Pattern[str], line: str, start: int) -> tuple[int, str]:
    """The line and its offset without a label at its front."""
    match = pattern.match(line)
    return (start + match.end(), line[match.end() :]) if match else (start, line)


def plain(text: str) -> str:
    """Text without Markdown's emphasis, code and link marks."""
    text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", text)
    return re.sub(r"\*\*|__|`|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)", "", text).strip()


def sentence_before(text: str, sentence: str) -> str:
    """What `sentence` needs beside it: the sentence before it in its paragraph of `text`, or of a table row the table's header."""
    rows = text.splitlines()
    at = next((i for i, row in enumerate(rows) if sentence in row), None)
    if at is None:
        return ""
    if not sentence.startswith("|"):
        return re.split(r"(?<=[.!?]) ", MARK.sub("", rows[at].partition(sentence)[0]).strip())[-1]
    while at and rows[at - 1].startswith("|"):
        at -= 1
    return rows[at] if rows[at] != sentence else ""
