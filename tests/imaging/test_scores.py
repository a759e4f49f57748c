from __future__ import annotations

import numpy as np
import pytest

from engrain.comparison import Measured, mean_of, resampled
from engrain.imaging import scores as c


def test_auroc_counts_pairs() -> None:
    score, positive = np.array([0.1, 0.4, 0.4, 0.8, 0.9]), np.array([False, True, False, False, True])
    pairs = [(p > n) + 0.5 * (p == n) for p in score[positive] for n in score[~positive]]
    assert c.auroc(score, positive) == pytest.approx(np.mean(pairs))
    assert c.auroc(score, np.ones(5, bool)) is None


def test_accuracy_and_its_balanced_sister() -> None:
    p = np.array([[0.9, 0.1]] * 9 + [[0.8, 0.2]])
    y = np.array([0] * 9 + [1])
    assert c.accuracy(p, y) == pytest.approx(0.9)
    assert c.balanced_accuracy(p, y) == pytest.approx(0.5)
    assert c.confusion(p, y).tolist() == [[9, 0], [1, 0]]


def test_thresholds_reach_the_specificity_they_were_chosen_for() -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 2000)
    logits = np.stack([np.zeros(2000), random.normal(2.0 * y, 1.0)], 1)
    p = c.softmax(logits)
    thresholds = c.thresholds_at(p[:1000], y[:1000], 0.9)
    sensitivity, specificity = c.rates(p[1000:], y[1000:], thresholds)
    assert specificity == pytest.approx(0.9, abs=0.04)
    assert sensitivity is not None
    assert 0.6 < sensitivity < 0.9


def test_temperature_mends_what_is_too_sure() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 3)) * 1.5
    y = np.array([random.choice(3, p=row) for row in c.softmax(logits)])
    temperature = c.fit_temperature(logits * 4, y)
    assert temperature == pytest.approx(4, rel=0.1)
    assert c.calibration_error(c.softmax(logits * 4, temperature), y) < 0.03 < 0.1 < c.calibration_error(c.softmax(logits * 4), y)


def test_images_that_are_all_called_right_do_not_make_the_rest_certain() -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 300)
    logits = 3.0 * np.eye(3)[y] + random.uniform(size=(300, 3))
    p = c.softmax(logits, c.fit_temperature(logits, y))
    assert 0.98 < p.max(1).mean() < 0.9999


def test_bins_hold_every_image_once() -> None:
    p = np.array([[0.6, 0.4], [1.0, 0.0], [0.55, 0.45], [0.05, 0.95]])
    bins = c.reliability(p, np.array([0, 0, 1, 1]))
    assert sum(b.count for b in bins) == 4
    assert [b.accuracy for b in bins] == [0.0, 1.0, 1.0]


def test_a_head_learns_what_can_be_learned_and_weights_count() -> None:
    random = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 40)
    x = random.normal(size=(120, 5)) * 0.3 + 7
    x[np.arange(120), y] += 3
    w, b = c.fit_head(x.astype(np.float32), y, 3)
    assert w.shape == (3, 5)
    assert ((x @ w.T + b).argmax(1) == y).mean() > 0.98
    plain, weighed = (c.softmax(x @ w.T + b)[:, 2].sum() for w, b in (c.fit_head(x, y, 3), c.fit_head(x, y, 3, np.array([1.0, 1.0, 30.0]))))
    assert weighed > plain


def test_a_wrong_label_is_suspected() -> None:
    random = np.random.default_rng(1)
    y = np.repeat([0, 1], 50)
    x = random.normal(size=(100, 4)) * 0.3
    x[:, 0] += 4 * y
    y[7] = 1
    found = c.suspects(x, y, [str(i) for i in range(100)], 2, 0)
    assert [(i, other) for i, other, _ in found] == [(7, 0)]


def test_intervals_are_wider_where_images_belong_together() -> None:
    random = np.random.default_rng(0)
    values = np.repeat(random.random(20), 10)
    apart, together = mean_of(values.tolist(), [str(i) for i in range(200)]), mean_of(values.tolist(), [str(i // 10) for i in range(200)])
    assert apart.value == together.value
    assert apart.low is not None
    assert apart.high is not None
    assert together.low is not None
    assert together.high is not None
    assert together.high - together.low > 2 * (apart.high - apart.low)
    assert {len(rows) for rows in resampled([*"aabbccddee"])} == {10}
    assert mean_of([], []) == Measured(None)
    assert str(Measured(0.5, 0.25, 0.75)) == "0.500 (0.250 to 0.750)"
    assert Measured(0.5, -0.25, 0.75).signed == "+0.500 (-0.250 to +0.750)"
    assert Measured(None).signed == "–"


def test_scores_of_a_perfect_and_a_blind_classifier() -> None:
    y = np.arange(30) % 3
    groups = [str(i) for i in range(30)]
    perfect = c.scores(np.eye(3)[y] * 0.97 + 0.01, y, groups, np.full(3, 0.5))
    assert perfect.accuracy == Measured(1.0), "draws that are all alike leave no interval"
    assert perfect.auroc.value == perfect.sensitivity.value == perfect.specificity.value == 1.0
    assert perfect.calibration_error.value == pytest.approx(0.02)
    blind = c.scores(np.full((30, 3), 1 / 3), y, groups, np.full(3, 0.5))
    assert blind.accuracy.value == pytest.approx(1 / 3)
    assert blind.auroc.value == 0.5
    assert blind.sensitivity.value == 0.0


def test_differences_are_taken_on_the_same_images() -> None:
    random = np.random.default_rng(0)
    y, groups = random.integers(0, 2, 200), [str(i // 2) for i in range(200)]
    first = c.softmax(random.normal(size=(200, 2)) + 1.2 * np.eye(2)[y])
    second = first.copy()
    second[:40] = np.eye(2)[y[:40]]
    thresholds = np.array([0.5, 0.5])
    found = c.differences([first, second], y, groups, [thresholds, thresholds])
    before, after = (c.scores(p, y, groups, thresholds) for p in (first, second))
    for name, difference in found.items():
        assert difference.value == pytest.approx(getattr(after, name).value - getattr(before, name).value)
    accuracy = found["accuracy"]
    assert accuracy.low is not None
    assert accuracy.high is not None
    assert 0 < accuracy.low < accuracy.high
    assert accuracy.high - accuracy.low < before.accuracy.high - before.accuracy.low  # type: ignore[operator]
    assert all(same.value == 0 for same in c.differences([first, first], y, groups, [thresholds, thresholds]).values())


def test_a_head_gives_no_weight_to_what_hardly_varies() -> None:
    random = np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    x = random.normal(size=(120, 4)).astype(np.float32)
    x[:, 0] += 1.5 * y
    x[:, 3] = 1e-4 * (y + random.normal(size=120))
    w, b = c.fit_head(x, y, 2)
    brighter = x + np.array([0, 0, 0, 0.1], np.float32)
    assert np.abs(brighter @ w.T - x @ w.T).max() < 0.2
    assert ((x @ w.T + b).argmax(1) == y).mean() > 0.7


def test_a_class_that_no_training_group_shows_is_not_judged() -> None:
    random = np.random.default_rng(1)
    y = np.array([0, 1] * 20 + [2] * 6)
    x = random.normal(size=(46, 4)) * 0.3
    x[:, 0] += 4 * (y == 1)
    x[:, 1] += 4 * (y == 2)
    groups = [*map(str, range(40)), *["rare"] * 6]
    assert c.suspects(x, y, groups, 3, 0) == []


def test_the_calibration_error_has_no_interval() -> None:
    random = np.random.default_rng(0)
    y, groups = random.integers(0, 2, 60), [str(i) for i in range(60)]
    p = c.softmax(random.normal(size=(60, 2)))
    thresholds = np.array([0.5, 0.5])
    assert c.scores(p, y, groups, thresholds).calibration_error == Measured(c.calibration_error(p, y))
    assert c.differences([p, p], y, groups, [thresholds, thresholds])["calibration_error"] == Measured(0.0)
