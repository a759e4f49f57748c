"""Whether an answer can be one to its question at all: something with a number where money is asked for, a time where "when" is.

Only the question's own words are looked at, and only where they leave no doubt; whatever else is asked, any answer suits. Money may
be told in any number and in many words, so what does not suit is a bare name, place or thing. Nor does an answer that only repeats
words of the question, unless that lets choose between yes and no or between things, nor a bare date or price where or to whom.
"""

from __future__ import annotations

import re

from engrain.knowledge.values import NUMBER, kind_of
from engrain.words import keywords

_NUMBER = (
    rf"\d|\b(?:{NUMBER}|an?|(?:hundred|thousand|million|dozen|score)s?|half|halves|thirds?|quarters?|"
    r"tenths?|once|twice|thrice|double|triple|zero|nil|none|no|nobody|nothing|not|both|couple|pair|single|several|few|many|much|most|all|"
    r"every\w*|each|any|enough|plenty|lots|only|unlimited|fortnight\w*|depends?|depending|var(?:y|ies)|limit\w*|maximum|minimum)\b"
)
_NTH = r"|\b(?:first|second|third|fourth|fifth|sixth|last)\b"
_WHEN = (
    _NUMBER + _NTH + r"|(?:day|time|night)s?\b|\b(?:noon|midnight|midday|lunch\w*|week\w*|month\w*|quarterly|year\w*|annual\w*|hour\w*|"
    r"minutes?|seconds?|moment\w*|morning\w*|afternoon\w*|evening\w*|spring|summer|autumn|fall|winter|season\w*|jan\w*|feb\w*|mar\w*|apr\w*|"
    r"may|june?|july?|aug\w*|sept?\w*|oct\w*|nov\w*|dec\w*|mon|tues?|wed|thurs?|fri|sat|sun|before|after\w*|when\w*|until|till|since|during|"
    r"while|if|never|always|forever|easter|christmas|holidays?|festival|clock|terms?|dawn|dusk|sunrise|sunset|tides?|straight|same|soon|next|"
    r"now|open\w*|clos\w*|end\w*|start\w*|beginning|as|at|on|in|by|for|upon|prior|between|from|within|tomorrow|tonight|overnight|"
    r"peak|tbc|tba|permanent|length|pace|speed|\w+ly|request|arrangement|appointment)\b"
)
_MONEY = (
    _NUMBER
    + _NTH
    + r"|[£$€¥₹₦₱%]|\b(?:free|gratis|complimentary|included|covered|waived|po[ai]|arrangement|request|quot\w+|p|pence|penny|cents?|"
    r"[a-z]*euros?|pounds?|quid|[a-z]*dollars?|price\w*|costs?|fees?|rates?|rent|charge[ds]?|pay|pays|paid|donat\w+|per ?cent|"
    r"full|whole|ask|same|as|whatever|deposit)\b"
)
_CLAUSE = (
    r"^(?:(?!(?:wh\w+|how|is|are|was|were|do|does|did|can|could|may|must|will|would|should)\b)[^?]*[,.:;!] *)?(?:(?:and|so|but|then) )?"
)
"""Where the question proper begins: after what is said before it, which is no question."""
_ASKED = tuple(
    (
        re.compile(rf"{_CLAUSE}(?:(?:at|by|for|from|in|on|to|until|within) )?(?:{question})", re.IGNORECASE),
        re.compile(answer, re.IGNORECASE),
    )
    for question, answer in (
        (
            r"how much (?:(?:is|are|was|were) (?!left|room|there)|(?:does|do|did|will|would) .*\b(?:cost|pay|charged?|come to)\b)|"
            r"(?:what|which)(?:['’]s| is| are| was| were) (?:the |your |its )?(?:[\w-]+ )?(?:price|fee|cost|fare)\b"
            r"(?! (?:paid|set|due|based|waived|time|guarantee|match|promise|policy|structure|used|spent|cover))(?!.* for\?$)|"
            r"what (?:does|did|will|would) (?:it |(?:an?|the) (?:[\w-]+ ){1,3})cost\b(?! (?:cover|includ|depend))",
            _MONEY,
        ),
        (r"what (?:do|did|would|will|must|should) (?:i|we|you|they) pay\b(?! (?:for|with|by|in)\b)", _MONEY),
        (
            r"what(?:['’]s| is| are| was) (?:the |your |its )?(?:(?:opening|closing) (?:time|hour)s?|(?:start |end )?date|deadline)\b",
            _WHEN,
        ),
        (r"when (?:is|are|was|were|do|does|did|can|could|will|would|should|must|may|has|have)\b|what time\b(?! zone)", _WHEN),
        (r"(?:which|what) (?:days?|dates?|months?|years?)\b(?! (?:trip|pass|rate|care|plan))", _WHEN),
        (r"how (?:long|often|soon|late|early)\b", _WHEN),
        (r"how many\b", _NUMBER),
        (r"how old (?:is|are|do|does|must|should) (?!the|this|your|our)", _NUMBER),
    )
)
"""How a question begins, its clause at least, that asks for one kind of thing, and what an answer to it has somewhere."""
_WHERE = re.compile(rf"{_CLAUSE}(?:(?:at|by|for|from|to|with) )?(?:where|who|whose|whom)\b", re.IGNORECASE)
_ELSEWHERE = frozenset({"money", "date", "time", "duration", "percent", "measure"})
"""Kinds of value that are no place and nobody."""
_CHOICE = re.compile(
    rf"\bor\b|{_CLAUSE}(?:is|are|was|were|do|does|did|can|could|may|must|will|would|should|shall|has|have|had|am)(?:n['’]t)? ",
    re.IGNORECASE,
)
_ENDED = re.compile(r"(?<=\?)\s+")


def suits(question: str, answer: str) -> bool:
    """Whether `answer` is of the kind that `question` asks for, or its words do not tell what kind that is.

    Of several questions the last counts: those before it are what it follows on.
    """
    last = _ENDED.split(question.strip())[-1]
    if _repeats(last, answer) or (_WHERE.search(last) and kind_of(answer.strip(" .")) in _ELSEWHERE):
        return False
    return next((bool(fit.search(answer)) for asked, fit in _ASKED if asked.search(last)), True)


def _repeats(question: str, answer: str) -> bool:
    """Whether an answer says nothing but words of a question that offers no choice."""
    said = set(keywords(answer))
    return bool(said) and said <= set(keywords(question)) and not _CHOICE.search(question)
