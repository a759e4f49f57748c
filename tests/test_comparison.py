"""Intervals of scores: none where nothing is known of it, and never one without a width."""

from __future__ import annotations

import numpy as np
import pytest

from engrain.comparison import FEWEST_GROUPS, Measured, mean_of, resampled, wilson, with_interval

GROUPS = [str(number) for number in range(10)]


def test_the_interval_of_a_share_is_that_of_wilson() -> None:
    assert wilson(0, 0) == pytest.approx((0, 1))
    assert wilson(10, 10) == pytest.approx((0.7225, 1), abs=1e-4)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # the example of Newcombe (1998), method 3


@pytest.mark.parametrize("count", [1, 2, 7, 60])
def test_one_more_that_is_right_never_lowers_the_interval(count: int) -> None:
    ends = np.array([wilson(right, count) for right in range(count + 1)])
    assert (np.diff(ends, axis=0) > 0).all()
    assert (ends[:, 0] <= np.arange(count + 1) / count + 1e-12).all()
    assert (ends[:, 1] >= np.arange(count + 1) / count - 1e-12).all()


@pytest.mark.parametrize(("value", "signed", "low", "high"), [(0, False, 0, 0.278), (1, False, 0.722, 1), (0, True, -0.278, 0.278)])
def test_where_all_groups_agree_the_interval_has_a_width(value: float, signed: bool, low: float, high: float) -> None:
    found = mean_of([value] * 10, GROUPS, is_difference=signed)
    assert (found.value, found.low, found.high) == (value, pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))


def test_what_every_group_lost_may_be_a_little_less() -> None:
    found = mean_of([-1.0] * 10, GROUPS, is_difference=True)
    assert (found.value, found.low, found.high) == pytest.approx((-1, -1, -0.722), abs=1e-3)


def test_few_groups_have_no_interval() -> None:
    few = GROUPS[: FEWEST_GROUPS - 1]
    assert resampled(few * 9) == []
    assert mean_of([0.0, 1.0, 1.0, 0.0], few) == Measured(0.5)
    assert mean_of([1.0] * 4, few) == Measured(1.0)
    assert mean_of([0.3] * 10, GROUPS) == Measured(pytest.approx(0.3))
    assert with_interval(0.9, [0.9] * 20) == Measured(0.9)
