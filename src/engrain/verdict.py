"""The verdict: what the scores mean for somebody who wants answers from these documents.

What counts is every question to the documents that got the reply it should: a right answer, or none where the documents
have none. A way to answer is worth using if that happens clearly more often than with the untouched model, and if it answers
at least `useful_accuracy` of what can be answered right. Of those, the simplest one wins that is not clearly worse than the
best: the tuned model alone (needs nothing at hand), then retrieval with the untouched model (needs the documents), then both. "Clearly"
means by more than the 95% interval of the difference allows for chance.

Forgetting is gated in two steps. Past the warning (retention under 95%, perplexity over 1.05 times the base's) the check
fails and the reason says so, because an owner may well accept it. Past the limit (under 70%, over 1.5 times) the tuned
model is not recommended whatever it learned: a model that lost a third of what it could do fails outside any test.
Between the two, a tie goes to retrieval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engrain.errors import SettingError
from engrain.evaluate import ALONE, BASE, BASE_RETRIEVAL, TUNED, TUNED_RETRIEVAL, UNANSWERABLE, Comparison, Evaluation, Share
from engrain.settings import check, setting

USE_TUNED, USE_BOTH, USE_RETRIEVAL = "use the tuned model", "use tuned + retrieval", "use retrieval"
DO_NOT_USE = "do not use"
CHOICES = {TUNED: USE_TUNED, BASE_RETRIEVAL: USE_RETRIEVAL, TUNED_RETRIEVAL: USE_BOTH}
"""Column → choice, the simplest first."""

NAMES = {
    BASE: "the untouched model",
    TUNED: "the tuned model",
    BASE_RETRIEVAL: "the untouched model with retrieval",
    TUNED_RETRIEVAL: "the tuned model with retrieval",
}

DRAWBACKS = {
    (TUNED, BASE_RETRIEVAL): ", and that needs the documents at hand",
    (TUNED, TUNED_RETRIEVAL): ", and that needs the documents at hand",
    (BASE_RETRIEVAL, TUNED_RETRIEVAL): ", and that needs the tuned model besides",
    (BASE_RETRIEVAL, TUNED): ", and that forgot some of what it could do",
}
"""What speaks for the first of two that are equally often right."""
ABOUT_TUNED = ("forgetting", "language", "by itself")


@dataclass(frozen=True)
class VerdictSettings:
    """Where the verdict draws its lines."""

    useful_accuracy: float = setting(0.5, "Least share of right answers for a way to answer to be worth using.")
    retention_warning: float = setting(0.95, "Warn when less of what the base model knew is kept.")
    retention_limit: float = setting(0.70, "Do not use a tuned model that keeps less than this of what the base model knew.")
    perplexity_warning: float = setting(1.05, "Warn when perplexity on plain text grows past this multiple of the base model's.")
    perplexity_limit: float = setting(1.5, "Do not use a tuned model whose perplexity grew past this multiple.")
    declined_warning: float = setting(0.8, "Warn when fewer of the questions that the documents cannot answer are declined.")
    small_sample: int = setting(30, "Fewer questions than this are called too few to be sure.")

    def __post_init__(self) -> None:
        shares = ("useful_accuracy", "retention_warning", "retention_limit", "declined_warning")
        check(
            self,
            **{name: (0 <= getattr(self, name) <= 1, "it must lie between 0 and 1") for name in shares},
            perplexity_limit=(self.perplexity_limit >= self.perplexity_warning >= 1, "it must be at least perplexity_warning, and that 1"),
        )
        check(self, retention_limit=(self.retention_limit <= self.retention_warning, "it must be at most retention_warning"))


@dataclass(frozen=True)
class Check:
    """One thing looked at: whether it is as it should be, and the finding in plain words."""

    name: str
    passed: bool
    finding: str


@dataclass(frozen=True)
class Verdict:
    """What to do (`choice`), why (`reason`, plain words with the numbers), and what was checked on the way."""

    choice: str
    reason: str
    checks: tuple[Check, ...]

    @property
    def mode(self) -> str:
        """The mode in which the tuned model is best asked (see `assistant.MODES`)."""
        return "both" if self.choice in (USE_BOTH, USE_RETRIEVAL) else "closed-book"


def decide(evaluation: Evaluation, settings: VerdictSettings | None = None, own: bool = True) -> Verdict:
    """The verdict on an evaluation; `own` tells whether people wrote its questions, and not engrain.

    Raises SettingError when the untouched model was not asked: there is nothing to compare with.
    """
    settings = settings or VerdictSettings()
    if not evaluation.accuracy(BASE).count:
        raise SettingError(f"columns={', '.join(evaluation.columns)}: a verdict compares with {BASE!r}", "Evaluate the base as well.")
    forgot = _forgetting(evaluation, settings.retention_warning, settings.perplexity_warning)
    forgot_too_much = _forgetting(evaluation, settings.retention_limit, settings.perplexity_limit)
    allowed = [c for c in CHOICES if evaluation.accuracy(c).count and not (forgot_too_much and c.startswith(TUNED))]
    if forgot:
        allowed.sort(key=lambda column: column.startswith(TUNED))
    column = _choose(evaluation, allowed, settings)
    checks = _checks(evaluation, column or TUNED, settings, own)
    told = [c for c in checks if not c.passed and (c.name not in ABOUT_TUNED or forgot_too_much or (column or TUNED).startswith(TUNED))]
    why = _why(evaluation, column, allowed, forgot) if column else _why_not(evaluation, allowed, settings)
    return Verdict(CHOICES[column] if column else DO_NOT_USE, " ".join([why, *(c.finding for c in told)]), tuple(checks))


def verdict_from_dict(value: Mapping[str, Any]) -> Verdict:
    """The verdict that was written as JSON (with `asdict`)."""
    return Verdict(value["choice"], value["reason"], tuple(Check(**check) for check in value["checks"]))


def by_itself(evaluation: Evaluation) -> str:
    """What the tuned model answers and keeps by itself, in a sentence."""
    right, kept, ratio = evaluation.accuracy(ALONE), evaluation.retention(ALONE), evaluation.perplexity_ratio(ALONE)
    told = f"keeps {kept.right} of {kept.count} general questions" if kept.count else "has no general question to keep: the base knew none"
    perplexity = f", at {ratio:.2f} times the base's perplexity on plain text" if ratio else ""
    return f"By itself, as when exported, the tuned model answers {_of(right)} right and {told}{perplexity}."


def _forgetting(evaluation: Evaluation, least_kept: float, most_perplexity: float) -> bool:
    kept, ratio = evaluation.retention(), evaluation.perplexity_ratio()
    return bool(kept.count and kept.value < least_kept) or (ratio is not None and ratio > most_perplexity)


def _choose(evaluation: Evaluation, allowed: list[str], settings: VerdictSettings) -> str | None:
    """The first (simplest) useful column that is not clearly worse than the best; None when none is useful."""
    useful = [
        column
        for column in allowed
        if _compare(evaluation, column, BASE).is_better and evaluation.accuracy(column).value >= settings.useful_accuracy
    ]
    if not useful:
        return None
    best = max(useful, key=lambda column: evaluation.handled(column).right)
    return next(column for column in useful if not _compare(evaluation, column, best).is_worse)


def _why(evaluation: Evaluation, column: str, allowed: list[str], forgot: bool) -> str:
    """Why this column, in one sentence that also names the next best."""
    sentence = f"{_capital(NAMES[column])} {_done(evaluation, column)}, {_short(evaluation, BASE)}"
    others = [c for c in allowed if c != column]
    if not others:
        return f"{sentence}."
    rival = max(others, key=lambda c: evaluation.handled(c).right)
    clear = _compare(evaluation, column, rival).is_better
    drawback = DRAWBACKS.get((column, rival), "") if forgot or rival != TUNED else ""
    tie = "" if clear else f": no clear difference{drawback}"
    return f"{sentence}, {_short(evaluation, rival)}{tie}."


def _why_not(evaluation: Evaluation, allowed: list[str], settings: VerdictSettings) -> str:
    """Why none, in one sentence."""
    tuned = evaluation.accuracy(TUNED)
    if not allowed:
        asked = (
            f"The tuned model answers {_of(tuned)} right, but it forgot too much." if tuned.count else "Only the untouched model was asked."
        )
        return asked
    best = max(allowed, key=lambda c: evaluation.accuracy(c).right)
    found = evaluation.accuracy(best)
    if not _compare(evaluation, best, BASE).is_better:
        start = f"{_capital(NAMES[best])} {_done(evaluation, best)}, {_short(evaluation, BASE)}"
        return f"{start}: no improvement that chance could not explain."
    digits = 1 if round(found.value, 2) >= settings.useful_accuracy else 0  # 49.6% is not told as 50% and under 50%
    least = f"under the {settings.useful_accuracy:.0%} from which it is worth using"
    return f"Even the best, {NAMES[best]}, answers only {_of(found, digits)} right, {least}."


def _checks(evaluation: Evaluation, column: str, settings: VerdictSettings, own: bool) -> list[Check]:
    found = evaluation.accuracy(column)
    checks = []
    kept = evaluation.retention()
    if kept.count:
        checks.append(Check("forgetting", kept.value >= settings.retention_warning, _retention_finding(kept, settings)))
    ratio = evaluation.perplexity_ratio()
    if ratio is not None:
        good = ratio <= settings.perplexity_warning
        digits = 2 if good or round(ratio, 2) > settings.perplexity_warning else 4  # 1.0512 is not told as 1.05 and over 1.05
        words = f"Ordinary text surprises the tuned model {ratio:.{digits}f} times as much as the untouched one (perplexity)"
        tail = "." if good else f", more than the {settings.perplexity_warning:g} times allowed for."
        checks.append(Check("language", good, words + tail))
    if evaluation.alone:
        kept = evaluation.retention(ALONE)
        checks.append(Check("by itself", not kept.count or kept.value >= settings.retention_warning, by_itself(evaluation)))
    declined = evaluation.accuracy(column, UNANSWERABLE)
    if declined.count:
        words = (
            f"It made something up for {declined.count - declined.right} of {declined.count} questions that the documents do not answer."
        )
        checks.append(Check("invention", declined.value >= settings.declined_warning, words))
    wrongly = evaluation.falsely_declined(column)
    checks.append(
        Check(
            "timidity",
            wrongly.value <= 1 - settings.declined_warning,
            f"It declined {wrongly.right} of {wrongly.count} that they do answer.",
        )
    )
    enough = found.count >= settings.small_sample
    words = f"{found.count} questions were asked" if enough else f"Only {found.count} questions were asked, too few to be sure"
    told = "" if own else " They were written by engrain; people's own may be harder (--questions asks yours)."
    checks.append(Check("sample", enough, f"{words}: the true share lies between {found.low:.0%} and {found.high:.0%}.{told}"))
    return checks


def _retention_finding(kept: Share, settings: VerdictSettings) -> str:
    start = f"Of {kept.count} general questions that the untouched model gets right, the tuned model keeps {kept.right}"
    if kept.value >= settings.retention_warning:
        return f"{start} ({kept.value:.0%})."
    return f"{start} ({kept.value:.1%}), less than the {settings.retention_warning:.0%} expected: it forgot some of what it knew."


def _done(evaluation: Evaluation, column: str) -> str:
    """What a way does with the questions to the documents; where all have answers, only how many it gets right."""
    right, declined, handled = evaluation.accuracy(column), evaluation.accuracy(column, UNANSWERABLE), evaluation.handled(column)
    answers = f"answers {_of(right)} right"
    if not declined.count:
        return answers
    declines = f"declines {declined.right} of {declined.count} that the documents do not answer"
    return f"{answers} and {declines}, together {handled.right} of {handled.count} ({handled.value:.0%})"


def _of(found: Share, digits: int = 0) -> str:
    return f"{found.right} of {found.count} questions ({found.value:.{digits}%})"


def _short(evaluation: Evaluation, column: str) -> str:
    found = evaluation.handled(column)
    return f"{NAMES[column]} {found.right} ({found.value:.0%})"


def _compare(evaluation: Evaluation, new: str, old: str) -> Comparison:
    return evaluation.compare(new, old, declining=True)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
