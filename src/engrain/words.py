"""Words as engrain compares them: values whatever their spelling, keywords whatever their ending, and replies that decline.

`canonical` writes a text as words with single spaces. One value has one spelling there: £1200 (also for '£1,200.00'
and '1200 pounds'), a$12 ('AUD 12'), 09:00 ('9 am'), 27/3 ('27th March'), 9 ('nine'), second ('2nd'), 15% ('15 per cent'). A hyphen
stays where it joins, so that 'twenty-four' is never taken for a 'four' nor '5-6' for a 5. The unit of time is sec ('30 seconds').
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache


def _words(text: str) -> list[str]:
    return text.split()


UNITS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
)
TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
MONTHS = _words("january february march april may june july august september october november december")
DAYS = _words("monday tuesday wednesday thursday friday saturday sunday")
SCALES = {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "bn": 1e9, "billion": 1e9}
NTHS = _words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth "
    "seventeenth eighteenth nineteenth"
)
ORDINALS = dict(enumerate(NTHS, 1)) | {10 * number: f"{ten[:-1]}ieth" for number, ten in enumerate(TENS, 2)}
"""Those of a single word."""
CODES = {"gbp": "£", "eur": "€", "usd": "$", "aud": "a$", "cad": "c$", "nzd": "nz$"}
CURRENCIES = {**CODES, "pound": "£", "sterling": "£", "euro": "€", "dollar": "$"}
DOLLARS = {"us$": "$", "au$": "a$", "ca$": "c$"}
"""Other spellings of the signs of dollars."""
SHORT = {"hr": "hour", "hrs": "hour", "min": "minute", "mins": "minute", "seconds": "sec", "secs": "sec", "yrs": "year", "wks": "week"}
METRIC = {"kilogram": "kg", "kilograms": "kg", "kilometre": "km", "kilometres": "km", "kilometer": "km", "kilometers": "km"}
ALIASES = {
    **{day[:length]: day for day in DAYS for length in (3, 4, 5)},
    **{f"{unit}s": unit for unit in (*DAYS, *_words("minute hour day night week month year"))},
    **SHORT,
    **DOLLARS,
    **METRIC,
    "&": "and",
}
STOP_WORDS = frozenset(
    _words(
        """a about all also am an and any are arent as at be been being by can cant could did do does doesnt didnt doing dont for from
        get give given go goes had has have having he her his how i id if im in into is isnt it its ive just let like many may me
        might mine much must my need no not of on one or our out please shall she should so some such tell than that the their them
        then there theres these they this those to us very want was we were what whats when where which who whom whose why will with
        wont would yes you your know"""
    )
)
ENDINGS = {"ations": 4, "ation": 4, "ments": 3, "ment": 3, "ings": 3, "ing": 3, "ied": 2, "ies": 2, "ers": 4, "er": 4, "ed": 3}
FRACTIONS = {"½": ".5", "¼": ".25", "¾": ".75"}

_DAY = r"((?:mon|tues?|wed(?:nes)?|thur?s?|fri|satu?r?|sun)(?:days?)?)"
_MONTH = (
    "(" + "|".join(f"{month[:4]}(?:{month[4:]})?|{month[:3]}" if len(month) > 4 else f"{month}|{month[:3]}" for month in MONTHS) + r")\b\.?"
)
_NTH = r"(?<![\w.,:/£$€-])(\d{1,2})(?:st|nd|rd|th)?"
_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_UNIT = "|".join(sorted((u for u in UNITS if u != "one"), key=len, reverse=True))
_SMALL = rf"(?:(?:{'|'.join(TENS)})(?:[ -](?:one|{_UNIT}))?|{_UNIT})"
_ONE = r"(?<!no )(?<!any )(?<!the )(?<!this )(?<!that )one(?! (?:of|who|that|which|is|another|can)\b)"
_HUNDREDS = rf"(?:(?:a|one|{_SMALL}) hundred(?: and {_SMALL}| and one| {_SMALL})?)"
_WORDED = rf"(?<![\w-])(?:{_HUNDREDS}|{_SMALL}|{_ONE})\b"
_NTH_OF_TEN = "|".join(word for word in NTHS[:9] if word != "second")
"""What makes an ordinal with a ten before it; 'thirty-second' is a length of time as well."""


def _worded(match: re.Match[str]) -> str:
    """'one hundred and twenty-four' as 124."""
    total = 0
    for word in re.findall(r"[a-z]+", match[0]):
        if word == "hundred":
            total = max(total, 1) * 100
        elif word in TENS:
            total += 20 + 10 * TENS.index(word)
        elif word in UNITS:
            total += UNITS.index(word)
    return str(total)


def _worded_nth(match: re.Match[str]) -> str:
    """'twenty-first' as 21st."""
    one = NTHS.index(match[2]) + 1
    return f"{20 + 10 * TENS.index(match[1]) + one}" + {1: "st", 3: "rd"}.get(one, "th")


def _clock(match: re.Match[str]) -> str:
    hour, minute, half = int(match[1]), match[2] or "00", match[3]
    return f" {hour % 12 + 12 * (half == 'p'):02}:{minute} "


def _money(amount: str, symbol: str, scale: str | None = None) -> str:
    value = float(amount.replace(",", "")) * SCALES.get(scale or "", 1)
    return f" {symbol}{value:.2f} ".replace(".00 ", " ")


def _date(day: str, month: str, year: str | None = None) -> str:
    number = int(month) if month.isdigit() else next(i for i, name in enumerate(MONTHS, 1) if name.startswith(month[:3]))
    return f" {int(day)}/{number} {year or ''} "


def _numeric_date(match: re.Match[str]) -> str:
    """27/03/2026, or 3/27/2026 where only that can be a date; 3/4/2026 stays as it is, because it may mean either."""
    first, second, year = int(match[1]), int(match[2]), match[3]
    if first == second or (first > 12 >= second):
        return _date(match[1], match[2], year)
    return _date(match[2], match[1], year) if second > 12 >= first else match[0]


def _phone(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", match[0].replace("(0)", ""))
    return f" {'+' * match[0].startswith('+')}{digits} " if 9 <= len(digits) <= 15 else match[0]


Replacement = str | Callable[[re.Match[str]], str]
RULES: tuple[tuple[re.Pattern[str], Replacement], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"https?://(?:www\.)?|(?<![\w.])www\.", " "),
        (r"'s\b|’s\b|['‘’`\"“”*]", ""),
        (rf"\b{_DAY} ?(?:[-–]|to|until|through) ?{_DAY}\b", r"\1-\2"),
        (r"—|–(?!\d)|(?<!\d)–", " "),
        (r"[‐‑–−]", "-"),
        (r"\s+", " "),
        (r"(?<![\w+])(?:\+\d|\(?0)[\d ()-]{7,}\d", _phone),
        (rf"\b({'|'.join(TENS)})-({_NTH_OF_TEN})\b", _worded_nth),
        (_WORDED, _worded),
        (r"(?<![\w.:£$€])(\d{1,2})(?:[:.](\d\d))? ?([ap])(?:\.m\.|m\b\.?)", _clock),
        (r"(?<![\w:.])(\d):(\d\d)(?![\w:])", r"0\1:\2"),
        (r"\b(?:12 )?(?:noon|midday)\b", " 12:00 "),
        (r"\b(?:12 )?midnight\b", " 00:00 "),
        (r"(?<!\d)(\d{4})-(\d\d)-(\d\d)(?!\d)", lambda m: _date(m[3], m[2], m[1])),
        (r"(?<![\d/])(\d{1,2})[/.](\d{1,2})[/.](\d{4})(?![\d/])", _numeric_date),
        (rf"{_NTH} (?:of )?{_MONTH}(?:,? (\d{{4}})\b)?", lambda m: _date(m[1], m[2], m[3])),
        (rf"\b{_MONTH} (?:the )?{_NTH}(?![\w:/]|\.\d)(?:,? (\d{{4}})\b)?", lambda m: _date(m[2], m[1], m[3])),
        (r"(?<![\w.,:/£$€-])(\d{1,2})(?:st|nd|rd|th)\b", lambda m: ORDINALS.get(int(m[1]), m[0])),
        (
            rf"((?:\b(?:au?|ca?|nz|us))?\$|[£€]) ?({_NUMBER})(?: ?({'|'.join(SCALES)})\b)?",
            lambda m: _money(m[2], DOLLARS.get(m[1], m[1]), m[3]),
        ),
        (
            rf"(?<![\w.,-])({_NUMBER})(?: (thousand|million|billion))? ?({'|'.join(CURRENCIES)})s?\b(?! of)",
            lambda m: _money(m[1], CURRENCIES[m[3]], m[2]),
        ),
        (rf"(?<![\w.,£$€-])({_NUMBER}) ?€", lambda m: _money(m[1], "€")),
        (rf"\b({'|'.join(CODES)}) ?({_NUMBER})", lambda m: _money(m[2], CODES[m[1]])),
        (r"(?<![\w.,])(\d+) ?(?:p|pence)\b(?!\.\w)", lambda m: _money(str(int(m[1]) / 100), "£")),
        (r"(\d) ?(?:%|per ?cent\b)", r"\1% "),
        (r"(?<=\d),(?=\d{3}\b)", ""),
        (r"(?<![\d:/%.,£$€-])(\d+) ?(?:-|to|until) ?(\d+)(?![\d:/%]|[.,]\d)", r"\1-\2"),
        (r"(?<=:\d\d) *(?:-|to|until) *(?=\d\d:)", " "),
        (r"(?<=\d)(?=(?:hours?|hrs?|minutes?|mins?|secs?|seconds?|days?|weeks?|kg|km)\b)", " "),
        (r"(?:(?<=\d[ -])|(?<=\bper ))second\b(?!-)", "sec"),
        (r"(?<!\d)/|/(?!\d)|(?<![\w%])[.:@_+-]|[.:@_-](?!\w)|[^\w£$€%&.:@/_+ -]", " "),
    )
)


@lru_cache(maxsize=50_000)
def canonical(text: str) -> str:
    """The text in lower case without punctuation and accents, each value in its one spelling."""
    text = re.sub(r"(\d*) ?([½¼¾])", lambda m: (m[1] or "0") + FRACTIONS[m[2]], text)
    text = re.sub(r"(?<=\d )may\b(?! \d{4})", "might", text)  # 'under 16 may swim' names no month
    text = "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if not unicodedata.combining(c))
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    return " ".join("-".join(ALIASES.get(part, part) for part in word.split("-")) for word in text.split())


def holds(text: str, value: str) -> bool:
    """Whether a canonical text holds a canonical value, at word boundaries.

    A plural s may follow; a number without a unit is also found with a sign of currency or per cent, and a sum in
    dollars also where the text says whose they are.
    """
    inner = re.escape(value).replace(r"\ ", "[ -]").replace(r"\-", "[ -]")
    if value.replace(".", "", 1).isdigit():
        return re.search(rf"(?<![^\s£$€]){inner}(?!\.?[^\s%])", text) is not None
    plural, whose = "s?" if value[-1:].isalpha() else "", "(?:a|c|nz)?" if value.startswith("$") else ""
    return bool(value) and re.search(rf"(?<!\S){whose}{inner}{plural}(?!\S)", text) is not None


@lru_cache(maxsize=50_000)
def keywords(text: str) -> tuple[str, ...]:
    """The words of a text that carry its matter: canonical, stemmed, without stop words, in order."""
    words = re.split(r"[ -]", canonical(text))
    return tuple(stem(word) for word in words if word and word not in STOP_WORDS)


def stem(word: str) -> str:
    """A crude English stem: 'deliveries' and 'delivery', 'booked' and 'booking' become one; no dictionary."""
    if not word.isalpha() or len(word) < 4:
        return word
    for ending, shortest in ENDINGS.items():
        root = word.removesuffix(ending)
        if root != word and len(root) >= shortest and re.search(r"[aeiouy]", root):
            return _trimmed(root + "y" if ending in ("ies", "ied") else root)
    return _trimmed(word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word)


def _trimmed(root: str) -> str:
    """Without what endings change: a doubled last consonant, a final e, a y that becomes i."""
    if len(root) > 3 and root[-1] == root[-2] and root[-1] not in "aeious":
        root = root[:-1]
    if root.endswith("e") and len(root) > 3:
        root = root[:-1]
    return root[:-1] + "i" if root.endswith("y") and len(root) > 2 else root


_SOURCE = r"(?:(?:\w+ )?(?:documents?|texts?|passages?|contexts?|information|records?|files?|sources?|notes?)|(?:provided )?section)"
_SAY = r"(?:\w+ )?(?:say|mention|state|contain|cover|give|include|specify|provide|tell|answer|list)"
_SAID = r"(?:\w+ )?(?:mentioned|stated|specified|known|made clear)"
_TELL = (
    r"(?:find|answer|locate|determine|say|tell|confirm (?:that|this|it)|see (?:that|this|any)|help(?: you)?(?: with (?:that|this)|\W*$)|"
    r"provide (?:you with )?(?:that|this|an answer|specific|(?:\w+ ){0,2}(?:information|details?|answers?)))"
)
_KNOWLEDGE = r"(?:information|details?|mention|record|data|answer)"
_HAVE = rf"(?:an answer|access to (?:that|this|the|any|such)|(?:(?:any|that|this|the|enough|such|specific|more) )?(?:\w+ )?{_KNOWLEDGE})"
DECLINES = re.compile(
    "|".join(
        (
            rf"\b(?:i|we) (?:do not|don't|dont|did not|didn't) (?:actually |really |currently |yet )?(?:know|have {_HAVE})\b",
            r"\b(?:i am|i'm|im|we are|we're) (?:not (?:sure|certain|aware)|unsure|unaware)\b",
            rf"\b(?:i am|i'm|im|we are|we're) (?:not able|unable) to {_TELL}\b",
            rf"\b(?:i|we) (?:cannot|can't|can not|cant|could not|couldn't|was unable to) {_TELL}\b",
            rf"\b(?:i|we) (?:have|had|found|find|see) (?:nothing|no (?:\w+ )?(?:idea|knowledge|{_KNOWLEDGE}))\b",
            rf"\bunable to {_TELL}\b",
            r"\bcannot be (?:determined|found|answered|known)\b",
            rf"\b(?:no|not any|not enough|insufficient) (?:\w+ ){{0,2}}{_KNOWLEDGE} (?:is |are |was |were )?"
            r"(?:about|on|in|for|available|provided|found)\b",
            rf"^\W*(?:sorry,? )?(?:no {_KNOWLEDGE}(?! (?:is|are|will|may|can|of))|not {_SAID}|not in the|unknown|n/a)\b",
            r"^\W*(?:sorry,? )?not (?:found|given|available|provided)(?: in the|\W*$)",
            rf"(?:\b(?:is|are|was|were|'s) (?:not|never)|\b(?:is|are|was|were)n't) {_SAID}\b",
            rf"(?:not|n't) (?:\w+ ){{0,2}}(?:in|by|from|anywhere in) (?:the|any|my|our|these|this|those) {_SOURCE}\b",
            rf"\b{_SOURCE} (?:i have |i was given |provided |given )?(?:do not|don't|does not|doesn't|did not|didn't|never) {_SAY}\b",
            rf"\bnothing (?:about (?:this|that|it) )?in (?:the|my|our|these) {_SOURCE}\b",
            r"\b(?:it|this|that|which) (?:does not|doesn't) (?:say|mention|state|specify)\b",
            r"\b(?:no one knows|beyond what i know|outside (?:of )?what i know)\b",
        )
    )
)


def refused(reply: str) -> bool:
    """Whether a reply declines to answer: it is empty, opens by declining, or declines somewhere and gives no number at all."""
    text = re.sub(r"\s+", " ", reply.replace("’", "'")).strip().casefold()
    if not re.search(r"\w", text):
        return True
    first = re.split(r"(?<=[.!?;]) ", text)[0]
    return bool(DECLINES.search(first)) or (not re.search(r"\d", text) and bool(DECLINES.search(text)))
