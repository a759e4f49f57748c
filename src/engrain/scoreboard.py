"""What ways of answering cost and what they are worth, side by side; and which one the numbers recommend."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from engrain.comparison import resampled
from engrain.evaluate import BASE, GENERAL, TAIL, TUNED, UNANSWERABLE, Evaluation, Outcome, Share, matches, share
from engrain.words import canonical, keywords

NUMBER = re.compile(r"\d+(?:\.\d+)?")
NEAR = 0.1
"""How far a number may lie from the right one, as a share of it, to be near."""
SHARED = 0.5
"""Share of the right answer's words that a reply in its meaning holds."""
KEPT, FORGOTTEN = 0.95, 0.7
"""Retention that is expected, and that below which nothing is recommended."""


@dataclass(frozen=True)
class Score:
    """One way of answering, over all its seeds. Costs are None for what needs no tuning.

    `exact` counts answerable questions whose value is right letter by letter, `gist` also those right in meaning or near.
    `spread` is the lowest and highest share of right answers of a seed.
    """

    name: str
    tuned: bool
    seeds: int
    exact: Share
    gist: Share
    declined: Share
    kinds: dict[str, Share]
    spread: tuple[float, float]
    retention: Share | None = None
    perplexity_ratio: float | None = None
    trainable_parameters: int | None = None
    memory_bytes: int | None = None
    seconds: float | None = None
    tokens_per_second: float | None = None
    artifact_bytes: int | None = None


@dataclass(frozen=True)
class Costs:
    """What one training took."""

    trainable_parameters: int
    memory_bytes: int
    seconds: float
    tokens_per_second: float
    artifact_bytes: int


@dataclass(frozen=True)
class Scoreboard:
    """The scores, and the advice that follows from them; `failed` says which trainings did not end, and why."""

    scores: tuple[Score, ...]
    advice: str
    failed: dict[str, str] = field(default_factory=dict)


def in_gist(reply: str, answers: Iterable[str]) -> bool:
    """Whether a reply is right in meaning or near: half of an accepted answer's words, or a number within a tenth of its own."""
    said, numbers = set(keywords(reply)), [float(n) for n in NUMBER.findall(canonical(reply))]
    for answer in answers:
        wanted = set(keywords(answer))
        values = [float(n) for n in NUMBER.findall(canonical(answer))]
        near = any(abs(number - value) <= NEAR * value for number in numbers for value in values)
        if near or (wanted and len(wanted & said) / len(wanted) >= SHARED):
            return True
    return matches(reply, answers)


def score_of(name: str, column: str, evaluations: Sequence[Evaluation], costs: Sequence[Costs] = ()) -> Score:
    """The Score of a column in one evaluation a seed."""
    rows = [[o for o in e.outcomes.get(column, ()) if o.question.kind not in (UNANSWERABLE, GENERAL)] for e in evaluations]
    every = [outcome for seed in rows for outcome in seed]
    unanswerable = [o for e in evaluations for o in e.outcomes.get(column, ()) if o.question.kind == UNANSWERABLE]
    each = [share([o.right for o in seed]).value for seed in rows]
    made = Score(
        name=name,
        tuned=bool(costs),
        seeds=len(evaluations),
        exact=share_right(every),
        gist=share_right([replace(o, right=o.right or in_gist(o.reply, o.question.answers)) for o in every]),
        declined=share_right(unanswerable),
        kinds=by_kind(every),
        spread=(min(each), max(each)),
    )
    if not costs:
        return made
    ratios = [ratio for ratio in (e.perplexity_ratio() for e in evaluations) if ratio is not None]
    return Score(
        **{
            **vars(made),
            "retention": share_right([outcome for e in evaluations for outcome in known_before(e)]),
            "perplexity_ratio": sum(ratios) / len(ratios) if ratios else None,
            "trainable_parameters": costs[0].trainable_parameters,
            "memory_bytes": max(c.memory_bytes for c in costs),
            "seconds": sum(c.seconds for c in costs) / len(costs),
            "tokens_per_second": sum(c.tokens_per_second for c in costs) / len(costs),
            "artifact_bytes": costs[0].artifact_bytes,
        }
    )


def share_right(outcomes: Sequence[Outcome]) -> Share:
    """The share of right answers over all seeds; its interval is over questions, because another seed asks no new ones."""
    asked, right = [o.question.id for o in outcomes], [o.right for o in outcomes]
    distinct = len(set(asked))
    if distinct == len(right) or len(set(right)) == 1:
        return replace(share(right[:distinct]), right=sum(right), count=len(right))
    values = np.array(right, float)
    low, high = np.quantile([values[rows].mean() for rows in resampled(asked)], (TAIL, 1 - TAIL))
    return Share(sum(right), len(right), float(low), float(high))


def known_before(found: Evaluation) -> list[Outcome]:
    """What the tuned model makes of the general questions that the base gets right."""
    known = {o.question.id for o in found.outcomes.get(BASE, ()) if o.question.kind == GENERAL and o.right}
    return [o for o in found.outcomes.get(TUNED, ()) if o.question.id in known]


def by_kind(outcomes: Sequence[Outcome]) -> dict[str, Share]:
    """The share of right answers of each kind of question."""
    kinds = dict.fromkeys(o.question.kind for o in outcomes)
    return {kind: share_right([o for o in outcomes if o.question.kind == kind]) for kind in kinds}


def advice(scores: Sequence[Score]) -> str:
    """Which way to take, and why, in a few sentences. Differences within the intervals count as none."""
    tuned = [s for s in scores if s.tuned]
    plain = [s for s in scores if not s.tuned]
    usable = [s for s in tuned if s.retention is None or not s.retention.count or s.retention.value >= FORGOTTEN]
    sentences = []
    if tuned and not usable:
        sentences.append(f"Every tuned model forgot more than {1 - FORGOTTEN:.0%} of what the base knew: none is recommended.")
    best = max(usable, key=lambda s: s.exact.value, default=None)
    if best is not None:
        as_good = [s for s in usable if s.exact.value >= best.exact.low]
        chosen = max(as_good, key=_gentleness)
        sentences.append(_reason(chosen, best, as_good))
        blurred = chosen.gist.right - chosen.exact.right
        sentences.append(f"{blurred} of its {chosen.gist.count} answers are right in gist only: the exact value is blurred.")
    without = max(plain, key=lambda s: s.exact.value, default=None)
    if without is not None and (best is None or without.exact.value > best.exact.value):
        sentences.append(f"Without tuning, {without.name} is right on {_of(without.exact)}: better than any tuned model. Use it.")
    elif without is not None and best is not None:
        clearly = without.exact.high < best.exact.low
        tail = "clearly less." if clearly else "no clear difference: where the documents may be at hand, it needs no training."
        sentences.append(f"The best way without tuning, {without.name}, is right on {_of(without.exact)}: {tail}")
    return " ".join(sentences)


def _gentleness(score: Score) -> tuple[float, float]:
    """What decides between equally right ones: what is kept, then the time."""
    kept = score.retention.value if score.retention and score.retention.count else 0.0
    return round(min(kept, KEPT), 2), -(score.seconds or 0.0)


def _reason(chosen: Score, best: Score, as_good: Sequence[Score]) -> str:
    told = f"Take {chosen.name}: right on {_of(chosen.exact)}"
    if chosen.name != best.name:
        told += f", no clear difference to {best.name} ({best.exact.value:.0%})"
    if chosen.retention and chosen.retention.count:
        told += f", it keeps {chosen.retention.value:.0%} of what the base knew"
    if len(as_good) > 1:
        told += f" and of the {len(as_good)} that are not clearly worse than the best it forgets least, or trains fastest"
    return told + "."


def _of(found: Share) -> str:
    return f"{found.right} of {found.count} ({found.value:.0%})"
