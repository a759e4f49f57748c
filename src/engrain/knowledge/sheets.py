"""Sheets: lists that say of what their heading names what it costs, weighs or where it is, each under the same keys.

"Price: £85" says nothing by itself, and stands under every product. A key that several headings share is an attribute of what
these name, as a table's column is of its rows.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from engrain.documents.base import Section
from engrain.knowledge.blocks import LABEL, Block, blocks, plain
from engrain.knowledge.dates import STAMP_KEY
from engrain.knowledge.grammar import capital
from engrain.knowledge.items import CONTACT_KEY, DAYS, Person, header, listed_under, people_items
from engrain.knowledge.words import listed
from engrain.words import keywords

LONGEST_KEY, LONGEST_CELL = 6, 16
"""Words of a key and of what it says, at most: more is told in sentences."""
ENOUGH_SHARED = 3
"""Of so many shared keys the others of a list are attributes of the same thing, however many."""
BY = re.compile(r"signed|author|(?:written|posted|published|sent|issued|approved|signed) by", re.IGNORECASE)
OF_TEXTS = re.compile(rf"{BY.pattern}|pinned|subject|cc", re.IGNORECASE)
POSTED = re.compile(r"(?:date )?(?:posted|published|issued|announced)(?: on| at)?", re.IGNORECASE)
ONE_OF_SEVERAL = re.compile(
    r"(?:step|day|week|level|stage|part|phase|year|lesson|session|option|zone|tier) (?:\d+|[A-Z]|one|two|three|four|five)", re.IGNORECASE
)
"""What is one of several of what the heading above names."""
OF_EVENTS = re.compile(
    r"time|place|venue|where|location|price|cost|fee|tickets?|starts?|begins?|ends?|doors|tutor|teacher|leader|duration", re.IGNORECASE
)
"""Keys that say who wrote a text (a notice, a letter), all that only a text has, and those of what takes place or is sold, whose date
is not that of its writing.
"""
NO_THINGS = listed(
    """price prices fee fees rate rates tariff tariffs charge charges cost costs hours times contact contacts detail details address
    addresses setting settings note notes notice notices rule rules information info opening team staff people menu faq us you summary
    overview company business firm organisation organization general"""
)
"""What a heading names that is about things of many kinds and is none itself."""


DATA = re.compile(
    r"(?:[\d.]+[.)]? )?(?:(?:technical|product|key) (?:data|details|facts|information|specifications?|specs)|specifications?|specs"
    r"|tech specs|data|dimensions(?: (?:and|&) weights?)?|measurements|ratings|at a glance)",
    re.IGNORECASE,
)
"""Headings below which stand the data of what the heading above names."""
DESCRIBING = re.compile(
    r"(?:^|[\s:,–-]+)(?:(?:installation|user|owner['’]?s|operating|instruction|service|product|technical|quick(?: start)?|safety) ?)*"
    r"(?:manual|guide|handbook|instructions|(?:data|fact|spec(?:ification)?)? ?sheet|leaflet|brochure|specifications?)$",
    re.IGNORECASE,
)
"""What a title says of the text itself, behind what that describes."""


@dataclass(frozen=True)
class Sheets:
    """The `keys` that lists under several headings share (in small letters), the `headings` that stand in several places, and the
    `families`: headings below which several others have nothing but such lists, each with a key that another one has.
    """

    keys: frozenset[str] = frozenset()
    headings: frozenset[str] = frozenset()
    families: frozenset[tuple[str, ...]] = frozenset()

    @classmethod
    def of(cls, sections: Iterable[Section]) -> Sheets:
        """What the sections share."""
        above, under = defaultdict[str, set[tuple[str, ...]]](set), defaultdict[str, set[tuple[str, str]]](set)
        sections = list(sections)
        parts = [blocks(section.text, *section.headings[-1:]) for section in sections]
        for section in sections:
            above[last(section.headings)].add(section.headings[:-1])
        found = cls(headings=frozenset(heading for heading, others in above.items() if len(others) > 1))
        for section, own in zip(sections, parts, strict=True):
            name = found.name(section.headings)
            for block in filter(is_column, own if name else ()):
                under[header(block.key)].add((section.file, name))
        keys = frozenset(key for key, places in under.items() if is_shared(key, sorted(places)))
        return replace(found, keys=keys, families=families(sections, parts))

    def name(self, headings: Sequence[str]) -> str:
        """What a section's heading names; where several sections have that heading, or it only says that data follow, the
        one above; "" where that names no thing.
        """
        own = last(headings)
        above = last(headings[:-1])
        name = (
            what_is_described(above)
            if of_data(headings)
            else above
            if own in self.headings
            else f"{own} of {above[:1].lower()}{above[1:]}"
            if above and ONE_OF_SEVERAL.fullmatch(own)
            else own
        )
        head = re.findall(r"[^\W\d]+", re.split(r" (?:for|of|in|on|at|with|from|by|per|and|&)\b|[,(:]", name)[0])
        return "" if name.endswith("?") or (head and head[-1].lower() in NO_THINGS) else name

    def kind(self, headings: Sequence[str]) -> str:
        """What a section's heading names one of, as the heading above says: "Plan" below "Our plans"; "" where that says it not."""
        own = last(headings)
        one = listed_under(last(headings[:-2] if own in self.headings else headings[:-1]))
        return "" if ONE_OF_SEVERAL.fullmatch(own) or {one, f"{one}s"} & NO_THINGS else capital(one)

    def cells(self, parts: Sequence[Block], headings: Sequence[str], business: str = "") -> list[Block]:
        """The blocks of a section, with cells in place of its items where half of their keys at least are shared, or several."""
        of_text = is_text(parts)
        name = last(headings) if of_text else self.name(headings)
        columns = sum(map(is_column, parts))
        kindred = columns == len(parts) if tuple(headings[:-1]) in self.families else of_data(headings) and 2 * columns > len(parts)
        if name in ("", business) or not (kindred or any(is_column(block) and header(block.key) in self.keys for block in parts)):
            return list(parts)
        people = people_items(parts)
        items = [b for b in parts if is_column(b) and not (b.start in people and is_name_first(b, people[b.start]))]
        shared = [block for block in items if header(block.key) in self.keys]
        if not items or not (kindred or len(shared) >= ENOUGH_SHARED or (shared and 2 * len(shared) >= len(items))):
            return list(parts)
        name = f"“{name}”" if of_text else name
        kind = "" if of_text else self.kind(headings)
        record = "; ".join([f"{kind}: {name}" if kind else name, *(f"{block.key}: {plain(block.text.rstrip(' .'))}" for block in items)])
        starts = {block.start for block in items}
        return [cell(block, name, record, of_text) if block.start in starts else block for block in parts]


def families(sections: Sequence[Section], parts: Sequence[Sequence[Block]]) -> frozenset[tuple[str, ...]]:
    """The headings below which several sections, of which these are the blocks, are lists of attributes alone that share keys."""
    found = defaultdict[tuple[str, ...], list[set[str]]](list)
    for section, own in zip(sections, parts, strict=True):
        if len(section.headings) > 1 and own and all(map(is_column, own)) and not is_text(own):
            found[section.headings[:-1]].append({header(block.key) for block in own})
    return frozenset(above for above, lists in found.items() if any(a & b for a, b in itertools.combinations(lists, 2)))


def is_text(parts: Iterable[Block]) -> bool:
    """Whether items are about a text, which was posted or signed, and not about what takes place or is sold."""
    keys = [block.key for block in parts if is_column(block)]
    return any(OF_TEXTS.fullmatch(key) or POSTED.fullmatch(key) for key in keys) and not any(OF_EVENTS.fullmatch(key) for key in keys)


def is_shared(key: str, places: Sequence[tuple[str, str]]) -> bool:
    """Whether a key stands under headings of one document, or of several that are no versions of one, having no word in common.

    How to reach the business may stand anywhere, and is no attribute of the heading of one text or the other.
    """
    if len(places) > len({file for file, _ in places}):
        return True
    first, *others = sorted({name for _, name in places})
    return not CONTACT_KEY.match(key) and any(not set(keywords(first)) & set(keywords(name)) for name in others)


def cell(item: Block, name: str, record: str, of_text: bool) -> Block:
    """An item as a cell of what the sheet is about; when a text was written is no attribute of what it is about, and stays an item."""
    if STAMP_KEY.fullmatch(item.key):
        return item
    if of_text and item.key.lower() == "date":
        return replace(item, key="Dated")
    return Block("cell", item.text.rstrip(" ."), item.start, name, item.key, record)


def is_column(block: Block) -> bool:
    """Whether a block is an item whose key can be an attribute: no day, no date or number of what follows, and few words."""
    if block.kind != "pair" or LABEL.match(block.key) or DAYS.match(block.key):
        return False
    return len(block.key.split()) <= LONGEST_KEY and len(block.text.split()) <= LONGEST_CELL and bool(re.search(r"\w", block.text))


def is_name_first(block: Block, person: Person) -> bool:
    """Whether the key of an item about a person is the name, as in "Ana Ruiz: treasurer"."""
    return person.name[0] < len(block.evidence) - len(block.text)


def of_data(headings: Sequence[str]) -> bool:
    """Whether the last of the headings only says that data follow, of what the one above names."""
    return len(headings) > 1 and bool(DATA.fullmatch(last(headings)))


def what_is_described(title: str) -> str:
    """What a text of this title describes: "Otter 3" of "Otter 3 – Installation manual"; "" where it does not say."""
    return DESCRIBING.sub("", title)


def last(headings: Sequence[str]) -> str:
    """The last of the headings without Markdown, "" where there is none."""
    return plain(headings[-1]) if headings else ""
