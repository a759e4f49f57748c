"""Typed values: the patterns of money, dates, times, durations, counts, shares, contacts and addresses in text."""

from __future__ import annotations

import re
from dataclasses import dataclass

NUMBER = (
    r"(?:\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)|\d[\d,]*(?:\.\d+)?|(?:a |one )?(?:half a|half an)|"
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|"
    r"(?:thir|four|fif|six|seven|eigh|nine)teen|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:-[a-z]+)?|a hundred|a dozen)"
)
MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|"
    r"Nov(?:ember)?|Dec(?:ember)?)\b"
)
DAY = r"(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?|weekdays?|public holidays|weekends?)(?: (?:morning|afternoon|evening|night)s?\b)?"
NTH = r"(?:\d{1,2}(?:st|nd|rd|th)?)"
HOUR = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\d{1,2})"
OF_DAY = r"(?:in the (?:morning|afternoon|evening|night)|at night)(?! (?:class|course|group|session|shift|show|train|bus|boat)(?:e?s)?\b)"
SPOKEN_TIME = (
    rf"(?:(?:half past|(?:a )?quarter (?:past|to)) {HOUR}|(?:five|ten|twenty|twenty-five) (?:past|to) {HOUR}(?= {OF_DAY})|"
    rf"{HOUR} o['’]clock|"
    rf"{HOUR}(?= {OF_DAY}))(?: {OF_DAY})?"
)
TIME = rf"(?:\d{{1,2}}(?:[:.]\d\d)? ?(?:(?:[ap]m|[AP]M)\b|[ap]\.m\.|[AP]\.M\.)|\d{{1,2}}:\d\d|{SPOKEN_TIME}|noon|midnight)"
PERIOD = (
    r"(?:night|day|week|month|year|hour|half-hour|minute|quarter|term|person|head|child|adult|piece|bottle|item|visit|session|lesson|"
    r"mile|km|kilometre|kg|gram|litre|metre|page|copy|copies|user|seat|cup|dozen|square metre|square foot|m²|transaction|bag|box|ticket|"
    r"room|rental|trip|pupil|student|guest|place|group|class|car|van|boat|animal|dog)"
)
WHOLE = r"(?:(?:full|started|whole|working|calendar) )"
"""What may stand before a period that is paid for."""
FIGURE = r"(?:\d{1,3}(?:[ \u00a0\u202f]\d{3}(?!\d))+(?:[.,]\d+)?|\d+(?:[.,'’]\d+)*)"
SIGN = "[£$€¥₹]"
CURRENCY = r"(?:EUR|GBP|USD|CHF|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|JPY|INR|ZAR|SGD|HKD)\b"
BARE_SUM = re.compile(r"(?:(?:from|about|up to) )?\d[\d.,]*", re.IGNORECASE)
"""An amount of money whose currency stands elsewhere."""
AMOUNT = (
    rf"(?:(?:\b[A-Z]{{1,3}})?{SIGN} ?{FIGURE}(?: ?(?:million|billion|[kKmM]\b))?|\b{CURRENCY} ?{FIGURE}|"
    rf"\b{FIGURE}(?: million| billion)? ?(?:{SIGN}|p\b(?!\.)|pence\b|cents?\b|c\b|euros?\b|pounds?\b(?! of)|dollars?\b|kr\b|rupees?\b|"
    rf"francs?\b|{CURRENCY}))"
)
UNIT = (
    r"(?:litres?|liters?|millilitres?|kilograms?|kilos?|grams?|grammes?|tonnes?|centimetres?|millimetres?|metres?|meters?|kilometres?|"
    r"kilometers?|miles?|feet|km/h|inch(?:es)?|watts?|volts?|degrees?(?: Celsius)?|kg|mg|g|cm|mm|m|km|ml|l|kWh|kW|W|V|A(?! [a-z])|mph|"
    r"Mbps|Gbps|kB|MB|GB|TB|KB|dpi|bar|rpm|°C|°F|square metres|sq m|m²|lux|decibels|dB|calories|kcal)"
)
SPAN = r"(?:second|minute|hour|day|week|month|year|night|weekend|fortnight|decade|season|term)s?"
STREET = (
    r"(?:Street|St|Road|Rd|Lane|Avenue|Ave|Square|Place|Row|Close|Way|Drive|Court|Terrace|Quay|Hill|Yard|Wharf|Parade|Gardens?|"
    r"Crescent|Boulevard|Walk|Mews|Embankment|Rise|Siding|Grove|Gate|Green|Broadway|Highway|Alley|Circle|Parkway|Passage|Vale|View|"
    r"Wynd|Esplanade|Promenade|Dock)"
)
VIA = (
    r"(?:[Rr]u[ae]|[Qq]uai|Via|Viale|[Cc]alle|[Aa]venida|Avenue|Boulevard|Piazza|Plaza|Praça|Largo|Corso|Carrer|Paseo|Travessa|"
    r"[Cc]hemin|[Ii]mpasse|Place|Allée)"
)
LINK = r"(?:(?:de la|del|della|dei|des|de|du|do|dos|da|das|el|la|los|las) |de l['’]|dell['’]|d['’])?"
NAMED = rf"{VIA}(?: {LINK}[A-ZÀ-Ý][\w'’-]+){{1,4}}"
GERMANIC = (
    r"[A-ZÄÖÜ][\w-]*(?: ?[Ss]traße|strasse|str\.|gasse|weg| ?[Pp]latz|allee|ufer|damm|straat|laan|gracht|kade|plein|gatan|vägen|veien|vej|"
    r"katu)|(?:Am|An der|Auf dem|Im|Zum|Zur|Unter den) [A-ZÄÖÜ]\w+"
)
HOUSE = rf"\d{{1,4}}[a-zA-Z]?(?:[-–]\d+)?(?![\w€%]| [€%]|[.,:]\d| (?:{MONTH}|hours?|days?|minutes?))"
ADDRESS = (
    rf"(?:\b\d+[a-zA-Z]?(?:[-–]\d+)? (?:[A-Z][\w'’.-]+ ){{1,3}}{STREET}\b|\b(?:{GERMANIC}) {HOUSE}|\b{NAMED},? {HOUSE}|"
    rf"\b\d+[a-z]?,? (?:bis,? |ter,? )?{NAMED})"
)
POSTCODE = r"\b[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}\b"
POSTAL = rf"(?:\b[A-Z0-9][\w'’-]*(?: [A-Z0-9][\w'’-]*){{0,4}}, ){{1,3}}[A-Z][\w'’-]+(?: [A-Z][\w'’-]+){{0,2}},? {POSTCODE}"
"""Lines of an address up to a British postcode: "Unit 6, Mill Yard, Orton OR9 2QX"."""
RECURRING = rf"(?:the )?(?:first|second|third|fourth|last|every|every other|every second|each) (?:{DAY}|(?:day|week)(?= of))"
PHONE = (
    r"(?<![\w.,/£$€+-])(?<!\d:)(?!\d{1,2}-\d{1,2}-\d{4}\b|\d{4}-\d{4}\b)(?=\+?(?:[ ()-]{0,2}\d){7})"
    r"(?:\+\d{1,3}[ -]?(?:\(0\)[ -]?)?(?:\(\d{1,5}\)|\d{1,5})|\(0?\d{2,5}\)|0(?!00)\d{1,5}|"
    r"1[38]00(?= \d{3} \d{3}\b)|\d{3}(?=[ -]\d{3}[ -]\d{4}))"
    r"(?:[ -]\d{2,7}){1,5}(?![\d.,]?\d)"
    r"|(?<!\d )\b(?!19|20)\d{4} \d{4}\b(?![ -]?\d)|\b[Ee]xt(?:ension|\.)? ?\d{2,5}\b"
)
"""A number with a sign of being one to ring: a plus, brackets or a nought in front, or groups that no amount or range has."""

PATTERNS: tuple[tuple[str, str], ...] = (
    ("contact", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|https?://[^\s)>,]+[^\s)>,.]|\bwww\.[\w./-]+\w"),
    ("contact", PHONE),
    ("place", POSTAL),
    ("place", ADDRESS + rf"(?:, (?!{DAY}|{MONTH})(?:\d{{4,5}} )?[A-Z]\w+(?: [A-Z]{{1,2}}\d\w? \d[A-Z]{{2}})?)?"),
    (
        "money",
        rf"{AMOUNT}(?: ?(?:[-–]|to|and|or) ?{AMOUNT})?"
        rf"(?:(?: (?:an?|per|for each|each|every) {WHOLE}?| ?/ ?){PERIOD}(?!\w)| per \w+| an? [a-z]+(?=[.,;:)]|$)| apiece\b| each\b)?",
    ),
    (
        "percent",
        rf"(?<![\d.,£$€])(?:between {FIGURE} and |(?!(?:19|20)\d\d\b){FIGURE} ?(?:[-–]|to|or) ?)?{FIGURE} ?(?:%|per ?cent\b)",
    ),
    (
        "date",
        rf"(?:\bbetween )?(?:the )?\b{NTH}(?: {MONTH}(?: \d{{4}})?)? ?(?:[-–]|to|and|until) ?(?:the )?{NTH} {MONTH}(?:,? \d{{4}})?"
        rf"|(?:\b{DAY},? )?\b{NTH} (?:of )?{MONTH}(?:,? \d{{4}})?"
        rf"|(?:\b{DAY}, )?\b{MONTH} \d{{1,2}}(?:st|nd|rd|th)?(?:, \d{{4}}|,? (?:19|20)\d\d)?\b(?!\d)"
        rf"|\b{MONTH}(?: ?(?:to|and|or|until|[-–]) ?{MONTH})?,? \d{{4}}|\b\d{{4}}-\d\d-\d\d\b|\b\d{{1,2}}/\d{{1,2}}/\d{{2,4}}\b"
        r"|\b\d{1,2}\.\d{1,2}\.\d{4}\b",
    ),
    (
        "date",
        rf"\b{RECURRING}(?: (?:of|in) (?:the|a|each|every) (?:month|week|year|quarter)| (?:of|in) {MONTH})?"
        rf"|\b(?:from )?{DAY}(?:(?:,| and| or| to| through| until|[-–]) ?{DAY}){{1,5}}|\b{DAY}\b",
    ),
    ("date", r"\bthe (?:\d{1,2}(?:st|nd|rd|th)|[a-z]+th|first|third)(?: day)? of (?:the|each|every) (?:following )?month\b"),
    ("date", r"\bthe \d{1,2}(?:st|nd|rd|th)(?=[.,;:)]|$)"),
    (
        "time",
        rf"(?:\b(?:from|between) )?\b(?:{TIME}|\d{{1,2}}(?:[.:]\d\d)?) ?(?:[-–]|to|and|until) ?{TIME}|\b{TIME}"
        r"|\b\d{1,2}\.\d\d ?[-–] ?\d{1,2}\.\d\d",
    ),
    ("time", r"(?<=from )\d{1,2}\.\d\d to \d{1,2}\.\d\d\b|(?<=[ap]t )\d{1,2}\.\d\d\b(?! ?%)|\b\d{1,2}\.\d\d to \d{1,2}\.\d\d\b"),
    (
        "time",
        r"(?:(?<=\b[Bb]y )|(?<=\b[Uu]ntil )|(?<=\b[Bb]efore )|(?<=\b[Aa]fter ))(?:[01]?\d|2[0-3])\.[0-5]\d\b(?! ?(?:%|per\b|k[mg]\b))",
    ),
    (
        "duration",
        rf"\b(?<!every )(?:{NUMBER}(?: ?(?:[-–]|to|or|and a half) ?{NUMBER})? ?-?(?:full |working |calendar |business |consecutive )?"
        rf"{SPAN}(?: and a half)?\b(?!-)|half an hour|half a (?:day|year)|(?:an|a quarter of an) hour(?! or)|a fortnight"
        r"|a (?:week|month|year|day)(?= (?:to|in advance|before|ahead|later)))(?:['’]s? (?:written )?notice| of age| in advance| ahead)?",
    ),
    (
        "date",
        rf"\bevery (?:{NUMBER} )?(?:{SPAN}|morning|afternoon|evening)\b(?! of)"
        rf"|\b(?:once|twice|{NUMBER} times) (?:an?|each|per|every) (?:day|week|month|year)\b",
    ),
    (
        "measure",
        rf"\b{NUMBER}(?: ?(?:[x×]|by|[-–]|to) ?\d[\d,.]*){{0,2}}(?:[- ]{UNIT}|(?<=\d){UNIT})(?:\b|(?<=[°²CF]))"
        r"(?:(?:/| a | per )(?:day|hour|minute|second|week|year|person)\b)?",
    ),
    ("date", rf"\b(?:19|20)\d\d(?:[-–](?:19|20)\d\d)?\b|\b{MONTH}(?:(?:,| and| to| or|[-–]) ?{MONTH})+"),
)
LONE_MONTH = (
    r"(?<=\b[io]n )(?:January|February|March|April|May|June|July|August|September|October|November|December)\b|"
    r"(?<=\beach )(?:October|April)"
)
COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in (*PATTERNS, ("date", LONE_MONTH)))


@dataclass(frozen=True)
class Value:
    """A typed stretch of a text."""

    start: int
    end: int
    kind: str

    def overlaps(self, other: Value) -> bool:
        """Whether the two share a character."""
        return self.start < other.end and other.start < self.end


def find_values(text: str) -> list[Value]:
    """The typed values of a text, in order, without overlaps; where two patterns claim a place, the earlier one has it."""
    found: list[Value] = []
    for kind, pattern in COMPILED:
        for match in pattern.finditer(text):
            value = Value(*trimmed(text, match.start(), match.end()), kind)
            if value.end > value.start and not any(value.overlaps(other) for other in found):
                found.append(value)
    return sorted(found, key=lambda value: value.start)


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without spaces, commas or brackets at its edges."""
    while start < end and text[start] in " ,;–-":
        start += 1
    while start < end and text[end - 1] in " ,;–-":
        end -= 1
    if text[start:end].count("(") != text[start:end].count(")"):
        start += text[start] == "("
    return start, end


YES, NO = re.compile(r"(?:yes|true|[✓✔☑✅])\W*", re.IGNORECASE), re.compile(r"(?:no|false|[✗✘✕❌☒])\W*", re.IGNORECASE)


def verdict(text: str) -> str:
    """What a text says that says yes or no and nothing else, in words or by a mark: "Yes" or "No"; "" for any other."""
    return "Yes" if YES.fullmatch(text) else "No" if NO.fullmatch(text) else ""


SHORT_SPANS = {"min": "minute", "hr": "hour", "sec": "second", "wk": "week", "yr": "year"}
COLUMN_UNIT = re.compile(
    rf"[(\[](?:in )?({UNIT}|{SPAN}(?<=s)|(?:{'|'.join(SHORT_SPANS)})s?|%)\.?[)\]]$|(?<!\bper) (kg|km|cm|mm|mins|minutes)$"
)
BARE_NUMBER = re.compile(rf"(?:(?:about|up to|from|over|under) )?{FIGURE}(?: ?(?:[-–x×]|to) ?{FIGURE})*", re.IGNORECASE)


def with_unit(value: str, column: str) -> str:
    """A bare number with the unit that its column's name ends in: "12 kg" for 12 in "Weight (kg)"; any other value as it is."""
    unit = COLUMN_UNIT.search(column)
    if not unit or not BARE_NUMBER.fullmatch(value):
        return value
    name = unit[1] or unit[2]
    one = name.removesuffix("s")
    if one in SHORT_SPANS or re.fullmatch(SPAN, name):
        name = SHORT_SPANS.get(one, one) + "s" * (value != "1")
    return f"{value}%" if name == "%" else f"{value} {name}"


LED = re.compile(r"(?:within|from|until|up to|at least|at most|about|by|after|before|on|since|every) ")
"""What may stand before a value that fills a text."""


def kind_of(text: str) -> str:
    """The kind of a whole short text: that of the typed value that fills it, or "" where none does."""
    for value in find_values(text):
        if value.end - value.start >= 0.8 * len(text.strip()):
            return value.kind
    return "count" if re.fullmatch(rf"{NUMBER}", text.strip()) else ""
