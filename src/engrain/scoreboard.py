"""What ways of answering cost and what they are worth, side by side; and which one the numbers recommend."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engrain.comparison import wilson
from engrain.evaluate import ALONE, BASE, GENERAL, TUNED, UNANSWERABLE, Comparison, Evaluation, Outcome, Share, compared, matches, share
from engrain.verdict import VerdictSettings
from engrain.words import canonical, keywords

AMOUNT = re.compile(r"((?:[a-z]{0,2}\$|[£€])?)((?:0|[1-9]\d*)(?:\.\d+)?)(%?)")
"""A number that may be near another one: not a time, a date or a telephone number, whose digits count one by one."""
YEAR = re.compile(r"(?:19|20)\d\d")
NEAR = 0.1
"""How far a number may lie from the right one, as a share of it, to be near."""
RETRIEVING = "+retrieval"
"""How the name of a way ends that is asked with retrieval too."""
SHARED = 0.5
"""Share of the right answer's words that a reply in its meaning holds."""
LINES = VerdictSettings()
"""Where the lines are drawn: the least share of right answers that is useful, what is to be kept, what is too little."""


@dataclass(frozen=True)
class Score:
    """One way of answering, over all its seeds. Costs are None for what needs no tuning.

    `exact` counts answerable questions whose value is right letter by letter, `gist` also those right in meaning or near;
    `handled` counts all questions to the documents, those right to decline too (see `Evaluation.handled`). `spread` is the lowest
    and highest share of right answers of a seed; `answered` says of each question whether most seeds are right, or rightly decline it.
    Of the general questions that the base gets right, `retention` counts those still right as the run is asked, behind its gate, and
    `alone` those that the tuned model itself gets right; `perplexity_ratio` is that of the tuned model itself. `alone_exact` and
    `alone_gist` are what it says by itself, asked in the questions' own words: what its weights hold, where nobody weighs or checks it.
    """

    name: str
    tuned: bool
    seeds: int
    exact: Share
    gist: Share
    declined: Share
    handled: Share
    kinds: dict[str, Share]
    spread: tuple[float, float]
    retention: Share | None = None
    alone: Share | None = None
    alone_exact: Share | None = None
    alone_gist: Share | None = None
    perplexity_ratio: float | None = None
    trainable_parameters: int | None = None
    memory_bytes: int | None = None
    seconds: float | None = None
    tokens_per_second: float | None = None
    artifact_bytes: int | None = None
    answered: dict[str, bool] = field(default_factory=dict)

    @property
    def retrieves(self) -> bool:
        """Whether this is a way that is asked with retrieval too."""
        return self.name.endswith(RETRIEVING)


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
    """Whether a reply is right in meaning or near: it holds half of an accepted answer, and one of its values or an amount near it.

    An amount is near within a tenth. A yes is never near a no.
    """
    answers = tuple(answers)
    return matches(reply, answers) or any(_near(canonical(reply), answer) for answer in answers)


def _near(said: str, answer: str) -> bool:
    told, known = canonical(answer).split(), {*keywords(said), *_full_hours(said)}
    opening = {said.split(" ")[0], *told[:1]}
    wanted = set(keywords(answer))
    held = {word for word in wanted if word in known or any(_close(word, other) for other in said.split())}
    values = {word for word in wanted if re.search(r"\d", word) and not YEAR.fullmatch(word)}
    agrees = not {"yes", "no"} <= opening and (not values or bool(values & held))
    return agrees and bool(wanted) and len(held) / len(wanted) >= SHARED


def _close(value: str, other: str) -> bool:
    """Whether two words are amounts of one kind, not further apart than NEAR."""
    first, second = AMOUNT.fullmatch(value), AMOUNT.fullmatch(other)
    if not first or not second or YEAR.fullmatch(value):
        return False
    signs = {sign for sign in (first[1] + first[3], second[1] + second[3]) if sign}
    return len(signs) < 2 and abs(float(first[2]) - float(second[2])) <= NEAR * float(first[2])


def _full_hours(said: str) -> Iterator[str]:
    """Who says at nine may mean 09:00."""
    return (f"{int(word):02}:00" for word in said.split() if word.isdecimal() and int(word) < 24)


def score_of(name: str, column: str, evaluations: Sequence[Evaluation], costs: Sequence[Costs] = ()) -> Score:
    """The Score of a column in one evaluation a seed."""
    rows = [answerable(e.outcomes.get(column, ())) for e in evaluations]
    every = [outcome for seed in rows for outcome in seed]
    unanswerable = [o for e in evaluations for o in e.outcomes.get(column, ()) if o.question.kind == UNANSWERABLE]
    each = [share([o.right for o in seed]).value for seed in rows]
    right = Counter(o.question.id for o in (*every, *unanswerable) if o.right)
    made = Score(
        name=name,
        tuned=bool(costs),
        seeds=len(evaluations),
        exact=share_right(every),
        gist=share_in_gist(every),
        declined=share_right(unanswerable),
        handled=share_right([*every, *unanswerable]),
        kinds=by_kind(every),
        spread=(min(each), max(each)),
        answered={o.question.id: 2 * right[o.question.id] > len(rows) for o in (*every, *unanswerable)},
    )
    if not costs:
        return made
    ratios = [ratio for ratio in (e.perplexity_ratio(ALONE) for e in evaluations) if ratio is not None]
    said = [outcome for e in evaluations for outcome in answerable(e.alone or e.outcomes.get(TUNED, ()))]
    return Score(
        **{
            **vars(made),
            "retention": share_right([outcome for e in evaluations for outcome in e.known_before()]),
            "alone": share_right([outcome for e in evaluations for outcome in e.known_before(ALONE if e.alone else TUNED)]),
            "alone_exact": share_right(said),
            "alone_gist": share_in_gist(said),
            "perplexity_ratio": sum(ratios) / len(ratios) if ratios else None,
            "trainable_parameters": costs[0].trainable_parameters,
            "memory_bytes": max(c.memory_bytes for c in costs),
            "seconds": sum(c.seconds for c in costs) / len(costs),
            "tokens_per_second": sum(c.tokens_per_second for c in costs) / len(costs),
            "artifact_bytes": costs[0].artifact_bytes,
        }
    )


def answerable(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Those to questions that the documents answer."""
    return [o for o in outcomes if o.question.kind not in (UNANSWERABLE, GENERAL)]


def share_right(outcomes: Sequence[Outcome]) -> Share:
    """The share of right answers over all seeds; its interval is over questions, because another seed asks no new ones."""
    right, count = sum(o.right for o in outcomes), len(outcomes)
    distinct = len({o.question.id for o in outcomes})
    return Share(right, count, *wilson(right / max(count, 1) * distinct, distinct))


def share_in_gist(outcomes: Sequence[Outcome]) -> Share:
    """The same of those right in meaning or near."""
    return share_right([replace(o, right=o.right or in_gist(o.reply, o.question.answers)) for o in outcomes])


def by_kind(outcomes: Sequence[Outcome]) -> dict[str, Share]:
    """The share of right answers of each kind of question."""
    kinds = dict.fromkeys(o.question.kind for o in outcomes)
    return {kind: share_right([o for o in outcomes if o.question.kind == kind]) for kind in kinds}


def advice(scores: Sequence[Score]) -> str:
    """Which way to take, and why, in a few sentences. A way is clearly better where a paired test on the same questions says so."""
    base = next((s for s in scores if s.name == BASE), None)
    tuned = [s for s in scores if s.tuned]
    kept = [s for s in tuned if not s.retention or not s.retention.count or s.retention.value >= LINES.retention_limit]
    best = max(kept, key=lambda s: s.handled.value, default=None)
    without = max((s for s in scores if not s.tuned and s is not base), key=lambda s: s.handled.value, default=None)
    found = [s for s in kept if not shortcoming(s, base)]
    useful = without is not None and not shortcoming(without, base)
    sentences = []
    if tuned and not kept:
        sentences.append(f"Every tuned model forgot more than {1 - LINES.retention_limit:.0%} of what the base knew: none is recommended.")
    if best is not None and not found:
        sentences.append(f"The best tuned model, {best.name}, {_done(best)}: {shortcoming(best, base)}.")
    if without is not None and useful and (not found or all(versus(without, s).is_better for s in found)):
        beaten = ", clearly better than any tuned model" if found else ""
        return " ".join([*sentences, f"Without tuning, {without.name} {_done(without)}{beaten}. Use it."])
    if found:
        sentences += _taken(found, {s.name: s for s in tuned})
    if without is not None:
        sentences.append(f"The best way without tuning, {without.name}, {_done(without)}: {_beside(without, found, base)}.")
    if scores and not found:
        sentences.append("None of these is worth using.")
    return " ".join(sentences)


def versus(new: Score, old: Score) -> Comparison:
    """What one way wins and loses against another on the same questions."""
    return compared(new.name, old.name, new.answered, old.answered)


def shortcoming(score: Score, base: Score | None) -> str:
    """Why a way is not worth using, or nothing: the floor of the verdict, and clearly better than the base where that was asked."""
    if base is not None and not versus(score, base).is_better:
        return f"no improvement on the base ({_of(base.handled)}) that chance could not explain"
    return "" if score.exact.value >= LINES.useful_accuracy else f"under the {LINES.useful_accuracy:.0%} from which it is worth using"


def _taken(useful: Sequence[Score], ways: Mapping[str, Score]) -> Iterator[str]:
    """Which of these tuned models to take, and what to know of it.

    Of those that are as good as the best, one that knows less from memory is not taken for being gentle: it learned less.
    """
    best = max(useful, key=lambda s: s.handled.value)
    as_good = [s for s in useful if not versus(s, best).is_worse]
    bare = {s.name: ways.get(s.name.removesuffix(RETRIEVING), s) for s in as_good}
    knowing = max(bare.values(), key=lambda s: s.handled.value)
    equal = [s for s in as_good if not versus(bare[s.name], knowing).is_worse]
    chosen = max(equal, key=_gentleness)
    yield _reason(chosen, best, equal)
    if chosen.alone_exact and chosen.alone_gist and chosen.alone_exact.count:
        yield _exactness(chosen.alone_exact, chosen.alone_gist)


def _exactness(exact: Share, gist: Share) -> str:
    """Whether the weights hold exact values or something near them."""
    blurred, told = gist.right - exact.right, f"Asked by itself, in the questions' own words, the model is right on {_of(exact)}"
    if blurred:
        return f"{told}, and on {blurred} more in gist only: a value near the right one, or half of its words."
    return f"{told}, and on none more in gist only: exact values are not blurred."


def _beside(without: Score, useful: Sequence[Score], base: Score | None) -> str:
    """What the best way without tuning is worth beside the tuned models that are useful."""
    if useful and versus(without, max(useful, key=lambda s: s.handled.value)).is_worse:
        return "clearly less"
    return shortcoming(without, base) or "no clear difference: where the documents may be at hand, it needs no training"


def _gentleness(score: Score) -> tuple[float, float]:
    """What decides between equally right ones: what the model itself keeps, then the time."""
    kept = score.alone.value if score.alone and score.alone.count else 0.0
    return round(min(kept, LINES.retention_warning), 2), -(score.seconds or 0.0)


def _reason(chosen: Score, best: Score, equal: Sequence[Score]) -> str:
    told = f"Take {chosen.name}: it {_done(chosen)}"
    if chosen.name != best.name:
        told += f", no clear difference to {best.name} ({best.handled.value:.0%})"
    if chosen.retention and chosen.retention.count:
        told += f", it keeps {chosen.retention.value:.0%} of what the base knew"
    if chosen.alone and chosen.alone.count:
        told += f" ({chosen.alone.value:.0%} by itself)"
    if len(equal) > 1:
        told += f" and of the {len(equal)} that are not clearly worse than the best, nor from memory"
        told += ", it forgets least by itself, or trains fastest"
    return told + "."


def _done(score: Score) -> str:
    """What a way does with the questions to the documents."""
    told = f"is right on {_of(score.exact)}"
    if not score.declined.count:
        return told
    declines = f"declines {score.declined.right} of {score.declined.count} that the documents do not answer"
    return f"{told} and {declines}, together {score.handled.value:.0%}"


def _of(found: Share) -> str:
    return f"{found.right} of {found.count} ({found.value:.0%})"
