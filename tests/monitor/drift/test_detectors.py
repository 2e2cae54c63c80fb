import numpy as np
import pytest

from monitor.drift.cusum import LowerCusum
from monitor.drift.false_discovery import discoveries
from monitor.drift.trend import theil_sen


def test_since_counts_from_the_last_zero() -> None:
    detector = LowerCusum(0.5, 4.0)
    found = [detector.update(value) for value in (0.0, -1.0, 3.0, -2.0, -2.0, -2.0)]
    assert found[:-1] == [None] * 5
    assert found[-1] is not None
    assert found[-1].since == 3


def test_the_sum_forgets_what_was_better_than_usual() -> None:
    detector = LowerCusum(0.5, 4.0)
    for _ in range(100):
        detector.update(2.0)
    found = [detector.update(-2.0) for _ in range(3)]
    assert found[-1] is not None


@pytest.mark.parametrize(("times", "values"), [([0, 1, 2], [1, 2, 3]), ([5, 5, 5, 5], [1, 2, 3, 4])])
def test_no_slope_from_too_little(times: list[float], values: list[float]) -> None:
    assert theil_sen(times, values) is None


def test_slope_stands_a_wild_point() -> None:
    times = np.arange(12.0)
    values = 100.0 - 0.75 * times
    values[4] = 0.0
    assert theil_sen(times, values) == pytest.approx(-0.75)


def test_discoveries_hold_the_rate_where_nothing_changed_and_find_what_did() -> None:
    random = np.random.default_rng(5)
    assert np.mean([discoveries(random.random(40), 0.05).any() for _ in range(2000)]) < 0.065
    p = random.random(40)
    p[:6] = 1e-4
    found = discoveries(p, 0.05)
    assert found[:6].all() and found[6:].sum() <= 2
    assert not discoveries([np.nan, np.nan], 0.05).any()
    assert discoveries([], 0.05).size == 0
