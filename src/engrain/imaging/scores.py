"""How well classes are told apart: scores with their intervals, calibration, and labels that look wrong.

Shapes: N images, C classes. Probabilities are (N, C), labels (N) numbers of classes, groups (N) what images belong to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from engrain.comparison import Measured, resampled, with_interval

PENALTY = 5e-4
"""Weight of the squares in the head's loss."""
NAMES = ("accuracy", "balanced_accuracy", "auroc", "sensitivity", "specificity", "calibration_error")
"""The scores that are measured."""
WITHOUT_INTERVAL = "calibration_error"
"""Draws with repeats make it larger, so what they spread over is not where the score itself lies."""
BINS = 10
"""Bins of confidence for calibration."""
FOLDS = 5
SUSPECT, CONFIDENT = 0.1, 0.8
"""A label is suspect where models that did not see it give it less than the one, and another class more than the other."""


@dataclass(frozen=True)
class Bin:
    """Images whose confidence lies in one range: how many, their mean confidence, and the share that is right."""

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Scores:
    """What a classifier reaches on `count` test images.

    AUROC, sensitivity and specificity are means over the classes, each against all others; of two classes they are those of the
    second. `sensitivity` is that at the threshold with
    which the validation images reach the wanted specificity. `confusion` has a row for each true class.
    """

    count: int
    accuracy: Measured
    balanced_accuracy: Measured
    auroc: Measured
    sensitivity: Measured
    specificity: Measured
    calibration_error: Measured
    reliability: tuple[Bin, ...]
    confusion: tuple[tuple[int, ...], ...]


def scores(probabilities: np.ndarray, labels: np.ndarray, groups: Sequence[str], thresholds: np.ndarray, seed: int = 0) -> Scores:
    """All scores of test images; intervals are bootstrapped over groups, so that a patient with many images counts as one."""
    p, y = probabilities, labels
    drawn = np.array([_values(p[rows], y[rows], thresholds) for rows in resampled(groups, seed)]).reshape(-1, len(NAMES))
    measured = _measured(_values(p, y, thresholds), drawn)
    return Scores(
        count=len(y),
        **measured,
        reliability=tuple(reliability(p, y)),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion(p, y)),
    )


def differences(
    probabilities: Sequence[np.ndarray], labels: np.ndarray, groups: Sequence[str], thresholds: Sequence[np.ndarray], seed: int = 0
) -> dict[str, Measured]:
    """By name of a score how far the second classifier's lies above the first's, on the same images; intervals as in `scores`."""

    def above(rows: Any) -> np.ndarray:
        first, second = (_values(p[rows], labels[rows], own) for p, own in zip(probabilities, thresholds, strict=True))
        return np.asarray(second - first)

    drawn = np.array([above(rows) for rows in resampled(groups, seed)]).reshape(-1, len(NAMES))
    return _measured(above(slice(None)), drawn)


def _measured(values: np.ndarray, drawn: np.ndarray) -> dict[str, Measured]:
    """By name each score, with its interval where it has one; `drawn` has a row of scores for each draw."""
    found = dict(zip(NAMES, map(with_interval, values, drawn.T), strict=True))
    return found | {WITHOUT_INTERVAL: Measured(found[WITHOUT_INTERVAL].value)}


def _values(p: np.ndarray, y: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The scores in the order of NAMES, NaN where one cannot be computed."""
    found = (accuracy(p, y), balanced_accuracy(p, y), mean_auroc(p, y), *rates(p, y, thresholds), calibration_error(p, y))
    return np.array([np.nan if value is None else value for value in found])


def accuracy(p: np.ndarray, y: np.ndarray) -> float:
    """The share of images whose likeliest class is right."""
    return float((p.argmax(1) == y).mean())


def balanced_accuracy(p: np.ndarray, y: np.ndarray) -> float:
    """The mean over the classes of the share of their images that is right."""
    right = p.argmax(1) == y
    return float(np.mean([right[y == c].mean() for c in np.unique(y)]))


def mean_auroc(p: np.ndarray, y: np.ndarray) -> float | None:
    """The mean over the classes of the area under the ROC curve against all others; of two classes, that of the second."""
    classes = [1] if p.shape[1] == 2 else range(p.shape[1])
    found = [area for area in (auroc(p[:, c], y == c) for c in classes) if area is not None]
    return float(np.mean(found)) if found else None


def auroc(score: np.ndarray, positive: np.ndarray) -> float | None:
    """How often a positive has a higher score than a negative, ties counting half (Mann and Whitney's U)."""
    n = int(positive.sum())
    m = len(positive) - n
    if not n or not m:
        return None
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def thresholds_at(p: np.ndarray, y: np.ndarray, specificity: float) -> np.ndarray:
    """For each class the probability above which it is called, so that this share of all other images is not (C)."""
    return np.array([np.quantile(p[y != c, c], specificity, method="higher") if (y != c).any() else 1.0 for c in range(p.shape[1])])


def rates(p: np.ndarray, y: np.ndarray, thresholds: np.ndarray) -> tuple[float | None, float | None]:
    """Mean sensitivity and specificity over the classes (of two classes, those of the second) at the thresholds."""
    classes = [1] if p.shape[1] == 2 else range(p.shape[1])
    called = p > thresholds
    found = [(called[y == c, c].mean(), 1 - called[y != c, c].mean()) for c in classes if 0 < (y == c).sum() < len(y)]
    if not found:
        return None, None
    sensitivity, specificity = np.mean(found, axis=0)
    return float(sensitivity), float(specificity)


def confusion(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How many images of each true class (rows) are taken for each class (columns): (C, C)."""
    table = np.zeros((p.shape[1], p.shape[1]), int)
    np.add.at(table, (y, p.argmax(1)), 1)
    return table


def reliability(p: np.ndarray, y: np.ndarray) -> list[Bin]:
    """The bins of confidence that hold images, from low to high."""
    confidence, right = p.max(1), p.argmax(1) == y
    number = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        Bin(int(here.sum()), float(confidence[here].mean()), float(right[here].mean())) for b in range(BINS) if (here := number == b).any()
    ]


def calibration_error(p: np.ndarray, y: np.ndarray) -> float:
    """The expected calibration error: how far confidence and accuracy lie apart, weighed by how many images that concerns."""
    return sum(b.count * abs(b.confidence - b.accuracy) for b in reliability(p, y)) / len(y)


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities (N, C) of logits (N, C)."""
    scaled = logits.astype(np.float64) / temperature
    powers = np.exp(scaled - scaled.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that makes the labels likeliest (arXiv 1706.04599): the class called never changes by it.

    The labels are believed up to one image among all; where each is called right, no probability would be high enough otherwise.
    """
    doubt = 1 / (len(labels) + 1)
    wanted_NC = (1 - doubt) * np.eye(logits.shape[1])[labels] + doubt / logits.shape[1]
    candidates = np.exp(np.linspace(np.log(0.05), np.log(20), 400))
    logs = (F.log_softmax(torch.from_numpy(logits).double() / t, 1).numpy() for t in candidates)
    losses = [-(wanted_NC * log_NC).sum(1).mean() for log_NC in logs]
    return float(candidates[int(np.argmin(losses))])


def fit_head(vectors: np.ndarray, labels: np.ndarray, num_classes: int, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Weight (C, D) and bias (C) of a linear classifier on fixed vectors (N, D): logistic regression by L-BFGS.

    Vectors are standardized for it, so that PENALTY means the same for every backbone. Features that hardly vary count as if they
    did: else they would get huge weights, and an image that is changed a little (a brighter one) a huge loss.
    """
    mean, spread = vectors.mean(0), np.maximum(vectors.std(0), max(1e-6, vectors.std(0).mean()))
    x_ND, wanted_N = torch.from_numpy((vectors - mean) / spread).double(), torch.from_numpy(labels)
    each_N = torch.ones(len(labels)).double() if weights is None else torch.from_numpy(weights[labels]).double()
    w_CD = torch.zeros(num_classes, vectors.shape[1], dtype=torch.float64, requires_grad=True)
    b_C = torch.zeros(num_classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([w_CD, b_C], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        errors_N = F.cross_entropy(x_ND @ w_CD.T + b_C, wanted_N, reduction="none")
        value = (each_N * errors_N).mean() + PENALTY * w_CD.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    weight = w_CD.detach().numpy() / spread
    return weight, b_C.detach().numpy() - weight @ mean


def suspects(vectors: np.ndarray, labels: np.ndarray, groups: Sequence[str], num_classes: int, seed: int) -> list[tuple[int, int, float]]:
    """Images whose label looks wrong: number, the class they look like, and its probability, the surest first.

    Each fifth of the groups is judged by a classifier that learned from the others; a label that these do not show is not judged.
    """
    names = sorted(set(groups))
    fold_of = dict(zip(np.random.default_rng(seed).permutation(names).tolist(), np.arange(len(names)) % FOLDS, strict=True))
    fold = np.array([fold_of[group] for group in groups])
    found = []
    for number in range(FOLDS):
        inside, outside = fold == number, fold != number
        if not inside.any() or not outside.any():
            continue
        known = set(labels[outside].tolist())
        w, b = fit_head(vectors[outside], labels[outside], num_classes)
        p = softmax(vectors[inside] @ w.T + b)
        for row, i in enumerate(np.flatnonzero(inside)):
            best = int(p[row].argmax())
            if labels[i] in known and p[row, labels[i]] < SUSPECT and p[row, best] > CONFIDENT:
                found.append((int(i), best, float(p[row, best])))
    return sorted(found, key=lambda each: -each[2])
