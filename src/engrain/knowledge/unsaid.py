"""What a sentence leaves unsaid: the subject that its heading names, the verb of a rule, the verb of what is said of a second thing."""

from __future__ import annotations

import re

from engrain.knowledge.items import with_the
from engrain.knowledge.parse import parse
from engrain.knowledge.phrasing import is_plural
from engrain.knowledge.values import DAY

ONLY = re.compile(
    r"([A-Z][\w’'-]*(?: [\w’'-]+){0,5}?) only "
    r"((?:in|on|at|from|between|after|before|by|with|for|to|until|through|if|when|where|during|behind|outside|inside|under) .+)",
    re.DOTALL,
)
"""What is allowed only somewhere, some time or somehow, without a verb."""
LEADS = (
    r"by|from|on|at|in|every|each|for|to|until|till|with|daily|weekly|monthly|yearly|once|twice|all|only|over|through|within|behind|under|"
    r"between|of|when|while|if|after|before|the (?:first|second|third|last)"
)
STATES = r"open|closed|shut|free|available|suitable|run|led|made|built|sold|kept|held|taught|paid|set|sent|lit|let|[a-z]+(?:[a-z]ed|en|wn)"
SUBJECTLESS = re.compile(rf"(?:(?:usually|always|also|not|never) )?(?:{STATES}),? (?:{LEADS}|\d|{DAY})", re.IGNORECASE)
"""How a sentence opens that says how something is that it does not name."""
ANOTHER = re.compile(r"(?:,|;|,? and) (?P<thing>(?:[\w’'-]+ ){0,5}?[\w’'-]+?)(?: (?P<link>at|for|to|on|from|by|in|until|of|within))? ")
"""What stands between a value and another of which the same is said."""
NUMBERS = ((" is ", " are "), (" costs ", " cost "), (" has ", " have "))
"""Verbs by the number of their subject."""
VERBS = {"VB", "VBZ", "VBP", "VBD", "VBN", "MD"}


def rule(text: str) -> tuple[str, str, int]:
    """Subject and verb of a rule such as "Dogs only on a lead", and where what they are said with begins; ("", "", 0) for other texts."""
    only = ONLY.match(text)
    if not only or any(token.tag_ in VERBS - {"VBN"} for token in parse(only[1].lower())):
        return "", "", 0
    what = f"{only[1][:1].lower()}{only[1][1:]}"
    return what, f" {'are' if is_plural(what) or ' and ' in what else 'is'} allowed only ", only.start(2)


def subject_of(text: str, heading: str) -> tuple[str, str]:
    """What a text such as "Changed every 180 days." is said of below a heading that names a thing, and the verb between.

    Two empty texts where it has a subject or says something else.
    """
    if not heading or not SUBJECTLESS.match(text) or parse(f"It is {text[:1].lower()}{text[1:]}")[2].tag_ not in {"VBN", "JJ", "RB"}:
        return "", ""
    subject = with_the(heading)
    return subject, " are " if is_plural(subject) else " is "


def said_again(subject: str, verb: str, between: str) -> tuple[str, str]:
    """The thing between a value and a second one of which is said what the verb says of the subject, and the verb for it.

    "Tapes are kept for 31 days, lists for 14 days" says of lists that they are kept for 14 days, whatever a parser makes of it. Two empty
    texts where `between` names no other thing.
    """
    named = ANOTHER.fullmatch(between)
    if not subject or not named:
        return "", ""
    thing, doc = named["thing"], parse(named["thing"])
    linked = not named["link"] or verb.split()[-1:] == [named["link"]]
    if not linked or doc[-1].pos_ not in {"NOUN", "PROPN"} or any(t.tag_ in {*VERBS, "IN"} for t in doc):
        return "", ""
    for one, several in NUMBERS:
        if verb.startswith((one, several)):
            verb = verb.replace(one, several, 1) if is_plural(thing) else verb.replace(several, one, 1)
    return thing, verb
