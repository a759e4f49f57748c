"""Two facts at once: what one fact says of a name is put into the questions about that name, in its place.

"In which boat does the person row who answers letters?" is "In which boat does Hanneke row?" to those who know that "Who answers
letters?" has the answer "Hanneke". Such questions are known as multi-hop (Yang and others 2018, arXiv 1809.09600). Here they are
only ways to find the second question, which a model is asked as it was trained; so they need not be put well.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from engrain.retrieval import Asked
from engrain.study.skills import led_in
from engrain.words import DAYS, MONTHS, canonical

LONGEST = 14
"""Words of a question that another may be put into, or that is."""
NUM_CLUES = 3
"""Questions that lead from one fact to a name."""
WORD = r"[A-Z][\w-]*(?:[’'](?!s\b)\w+)*"
NAME = re.compile(rf"{WORD}(?: (?:(?:of|the|de|van|von) )?{WORD}){{0,3}}")
"""A proper name, without what makes something its own ("Hanneke’s")."""
NO_NAMES = {*MONTHS, *DAYS, "yes", "no"}
LEADS = re.compile(r"(?:Who|Which (?P<kind>\w+)) (?!(?:of|am|are|were|have|do|does|did|can|will|should|must)\b)(?P<rest>[^.:;,?]+)\?")
"""Asks which one does or is something."""
ASKS = re.compile(
    r"(?:(?:at|by|for|from|in|on|since|to|until|with) )?(?:how|what|when|where|which|who|whom|whose|why)\b[^.:;?]+\?", re.IGNORECASE
)


def linked(asked: Iterable[Asked], common: Collection[str] = ()) -> Iterator[Asked]:
    """For each fact about a name, its plainest question with what another fact says in place of the name; both are its evidence.

    Names are answers; `common` ones, which stand for the business itself, are none, nor do their words tell a name.
    """
    things: dict[tuple[str, int, str], list[Asked]] = defaultdict(list)
    for each in asked:
        if each.section:
            things[each.thing].append(each)
    clues = _clues(things.values(), common)
    for name, told in clues.items():
        own = set(name.split()).difference(*(other.split() for other in (*clues, *common) if other != name))
        for wordings in things.values():
            second = _plainest(wordings, name, own)
            if second and not own & set(re.findall(r"[\w-]+", second.answer)):
                yield from (_joined(clue, second, name, own) for clue in told if _leads(clue, second, name, own))


def _clues(things: Iterable[Sequence[Asked]], common: Collection[str]) -> Mapping[str, list[Asked]]:
    """By each name the questions that it answers; a part of only one longer name stands for that."""
    found: dict[str, list[Asked]] = defaultdict(list)
    for wordings in things:
        name = wordings[0].answer.rstrip(".")
        if NAME.fullmatch(name) and name not in common and not NO_NAMES & set(canonical(name).split()):
            leading = [each for each in wordings if _description(each.question)]
            found[name] += sorted(leading, key=lambda each: (-each.repeats, len(each.question)))[:NUM_CLUES]
    whole: dict[str, list[Asked]] = defaultdict(list)
    for name, told in found.items():
        longer = [other for other in found if set(name.split()) <= set(other.split())]
        longest = max(longer, key=len)
        if all(set(other.split()) <= set(longest.split()) for other in longer):
            whole[longest] += told
    return whole


def _description(question: str) -> str:
    """Who answers letters? → the person who answers letters; empty for a question that gives none."""
    found = LEADS.fullmatch(question)
    if not found or len(question.split()) > LONGEST or re.fullmatch(rf"is {NAME.pattern}", found["rest"]):
        return ""
    return f"the {found['kind'] or 'person'} who {found['rest']}"


def _plainest(wordings: Sequence[Asked], name: str, own: Collection[str]) -> Asked | None:
    """The wording that is practised most, and the shortest of these, of those that a description can be put into."""
    able = [each for each in wordings if ASKS.fullmatch(each.question) and len(each.question.split()) <= LONGEST]
    told = [each for each in able if _mention(each.question, name, own)]
    return min(told, key=lambda each: (-each.repeats, len(each.question)), default=None)


def _mention(question: str, name: str, own: Collection[str]) -> re.Match[str] | None:
    """Where a question names this one and no other."""
    whole = set(name.split())
    found = ((place, set(place[0].split())) for place in NAME.finditer(question, 1))
    return next((place for place, words in found if words <= whole and words & set(own)), None)


def _leads(clue: Asked, second: Asked, name: str, own: Collection[str]) -> bool:
    """Whether both are needed: the clue stands elsewhere than the second answer, and does not name what it leads to."""
    return clue.evidence != second.evidence and not _mention(clue.question, name, own)


def _joined(clue: Asked, second: Asked, name: str, own: Collection[str]) -> Asked:
    place = _mention(second.question, name, own)
    assert place is not None
    before = re.sub(r"\bthe $", "", second.question[: place.start()])
    question = before + _description(clue.question) + second.question[place.end() :]
    about = led_in(second.about, clue.evidence) if second.about else ""
    return replace(
        second, question=question, evidence=f"{clue.evidence} {second.evidence}".strip(), repeats=0, about=about, clue=clue.question
    )
