"""W1: 512 conversations about invented companies, the same ones on every machine, with 66,000 tokens.

Everyone gets the same token rows, so that peers do the same work: what a template or a loss mask makes of a conversation
differs from one library to the next. Supervised are the answers and the token that ends them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

CHATS, SEED = 512, 20261
IGNORED = -100
"""The label of a token that is not supervised, as transformers has it."""
SENTENCES = (1, 1, 2, 2, 2, 3, 4)
"""How many sentences an answer may have; drawn with equal chances."""

NAMES = (
    "Aldermoor", "Birchwater", "Copperhill", "Dunmarsh", "Elmstead", "Fairholt", "Greyfold", "Hollowell", "Inverlea", "Juniper Bay",
    "Kestrel", "Lindenau", "Millrace", "Northgate", "Osterby", "Pellworm", "Quarrybank", "Rosenhof", "Saltmere", "Thornbury",
)  # fmt: skip
TRADES = ("Bakeries", "Bicycles", "Boatyards", "Carpets", "Clockworks", "Dairies", "Glassworks", "Joinery", "Paints", "Printers")
PLACES = ("Antwerp", "Bergen", "Coimbra", "Debrecen", "Esbjerg", "Freiburg", "Gothenburg", "Haarlem", "Innsbruck", "Kaunas", "Lucerne")
FORENAMES = ("Agnes", "Bruno", "Carla", "Dorian", "Edith", "Filip", "Gesine", "Henrik", "Irma", "Jakub", "Karin", "Laszlo", "Mirela")
SURNAMES = ("Achterberg", "Bellweather", "Czerny", "Dragomir", "Eklund", "Farkas", "Grimaldi", "Hollis", "Iversen", "Jansky", "Kovacs")
GOODS = ("oak shelves", "rye loaves", "touring bicycles", "wall clocks", "wool carpets", "window panes", "canoes", "lime paint", "cheese")
OPENINGS = (
    "I have to put together a short note for my manager this afternoon.",
    "We may sign a first contract with them next month, so details matter.",
    "Somebody on the phone wanted to know this and I was not sure.",
    "Keep it brief, please, and leave nothing important out.",
    "",
)
QUESTIONS = (
    "What should a new colleague know about {company} before the first meeting?",
    "Can you tell me who leads {company}, where they work from and what they make?",
    "Which conditions does {company} offer for delivery, returns and guarantee?",
    "How big is {company} today, and since when has it been in business?",
    "What do we have on file about {company} and the things it sells?",
)
FACTS = (
    "{company} started in {year} as a family workshop and still keeps its main office in the middle of {place}.",
    "It is led by {person}, who came from a competitor {small} years ago and took over the board in {late}.",
    "Most of its income comes from {goods}, which make up roughly {percent} percent of what it sells in a year.",
    "There are {staff} people on the payroll, spread over {small} workshops and a warehouse near {other}.",
    "Parcels leave the warehouse within {days} working days, and every piece carries a guarantee of {months} months.",
    "Buyers may send {goods} back within {weeks} weeks and get their money in full if the wrapping is undamaged.",
    "Questions are answered on weekdays between {open} in the morning and {close} in the evening from the office in {other}.",
)


def chats(count: int = CHATS, seed: int = SEED) -> list[dict[str, Any]]:
    """The first `count` conversations: `messages` rows of a question and its answer of one to four sentences."""
    random_ = random.Random(seed)
    return [_chat(random_) for _ in range(count)]


def _chat(r: random.Random) -> dict[str, Any]:
    words = _words(r)
    parts = (r.choice(OPENINGS), r.choice(QUESTIONS).format(**words), r.choice(OPENINGS))
    facts = r.sample(FACTS, r.choice(SENTENCES))
    answer = " ".join(fact.format(**words) for fact in facts)
    turns = (("user", " ".join(part for part in parts if part)), ("assistant", answer))
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def _words(r: random.Random) -> dict[str, Any]:
    place, other = r.sample(PLACES, 2)
    return {
        "company": f"{r.choice(NAMES)} {r.choice(TRADES)}",
        "person": f"{r.choice(FORENAMES)} {r.choice(SURNAMES)}",
        "place": place,
        "other": other,
        "goods": r.choice(GOODS),
        "year": r.randint(1887, 2014),
        "late": r.randint(2015, 2025),
        "small": r.randint(2, 19),
        "percent": r.randint(15, 85),
        "staff": r.randint(14, 5200),
        "days": r.randint(2, 30),
        "months": r.randint(6, 72),
        "weeks": r.randint(2, 12),
        "open": r.randint(6, 9),
        "close": r.randint(16, 20),
    }


def token_rows(base: str, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, list[int]]]:
    """The conversations as engrain trains on them: `input_ids` and `labels`."""
    from engrain.examples import example_from_row
    from engrain.models import load_tokenizer, locate
    from engrain.tokens import encode_example

    tokenizer = load_tokenizer(locate(base))
    for row in rows:
        encoded = encode_example(tokenizer, example_from_row(row).messages)
        ids = encoded.ids.tolist()
        yield {"input_ids": ids, "labels": [i if s else IGNORED for i, s in zip(ids, encoded.supervised.tolist(), strict=True)]}


def random_rows(count: int, length: int, vocabulary: int, seed: int = SEED) -> Iterator[dict[str, list[int]]]:
    """Rows of `length` random tokens, the last 43% of them supervised, as in W1."""
    r = random.Random(seed)
    given = round(0.57 * length)
    for _ in range(count):
        ids = [r.randrange(vocabulary) for _ in range(length)]
        yield {"input_ids": ids, "labels": [IGNORED] * given + ids[given:]}


def write_rows(path: Path, rows: Sequence[dict[str, Any]] | Iterator[dict[str, Any]]) -> Path:
    """The file at `path`, one JSON row a line; made once."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        partial.replace(path)
    return path


def read_rows(path: str | Path) -> list[dict[str, Any]]:
    """The rows of such a file."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
