from __future__ import annotations

import pytest

from benchmarks import laws


def test_a_line_is_found() -> None:
    law = laws.line([(x, 3 + 0.5 * x) for x in (1, 10, 100, 1000)])
    assert (law.constant, law.factor, law.power) == (pytest.approx(3), pytest.approx(0.5), 1)
    assert law.error < 1e-9
    assert law(2000) == pytest.approx(1003)


def test_a_power_law_is_found() -> None:
    law = laws.power([(x, 0.2 * x**1.3) for x in (1, 8, 64)])
    assert (law.factor, law.power) == (pytest.approx(0.2), pytest.approx(1.3))
    assert law(512) == pytest.approx(0.2 * 512**1.3)


def test_small_points_count_as_much_as_large_ones() -> None:
    law = laws.line([(1, 1.0), (2, 2.0), (1000, 1100.0)])
    assert law(1) == pytest.approx(1, rel=0.06)


def test_the_error_is_the_worst_points() -> None:
    law = laws.line([(1, 1.0), (2, 2.0), (3, 3.0), (4, 6.0)])
    assert law.error == pytest.approx(max(abs(law(x) / y - 1) for x, y in [(1, 1.0), (2, 2.0), (3, 3.0), (4, 6.0)]))
    assert law.error > 0.1
    assert f"within {law.error:.0%}" in law.told("x", "s")


def test_one_place_gives_no_law() -> None:
    for fit in (laws.line, laws.power):
        with pytest.raises(ValueError, match="two places"):
            fit([(2, 1.0), (2, 1.1)])
