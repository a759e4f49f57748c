"""Two facts at once: what one fact says of a name is put into the questions about that name, in its place.

"In which boat does the person row who answers letters?" is "In which boat does Hanneke row?" to those who know that "Who answers
letters?" has the answer "Hanneke". Such questions are known as multi-hop (Yang and others 2018, arXiv 1809.09600). Here they are
only ways to find the second question, which a model is asked as it was trained; so they need not be put well.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

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
    clues, seconds = _clues(things.values(), common), _seconds(things.values())
    uses = Counter(word for name in (*clues, *common) for word in set(name.split()))
    for name, told in clues.items():
        own = [word for word in name.split() if uses[word] == 1]
        for wordings in dict.fromkeys(wordings for word in own for wordings in seconds[word]):
            yield from _joined(told, wordings, Named(frozenset(name.split()), frozenset(own)))


@dataclass(frozen=True)
class Named:
    """A name: all of its `words`, and those that no other one has."""

    words: frozenset[str]
    own: frozenset[str]

    def place_in(self, text: str) -> re.Match[str] | None:
        """Where a text, but for its first letter, names this one and no other."""
        found = ((place, set(place[0].split())) for place in NAME.finditer(text, 1))
        return next((place for place, words in found if words <= self.words and words & self.own), None)


def _clues(things: Iterable[Sequence[Asked]], common: Collection[str]) -> Mapping[str, list[Asked]]:
    """By each name the questions that it answers; a part of only one longer name stands for that."""
    found: dict[str, list[Asked]] = defaultdict(list)
    for wordings in things:
        name = wordings[0].answer.rstrip(".")
        if NAME.fullmatch(name) and name not in common and not NO_NAMES & set(canonical(name).split()):
            leading = [each for each in wordings if _description(each.question)]
            found[name] += sorted(leading, key=_plainness)[:NUM_CLUES]
    having: dict[str, list[str]] = defaultdict(list)
    for name in found:
        for word in set(name.split()):
            having[word].append(name)
    whole: dict[str, list[Asked]] = defaultdict(list)
    for name, told in found.items():
        words = name.split()
        longer = [other for other in having[words[0]] if set(words) <= set(other.split())]
        longest = max(longer, key=len)
        if all(set(other.split()) <= set(longest.split()) for other in longer):
            whole[longest] += told
    return whole


def _seconds(things: Iterable[Sequence[Asked]]) -> Mapping[str, list[tuple[Asked, ...]]]:
    """By each word of a name the wordings that have it, those of one thing together, into which a description can be put."""
    found: dict[str, list[tuple[Asked, ...]]] = defaultdict(list)
    for wordings in things:
        able = tuple(each for each in wordings if ASKS.fullmatch(each.question) and len(each.question.split()) <= LONGEST)
        for word in {word for each in able for name in NAME.findall(each.question[1:]) for word in name.split()}:
            found[word].append(able)
    return found


def _description(question: str) -> str:
    """Who answers letters? → the person who answers letters; empty for a question that gives none."""
    found = LEADS.fullmatch(question)
    if not found or len(question.split()) > LONGEST or re.fullmatch(rf"is {NAME.pattern}", found["rest"]):
        return ""
    return f"the {found['kind'] or 'person'} who {found['rest']}"


def _plainness(each: Asked) -> tuple[int, int]:
    """What is practised most comes first, and the shortest of that."""
    return -each.repeats, len(each.question)


def _joined(clues: Iterable[Asked], wordings: Sequence[Asked], name: Named) -> Iterator[Asked]:
    """The plainest wording that has the name, with each clue's description in its place.

    Two facts are needed for it: none where the answer is the name, or a clue has it too or stands in the same place.
    """
    found = [(each, place) for each in wordings if (place := name.place_in(each.question))]
    if not found:
        return
    second, place = min(found, key=lambda pair: _plainness(pair[0]))
    if name.own & set(re.findall(r"[\w-]+", second.answer)):
        return
    before, after = re.sub(r"\bthe $", "", second.question[: place.start()]), second.question[place.end() :]
    for clue in clues:
        if clue.evidence == second.evidence or name.place_in(clue.question):
            continue
        yield replace(
            second,
            question=before + _description(clue.question) + after,
            evidence=f"{clue.evidence} {second.evidence}".strip(),
            repeats=0,
            about=led_in(second.about, clue.evidence) if second.about else "",
            clue=clue,
        )
