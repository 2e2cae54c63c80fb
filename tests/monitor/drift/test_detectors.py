import numpy as np
import pytest
from scipy.stats import kendalltau

from monitor.drift.base import Detector, Sides
from monitor.drift.cusum import LowerCusum, TwoSidedCusum
from monitor.drift.ewma import Ewma
from monitor.drift.false_discovery import discoveries
from monitor.drift.page_hinkley import PageHinkley
from monitor.drift.shewhart import Shewhart
from monitor.drift.trend import mann_kendall, theil_sen
from monitor.drift.western_electric import WesternElectric

MAKERS = {
    "lower": lambda: LowerCusum(0.5, 4.0, 1.0),
    "two-sided": lambda: TwoSidedCusum(0.5, 4.0),
    "ewma": lambda: Ewma(0.2, 2.9, settled=False),
    "page-hinkley": lambda: PageHinkley(0.1, 2.0),
    "western-electric": lambda: WesternElectric(sides=Sides.LOWER),
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


@pytest.mark.parametrize(
    ("values", "limit"),
    [
        ((-3.1,), 3.0),
        ((-2.1, 0.4, -2.3), 2.0),
        ((-1.2, -1.1, 0.3, -1.5, -1.3), 1.0),
        ((-0.1, -0.3, -0.2, -0.4, -0.1, -0.2, -0.5, -0.1), 0.0),
    ],
)
def test_each_western_electric_rule_ends_with_its_last_value(values: tuple[float, ...], limit: float) -> None:
    detector = WesternElectric()
    found = [detector.update(value) for value in values]
    assert found[:-1] == [None] * (len(values) - 1)
    assert found[-1] is not None and (found[-1].limit, found[-1].falling) == (limit, True)
    rising = WesternElectric()
    assert [rising.update(-value) for value in values][-1].falling is False
    below = WesternElectric(sides=Sides.LOWER)
    assert not any(below.update(-value) for value in values)


def test_page_hinkley_needs_no_baseline_and_follows_a_slow_fall() -> None:
    random = np.random.default_rng(3)
    level, detector = 80.0, PageHinkley(0.5, 12.0)
    steady = [detector.update(level + value) for value in random.normal(0.0, 1.0, 200).tolist()]
    fallen = [detector.update(level - 2.0 + value) for value in random.normal(0.0, 1.0, 40).tolist()]
    assert not any(steady) and any(fallen)


def test_mann_kendall_agrees_with_kendalls_tau() -> None:
    random = np.random.default_rng(4)
    for values in (random.normal(size=15), random.integers(0, 4, 30).astype(float), np.arange(9.0)[::-1]):
        tau = kendalltau(np.arange(values.size), values, method="asymptotic")
        found = mann_kendall(values.tolist())
        assert found is not None
        # scipy's score has no continuity correction: the score itself is what has to agree
        pairs = values.size * (values.size - 1) / 2
        ties = sum(count * (count - 1) / 2 for count in np.unique(values, return_counts=True)[1])
        assert found.score == pytest.approx(tau.statistic * np.sqrt(pairs * (pairs - ties)), abs=1e-6)
        assert found.p >= tau.pvalue - 1e-12
    assert mann_kendall([1.0, 2.0, 3.0]) is None
    assert mann_kendall([5.0] * 8) is not None and mann_kendall([5.0] * 8).p == 1.0


def test_discoveries_hold_the_rate_where_nothing_changed_and_find_what_did() -> None:
    random = np.random.default_rng(5)
    assert np.mean([discoveries(random.random(40), 0.05).any() for _ in range(2000)]) < 0.065
    p = random.random(40)
    p[:6] = 1e-4
    found = discoveries(p, 0.05)
    assert found[:6].all() and found[6:].sum() <= 2
    assert not discoveries([np.nan, np.nan], 0.05).any()
    assert discoveries([], 0.05).size == 0
