import numpy as np
import pytest

from monitor.drift.base import Detector, Sides
from monitor.drift.cusum import LowerCusum, TwoSidedCusum
from monitor.drift.ewma import Ewma
from monitor.drift.shewhart import Shewhart
from monitor.drift.trend import theil_sen

MAKERS = {
    "lower": lambda: LowerCusum(0.5, 4.0, 1.0),
    "two-sided": lambda: TwoSidedCusum(0.5, 4.0),
    "ewma": lambda: Ewma(0.2, 2.9, settled=False),
    "shewhart": lambda: Shewhart(2.0, sides=Sides.LOWER),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_restored_detector_goes_on_as_the_first(make) -> None:
    values = np.random.default_rng(1).normal(-0.5, 1.0, 60).tolist()
    whole: Detector = make()
    expected = [whole.update(value) for value in values]
    first: Detector = make()
    begun = [first.update(value) for value in values[:25]]
    second: Detector = make()
    second.restore(first.snapshot())
    assert begun + [second.update(value) for value in values[25:]] == expected
    assert any(expected)
    assert second.snapshot() == whole.snapshot()
    second.reset()
    assert second.snapshot() == make().snapshot()


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


def test_two_sided_says_which_way() -> None:
    detector = TwoSidedCusum(0.5, 4.0)
    assert [detector.update(-2.0) for _ in range(3)][-1].falling
    detector.reset()
    assert not [detector.update(2.0) for _ in range(3)][-1].falling


def test_ewma_limits_widen_to_their_settled_width() -> None:
    widening, settled = Ewma(0.1, 2.8, settled=False), Ewma(0.1, 2.8)
    widening.update(0.0)
    assert widening.limit == pytest.approx(0.28)
    for _ in range(200):
        widening.update(0.0)
    assert widening.limit == pytest.approx(settled.limit)


@pytest.mark.parametrize(("times", "values"), [([0, 1, 2], [1, 2, 3]), ([5, 5, 5, 5], [1, 2, 3, 4])])
def test_no_slope_from_too_little(times: list[float], values: list[float]) -> None:
    assert theil_sen(times, values) is None


def test_slope_stands_a_wild_point() -> None:
    times = np.arange(12.0)
    values = 100.0 - 0.75 * times
    values[4] = 0.0
    assert theil_sen(times, values) == pytest.approx(-0.75)
