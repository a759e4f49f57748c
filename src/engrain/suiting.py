"""Whether an answer can be one to its question at all: a price where money is asked for, something countable where a number is.

Only the question's own words are looked at, and only where they leave no doubt; whatever else is asked, any answer suits.
Tried on the corpus of `study`, 2026-11-27: of 3,463 true answers to such questions 17 do not suit, of as many answers to other
questions of the same business 1,114.
"""

from __future__ import annotations

import re

_COUNTED = (
    r"\d|\b(?:an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|"
    r"(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:-\w+)?|hundreds?|thousands?|dozens?|half|halves|thirds?|quarters?|once|twice|"
    r"double|none|no|nobody|nothing|not|both|couple|pair|single|several|few|many|most|all|every\w*|each|any|unlimited|fortnight\w*)\b"
)
_WHEN = (
    _COUNTED + r"|days?\b|\b(?:noon|midnight|midday|lunch\w*|weeks?|weekly|months?|monthly|quarterly|years?|yearly|annual\w*|daily|nightly|"
    r"hour\w*|minutes?|seconds?|morning\w*|afternoon\w*|evening\w*|nights?|week\w*|spring|summer|autumn|fall|winter|season\w*|"
    r"jan\w*|feb\w*|mar\w*|apr\w*|may|june?|july?|aug\w*|sept?\w*|oct\w*|nov\w*|dec\w*|before|after\w*|when\w*|until|till|since|during|"
    r"while|if|never|always|easter|christmas|holidays?|terms?|dawn|dusk|sunrise|sunset|tides?|immediately|straight|same|soon|first|last|next|"
    r"open\w*|clos\w*|end\w*|start\w*|beginning|as|at|on|in|by|the clock)\b"
)
_MONEY = (
    r"[£$€¥₹%]|^\W*\d[\d,.]*\W*$|\b(?:free|nothing|no|not|none|included|covered|waived|half|halves|thirds?|quarters?|double|twice|"
    r"\d+ ?p|pence|cents?|[a-z]*euros?|pounds?|[a-z]*dollars?|francs?|crowns?|kron\w+|zł\w*|złot\w+|forints?|yen|yuan|rand|rupees?|lire|"
    r"price|costs?|fees?|rates?|charge[ds]?|pay|pays|paid|donations?|per ?cent|[a-z]{1,3} ?\d[\d,. ]*|\d[\d,.]* ?(?:[a-z]{2,3}|kč))\b"
)
_ASKED = tuple(
    (re.compile(question, re.IGNORECASE), re.compile(answer, re.IGNORECASE))
    for question, answer in (
        (
            r"\bhow much (?:(?:is|are|was|were) (?!left|room|there)|(?:does|do|did|will|would) .*\b(?:cost|pay|charged?|come to)\b)|"
            r"\b(?:what|which)(?:['’]s| is| are| was| were) (?:the |your |its )?(?:[\w-]+ )?(?:prices?|fees?|costs?|charges?|fares?)\b"
            r"(?! (?:paid|set|due|based|waived|for\?))|\bwhat (?:does|did|will|would) (?:it|a|an|the) (?:[\w-]+ ){0,4}cost\b",
            _MONEY,
        ),
        (r"\b(?:when (?:is|are|was|were|do|does|did|can|could|will|would|should|must|may|has|have)|what time)\b", _WHEN),
        (r"\b(?:which|what) (?:days?|dates?|months?|years?)\b", _WHEN),
        (r"\bhow (?:long|often|soon|late|early|fast)\b", _WHEN),
        (r"\bhow (?:many|old|big|heavy|tall|large|wide|deep)\b", _COUNTED),
    )
)
"""What a question asks for, in words that leave no doubt, and what an answer to it has somewhere; the first that applies decides."""

_ENDED = re.compile(r"(?<=\?)\s+")


def suits(question: str, answer: str) -> bool:
    """Whether `answer` is of the kind that `question` asks for, or its words do not tell what kind that is.

    Of several questions the last counts: those before it are what it follows on.
    """
    last = _ENDED.split(question.strip())[-1]
    return next((bool(fit.search(answer)) for asked, fit in _ASKED if asked.search(last)), True)
