"""Average run lengths of the shipped detectors against published ones, by Markov chain and by simulation.

Published: one-sided CUSUM (Lucas & Crosier 1982 and the spc package's integral equations), Shewhart (exact). Limits are
those of the standard normal distribution with known parameters.
"""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from monitor.culture.settings import CultureSettings
from monitor.drift.base import Sides
from monitor.drift.cusum import LowerCusum
from monitor.drift.limits import limit_for, price_of
from monitor.drift.run_length import lower_cusum_arl, run_length_quantiles
from monitor.drift.shewhart import Shewhart

TOLERANCE = 0.03


def simulated(detector: LowerCusum | Shewhart, shift: float, runs: int) -> tuple[float, float]:
    """Return mean run length and its standard error over `runs` series."""
    random = np.random.default_rng(20260310)
    lengths = []
    for _ in range(runs):
        detector.reset()
        count, found = 0, False
        while not found:
            for value in random.normal(shift, 1.0, 64).tolist():
                count += 1
                if detector.update(value) is not None:
                    found = True
                    break
        lengths.append(count)
    return float(np.mean(lengths)), float(np.std(lengths) / np.sqrt(runs))


SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
TABLES = {
    "lower cusum 0.5 3": (
        lambda shift: lower_cusum_arl(0.5, 3.0, shift),
        (117.6, 39.5, 17.4, 9.68, 6.40, 3.75, 2.68, 2.12, 1.77, 1.31),
    ),
    "lower cusum 0.5 4": (
        lambda shift: lower_cusum_arl(0.5, 4.0, shift),
        (335.4, 77.1, 26.7, 13.3, 8.38, 4.75, 3.34, 2.62, 2.19, 1.71),
    ),
    "lower cusum 0.5 5": (
        lambda shift: lower_cusum_arl(0.5, 5.0, shift),
        (930.9, 141.7, 38.0, 17.0, 10.4, 5.75, 4.01, 3.11, 2.57, 2.01),
    ),
}


@pytest.mark.parametrize(("chain", "published"), TABLES.values(), ids=TABLES)
def test_chains_give_the_published_tables(chain: Callable[[float], float], published: tuple[float, ...]) -> None:
    assert [chain(shift) for shift in SHIFTS] == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize(
    ("frames", "limit", "delays"),
    [
        (500, 4.389, (30.9, 9.16, 3.60)),
        (1000, 5.071, (38.9, 10.5, 4.06)),
        (5000, 6.669, (61.4, 13.7, 5.12)),
        (16128, 7.838, (81.1, 16.1, 5.90)),
        (50000, 8.969, (102.7, 18.3, 6.66)),
    ],
)
def test_budgets_give_the_published_limits_and_their_price(
    frames: float, limit: float, delays: tuple[float, ...]
) -> None:
    found = limit_for(float(frames), 0.5)
    price = price_of(0.5, found)
    assert found == pytest.approx(limit, abs=0.002)
    assert (price.half_sigma, price.one_sigma, price.two_sigma) == pytest.approx(delays, rel=0.01)
    assert price.frames_between_false_alarms == pytest.approx(frames, rel=0.002)


@pytest.mark.parametrize("reference_k", [0.1, 0.25, 0.75, 1.0, 1.5])
@pytest.mark.parametrize("frames", [50.0, 16128.0, 1e6])
def test_limits_keep_their_budget_for_other_shifts_too(reference_k: float, frames: float) -> None:
    assert lower_cusum_arl(reference_k, limit_for(frames, reference_k)) == pytest.approx(frames, rel=0.002)


@pytest.mark.parametrize(("frames", "reference_k"), [(5.0, 0.5), (1e9, 0.5), (20.0, 2.0)])
def test_a_budget_that_cannot_be_kept_says_what_to_change(frames: float, reference_k: float) -> None:
    with pytest.raises(ValueError, match="change the number of alarms"):
        limit_for(frames, reference_k)


def test_deciles_of_the_run_length() -> None:
    assert run_length_quantiles(0.5, 5.0, (0.1, 0.5, 0.9)) == pytest.approx([104, 647, 2135], rel=0.01)


def test_defaults_keep_the_false_alarm_interval_that_they_state() -> None:
    settings = CultureSettings()
    limit = limit_for(settings.false_alarms.frames_between, settings.cusum_reference_k)
    chain = [lower_cusum_arl(settings.cusum_reference_k, limit, fall) for fall in (0.0, 1.0, 2.0)]
    assert chain == pytest.approx([16128.0, 16.1, 5.9], rel=0.005)


@pytest.mark.parametrize(
    ("detector", "shift", "expected", "runs"),
    [
        (LowerCusum(0.5, 4.0), 0.0, lower_cusum_arl(0.5, 4.0), 2000),
        (LowerCusum(0.5, 7.838), -1.0, lower_cusum_arl(0.5, 7.838, 1.0), 3000),
        (Shewhart(3.0), 1.0, 43.89, 3000),
        (Shewhart(3.0, sides=Sides.LOWER), -1.0, 1.0 / norm.cdf(-2.0), 3000),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_shipped_detectors(detector: LowerCusum | Shewhart, shift: float, expected: float, runs: int) -> None:
    mean, error = simulated(detector, shift, runs)
    assert error < TOLERANCE * expected
    assert mean == pytest.approx(expected, rel=TOLERANCE, abs=3.0 * error)


def test_a_rise_is_not_a_fall() -> None:
    rising = [3.0] * 50
    for detector in (LowerCusum(0.5, 5.0), Shewhart(3.0, sides=Sides.LOWER)):
        assert all(detector.update(value) is None for value in rising)
