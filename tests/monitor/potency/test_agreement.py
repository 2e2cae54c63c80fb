"""How estimates agree with later results, and what few of them do not say."""

import numpy as np
import pytest
from scipy.stats import binomtest, linregress

from monitor.potency.agreement import LEAST_FLASKS, Measured, Verdict, agreement, clopper_pearson, rolling_coverage


def measured(error: np.ndarray, *, reach: float = 1.0, per_flask: int = 1, seed: int = 0) -> Measured:
    """Return estimates that miss results by `error`, with intervals that reach so far to both sides."""
    middle = np.random.default_rng(seed).uniform(20.0, 80.0, len(error))
    answer = np.column_stack([middle - reach, middle, middle + reach])
    unit = np.array([f"F{number // per_flask:03d}" for number in range(len(error))])
    return Measured(middle - error, answer, unit)


@pytest.mark.parametrize(("inside", "count"), [(0, 10), (10, 10), (27, 30), (1, 12), (180, 200)])
def test_the_range_of_a_share_is_the_exact_binomial_one(inside: int, count: int) -> None:
    exact = binomtest(inside, count).proportion_ci(0.95, method="exact")
    assert clopper_pearson(inside, count) == pytest.approx((exact.low, exact.high), abs=1e-12)


def test_the_range_holds_the_true_share_at_least_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    ranges = {count: clopper_pearson(count, 25) for count in range(26)}
    held = [ranges[count][0] <= 0.9 <= ranges[count][1] for count in random.binomial(25, 0.9, 4000).tolist()]
    assert np.mean(held) >= 0.95


def test_few_flasks_give_counts_and_no_number_that_looks_sure() -> None:
    found = agreement(measured(np.zeros(LEAST_FLASKS - 1)), 0.9)
    assert (found.results, found.flasks, found.inside, found.verdict) == (9, 9, 9.0, Verdict.TOO_FEW)
    assert {found.coverage, found.coverage_range, found.bias, found.bias_range, found.rmse, found.slope} == {None}
    none = agreement(measured(np.zeros(0)), 0.9)
    assert (none.results, none.verdict) == (0, Verdict.TOO_FEW)


def test_many_results_of_few_flasks_are_still_few() -> None:
    assert agreement(measured(np.zeros(90), per_flask=10), 0.9).verdict is Verdict.TOO_FEW


def test_bias_rmse_and_slope_are_those_of_the_textbook() -> None:
    error = np.random.default_rng(1).normal(3.0, 5.0, 40)
    given = measured(error, reach=12.0)
    found = agreement(given, 0.9)
    line = linregress(given.answer[:, 1], given.truth)
    assert found.bias == pytest.approx(error.mean())
    assert found.rmse == pytest.approx(np.sqrt((error**2).mean()))
    assert found.slope == pytest.approx(line.slope)
    assert found.slope_range is not None
    assert found.slope_range[1] - found.slope_range[0] == pytest.approx(2 * 2.0244 * line.stderr, rel=1e-4)
    assert found.bias_range is not None
    assert found.bias_range[0] < 3.0 < found.bias_range[1]


def test_flasks_count_once_however_many_results_they_have() -> None:
    error = np.concatenate([np.zeros(10), np.full(50, 5.0)])
    unit = np.array([f"F{number}" for number in range(10)] + ["F10"] * 50)
    given = measured(error)
    found = agreement(Measured(given.truth, given.answer, unit), 0.9)
    assert (found.flasks, found.inside, found.coverage) == (11, 10.0, pytest.approx(10 / 11))
    assert found.bias == pytest.approx(5.0 / 11)


@pytest.mark.parametrize(
    ("outside", "count", "verdict"),
    [(0, 20, Verdict.AGREES), (0, 60, Verdict.TOO_WIDE), (2, 20, Verdict.AGREES), (7, 20, Verdict.TOO_NARROW)],
)
def test_a_verdict_says_no_more_than_the_flasks_bear(outside: int, count: int, verdict: Verdict) -> None:
    error = np.where(np.arange(count) < outside, 9.0, 0.0)
    assert agreement(measured(error), 0.9).verdict is verdict


def test_a_slope_of_estimates_that_are_all_alike_is_not_known() -> None:
    answer = np.tile([1.0, 2.0, 3.0], (12, 1))
    found = agreement(Measured(np.linspace(1.5, 2.5, 12), answer, np.arange(12).astype(str)), 0.9)
    assert (found.slope, found.slope_range) == (None, None)
    assert found.coverage == 1.0


def test_the_rolling_coverage_forgets_what_is_long_past() -> None:
    error = np.concatenate([np.full(15, 9.0), np.zeros(30)])
    points = rolling_coverage(measured(error), 12)
    assert [point.until for point in points] == list(range(1, 46))
    assert {point.coverage for point in points[:9]} == {None}
    assert points[14].coverage == 0.0
    assert points[20].coverage == pytest.approx(0.5)
    assert points[44].coverage == 1.0
    assert points[44].coverage_range == clopper_pearson(12, 12)
